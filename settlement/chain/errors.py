"""Named errors of the chain room, and the words that a revert is told in."""

from __future__ import annotations

from settlement.errors import SettlementError

__all__ = [
    "ChainSpecError",
    "ClockError",
    "DeedsChanged",
    "FeeCapExceeded",
    "JournalFault",
    "JournalLocked",
    "JournalMismatch",
    "KeystoreError",
    "LabelConflict",
    "NonceTaken",
    "ProviderUnreachable",
    "ReadOnlyChain",
    "Reverted",
    "RpcFailed",
    "SignatureError",
    "TransactionRefused",
    "Unconfirmed",
    "UnknownAccount",
    "WrongChain",
]


class ChainSpecError(SettlementError):
    """A chain is asked for that is not the one of the folder, or of no endpoint."""


class ClockError(SettlementError):
    """The clock of a chain that keeps its own time was asked to move."""


class DeedsChanged(SettlementError):
    """A transaction that was executed again, in another block, did something else than before."""


class FeeCapExceeded(SettlementError):
    """Gas costs more now than the round is willing to pay; nothing was sent."""


class JournalFault(SettlementError):
    """A journal whose running digest, order or form is broken; names the line."""

    def __init__(self, path: object, line: int, message: str) -> None:
        self.line = line
        super().__init__(f"{path}, line {line}: {message}")


class JournalLocked(SettlementError):
    """Another process writes the journal of this folder."""


class JournalMismatch(SettlementError):
    """What the chain says now is not what the journal recorded; names the line and both values."""

    def __init__(
        self, path: object, line: int, what: str, journaled: object, found: object
    ) -> None:
        self.line = line
        self.journaled = journaled
        self.found = found
        super().__init__(
            f"{path}, line {line}: the journal says {what} {journaled}; the chain says {found}. "
            "The journal, the chain or the version of py-evm is not the one that wrote it."
        )


class KeystoreError(SettlementError):
    """A keystore file or key that cannot be used: unreadable, wrong password, wrong address."""


class LabelConflict(SettlementError):
    """A label names one transaction for ever; it was used again for a different one."""


class NonceTaken(SettlementError):
    """An account used a nonce for another transaction than the one that was signed with it."""


class ProviderUnreachable(SettlementError):
    """The endpoint gave no answer, however often it was asked."""


class ReadOnlyChain(SettlementError):
    """A chain opened for reading was asked to send or to move its clock."""


class Reverted(SettlementError):
    """The contract refused; ``reason`` is its sentence, the same on every provider."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class RpcFailed(SettlementError):
    """The endpoint answered with an error; ``code`` and ``data`` are the endpoint's."""

    def __init__(self, method: str, code: int | None, message: str, data: object = None) -> None:
        self.code = code
        self.reply = message
        self.data = data
        super().__init__(f"{method} failed with code {code}: {message}")


class SignatureError(SettlementError):
    """A signature or typed data that is not what it is taken for."""


class TransactionRefused(SettlementError):
    """The chain would not even execute a transaction: no funds, too little or too much gas."""


class Unconfirmed(SettlementError):
    """A transaction was sent and is not confirmed yet; asked again, the same bytes go on."""


class UnknownAccount(SettlementError):
    """No account goes by that name on this chain."""


class WrongChain(SettlementError):
    """The endpoint serves another chain than the one that the round lives on; nothing was sent."""
