"""Accounts of a simulated chain, each derived from the journal's seed and the account's name.

These keys are **worthless by design**: the seed stands in the clear in the first line of the
journal, because whoever holds the folder must be able to replay the round. They sign on a chain
that exists nowhere but in that folder. Never send anything of value to them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["simulated_account"]

PURPOSE = b"fairround simulated account"


def simulated_account(seed: bytes, name: str) -> LocalAccount:
    """The account of one name on the simulated chain of one seed; the same in every process.

    Examples
    --------
    >>> account = simulated_account(bytes(32), "operator")
    >>> account.address == simulated_account(bytes(32), "operator").address
    True
    """
    from eth_account import Account

    # The seed has a fixed length, so no other seed and name can spell the same bytes.
    key = hashlib.sha256(PURPOSE + hashlib.sha256(seed).digest() + name.encode()).digest()
    account: LocalAccount = Account.from_key(key)
    return account
