"""What the operator posts of an allocation: whole numbers that a contract can recompute.

Values are posted in units of 1e-15; flows in the unit that makes every conditional Shapley value
of such a table a whole number; factors and dual values in units of 2**-72. Every posted number
follows from the ones before it by an exact rule with one rounding, so that two honest operators
post the same bytes and a changed number breaks an equation. The rules and the proof are in
contracts/README.md; `check_posting` is the same check as the contract's, in plain Python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from settlement.posting.factors import greatest_factors, visiting_duals
from settlement.posting.format import (
    DUAL_LIMIT,
    FACTOR_ONE,
    MAX_EXACT_PARTIES,
    MAX_EXCHANGE_RATE,
    MAX_POSTED_PARTIES,
    NO_CAP,
    NUMBER_LIMIT,
    VALUE_SCALE,
    Fault,
    Posting,
    PostingError,
    flow_scale,
    flows_of_table,
    pack_numbers,
    posted_units,
    wanted_units,
)

__all__ = ["check_posting", "hash_of_caps", "net_amounts", "post_allocation"]


def hash_of_caps(wanted: Sequence[float | Fraction | None] | None) -> bytes:
    """What a round is opened with: commits to the parties' caps; zeros if nobody has one."""
    if wanted is None or all(value is None for value in wanted):
        return bytes(32)
    return hashlib.sha256(pack_numbers(wanted_units(wanted, len(wanted)))).digest()


def post_allocation(
    deposits_units: Sequence[int],
    exchange_rate: int,
    *,
    values: Sequence[float | Fraction] | None = None,
    flows: Sequence[Sequence[float | Fraction]] | None = None,
    grand_value: float | Fraction | None = None,
    wanted: Sequence[float | Fraction | None] | None = None,
) -> Posting:
    """The one posting that an honest operator makes.

    Parameters
    ----------
    deposits_units : sequence of int
        Locked deposits: the budgets.
    exchange_rate : int
        nu, base units a unit of value; 1 to 2**48.
    values : sequence of 2**n numbers, n <= 8
        Value table in value units; monotone, or some flow is negative and cannot be posted.
    flows, grand_value : for more than 8 parties
        Flows in value units and v(N), where no table can be posted.
    wanted : sequence, optional
        Most that each party wants its model to be worth, in value units; None: no cap.

    Raises
    ------
    PostingError
        If the parties are too many, a flow is negative, a number does not fit its field, or the
        equations are too ill-conditioned.
    """
    n_parties = len(deposits_units)
    if not 2 <= n_parties <= MAX_POSTED_PARTIES:
        raise PostingError(f"{n_parties} parties; expected 2 to {MAX_POSTED_PARTIES}.")
    if not 1 <= exchange_rate <= MAX_EXCHANGE_RATE:
        raise PostingError(f"Exchange rate {exchange_rate}; expected 1 to {MAX_EXCHANGE_RATE}.")
    if values is not None:
        table, posted = _posted_table(values, n_parties)
        grand = flow_scale(n_parties) * table[-1]
    elif flows is not None and grand_value is not None and n_parties > MAX_EXACT_PARTIES:
        table = ()
        grand = posted_units(grand_value, "Grand value")
        posted = tuple(
            _within(
                grand,
                [0 if i == j else posted_units(flow, "Flow") for j, flow in enumerate(row)],
            )
            for i, row in enumerate(flows)
        )
    else:
        raise PostingError(
            f"{n_parties} parties need {'values' if n_parties <= MAX_EXACT_PARTIES else ''}"
            f"{'flows and the grand value' if n_parties > MAX_EXACT_PARTIES else ''}."
        )
    own = tuple((grand - sum(row)) // flow_scale(n_parties) for row in posted)
    if min(own) < 0:
        party = own.index(min(own))
        raise PostingError(f"Own value {min(own)} of party {party} is negative.", party=party)
    caps = wanted_units(wanted or [None] * n_parties, n_parties)
    clearing = _Clearing(posted, own, caps, tuple(deposits_units), exchange_rate)
    try:
        factors = greatest_factors(*clearing.equations())
        duals = visiting_duals(posted, factors, clearing.uppers(), FACTOR_ONE)
    except ZeroDivisionError as error:
        raise PostingError(
            "The clearing system is singular in floats; settle by signatures."
        ) from error
    if max(duals) >= DUAL_LIMIT:
        raise PostingError(
            f"Dual value {max(duals)}; expected below 2**96. The clearing is too ill-conditioned "
            "to be posted: settle by signatures."
        )
    return Posting(table, posted, own, caps, factors, duals)


def net_amounts(posting: Posting, exchange_rate: int) -> list[int]:
    """Net positions in base units that follow from a posting; they sum to exactly zero.

    Exact positions rounded down, then one unit each for the largest remainders, the lower party
    index first. None is below its deposit, see contracts/README.md.
    """
    n_parties = posting.n_parties
    unit = flow_scale(n_parties) * VALUE_SCALE * FACTOR_ONE
    exact = [
        exchange_rate
        * (
            sum(posting.flows[k][i] * posting.factors[k] for k in range(n_parties))
            - sum(posting.flows[i]) * posting.factors[i]
        )
        for i in range(n_parties)
    ]
    nets = [amount // unit for amount in exact]
    ranked = sorted(range(n_parties), key=lambda party: (-(exact[party] % unit), party))
    for party in ranked[: -sum(nets)]:
        nets[party] += 1
    return nets


def check_posting(
    posting: Posting,
    nets: Sequence[int],
    deposits_units: Sequence[int],
    exchange_rate: int,
    caps_hash: bytes = bytes(32),
) -> Fault:
    """The first rule that a posting breaks; the same answer as the contract's.

    ``nets`` are the net positions that the posted plan's transfers bring about.
    """
    n_parties = posting.n_parties
    if n_parties <= MAX_EXACT_PARTIES and len(posting.table) != 1 << n_parties:
        return Fault.WRONG_SHAPE
    if any(posting.flows[i][i] for i in range(n_parties)):
        return Fault.WRONG_FLOWS
    if n_parties <= MAX_EXACT_PARTIES:
        if posting.table[0]:
            return Fault.WRONG_TABLE
        right = flows_of_table(posting.table)
        for i in range(n_parties):
            if posting.own[i] != posting.table[1 << i]:
                return Fault.WRONG_OWN_VALUES
            if posting.flows[i] != right[i]:
                return Fault.WRONG_FLOWS
    scale = flow_scale(n_parties)
    grands = {scale * own + sum(row) for own, row in zip(posting.own, posting.flows, strict=True)}
    if len(grands) > 1:
        return Fault.WRONG_OWN_VALUES
    if caps_hash == bytes(32):
        if any(wanted != NO_CAP for wanted in posting.wanted):
            return Fault.WRONG_CAPS
    elif hashlib.sha256(pack_numbers(posting.wanted)).digest() != caps_hash:
        return Fault.WRONG_CAPS
    clearing = _Clearing(
        posting.flows, posting.own, posting.wanted, tuple(deposits_units), exchange_rate
    )
    fault = clearing.fault(posting.factors, posting.duals)
    if fault is Fault.NONE and list(nets) != net_amounts(posting, exchange_rate):
        return Fault.WRONG_NETS
    return fault


@dataclass(frozen=True, slots=True)
class _Clearing:
    """The equations between posted flows, deposits, factors and duals."""

    flows: tuple[tuple[int, ...], ...]
    own: tuple[int, ...]
    wanted: tuple[int, ...]
    deposits_units: tuple[int, ...]
    exchange_rate: int

    def uppers(self) -> tuple[int, ...]:
        """Most that each factor may be: 1, or what keeps the model's value at the wanted one."""
        scale = flow_scale(len(self.own))
        uppers = []
        for own, wanted, row in zip(self.own, self.wanted, self.flows, strict=True):
            cost = sum(row)
            capped = wanted != NO_CAP and wanted * scale < scale * own + cost and cost
            room = max(0, wanted - own)
            uppers.append(FACTOR_ONE * scale * room // cost if capped else FACTOR_ONE)
        return tuple(uppers)

    def equations(self) -> tuple[list[list[int]], list[int], list[int], tuple[int, ...]]:
        """Flows, costs, means and upper bounds as `greatest_factors` takes them."""
        nu, unit = self.exchange_rate, flow_scale(len(self.own)) * VALUE_SCALE
        flows = [[nu * flow for flow in row] for row in self.flows]
        means = [deposit * unit * FACTOR_ONE for deposit in self.deposits_units]
        return flows, [sum(row) for row in flows], means, self.uppers()

    def fault(self, factors: Sequence[int], duals: Sequence[int]) -> Fault:
        flows, costs, means, uppers = self.equations()
        everybody = range(len(costs))
        unit = flow_scale(len(self.own)) * VALUE_SCALE
        primal = bound = 0
        for i in everybody:
            cost, upper = sum(self.flows[i]), uppers[i]
            inflow = sum(flows[k][i] * factors[k] for k in everybody)
            factor = min(upper, -(-(means[i] + inflow) // costs[i])) if cost else upper
            if factors[i] != factor:
                return Fault.WRONG_FACTORS
            visits = sum(self.flows[i][j] * duals[j] for j in everybody)
            dual = FACTOR_ONE - (-visits // cost) if factor != upper else 0
            if duals[i] != dual:
                return Fault.WRONG_DUALS
            primal += costs[i] * factor + costs[i] + self.exchange_rate
            bound += self.deposits_units[i] * unit * dual
            if not dual:
                worth = (cost * FACTOR_ONE + visits) * upper
                bound += self.exchange_rate * -(-worth // FACTOR_ONE)
        return Fault.WRONG_GAP if bound > primal else Fault.NONE


def _within(grand: int, row: list[int]) -> tuple[int, ...]:
    """A row of posted flows that sums to v(N) at most.

    The flows of a party whose own model is worth nothing sum to v(N); each rounded for itself,
    they may be some units above. Those come off the largest; more is left to be refused.
    """
    excess = sum(row) - grand
    largest = row.index(max(row))
    if 0 < excess <= min(2 * len(row), row[largest]):
        row[largest] -= excess
    return tuple(row)


def _posted_table(
    values: Sequence[float | Fraction], n_parties: int
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    if n_parties > MAX_EXACT_PARTIES or len(values) != 1 << n_parties:
        raise PostingError(
            f"A table of {len(values)} values for {n_parties} parties; expected "
            f"{1 << n_parties}, and tables are for at most {MAX_EXACT_PARTIES} parties."
        )
    table = tuple(posted_units(value, "Value") for value in values)
    if table[0]:
        raise PostingError(f"The empty coalition is worth {values[0]}; expected 0.")
    flows = flows_of_table(table)
    for payer, row in enumerate(flows):
        for payee, flow in enumerate(row):
            if not 0 <= flow < NUMBER_LIMIT:
                raise PostingError(
                    f"Flow from party {payer} to party {payee} is {flow} posted units; expected "
                    "0 to 2**64 - 1. Cover the table: it is not monotone.",
                    party=payer,
                    coalition=1 << payee,
                )
    return table, flows
