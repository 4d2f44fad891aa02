"""The figures that an audit recomputes, one function each; each raises what it finds wrong."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ml.reading import CARD_BYTES, read_json
from ml.training.models.card_format import card_of
from ml.training.recipe import Recipe
from settlement.audit.comparing import close, disagreement, same, same_entries
from settlement.audit.findings import TOLERANCE, AuditError
from settlement.audit.game import check_named_flows
from settlement.config.reading import read_config
from settlement.config.terms import TERMS_FILE, AgreedTerms, Basis
from settlement.round.agreed import agreed_game
from settlement.round.agreement import agreement_of, terms_of_round
from settlement.round.measuring.tables import has_reward, reward_targets
from settlement.round.stages.allocate import allocation_document
from settlement.round.stages.report import report_files
from settlement.store.documents import (
    AllocationDocument,
    GameDocument,
    OpenedRound,
    RewardDocument,
    SettlementDocument,
    ValueDocument,
)
from settlement.store.folder import RoundFolder, dump_json, sha256_of

__all__ = [
    "check_allocation",
    "check_configuration",
    "check_journal",
    "check_report",
    "check_rewards",
    "check_terms",
]


def check_configuration(folder: RoundFolder) -> None:
    """The values are those that the configuration gives, or of the coalitions that it asks for."""
    config = read_config(folder.config_path)
    stored = ValueDocument.read(folder)
    same(stored, "parties", list(config.party_names))
    same(stored, "monotone", config.monotone)
    same(stored, "source", config.source)
    if config.given_values is not None:
        close(stored, "scores", [list(config.given_values)])
    if config.flows_path is not None and config.flows_path.exists():  # a package leaves it out
        check_named_flows(folder, config)


def check_terms(folder: RoundFolder) -> None:
    """The terms are those of the configuration and of what was trained."""
    opened, terms = OpenedRound.read(folder), AgreedTerms.read(folder)
    values, game = ValueDocument.read(folder), GameDocument.read(folder)
    path = folder.stage(values.STAGE) / values.FILE
    expected = terms_of_round(
        read_config(folder.config_path),
        values,
        game,
        values_sha256=sha256_of(path),
        chain_id=terms.chain_id,
        escrow=terms.escrow,
        operator=terms.operator,
        addresses=terms.addresses,
        funding_deadline=terms.funding_deadline,
    )
    found = json.loads(terms.encode())
    same_entries(f"open/{TERMS_FILE}", found, json.loads(expected.encode()))
    same(opened, "terms_hash", terms.hash.hex())
    same(opened, "chain_id", terms.chain_id)
    same(opened, "escrow", terms.escrow)
    same(opened, "agreement", agreement_of(terms).hex())


def check_allocation(folder: RoundFolder) -> None:
    """Factors and payoffs follow from the game and the deposits."""
    stored = AllocationDocument.read(folder)
    again = allocation_document(
        AgreedTerms.read(folder),
        ValueDocument.read(folder),
        agreed_game(folder),
        stored.deposits_units,
    )
    for name in stored.as_json():
        close(stored, name, getattr(again, name))


def check_journal(folder: RoundFolder) -> None:
    """The journal still begins with what it held when the round was settled."""
    SettlementDocument.read(folder).settled_journal(folder)


def check_rewards(folder: RoundFolder) -> None:
    """Everybody has the model file that is named, its card agrees, and its score met the target.

    Only a buyer without data that bought nothing has none.
    """
    stored = RewardDocument.read(folder)
    allocation = AllocationDocument.read(folder)
    values = ValueDocument.read(folder)
    trained = values.source == "trained"
    targets = reward_targets(values, allocation.model_values) if trained else []
    expected = [party for party, target in enumerate(targets) if has_reward(values, party, target)]
    if (found := [entry.party for entry in stored.entries]) != expected:
        raise AuditError(disagreement(stored, "parties", found, expected))
    if not trained:
        same(stored, "n_validation", 0)
        same(stored, "n_holdout", 0)
    recipe = read_config(folder.config_path).recipe
    basis = AgreedTerms.read(folder).basis
    agreed = basis.data_sha256 if isinstance(basis, Basis) else None
    for entry in stored.entries:
        name = allocation.parties[entry.party]
        place = f'reward/{RewardDocument.FILE}: party {entry.party} ("{name}")'
        path = folder.stage("reward") / entry.file
        sha256 = sha256_of(path)
        if sha256 != entry.sha256:
            raise AuditError(f"{place}: {entry.file} has SHA-256 {sha256}, not {entry.sha256}.")
        if recipe is None:
            raise AuditError(f"{place}: a model of a round that trains nothing.")
        facts = asdict(entry) | {"party_name": name, "data_sha256": agreed}
        _check_card(path.with_suffix(".json"), facts, recipe)
        target = targets[entry.party]
        if not math.isclose(entry.target, target, abs_tol=TOLERANCE):
            raise AuditError(f"{place}: target is {entry.target}; expected {target}.")
        if abs(entry.validation_score - target) > 1 / stored.n_validation + TOLERANCE:
            raise AuditError(
                f"{place}: score {entry.validation_score} is more than one of "
                f"{stored.n_validation} samples from its target {target}."
            )


def _check_card(path: Path, facts: dict[str, Any], recipe: Recipe) -> None:
    """A card says what the reward is, how to load it, and on what it was trained.

    How the data were prepared only they can tell, so that part is taken as it stands.
    """
    card = read_json(path, CARD_BYTES)
    expected = json.loads(dump_json(card_of(facts, recipe, card.get("preparation"))))
    same_entries(f"reward/{path.name}", card, expected)


def check_report(folder: RoundFolder) -> None:
    """The report says what the other files say."""
    for name, content in report_files(folder).items():
        if (folder.stage("report") / name).read_bytes() != content:
            raise AuditError(f"report/{name} is not what the other files lead to.")
