"""What a chain is asked to be: the ``[chain]`` table of a round, checked."""

from __future__ import annotations

from dataclasses import dataclass

from settlement.chain.errors import ChainSpecError

__all__ = ["IN_PROCESS", "ChainSpec"]

IN_PROCESS = "in-process"
MIN_BLOCK_GAS = 5_000
MAX_BLOCK_GAS = 2**63 - 1
SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """Which chain, and what it is started with.

    Parameters
    ----------
    accounts : tuple of str
        Names of those who will sign, such as ``"operator"`` or ``"party/0"``. On the in-process
        chain each gets a derived key and a balance in the genesis state.
    provider : str
        ``"in-process"``.
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

    def __post_init__(self) -> None:
        faults = [(f"chain.{place}", message) for place, message in self._faults()]
        if faults:
            raise ChainSpecError(faults)

    def _faults(self) -> list[tuple[str, str]]:
        faults = []
        if self.provider != IN_PROCESS:
            faults.append(("provider", f'found "{self.provider}"; expected "{IN_PROCESS}".'))
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
        ):
            if found is not None and not least <= found <= most:
                faults.append((place, f"found {found}; expected {least} to {most}."))
        if self.seed is not None and len(self.seed) != SEED_BYTES:
            faults.append(("seed", f"found {len(self.seed)} bytes; expected {SEED_BYTES}."))
        return faults
