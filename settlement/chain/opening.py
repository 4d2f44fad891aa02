"""Open the chain of a round: in this process, or a node's."""

from __future__ import annotations

from pathlib import Path

from settlement.chain.chain import Chain
from settlement.chain.journal import Journal
from settlement.chain.keys import AskPassword
from settlement.chain.spec import IN_PROCESS, ChainSpec

__all__ = ["open_chain"]


def open_chain(
    folder: Path | None,
    spec: ChainSpec | None = None,
    *,
    read_only: bool = False,
    ask_password: AskPassword | None = None,
) -> Chain:
    """Open the chain of a round's folder: start it, or take it up where the journal ends.

    Parameters
    ----------
    folder : Path or None
        Holds ``journal.jsonl``. None keeps everything in memory.
    spec : ChainSpec or None
        What to start, and what an existing journal must agree with. None takes what the journal
        of an in-process chain says.
    read_only : bool
        For audits: holds the journal against the chain, but writes nothing and takes no lock.
    ask_password : callable or None
        Asked for the password of a keystore file that the environment does not have.

    Raises
    ------
    JournalLocked, JournalFault, JournalMismatch
        If the folder is in use, its journal was changed, or the chain does not agree with it.
    WrongChain, ProviderUnreachable
        If the endpoint serves another chain, or nothing.
    """
    journal = Journal(folder, read_only=read_only)
    try:
        if spec is not None and spec.provider != IN_PROCESS:
            from settlement.chain.json_rpc import JsonRpcChain  # web3, where it is needed

            return JsonRpcChain(journal, spec, ask_password)
        from settlement.chain.in_process import InProcessChain

        return InProcessChain(journal, spec)
    except BaseException:
        journal.close()
        raise
