"""What a chain is asked to be: the ``[chain]`` table of a round, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from settlement.chain.errors import ChainSpecError

__all__ = ["IN_PROCESS", "ChainSpec", "is_endpoint"]

IN_PROCESS = "in-process"
FROM_ENVIRONMENT = "env:"
ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
GWEI = 10**9
MIN_BLOCK_GAS = 5_000
MAX_BLOCK_GAS = 2**63 - 1
SEED_BYTES = 32


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


@dataclass(frozen=True, slots=True)
class ChainSpec:
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
        Folder of encrypted keystore files, one a name; see `settlement.chain.keys`.
    addresses : mapping of str to str
        Addresses by name; an account that signs must have the address that is given here.
    reply_timeout_s, patience_s : float
        How long to wait for one reply of the endpoint (an endpoint that gives none for three times
        as long counts as gone), and for a transaction to be confirmed.

    Raises
    ------
    ChainSpecError
        With all faults at once, each with its place.
    """

    accounts: tuple[str, ...] = ()
    provider: str = IN_PROCESS
    block_gas_limit: int = 30_029_122
    block_step_s: int = 1
    genesis_timestamp: int | None = None
    seed: bytes | None = None
    balance_wei: int = 10**30
    codes: Mapping[str, bytes] = field(default_factory=dict)
    chain_id: int | None = None
    confirmations: int = 1
    max_fee_wei: int = 100 * GWEI
    priority_fee_wei: int = GWEI
    keystore: Path | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    reply_timeout_s: float = 10.0
    patience_s: float = 600.0

    def __post_init__(self) -> None:
        faults = [(f"chain.{place}", message) for place, message in self._faults()]
        if faults:
            raise ChainSpecError(faults)

    def _faults(self) -> list[tuple[str, str]]:
        faults = []
        if self.provider == IN_PROCESS:
            if self.chain_id is not None:
                faults.append(
                    ("chain_id", f'the "{IN_PROCESS}" provider has its own; leave it out.')
                )
        elif not (self.provider.startswith(FROM_ENVIRONMENT) or is_endpoint(self.provider)):
            faults.append(
                (
                    "provider",
                    f'found "{self.provider}"; expected "{IN_PROCESS}", an address such as '
                    f'http://127.0.0.1:8545 or https://host, or "{FROM_ENVIRONMENT}NAME".',
                )
            )
        elif self.chain_id is None:
            faults.append(("chain_id", "a JSON-RPC provider needs it; name the chain's number."))
        twice = sorted({name for name in self.accounts if self.accounts.count(name) > 1})
        if twice:
            faults.append(("accounts", f"named twice: {', '.join(twice)}; name each once."))
        if "" in self.accounts:
            faults.append(("accounts", "found an empty name; expected at least one letter."))
        for place, found, least, most in (
            ("block_gas_limit", self.block_gas_limit, MIN_BLOCK_GAS, MAX_BLOCK_GAS),
            ("block_step_s", self.block_step_s, 1, 86_400),
            ("balance_wei", self.balance_wei, 0, 2**200),
            ("genesis_timestamp", self.genesis_timestamp, 1, 2**40),
            ("chain_id", self.chain_id, 1, 2**64 - 1),
            ("confirmations", self.confirmations, 1, 1_000),
            ("max_fee_wei", self.max_fee_wei, 1, 10**6 * GWEI),
            ("priority_fee_wei", self.priority_fee_wei, 0, self.max_fee_wei),
            ("reply_timeout_s", self.reply_timeout_s, 0.01, 3_600),
            ("patience_s", self.patience_s, 0.01, 86_400),
        ):
            if found is not None and not least <= found <= most:
                faults.append((place, f"found {found}; expected {least} to {most}."))
        if self.seed is not None and len(self.seed) != SEED_BYTES:
            faults.append(("seed", f"found {len(self.seed)} bytes; expected {SEED_BYTES}."))
        for address in self.codes:
            if not ADDRESS.fullmatch(address):
                faults.append(("codes", f'found "{address}"; expected 0x and 40 hex digits.'))
        for name, address in self.addresses.items():
            if not ADDRESS.fullmatch(address):
                faults.append(
                    (f"addresses.{name}", f'found "{address}"; expected 0x and 40 hex digits.')
                )
        return faults
