"""What a chain is asked to be: checked when it is put together, from a round's terms and the
settings of whoever runs it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

__all__ = [
    "ADDRESS",
    "GWEI",
    "IN_PROCESS",
    "SIMULATED_CHAIN_ID",
    "ChainId",
    "ChainSpec",
    "Confirmations",
    "is_endpoint",
    "names_endpoint",
]

IN_PROCESS = "in-process"
SIMULATED_CHAIN_ID = 131277322940537
"""Of every chain that is simulated in a process: eth-tester's, so that its own tools agree."""

FROM_ENVIRONMENT = "env:"
ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
GWEI = 10**9
SEED_BYTES = 32

ChainId = Annotated[int, Field(ge=1, lt=2**64)]
Confirmations = Annotated[int, Field(ge=1, le=1_000)]


def is_endpoint(address: str) -> bool:
    """Whether this is an http or https address that names a host.

    Examples
    --------
    >>> is_endpoint("http://127.0.0.1:8545"), is_endpoint("http://"), is_endpoint("http://h:99999")
    (True, False, False)
    """
    try:
        parts = urlsplit(address)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:  # no number of a port, or brackets that do not close
        return False
    return named and parts.scheme in ("http", "https") and not re.search(r"\s", address)


def names_endpoint(words: str) -> bool:
    """Whether this is an endpoint, or says in which environment variable one stands."""
    return is_endpoint(words) or bool(words.removeprefix(FROM_ENVIRONMENT) not in ("", words))


class ChainSpec(BaseModel):
    """Which chain, and what it is started with.

    Parameters
    ----------
    accounts : tuple of str
        Names of those who will sign, such as ``"operator"`` or ``"party/0"``. On the in-process
        chain each gets a derived key and a balance in the genesis state.
    provider : str
        ``"in-process"``; the ``http://`` or ``https://`` address of a JSON-RPC endpoint; or
        ``"env:NAME"`` for such an address in an environment variable, because addresses of hosted
        endpoints carry secrets.
    block_gas_limit : int
        Most gas that the transactions of one block may use together.
    block_step_s : int
        Seconds from one block of the in-process chain to the next.
    genesis_timestamp : int or None
        Unix time at which the in-process chain begins; None takes the clock, once.
    seed : bytes or None
        32 bytes from which the simulated keys are derived; None draws them, once.
    balance_wei : int
        What each account of the in-process chain begins with.
    codes : mapping of str to bytes
        Contracts that are there when the in-process chain begins, by address.
    chain_id : int or None
        The chain that a JSON-RPC endpoint must serve; required there, so that a round meant for a
        test network cannot be sent to another.
    confirmations : int
        Blocks, its own among them, after which a transaction counts as carried out.
    max_fee_wei, priority_fee_wei : int
        Most that one unit of gas may cost (EIP-1559), and how much of that goes to the block's
        builder.
    keystore : Path or None
        Folder of encrypted keystore files; see `settlement.chain.keys`.
    addresses : mapping of str to str
        On a real chain: the address of each account, by which its key is found.
    reply_timeout_s, patience_s : float
        How long to wait for one reply of the endpoint (an endpoint that gives none for three times
        as long counts as gone), and for a transaction to be confirmed.

    Raises
    ------
    pydantic.ValidationError
        With all faults at once. A user's own tables were checked before: this is for callers.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    accounts: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    provider: str = IN_PROCESS
    block_gas_limit: int = Field(30_029_122, ge=5_000, lt=2**63)
    block_step_s: int = Field(1, ge=1, le=86_400)
    genesis_timestamp: int | None = Field(None, ge=1, le=2**40)
    seed: Annotated[bytes, Field(min_length=SEED_BYTES, max_length=SEED_BYTES)] | None = None
    balance_wei: int = Field(10**30, ge=0, le=2**200)
    codes: Mapping[Annotated[str, Field(pattern=f"^{ADDRESS.pattern}$")], bytes] = {}
    chain_id: ChainId | None = Field(None, validate_default=True)
    confirmations: Confirmations = 1
    max_fee_wei: int = Field(100 * GWEI, ge=1)
    priority_fee_wei: int = Field(GWEI, ge=0)
    keystore: Path | None = None
    addresses: Mapping[str, Annotated[str, Field(pattern=f"^{ADDRESS.pattern}$")]] = {}
    reply_timeout_s: float = Field(10.0, ge=0.01, le=3_600)
    patience_s: float = Field(600.0, ge=0.01, le=86_400)

    @field_validator("accounts")
    @classmethod
    def _each_once(cls, accounts: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted(name for name, count in Counter(accounts).items() if count > 1):
            raise ValueError(f"named twice: {', '.join(twice)}; name each once")
        return accounts

    @field_validator("provider")
    @classmethod
    def _somewhere(cls, provider: str) -> str:
        if provider != IN_PROCESS and not names_endpoint(provider):
            raise ValueError(
                f'found "{provider}"; expected "{IN_PROCESS}", an address such as '
                f'http://127.0.0.1:8545 or https://host, or "{FROM_ENVIRONMENT}NAME"'
            )
        return provider

    @field_validator("chain_id")
    @classmethod
    def _for_endpoints(cls, chain_id: int | None, info: ValidationInfo) -> int | None:
        simulated = info.data.get("provider") == IN_PROCESS
        if simulated and chain_id is not None:
            raise ValueError(f'the "{IN_PROCESS}" provider has its own; leave it out')
        if not simulated and chain_id is None and "provider" in info.data:
            raise ValueError("a JSON-RPC provider needs it; name the chain's number")
        return chain_id
