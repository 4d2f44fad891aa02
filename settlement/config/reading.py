"""A round's configuration: strict TOML, every fault reported at once with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from ml.datasets.spec import DataSpec
from ml.engines.spec import EngineSpec
from ml.errors import Fault
from ml.reading import VALUES_BYTES, UnreadableFile, read_toml
from ml.schema import read_repaired, untold
from ml.training.recipe import Recipe
from settlement.chain.spec import GWEI, ChainSpec
from settlement.config.checks import faults_together
from settlement.config.external import ExternalConfig
from settlement.config.parties_file import read_parties
from settlement.config.places import located
from settlement.config.schema import ChainConfig, ConfigFile, PartyConfig, ValuesConfig
from settlement.config.settings import Settings, SettingsError, read_settings, settings_path
from settlement.config.terms import Sampling
from settlement.errors import SettlementError
from settlement.money.terms import MAX_AMOUNT_UNITS
from settlement.store.documents import FLOWS
from settlement.store.folder import PARTIES

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


def party_account(party: int) -> str:
    """Name under which a party signs on the chain."""
    return f"party/{party}"


class ConfigError(SettlementError):
    """A configuration has faults; the message lists all of them, a line each."""

    def __init__(self, path: Path, text: str, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(located(path, text, faults)))


@dataclass(frozen=True)
class RoundConfig:
    """One checked configuration of one round.

    Exactly one of ``given_values``, ``flows_path``, ``external`` and (``data``, ``recipe``) is
    there: values or flows are given, scores are measured elsewhere, or models are trained here.
    """

    name: str
    exchange_rate: int  # nu, base units a unit of value
    monotone: str
    parties: tuple[PartyConfig, ...]
    chain: ChainConfig
    given_values: tuple[float, ...] | None
    external: ExternalConfig | None
    data: DataSpec | None
    recipe: Recipe | None
    engine: EngineSpec
    values: ValuesConfig
    folder: Path  # where the configuration stands; paths in it start there
    flows_path: Path | None  # of the flows that are given instead of values

    def chain_spec(self, settings: Settings | None = None) -> ChainSpec:
        """The round's chain as terms and settings say, with an account for everybody.

        Settings that are not given are read; a simulated chain needs none.

        Raises
        ------
        SettingsError
            If they have faults, or name no endpoint for a real chain.
        """
        chain = self.chain
        accounts = (OPERATOR, *(party_account(party) for party in range(len(self.parties))))
        if chain.simulated:
            # Enough of the simulated ether for the largest deposits and all gas.
            balance_wei = (self.exchange_rate + MAX_AMOUNT_UNITS) * chain.unit_scale + 10**20
            return ChainSpec(accounts=accounts, balance_wei=balance_wei)
        settings = settings or read_settings()
        if settings.endpoint is None:
            raise SettingsError(
                f"The round is settled on chain {chain.chain_id}, and no endpoint is set: give "
                f"--endpoint, FAIRROUND_ENDPOINT, or endpoint in {settings_path()}."
            )
        named = {party_account(k): party.address for k, party in enumerate(self.parties)}
        named[OPERATOR] = chain.operator
        return ChainSpec(
            accounts=accounts,
            provider=settings.endpoint,
            chain_id=chain.chain_id,
            confirmations=settings.confirmations,
            max_fee_wei=settings.max_fee_gwei * GWEI,
            priority_fee_wei=settings.priority_fee_gwei * GWEI,
            keystore=Path(settings.keystore),
            addresses={name: address for name, address in named.items() if address is not None},
        )

    @property
    def caps(self) -> tuple[float | None, ...]:
        """Model value above which each party wants nothing (Remark 4.3), None without a cap."""
        return tuple(None if party.cap is None else float(party.cap) for party in self.parties)

    @property
    def source(self) -> str:
        """Where the values come from, as the file of values says it."""
        if self.flows_path is not None:
            return FLOWS
        if self.external is not None:
            return "external"
        return "trained" if self.given_values is None else "given"

    @property
    def estimates(self) -> bool:
        """Whether a sample of coalitions is trained instead of all."""
        return self.values.method == "estimate"

    @property
    def sampling(self) -> Sampling | None:
        """How coalitions are sampled, as the terms will name it; None if all are trained."""
        if not self.estimates:
            return None
        values, rate = self.values, self.exchange_rate
        budgets = None
        if values.stop is not None or values.choose == "payments":
            units = [party.budget_units(rate) for party in self.parties]
            budgets = tuple(None if budget is None else budget / rate for budget in units)
        return Sampling(
            evaluations=values.evaluations,
            estimator=values.estimator,
            seed=values.seed,
            choose=values.choose,
            largest_payment_error=None if values.stop is None else values.stop / rate,
            expected_budgets=budgets,
        )

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
        occur twice, and what only shows when several tables are seen together.
    """
    try:
        text, tables = read_toml(path, Decimal, VALUES_BYTES)
    except UnreadableFile as error:
        raise ConfigError(path, "", [Fault("", str(error))]) from None
    faults: list[Fault] = []
    round_table = tables.get("round")
    if isinstance(round_table, dict) and round_table.get("parties") == PARTIES:
        if "party" in tables:
            faults.append(Fault("party", f"not expected: the parties stand in {PARTIES}"))
        tables = tables | {"party": read_parties(path.parent / PARTIES, faults)}
        if faults:  # of parties that could not be read nothing else is true
            raise ConfigError(path, text, faults)
    file = read_repaired(ConfigFile, tables, "", faults, fill={"name": "?"})
    if file is not None:
        faults += untold(faults_together(file, path.parent), faults)
    if file is None or faults:
        raise ConfigError(path, text, faults)
    given = file.values.given
    return RoundConfig(
        name=file.round.name,
        exchange_rate=file.round.exchange_rate,
        monotone=file.monotone,
        parties=tuple(file.party),
        chain=file.chain,
        given_values=None if given is None else tuple(float(value) for value in given),
        external=file.external,
        data=None if file.data is None else DataSpec.of(file.data, file.party, path.parent),
        recipe=None if file.data is None else file.training,
        engine=file.engine,
        values=file.values,
        folder=path.parent,
        flows_path=None if file.values.flows is None else path.parent / file.values.flows,
    )
