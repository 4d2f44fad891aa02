"""The tables of a round's configuration file: which keys there are, of which type and range.

Only what all parties agree on stands there. What is one user's own (endpoint, fees, keys) is in
`settlement.config.settings`.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from ml.datasets.spec import DataTable, PartyData
from ml.engines.spec import EngineSpec
from ml.game.words import Choice, Estimator, Monotone
from ml.schema import Seed, Table
from ml.training.recipe import Recipe
from settlement.chain.spec import ADDRESS, ChainId
from settlement.config.external import ExternalConfig
from settlement.errors import SettlementError
from settlement.money.bridge import deposit_units
from settlement.money.terms import MAX_AMOUNT_UNITS

__all__ = [
    "BudgetUnreadable",
    "ChainConfig",
    "ConfigFile",
    "PartyConfig",
    "RoundTable",
    "ValuesConfig",
    "as_read",
    "parse_budget",
    "units_of",
]

UNLIMITED = "unlimited"
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U0001d159\U000e0100-\U000e01ef]"
)
"""Signs that Python calls printable, and that leave nothing, or a blank, on the screen."""
UNITS = re.compile(r"(\d[\d_,]*) units")


def _decimal(number: object) -> object:
    whole = isinstance(number, int) and not isinstance(number, bool)
    return Decimal(str(number)) if whole else number


def _budget(budget: object) -> Decimal | int | None:
    """A number of value units is a decimal; base units stay whole, as an `int`."""
    if budget == UNLIMITED:
        return None
    if isinstance(budget, str) and (match := UNITS.fullmatch(budget)):
        return int(re.sub("[_,]", "", match[1]))
    number = _decimal(budget)
    if not isinstance(number, Decimal) or not number.is_finite() or number < 0:
        raise ValueError(
            f'expected "{UNLIMITED}", a finite number of at least 0, or such as "300000 units"'
        )
    return number


def _stop(stop: object) -> int:
    units = _budget(stop) if isinstance(stop, str) and UNITS.fullmatch(stop) else None
    if not isinstance(units, int) or units < 1:
        raise ValueError('expected base units, at least 1, such as "1000 units"')
    return units


def _name(name: str) -> str:
    """Names are read before signing: none may reorder the text around it, or be invisible."""
    unseen = UNSEEN.search(name) is not None
    if unseen or not name.isprintable() or name != name.strip() or any(c in name for c in "/\\="):
        raise ValueError(
            'expected a name without "/", "\\", "=", spaces at its ends and characters that do not '
            "print"
        )
    return name


def as_read(name: str) -> str:
    """What spellings of a name have in common that people do not tell apart."""
    return unicodedata.normalize("NFKC", name).casefold()


def _address(address: str) -> str:
    if not ADDRESS.fullmatch(address):
        raise ValueError("expected 0x and 40 hex digits")
    digits = address[2:]
    if digits not in (digits.lower(), digits.upper()):  # capitals are a checksum
        from eth_utils.address import to_checksum_address

        if address != to_checksum_address(address):
            raise ValueError("its capital letters are no checksum of it; copy it again")
    return address


NUMBER = {"type": "number", "minimum": 0}
Decimals = Annotated[Decimal, BeforeValidator(_decimal), WithJsonSchema({"type": "number"})]
Amount = Annotated[Decimal, Field(ge=0), BeforeValidator(_decimal), WithJsonSchema(NUMBER)]
Budget = Annotated[
    Decimal | int | None,
    PlainValidator(_budget),
    WithJsonSchema({"anyOf": [NUMBER, {"type": "string"}]}),
]
StopUnits = Annotated[int, PlainValidator(_stop), WithJsonSchema({"type": "string"})]
Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_name)]
Address = Annotated[str, AfterValidator(_address)]


def units_of(budget: Decimal | int, exchange_rate: int) -> int:
    """Base units of a limit, which is in units of value, or in base units if it is an `int`.

    Raises
    ------
    BridgeError
        If that is more than a deposit can hold.
    """
    if isinstance(budget, int):
        return deposit_units(Decimal(budget), 1)
    return deposit_units(budget, exchange_rate)


def parse_budget(text: str) -> Decimal | int | None:
    """A budget as people write it: ``0.2``, ``300000 units``, ``unlimited``.

    Raises
    ------
    BudgetUnreadable
    """
    try:
        plain: object = Decimal(text)
    except ArithmeticError:
        plain = text
    try:
        found: Decimal | int | None = TypeAdapter(Budget).validate_python(plain)
    except ValidationError as error:
        raise BudgetUnreadable(f"Budget {text!r}: {error.errors()[0]['msg']}.") from None
    return found


class BudgetUnreadable(SettlementError):
    """A budget that is no amount."""


class RoundTable(Table):
    """The table ``[round]``."""

    name: Name = Field(description="shown in reports")
    parties: Literal["parties.csv"] | None = Field(
        None,
        description="file beside this one with a row a party, instead of tables `[[party]]`: name, "
        "and if need be budget, funds, cap, address",
    )
    exchange_rate: int = Field(
        10**6, ge=1, le=MAX_AMOUNT_UNITS, description="nu: base units a unit of value"
    )
    monotone: Monotone | None = Field(
        None,
        json_schema_extra={"default": '"isotonic" of trained scores, else "refuse"'},
        description="a larger coalition with a smaller value: refuse the table, keep it as it is, "
        'or cover it: "isotonic", the nearest monotone table; "above", a coalition uses the best '
        'model of any of its sub-coalitions; "below"; "mean" of these two',
    )


class ValuesConfig(Table):
    """The table ``[values]``: values of coalitions are given, all trained, or estimated."""

    given: list[Decimals] | None = Field(
        None,
        description="2^n values instead of training; bit i of the index is party i",
    )
    flows: str | None = Field(
        None,
        min_length=1,
        description="file of flows instead of values: JSON, CSV or npz with flows (n, n), "
        "own_values (n) and grand_value",
    )
    method: Literal["exact", "estimate"] = Field(
        "exact", description="train all coalitions, or a sample of `evaluations` of them"
    )
    evaluations: int = Field(500, ge=1, le=10**7, description="of an estimate: coalitions to train")
    estimator: Estimator = Field(
        "gaussian-process", description="of an estimate: how flows follow from the sample"
    )
    seed: Seed = Field(0, description="of an estimate: of the choice of coalitions")
    choose: Choice = Field(
        "sizes",
        description='of an estimate: "sizes" draws coalitions of each size by turn; "flows" and '
        '"payments" choose those from which most is learned of the flows, or of the net payments '
        "that follow under the parties' budgets in this file",
    )
    stop: StopUnits | None = Field(
        None,
        description="of an estimate: train no more once no net payment under the budgets in this "
        'file has a larger standard error, such as "1000 units"; else all `evaluations`',
    )


class ChainConfig(Table):
    """The table ``[chain]``: where the round is settled, by when, how fine a unit is."""

    provider: Literal["in-process"] | None = Field(
        None, description='"in-process" simulates the chain in this process; so does no `chain_id`'
    )
    chain_id: ChainId | None = Field(None, description="number of the real chain that settles")
    operator: Address | None = Field(
        None, description="on a real chain: account of the operator, who opens the round"
    )
    unit_scale: int = Field(10**12, ge=1, le=10**27, description="wei a base unit")
    settlement: Literal["proof", "signatures"] = Field(
        "proof",
        description="by proof that net positions follow from game and deposits, by whoever brings "
        "it; or by a plan that all parties sign",
    )
    asset: Address | None = Field(None, description="address of the token to settle in; else ether")
    quorum: Budget = Field(
        None,
        json_schema_extra={"default": "none"},
        description="least sum of all deposits, written as a budget is; below it all go back",
    )
    funding_s: int = Field(3_600, ge=1, le=10**9, description="seconds in which deposits are taken")
    settlement_s: int = Field(
        86_400, ge=1, le=10**9, description="seconds after that in which it may be settled"
    )

    @property
    def simulated(self) -> bool:
        """Whether the chain lives in this process, with keys that are made for the round."""
        return self.chain_id is None

    def quorum_units(self, exchange_rate: int) -> int:
        """The least sum of all deposits in base units; 0: none is wanted."""
        return 0 if self.quorum is None else units_of(self.quorum, exchange_rate)


class PartyConfig(PartyData):
    """One ``[[party]]``: who it is, what it can pay; and, where models are trained, its data."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="of the party; each its own")
    budget: Budget = Field(
        None,
        validate_default=False,
        json_schema_extra={"default": UNLIMITED},
        description="the most that it can pay, which it locks: in units of value, in base units as "
        '"300000 units", or "unlimited"',
    )
    funds: bool = Field(True, description="false: never deposits, so its budget is 0")
    cap: Amount | None = Field(None, description="wants no model above this value; 0: sells only")
    rate: Amount | None = Field(
        None, description="base units that a unit of value is worth to the party itself"
    )
    address: Address | None = Field(None, description="on a real chain: the party's account")

    def budget_units(self, exchange_rate: int) -> int | None:
        """Base units that it can pay at most; None without a limit, 0 if it never deposits.

        Raises
        ------
        BridgeError
            If that is more than a deposit can hold.
        """
        if not self.funds:
            return 0
        if self.budget is None:
            return None
        return units_of(self.budget, exchange_rate)


class ConfigFile(Table):
    """The whole file."""

    round: RoundTable
    values: ValuesConfig = ValuesConfig()
    external: ExternalConfig | None = None
    data: DataTable | None = None
    training: Recipe = Recipe()
    engine: EngineSpec = EngineSpec()
    chain: ChainConfig = ChainConfig()
    party: list[PartyConfig] = Field([])

    @property
    def monotone(self) -> Monotone:
        """What is done with a table that is not monotone, as the file says or else by its kind.

        Trained scores are noisy, and the nearest monotone table has the least error; given values
        are what somebody meant, so a fault is refused; estimates allow for noise themselves.
        """
        if self.round.monotone is not None:
            return self.round.monotone
        if self.values.method == "estimate":
            return "keep"
        return "isotonic" if self.data is not None else "refuse"
