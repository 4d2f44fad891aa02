"""The tables of a scenario: which keys there are, of which type and range."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
)

from ml.game import FAMILIES
from ml.schema import Table
from settlement.money.bridge import deposit_units
from settlement.simulation.behaviours.behaviour import Behaviour
from settlement.simulation.behaviours.registry import behaviour_of

__all__ = [
    "BehaviourChoice",
    "ChainTroubles",
    "Claim",
    "FamilyGame",
    "FlowsGame",
    "OneOf",
    "PartyTable",
    "RoundGame",
    "Scenario",
    "ShardsGame",
    "TableGame",
    "Uniform",
    "drawn",
]


class Uniform(Table):
    """A number drawn anew in every round, between two bounds."""

    uniform: tuple[float, float]

    @field_validator("uniform", mode="before")
    @classmethod
    def _pair(cls, pair: Any) -> Any:
        if not (isinstance(pair, list) and len(pair) == 2):
            raise ValueError("expected two numbers, the lower first")
        low, high = pair
        if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in pair):
            raise ValueError("expected two numbers, the lower first")
        if low > high:
            raise ValueError(f"expected the lower number first, found {low} and {high}")
        return (float(low), float(high))


class OneOf(Table):
    """A value drawn anew in every round from a list, each equally likely."""

    one_of: list[Any] = Field(min_length=1)


def drawn(value: Any, rng: np.random.Generator) -> Any:
    """The value of one round: what is drawn is drawn, anything else is itself."""
    if isinstance(value, Uniform):
        return float(rng.uniform(*value.uniform))
    if isinstance(value, OneOf):
        return value.one_of[int(rng.integers(len(value.one_of)))]
    return value


def _draw_or(value: Any) -> Any:
    """``{uniform = [a, b]}`` and ``{one_of = [...]}`` before the type of the field is asked."""
    if isinstance(value, Mapping) and set(value) == {"uniform"}:
        return Uniform.model_validate(dict(value))
    if isinstance(value, Mapping) and set(value) == {"one_of"}:
        return OneOf.model_validate(dict(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _not_negative(value: Any) -> Any:
    least = min(
        value.uniform[0]
        if isinstance(value, Uniform)
        else min((n for n in value.one_of if isinstance(n, int | float)), default=0.0)
        if isinstance(value, OneOf)
        else value,
        0.0,
    )
    if least < 0:
        raise ValueError(f"expected a number of at least 0, found {least}")
    return value


DrawnNumber = Annotated[
    float | Uniform | OneOf, BeforeValidator(_draw_or), AfterValidator(_not_negative)
]


def _unlimited(value: Any) -> Any:
    if isinstance(value, str):
        if value != "unlimited":
            raise ValueError('expected "unlimited" or a number of at least 0')
        return None
    return value


Budget = Annotated[DrawnNumber | None, BeforeValidator(_unlimited)]


class BehaviourChoice(BaseModel):
    """A behaviour, or several of which one is drawn in every round."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    options: tuple[Behaviour, ...]

    def drawn(self, rng: np.random.Generator) -> Behaviour:
        """The behaviour of one round."""
        if len(self.options) == 1:
            return self.options[0]
        return self.options[int(rng.integers(len(self.options)))]


def _choice(role: str) -> BeforeValidator:
    def read(value: Any) -> Any:
        if isinstance(value, BehaviourChoice):
            return value
        many = isinstance(value, Mapping) and set(value) == {"one_of"}
        listed = value["one_of"] if many else [value]
        if not isinstance(listed, list) or not listed:
            raise ValueError("expected a list of behaviours behind one_of")
        return BehaviourChoice(options=tuple(behaviour_of(one, role) for one in listed))

    return BeforeValidator(read)


PartyBehaviour = Annotated[BehaviourChoice, _choice("party")]
OperatorBehaviour = Annotated[BehaviourChoice, _choice("operator")]
OutsiderBehaviour = Annotated[BehaviourChoice, _choice("outsider")]


def _name(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError("expected a name without spaces at its ends and signs that do not print")
    return name


Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_name)]


class ScenarioTable(Table):
    """Name, size and seed of a simulation."""

    name: Name
    replicates: int = Field(100, ge=1)
    rounds: int = Field(1, ge=1, le=100_000)  # one after the other, in each replicate
    seed: int = Field(0, ge=0)
    counterfactual: bool = False  # every deviation beside the same round with that party honest


class FamilyGame(Table):
    """A closed-form family, its parameters drawn anew in every replicate."""

    kind: Literal["family"]
    family: str | OneOf = "saturating"
    fixed_seed: int | None = Field(None, ge=0)  # of the parameters: the same game in all rounds
    evaluations: int = Field(500, ge=10)  # coalitions, where there are too many parties for a table

    @field_validator("family", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        value = _draw_or(value)
        names = value.one_of if isinstance(value, OneOf) else [value]
        for name in names:
            if name not in FAMILIES:
                raise ValueError(f"unknown family {name!r}; expected one of {', '.join(FAMILIES)}")
        return value


class TableGame(Table):
    """Values of all coalitions, here or in a JSON file ``{parties: [...], values: [...]}``."""

    kind: Literal["table"]
    values: list[float] | None = None
    path: str | None = None

    @field_validator("values", mode="before")
    @classmethod
    def _numbers(cls, values: Any) -> Any:
        if isinstance(values, list):
            return [float(v) if type(v) is int else v for v in values]
        return values


class RoundGame(Table):
    """The value table of a finished round."""

    kind: Literal["round"]
    path: str


class ShardsGame(Table):
    """Every party's data cut into pieces, and one table over all pieces, trained once."""

    kind: Literal["shards"]
    pieces: int = Field(2, ge=1, le=8)
    data: dict[str, Any] = Field({"source": "digits"})
    training: dict[str, Any] = Field({})


class FlowsGame(Table):
    """Flows given in a JSON file ``{flows, own_values, grand_value}``, or drawn at random."""

    kind: Literal["flows"]
    path: str | None = None
    density: float = Field(0.2, gt=0, le=1)


Game = Annotated[
    FamilyGame | TableGame | RoundGame | ShardsGame | FlowsGame, Field(discriminator="kind")
]


class RoundRules(Table):
    """How each round is opened and settled."""

    settlement: Literal["proof", "signatures"] = "proof"
    exchange_rate: int = Field(10**6, ge=1, le=2**48)
    unit_scale: int = Field(10**12, ge=1, le=10**27)
    funding_s: int = Field(3_600, ge=10, le=10**9)
    settlement_s: int = Field(86_400, ge=10, le=10**9)
    asset: Literal["ether", "token"] = "ether"  # the token is an ERC-20 of the simulation's own
    quorum: float = Field(0.0, ge=0)  # least sum of deposits, in units of value

    @property
    def quorum_units(self) -> int:
        """The least sum of deposits in base units; below it everything goes back."""
        return deposit_units(Decimal(repr(self.quorum)), self.exchange_rate)

    @field_validator("quorum", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return float(value) if type(value) is int else value


class PartyTable(Table):
    """One party, or ``count`` alike; what it contributes to shards is read by `ml.datasets`."""

    model_config = ConfigDict(extra="allow")

    name: Name
    count: int = Field(1, ge=1, le=1_024)
    behaviour: PartyBehaviour = Field("honest", validate_default=True)
    budget: Budget = None  # in units of value; None is "unlimited": one unit of value
    income: DrawnNumber = 0.0  # in units of value, a round
    carry: bool = False  # what is left is carried over to the next round
    private_rate: DrawnNumber = 1.0  # what a unit of value is worth to it, in exchange rates
    cap: DrawnNumber | None = None  # wants no model above this value
    joins: int = Field(0, ge=0)  # the first round that it takes part in


class OperatorTable(Table):
    """Who opens the rounds."""

    behaviour: OperatorBehaviour = Field("honest_operator", validate_default=True)


class OutsiderTable(Table):
    """Somebody without a seat."""

    behaviour: OutsiderBehaviour


Chance = Annotated[float, Field(ge=0, le=1)]


def _as_float(value: Any) -> Any:
    return float(value) if type(value) is int else value


Probability = Annotated[Chance, BeforeValidator(_as_float)]


class ChainTroubles(Table):
    """How likely each trouble is, at every send of a round."""

    reverted_sends: Probability = 0.0
    lost_replies: Probability = 0.0
    delayed_blocks: Probability = 0.0
    fee_spikes: Probability = 0.0
    late_by_a_second: Probability = 0.0
    reorganisations: Probability = 0.0
    gas: bool = False  # counted in utilities; needs py-evm, whose gas is exact
    gas_price_gwei: float = Field(1.0, ge=0)

    @property
    def any(self) -> bool:
        """Whether anything can go wrong."""
        return any(
            getattr(self, name)
            for name, field in type(self).model_fields.items()
            if name not in ("gas", "gas_price_gwei")
        )


class Claim(Table):
    """What the results must show; ``that`` is read by `settlement.simulation.results`."""

    that: str = Field(min_length=1)
    where: dict[str, Any] = Field({})
    says: str | None = None  # one sentence; {left} and {right} stand for the figures


class Scenario(Table):
    """One cell of a scenario: every number is one number."""

    scenario: ScenarioTable
    game: Game
    round: RoundRules = RoundRules()
    party: list[PartyTable] = Field(min_length=1)
    operator: OperatorTable = Field(OperatorTable())
    outsider: list[OutsiderTable] = Field([])
    chain: ChainTroubles = ChainTroubles()
    expect: list[Claim] = Field([])
    engine: dict[str, Any] = Field({})

    def seats(self) -> list[tuple[str, PartyTable]]:
        """Every single party: its name and its table."""
        return [
            (party.name if party.count == 1 else f"{party.name}{k}", party)
            for party in self.party
            for k in range(party.count)
        ]
