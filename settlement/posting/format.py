"""The game as whole numbers, and its bytes: what all parties agree to before any money.

Values are posted in units of 1e-15; flows in the unit that makes every conditional Shapley value
of a table of such values a whole number; adjustment factors in units of 2**-72. For up to 8
parties the flows follow from the values without any rounding; above, each is a float, rounded.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, lcm

from settlement.errors import SettlementError

__all__ = [
    "FACTOR_ONE",
    "MAX_EXACT_PARTIES",
    "MAX_EXCHANGE_RATE",
    "MAX_POSTED_PARTIES",
    "NO_CAP",
    "NUMBER_LIMIT",
    "VALUE_SCALE",
    "Game",
    "PostingError",
    "check_exchange_rate",
    "flow_scale",
    "flows_of_table",
    "game_of_flows",
    "game_of_values",
]

VALUE_SCALE = 10**15
"""Posted value units in one unit of value."""

FACTOR_ONE = 2**72
"""The adjustment factor 1."""

NO_CAP = 2**64 - 1
"""Wanted value of a party without a cap."""

MAX_EXACT_PARTIES = 8
MAX_POSTED_PARTIES = 64
MAX_EXCHANGE_RATE = 2**48
NUMBER_LIMIT = 2**64
SLACK = 2**12
"""By so much the proved bound on the money has to be below one base unit."""


class PostingError(SettlementError):
    """A game that cannot be posted: too many parties, negative flows, numbers too large."""


@dataclass(frozen=True, slots=True)
class Game:
    """Flows, own values and caps of one round in posted units; indexed by party.

    Parameters
    ----------
    flows : tuple of tuple of int
        ``flows[payer][payee]``, in posted units over `scale`; the diagonal is zero.
    own : tuple of int
        What a party's own model is worth.
    wanted : tuple of int
        Most that a party wants its model to be worth, `NO_CAP`: no cap. Empty: nobody has one.
    """

    flows: tuple[tuple[int, ...], ...]
    own: tuple[int, ...]
    wanted: tuple[int, ...] = ()

    @property
    def n_parties(self) -> int:
        """Number of parties."""
        return len(self.own)

    @property
    def scale(self) -> int:
        """Flow units in one posted unit of value."""
        return flow_scale(self.n_parties)

    @property
    def costs(self) -> tuple[int, ...]:
        """What each party would pay at factor 1, in flow units: the row sums."""
        return tuple(map(sum, self.flows))

    @property
    def grand(self) -> int:
        """v(N) in flow units; eq. (4) says that it is the same whoever is asked."""
        return self.scale * self.own[0] + sum(self.flows[0])

    @property
    def uppers(self) -> tuple[int, ...]:
        """Most that each factor may be: 1, or what keeps the model's value at the wanted one."""
        if not self.wanted:
            return (FACTOR_ONE,) * self.n_parties
        uppers = []
        for own, wanted, cost in zip(self.own, self.wanted, self.costs, strict=True):
            capped = wanted != NO_CAP and cost and wanted * self.scale < self.grand
            room = max(0, wanted - own)
            uppers.append(FACTOR_ONE * self.scale * room // cost if capped else FACTOR_ONE)
        return tuple(uppers)

    @property
    def hash(self) -> bytes:
        """What the terms name: SHA-256 of the encoded game."""
        return hashlib.sha256(self.encode()).digest()

    def encode(self) -> bytes:
        """Flows row by row, own values, then caps if there are any: 8 bytes each, big-endian."""
        numbers = [flow for row in self.flows for flow in row]
        return b"".join(x.to_bytes(8, "big") for x in (*numbers, *self.own, *self.wanted))

    @classmethod
    def decode(cls, packed: bytes) -> Game:
        """The inverse of `encode`.

        Raises
        ------
        PostingError
            If the length is none of a game of 2 to 64 parties.
        """
        for n in range(2, MAX_POSTED_PARTIES + 1):
            if len(packed) in (8 * n * (n + 1), 8 * n * (n + 2)):
                break
        else:
            raise PostingError(
                f"A game of {len(packed)} bytes; expected 8 n (n + 1), or 8 n (n + 2) with caps, "
                f"for 2 to {MAX_POSTED_PARTIES} parties."
            )
        numbers = [int.from_bytes(packed[k : k + 8], "big") for k in range(0, len(packed), 8)]
        flows = tuple(tuple(numbers[n * i : n * (i + 1)]) for i in range(n))
        return cls(flows, tuple(numbers[n * n : n * (n + 1)]), tuple(numbers[n * (n + 1) :]))

    def check(self, exchange_rate: int) -> None:
        """Refuse a game that could not be settled by proof at this exchange rate.

        With a game that passes, every choice of deposits can be settled.

        Raises
        ------
        PostingError
            If the rate is out of range or too large for the game, or the game breaks a rule.
        """
        check_exchange_rate(exchange_rate)
        for i, (own, row) in enumerate(zip(self.own, self.flows, strict=True)):
            if row[i]:
                raise PostingError(f"Party {i} pays itself {row[i]} posted units; expected 0.")
            if self.scale * own + sum(row) != self.grand:
                raise PostingError(
                    f"Own value and flows of party {i} make {self.scale * own + sum(row)} posted "
                    f"units; expected {self.grand}, as for everybody, eq. (4)."
                )
        n, unit = self.n_parties, self.scale * VALUE_SCALE * FACTOR_ONE
        if exchange_rate * n * n * self.grand > unit // SLACK:
            most = unit // SLACK // (n * n * self.grand)
            raise PostingError(
                f"Exchange rate {exchange_rate} is too large for this game to be settled by proof; "
                f"expected {most} at most. Choose larger base units."
            )


def check_exchange_rate(exchange_rate: int) -> None:
    """Refuse a rate that no game could be settled at, posted or not.

    Raises
    ------
    PostingError
    """
    if not 1 <= exchange_rate <= MAX_EXCHANGE_RATE:
        raise PostingError(f"Exchange rate {exchange_rate}; expected 1 to {MAX_EXCHANGE_RATE}.")


def game_of_values(
    values: Sequence[float | Fraction], wanted: Sequence[float | Fraction | None] | None = None
) -> Game:
    """The game of a value table: flows follow from the posted values without rounding, eq. (5).

    Parameters
    ----------
    values : sequence of 2**n numbers, n <= 8
        Value table in value units; monotone, or some flow may be negative and cannot be posted.
    wanted : sequence, optional
        Most that each party wants its model to be worth, in value units; None: no cap.

    Raises
    ------
    PostingError
        If the parties are too many, a flow is negative or a number does not fit its field.
    """
    n_parties = len(values).bit_length() - 1
    if not 2 <= n_parties <= MAX_EXACT_PARTIES or len(values) != 1 << n_parties:
        raise PostingError(
            f"A table of {len(values)} values; expected 2**n for 2 to {MAX_EXACT_PARTIES} parties."
        )
    table = [_posted_units(value, "Value") for value in values]
    if table[0]:
        raise PostingError(f"The empty coalition is worth {values[0]}; expected 0.")
    flows = flows_of_table(table)
    for payer, row in enumerate(flows):
        for payee, flow in enumerate(row):
            if not 0 <= flow < NUMBER_LIMIT:
                raise PostingError(
                    f"Flow from party {payer} to party {payee} is {flow} posted units; expected "
                    "0 to 2**64 - 1. Cover the table: it is not monotone."
                )
    own = tuple(table[1 << i] for i in range(n_parties))
    return Game(flows, own, _wanted_units(wanted, n_parties))


def game_of_flows(
    flows: Sequence[Sequence[float | Fraction]],
    grand_value: float | Fraction,
    wanted: Sequence[float | Fraction | None] | None = None,
) -> Game:
    """The game of flows and v(N) in value units, each rounded: of many parties, or of an estimate.

    Raises
    ------
    PostingError
        If the parties are too few or too many, a flow is negative, or a number does not fit.
    """
    n_parties = len(flows)
    if not 2 <= n_parties <= MAX_POSTED_PARTIES:
        raise PostingError(
            f"Flows of {n_parties} parties; expected 2 to {MAX_POSTED_PARTIES}. More settle by "
            "signatures."
        )
    grand = _posted_units(grand_value, "Grand value")
    rounded = [
        _within(grand, [0 if i == j else _posted_units(f, "Flow") for j, f in enumerate(row)])
        for i, row in enumerate(flows)
    ]
    own = tuple(grand - sum(row) for row in rounded)
    if min(own) < 0:
        raise PostingError(f"Own value {min(own)} of party {own.index(min(own))} is negative.")
    scale = flow_scale(n_parties)
    posted = tuple(tuple(scale * flow for flow in row) for row in rounded)
    if max(map(max, posted)) >= NUMBER_LIMIT:
        raise PostingError(f"A flow is posted as {max(map(max, posted))}; expected below 2**64.")
    return Game(posted, own, _wanted_units(wanted, n_parties))


@functools.cache
def flow_scale(n_parties: int) -> int:
    """Flow units in one value unit: the least number that makes every flow whole, for n <= 8.

    Examples
    --------
    >>> [flow_scale(n) for n in range(2, 10)]
    [1, 2, 6, 24, 60, 360, 420, 1]
    """
    if n_parties > MAX_EXACT_PARTIES:
        return 1
    shares = [(n_parties - s) * comb(n_parties - 2, s - 2) for s in range(2, n_parties)]
    return (n_parties - 1) * lcm(*shares)


def flows_of_table(table: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Conditional Shapley values of a table of whole numbers, eq. (5), times `flow_scale`.

    Examples
    --------
    >>> flows_of_table([0, 2, 5, 6, 4, 7, 8, 10])  # the three parties, in tenths
    ((0, 7, 9), (3, 0, 7), (5, 7, 0))
    """
    n_parties = len(table).bit_length() - 1
    scale = flow_scale(n_parties)
    pairs = [[0] * n_parties for _ in range(n_parties)]
    for coalition, value in enumerate(table):
        members = [i for i in range(n_parties) if coalition >> i & 1]
        if not 2 <= len(members) < n_parties:
            continue
        share = (n_parties - len(members)) * comb(n_parties - 2, len(members) - 2)
        for i in members:
            for j in members:
                if i != j:
                    pairs[i][j] += scale // share * value
    return tuple(
        tuple(
            0
            if i == j
            else pairs[i][j]
            + (scale * (table[-1] - table[1 << i]) - sum(pairs[i])) // (n_parties - 1)
            for j in range(n_parties)
        )
        for i in range(n_parties)
    )


def _posted_units(value: float | Fraction, what: str) -> int:
    """A value in posted units, rounded to the nearest."""
    numerator, denominator = value.as_integer_ratio()
    units, rest = divmod(numerator * VALUE_SCALE, denominator)
    units += 2 * rest > denominator or (2 * rest == denominator and units % 2)
    if not 0 <= units < NUMBER_LIMIT:
        raise PostingError(f"{what} {float(value)} is posted as {units}; expected 0 to 2**64 - 1.")
    return units


def _wanted_units(
    wanted: Sequence[float | Fraction | None] | None, n_parties: int
) -> tuple[int, ...]:
    """Caps in posted units, `NO_CAP` where there is none; nothing if nobody has one."""
    if wanted is None or all(value is None for value in wanted):
        return ()
    if len(wanted) != n_parties:
        raise PostingError(f"{len(wanted)} caps for {n_parties} parties; expected one each.")
    return tuple(NO_CAP if value is None else _posted_units(value, "Cap") for value in wanted)


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
