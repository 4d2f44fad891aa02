"""What one person does for a plan in chunks, in a process of its own with its own settings and key.

    python chunk_hand.py sign JOURNAL ADDRESS ROUND PARTY
    python chunk_hand.py carry JOURNAL ADDRESS ROUND SIGNATURE...

No command does this for a few parties: a command cuts a plan into chunks beyond 1,024 transfers.
The plan here is that long because party 0 pays party 1 in single units.
"""

from __future__ import annotations

import sys
from pathlib import Path

from settlement.config.settings import read_settings
from settlement.escrow.client import EscrowClient
from settlement.escrow.typed_data import sign_plan
from settlement.money.terms import SettlementPlan, Transfer
from settlement.round.access import SENDER, ChainAccess

N_TRANSFERS = 1_025


def main(action: str, journal: str, address: str, round_id: str, *rest: str) -> None:
    with ChainAccess(read_settings).anywhere(Path(journal), address) as chain:
        escrow = EscrowClient.at_home(chain)
        transfers = (Transfer(0, 1, 1),) * N_TRANSFERS
        reference = escrow.reference(int(round_id))
        deposits_units = escrow.ledger(int(round_id)).deposits_units
        consent = escrow.consent(SettlementPlan(reference, transfers), deposits_units)
        account = chain.account(SENDER)
        if action == "sign":
            print(sign_plan(consent, int(rest[0]), account).hex())
        else:
            escrow.settle(consent, account, [bytes.fromhex(signature) for signature in rest])


if __name__ == "__main__":
    main(*sys.argv[1:])
