"""What a simulated party, operator or outsider decides; everything else is the rules of a round.

A behaviour is one small class. Its fields are its parameters, checked like every other key of a
scenario; its methods answer the questions that a round asks, honestly unless they are overridden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from settlement.money.terms import Transfer
from settlement.posting.format import Game

__all__ = [
    "Behaviour",
    "Draft",
    "Entry",
    "Figures",
    "OperatorBehaviour",
    "OutsiderBehaviour",
    "PartyBehaviour",
    "Proposal",
    "Seat",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One account with which a party enters a round: the pieces it brings, and what it locks."""

    pieces: int  # bitmask
    deposit_units: int


@dataclass(frozen=True, slots=True)
class Seat:
    """What a party knows when a round begins."""

    party: int
    period: int  # number of this round among those of its replicate
    pieces: int  # bitmask of the pieces that it holds
    wallet_units: int  # the most that it can lock
    private_rate: float  # what a unit of value is worth to it, in exchange rates
    exchange_rate: int
    rng: np.random.Generator
    last: tuple[Entry, ...]  # how it entered the last round; empty in the first
    prospect: Callable[[tuple[Entry, ...]], float]
    """Utility, in base units, of entering so while the others enter as they did last."""
    grand_cost: Callable[[], float]
    """What it would owe for everything that the others add, in value units."""

    @property
    def piece_list(self) -> list[int]:
        """The pieces one by one, each as a bitmask."""
        return [1 << k for k in range(self.pieces.bit_length()) if self.pieces >> k & 1]

    @property
    def honest(self) -> tuple[Entry, ...]:
        """One account, all pieces, the whole budget."""
        return (Entry(self.pieces, self.wallet_units),)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a party sees before it signs a plan."""

    is_right: bool  # it follows from the true game and the locked deposits
    gain: float  # the party's utility with the settlement, less without, base units
    group_gain: float  # the same for all parties that collude with it
    is_last: bool  # all others have signed


class Behaviour(BaseModel):
    """Base of all behaviours: strict parameters, and the first line of the docstring as help."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: ClassVar[str]
    role: ClassVar[str]

    @classmethod
    def help(cls) -> str:
        """One sentence."""
        return (cls.__doc__ or "").strip().splitlines()[0]


class PartyBehaviour(Behaviour):
    """A party; honest in everything that a subclass does not answer otherwise."""

    role: ClassVar[str] = "party"

    looks: bool = True
    """Whether it recomputes the game before it locks money, and the plan before it signs."""

    @property
    def team(self) -> str | None:
        """Name of the group that it colludes with; None for a party of its own."""
        return None

    def enter(self, seat: Seat) -> tuple[Entry, ...]:
        """The accounts, pieces and deposits with which it enters."""
        return seat.honest

    def enter_together(self, seats: Sequence[Seat]) -> list[tuple[Entry, ...]]:
        """The same for all members of its group at once, in party order."""
        return [self.enter(seat) for seat in seats]

    def funds(self, entry: Entry, game_is_true: bool) -> int:
        """Base units that it locks for an account once the round is open."""
        return entry.deposit_units if game_is_true or not self.looks else 0

    def closes(self, game_is_true: bool) -> bool:
        """Whether it says that it will deposit nothing (more), so that nobody has to wait."""
        return game_is_true or not self.looks

    def signs(self, proposal: Proposal) -> bool:
        """Whether it signs the plan."""
        return proposal.is_right or not self.looks

    def revokes(self) -> bool:
        """Whether it takes its signature back before anybody uses it."""
        return False

    def settles(self, game_is_true: bool) -> bool:
        """Whether it brings the settlement itself if nobody else has."""
        return self.stays() and (game_is_true or not self.looks)

    def stays(self) -> bool:
        """Whether it does anything after funding: sign, settle, take its money out."""
        return True


@dataclass(frozen=True, slots=True)
class Figures:
    """A game of accounts in value units: what the terms of a round name."""

    flows: np.ndarray  # float64 (n, n), payer by payee, zero diagonal, none negative
    own_values: np.ndarray  # float64 (n,)
    grand_value: float
    table: np.ndarray | None = None  # float64 (2**n,), where the flows come from a whole table

    @property
    def n_parties(self) -> int:
        """Number of accounts."""
        return len(self.own_values)


@dataclass(frozen=True, slots=True)
class Draft:
    """A settlement before it is sent: transfers, and for one by proof the figures behind them."""

    transfers: tuple[Transfer, ...]
    game: Game | None = None
    factors: tuple[int, ...] = ()


class OperatorBehaviour(Behaviour):
    """The operator of a round; honest in everything that a subclass does not answer otherwise."""

    role: ClassVar[str] = "operator"

    def game(self, true: Figures, rng: np.random.Generator) -> Figures:
        """The game that it writes into the terms."""
        return true

    def draft(self, true: Draft, rng: np.random.Generator) -> Draft | None:
        """The settlement that it brings; None if it brings none."""
        return true


class OutsiderBehaviour(Behaviour):
    """Somebody without a seat in the round."""

    role: ClassVar[str] = "outsider"

    def settles_first(self) -> bool:
        """Whether it brings the true settlement before the operator does."""
        return False
