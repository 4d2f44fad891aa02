"""A round's configuration: strict TOML, every fault reported at once with its place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ml.datasets.spec import PARTY_KEYS, DataSpec, data_spec
from ml.engines.spec import EngineSpec, engine_spec
from ml.errors import Fault, SpecError
from ml.training.recipe import Recipe, recipe
from settlement.chain.errors import ChainSpecError
from settlement.chain.spec import GWEI, ChainSpec
from settlement.config.checks import faults_together, names_twice
from settlement.config.places import line_of
from settlement.config.schema import ChainConfig, ConfigFile, PartyConfig, ValuesConfig
from settlement.errors import SettlementError
from settlement.money.terms import MAX_AMOUNT_UNITS

__all__ = [
    "OPERATOR",
    "ChainConfig",
    "ConfigError",
    "PartyConfig",
    "RoundConfig",
    "ValuesConfig",
    "party_account",
    "read_config",
]

OPERATOR = "operator"
"""Name under which the operator signs on the chain."""

EXPECTED = {
    "missing": "missing; expected a value",
    "extra_forbidden": "unknown key; settlement/README.md lists the keys",
    "model_type": "expected a table",
    "dict_type": "expected a table",
    "is_instance_of": "expected a number",
}
"""What a fault of the schema says, where the schema's own words are not a user's."""


def party_account(party: int) -> str:
    """Name under which a party signs on the chain."""
    return f"party/{party}"


class ConfigError(SettlementError):
    """A configuration has faults; the message lists all of them, a line each."""

    def __init__(self, path: Path, text: str, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = []
        for fault in faults:
            line = line_of(text, fault.place)
            where = f"{path.name}:{line}" if line else path.name
            lines.append(f"{where}: {fault}" if fault.place else f"{where}: {fault.message}")
        super().__init__("\n".join(lines))


Checked = TypeVar("Checked")


@dataclass(frozen=True)
class RoundConfig:
    """One checked configuration of one round.

    Exactly one of ``given_values`` and (``data``, ``recipe``) is there: the values are
    given, or the coalition models are trained.
    """

    name: str
    exchange_rate: int  # nu, base units a unit of value
    monotone: str
    parties: tuple[PartyConfig, ...]
    chain: ChainConfig
    given_values: tuple[float, ...] | None
    data: DataSpec | None
    recipe: Recipe | None
    engine: EngineSpec
    values: ValuesConfig
    folder: Path  # where the configuration stands; paths in it start there

    def chain_spec(self, settings: object = None) -> ChainSpec:
        """The chain that the configuration asks for, with an account for everybody.

        Raises
        ------
        ChainSpecError
        """
        chain = self.chain
        accounts = (OPERATOR, *(party_account(party) for party in range(len(self.parties))))
        # Enough of the simulated ether for the largest deposits and all gas.
        balance_wei = (self.exchange_rate + MAX_AMOUNT_UNITS) * chain.unit_scale + 10**20
        return ChainSpec(
            accounts=accounts,
            provider=chain.provider,
            balance_wei=balance_wei,
            chain_id=chain.chain_id,
            confirmations=chain.confirmations,
            max_fee_wei=chain.max_fee_gwei * GWEI,
            priority_fee_wei=chain.priority_fee_gwei * GWEI,
            keystore=None if chain.keystore is None else self.folder / chain.keystore,
            addresses={
                party_account(k): party.address
                for k, party in enumerate(self.parties)
                if party.address is not None
            },
        )

    @property
    def caps(self) -> tuple[float | None, ...]:
        """Model value above which each party wants nothing (Remark 4.3), None without a cap."""
        return tuple(None if party.cap is None else float(party.cap) for party in self.parties)

    @property
    def estimates(self) -> bool:
        """Whether a sample of coalitions is trained instead of all."""
        return self.values.method == "estimate"

    @property
    def party_names(self) -> tuple[str, ...]:
        """Names in configuration order; the index is the party."""
        return tuple(party.name for party in self.parties)


def read_config(path: Path) -> RoundConfig:
    """Read and check a configuration file.

    Raises
    ------
    ConfigError
        With all faults at once: syntax, unknown keys, wrong types or ranges, names that
        occur twice, and whatever `ml.datasets` and `ml.training` find in their tables.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, "", [Fault("", f"cannot be read: {error}")]) from None
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:  # also numbers out of all range
        raise ConfigError(path, text, [Fault("", f"is not TOML: {error}")]) from None
    faults: list[Fault] = []
    file = _parse(tables, faults)
    spec, recipe_, engine = _check_ml(tables, path.parent, faults)
    faults += names_twice(tables)
    if file is None:
        raise ConfigError(path, text, faults)
    faults += faults_together(file)
    given = file.values.given
    config = RoundConfig(
        name=file.round.name,
        exchange_rate=file.round.exchange_rate,
        monotone=file.round.monotone,
        parties=tuple(file.party),
        chain=file.chain,
        given_values=None if given is None else tuple(float(value) for value in given),
        data=spec,
        recipe=recipe_,
        engine=engine or EngineSpec(),
        values=file.values,
        folder=path.parent,
    )
    try:
        config.chain_spec()
    except ChainSpecError as error:
        faults += [Fault(_key_of(place), message) for place, message in error.faults]
    if faults:
        raise ConfigError(path, text, faults)
    return config


def _key_of(place: str) -> str:
    """The key of the file that a place in a chain's specification came from."""
    if match := re.fullmatch(r"chain\.addresses\.party/(\d+)", place):
        return f"party[{match[1]}].address"
    return place.replace("fee_wei", "fee_gwei")


def _parse(tables: dict[str, Any], faults: list[Fault]) -> ConfigFile | None:
    try:
        return ConfigFile.model_validate(tables)
    except ValidationError as error:
        for item in error.errors():
            place = ""
            for step in item["loc"]:
                if isinstance(step, int):
                    place += f"[{step}]"
                else:
                    place += f".{step}" if place else str(step)
            found = "" if item["type"] == "missing" else f"; found {item['input']!s:.60}"
            expected = EXPECTED.get(item["type"], item["msg"])
            faults.append(Fault(place, f"{expected}{found}"))
        return None


def _check_ml(
    tables: Mapping[str, Any], folder: Path, faults: list[Fault]
) -> tuple[DataSpec | None, Recipe | None, EngineSpec | None]:
    """Let `ml` check its own tables, also when ours have faults, so that all are listed."""
    parties = tables.get("party")
    parties = [_plain(party) for party in parties] if isinstance(parties, list) else []
    values = tables.get("values")
    given = isinstance(values, dict) and "given" in values
    faults += _unknown_keys(parties, () if given else PARTY_KEYS)
    if given:
        return None, None, None
    data, training, engine = (_plain(tables.get(k, {})) for k in ("data", "training", "engine"))
    return (
        _checked(lambda: data_spec(data, parties, base=folder), faults)
        if isinstance(data, dict)
        else None,
        _checked(lambda: recipe(training), faults) if isinstance(training, dict) else None,
        _checked(lambda: engine_spec(engine), faults) if isinstance(engine, dict) else None,
    )


def _checked(check: Callable[[], Checked], faults: list[Fault]) -> Checked | None:
    try:
        return check()
    except SpecError as error:
        faults += error.faults
        return None


def _unknown_keys(parties: list[Any], others: Collection[str]) -> list[Fault]:
    """Keys of parties that neither we nor others read."""
    known = {*PartyConfig.model_fields, *others}
    return [
        Fault(f"party[{index}].{key}", f"unknown key; expected one of {', '.join(sorted(known))}")
        for index, party in enumerate(parties)
        if isinstance(party, dict)
        for key in party
        if key not in known
    ]


def _plain(item: Any) -> Any:
    if isinstance(item, Decimal):
        return float(item)
    if isinstance(item, dict):
        return {key: _plain(value) for key, value in item.items()}
    return [_plain(value) for value in item] if isinstance(item, list) else item
