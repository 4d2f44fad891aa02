"""The chain: artifacts, providers, the escrow client, signing and the journal.

Importing this room loads neither web3 nor py-evm; `open_chain` does, when it is called.
"""

from settlement.chain.chain import Chain
from settlement.chain.journal import JournalRecord, read_journal
from settlement.chain.opening import open_chain
from settlement.chain.records import Log, TransactionReceipt
from settlement.chain.spec import ChainSpec

__all__ = [
    "Chain",
    "ChainSpec",
    "JournalRecord",
    "Log",
    "TransactionReceipt",
    "open_chain",
    "read_journal",
]
