"""The tables of a round's configuration file: which keys there are, of which type and range."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ml.game.words import Estimator, Monotone
from settlement.chain.spec import IN_PROCESS
from settlement.money.terms import MAX_AMOUNT_UNITS

__all__ = ["ChainConfig", "ConfigFile", "PartyConfig", "ValuesConfig"]


def _decimal(number: object) -> object:
    whole = isinstance(number, int) and not isinstance(number, bool)
    return Decimal(str(number)) if whole else number


def _budget(budget: object) -> object:
    if isinstance(budget, str) and budget != "unlimited":
        raise ValueError('expected "unlimited" or a number of at least 0')
    return None if budget == "unlimited" else _decimal(budget)


NotNegative = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Amount = Annotated[NotNegative, BeforeValidator(_decimal)]
Budget = Annotated[NotNegative | None, BeforeValidator(_budget)]


def _name(name: str) -> str:
    """Also without what turns the text around it or hides in it: names are read before signing."""
    if not name.isprintable() or name != name.strip() or any(c in name for c in "/\\="):
        raise ValueError(
            'expected a name without "/", "\\", "=", spaces at its ends and signs that do not print'
        )
    return name


Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_name)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _RoundTable(_Table):
    name: Name
    exchange_rate: int = Field(10**6, ge=1, le=MAX_AMOUNT_UNITS)
    monotone: Monotone = "refuse"


class ValuesConfig(_Table):
    """Where the values of the coalitions come from: given, all trained, or a sample trained."""

    given: list[Annotated[Decimal, BeforeValidator(_decimal)]] | None = None
    method: Literal["exact", "estimate"] = "exact"
    evaluations: int = Field(500, ge=1, le=10**7)  # coalitions to train for an estimate
    estimator: Estimator = "gaussian-process"
    seed: int = Field(0, ge=0)  # of the choice of coalitions


class ChainConfig(_Table):
    """The chain that settles: which one, how long each phase lasts, how fine a unit is.

    Keys are never here: they come from the keystore folder or the environment.
    """

    provider: str = IN_PROCESS
    unit_scale: int = Field(10**12, ge=1, le=10**27)  # wei a base unit
    settlement: Literal["unanimous", "optimistic"] = "unanimous"
    bond_wei: int = Field(
        10**15, ge=1, le=10**24
    )  # of the optimistic way: operator's, challenger's
    challenge_window_s: int = Field(3_600, ge=1, le=10**8)
    funding_s: int = Field(3_600, ge=1, le=10**9)
    settlement_s: int = Field(86_400, ge=1, le=10**9)
    chain_id: int | None = None
    confirmations: int = Field(1, ge=1, le=1_000)
    max_fee_gwei: int = Field(100, ge=1, le=10**6)
    priority_fee_gwei: int = Field(1, ge=0, le=10**6)
    keystore: str | None = None  # folder, relative to the round's


class PartyConfig(BaseModel):
    """One party; what it contributes (labels, shares, files) is read by `ml.datasets`."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    name: Name
    budget: Budget = None  # value units; None is "unlimited"
    funds: bool = True  # false: a party that never deposits, whatever its budget
    cap: Amount | None = None  # wants no model above this value (Remark 4.3)
    address: str | None = None  # on a real chain: the account that this party must be

    @property
    def budget_value(self) -> Decimal | None:
        """Budget in value units; ``None`` without a limit, zero for a party that never funds."""
        return self.budget if self.funds else Decimal(0)


class ConfigFile(_Table):
    """A whole configuration file; the tables of `ml` are checked by `ml`."""

    round: _RoundTable
    values: ValuesConfig = ValuesConfig()
    data: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    engine: dict[str, Any] | None = None
    chain: ChainConfig = ChainConfig()
    party: list[PartyConfig]
