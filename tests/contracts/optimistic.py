"""Rounds on the optimistic way, honest and not."""

from __future__ import annotations

from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition, SettlementPlan
from settlement.posting.check import hash_of_caps, net_amounts, post_allocation
from settlement.posting.format import Posting
from tests.contracts.arena import BOND_WEI, RATE

THREE_PARTIES = [0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1]


def table_of(weights, n):
    """A concave game: the square root of the members' share."""
    whole = sum(weights)
    return [
        round((sum(w for i, w in enumerate(weights) if c >> i & 1) / whole) ** 0.5, 4)
        for c in range(1 << n)
    ]


class Case:
    """One round with a committed table, and the honest posting for it."""

    def __init__(self, arena, deposits, values=None, wanted=None, rate=RATE, **posted):
        self.arena = arena
        self.deposits = list(deposits)
        self.rate = rate
        self.posting = post_allocation(deposits, rate, values=values, wanted=wanted, **posted)
        self.round_id = arena.funded(*deposits, exchange_rate=rate, caps_hash=hash_of_caps(wanted))
        self.nets = net_amounts(self.posting, rate)
        positions = [NetPosition(party, net) for party, net in enumerate(self.nets)]
        reference = arena.client.reference(self.round_id)
        self.plan = SettlementPlan(reference, net_transfers(positions))

    def commit(self, table_hash=None):
        self.arena.pass_funding(self.round_id)
        table_hash = self.posting.table_hash if table_hash is None else table_hash
        self.arena.act(self.arena.operator, "commit_table", self.round_id, table_hash)
        return self

    def propose(self, posting: Posting | None = None, packed=None, value_wei=BOND_WEI, by=None):
        self.posted = self.posting if posting is None else posting
        self.packed = self.plan.encode() if packed is None else packed
        self.arena.act(
            by or self.arena.operator,
            "propose",
            self.round_id,
            self.packed,
            self.posted.encode(),
            self.posted.encode_table(),
            value_wei=value_wei,
        )
        return self

    def challenge(self, by=None, value_wei=BOND_WEI):
        """The fault that the contract finds."""
        events = self.arena.act(
            by or self.arena.outsider,
            "challenge",
            self.round_id,
            self.packed,
            self.posted.encode(),
            self.posted.encode_table(),
            value_wei=value_wei,
        )
        return events[0].fault

    def close_window(self):
        self.arena.chain.advance_to(self.arena.twin.rounds[self.round_id].window_end + 1)

    def settle(self):
        self.arena.act(self.arena.outsider, "settle", self.round_id, self.packed)

    def claims(self):
        everybody = range(len(self.deposits))
        return [self.arena.client.claim(self.round_id, party) for party in everybody]


def three_parties(arena, **options):
    return Case(arena, [200_000, 10**6, 10**6], THREE_PARTIES, **options)
