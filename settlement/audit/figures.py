"""The figures that an audit recomputes, one function each; each raises what it finds wrong."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ml.training.models.card_format import card_of
from ml.training.recipe import Recipe
from settlement.audit.findings import TOLERANCE, AuditError
from settlement.chain.opening import open_chain
from settlement.config.reading import RoundConfig, read_config
from settlement.escrow.checks import check_contract, check_round
from settlement.escrow.client import EscrowClient
from settlement.escrow.ledger import RoundLedger
from settlement.money.terms import net_positions_of
from settlement.round.agreement import TERMS_FILE, agreed_terms, contract_terms
from settlement.round.context import gas_by_label
from settlement.round.plan import plan_of
from settlement.round.stages.allocate import allocation_document
from settlement.round.stages.report import report_files
from settlement.round.stages.train import value_document
from settlement.store.documents import (
    AllocationDocument,
    Document,
    OpenedRound,
    RewardDocument,
    SettlementDocument,
    ValueDocument,
)
from settlement.store.folder import RoundFolder, dump_json

__all__ = ["FIGURE_CHECKS", "check_allocation", "check_terms", "check_values"]


def check_terms(folder: RoundFolder) -> None:
    """The terms are those of the configuration, and so is the round that was opened on them."""
    config = read_config(folder.config_path)
    opened = OpenedRound.read(folder)
    raw = (folder.stage("open") / TERMS_FILE).read_bytes()
    found = json.loads(raw)
    started_at, data_digest = _started_at(opened, config), found.get("data_sha256")
    terms = agreed_terms(config, opened.operator, opened.addresses, started_at, data_digest)
    expected = json.loads(dump_json(terms))
    _same_entries(f"open/{TERMS_FILE}", found, expected)
    _same(opened, "terms_hash", hashlib.sha256(raw).hexdigest())
    _same(opened, "name", config.name)
    _same(opened, "parties", list(config.party_names))
    for name in ("exchange_rate", "unit_scale", "settlement", "settlement_deadline"):
        _same(opened, name, expected[name])


def _started_at(opened: OpenedRound, config: RoundConfig) -> int:
    return opened.funding_deadline - config.chain.funding_s


def check_values(folder: RoundFolder) -> None:
    """The value table is the mean of its scores, covered as the round says."""
    stored = ValueDocument.read(folder)
    config = read_config(folder.config_path)
    if config.given_values is not None:
        _close(stored, "scores", [list(config.given_values)])
    again = value_document(
        config,
        np.array(stored.scores),
        source="trained" if config.given_values is None else "given",
        coalitions=stored.coalitions,
        device=stored.device,
    )
    for name in stored.as_json():
        _close(stored, name, getattr(again, name))


def check_allocation(folder: RoundFolder) -> None:
    """Flows, factors and payoffs follow from the values and the deposits."""
    config = read_config(folder.config_path)
    stored = AllocationDocument.read(folder)
    again = allocation_document(config, OpenedRound.read(folder), ValueDocument.read(folder))
    for name in stored.as_json():
        _close(stored, name, getattr(again, name))


def check_journal(folder: RoundFolder) -> None:
    """The journal still begins with what it held when the round was settled."""
    SettlementDocument.read(folder).settled_journal(folder)


def check_chain(folder: RoundFolder) -> None:
    """The contract is the escrow; its terms, deposits, plan, transfers and gas are the files'."""
    config = read_config(folder.config_path)
    opened, stored = OpenedRound.read(folder), SettlementDocument.read(folder)
    planned = plan_of(folder, config)
    positions = net_positions_of(planned.plan.transfers, len(opened.parties))
    with open_chain(folder.chain_path, config.chain_spec(), read_only=True) as chain:
        escrow = EscrowClient(chain, opened.escrow)
        check_contract(escrow)
        terms_hash = bytes.fromhex(opened.terms_hash)
        terms = contract_terms(config, _started_at(opened, config), terms_hash)
        check_round(escrow, opened.round_id, terms, opened.addresses)
        ledger = escrow.ledger(opened.round_id)
        settlement = escrow.settlement(opened.round_id)
        left = chain.balance(opened.escrow)
        gas = gas_by_label(chain)
        _same(opened, "chain_id", chain.chain_id)
    _same(stored, "settlement_transaction", settlement.transaction_hash.hex())
    _same(stored, "settlement_block", settlement.block_number)
    _same(opened, "terms_hash", ledger.terms_hash.hex())
    _same(opened, "deposits_units", list(ledger.deposits_units))
    _same(stored, "not_posted", planned.not_posted)
    _same(stored, "plan_id", planned.plan.plan_id.hex())
    _same(stored, "plan_id", ledger.plan_id.hex() if ledger.plan_id else None)
    if ledger.table_hash != planned.table_hash:
        found = ledger.table_hash.hex() if ledger.table_hash else "none"
        raise AuditError(
            f"The chain names the value table {found}; the folder's is {planned.table_hash.hex()}."
        )
    _same(stored, "net_positions_units", [position.amount_units for position in positions])
    transfers = [
        {"debtor": t.debtor, "creditor": t.creditor, "amount_units": t.amount_units}
        for t in ledger.transfers
    ]
    _same(stored, "transfers", transfers)
    journal = stored.settled_journal(folder)
    settled = {entry["label"] for entry in journal if entry.kind == "receipt"}
    _close(stored, "gas", {label: used for label, used in gas.items() if label in settled})
    _check_withdrawals(opened, stored, ledger, left)


def _check_withdrawals(
    opened: OpenedRound, stored: SettlementDocument, ledger: RoundLedger, left_wei: int
) -> None:
    """Everybody took out its deposit and net position, or can still do so."""
    # What was not withdrawn when the files were written is still claimed, or was withdrawn since.
    for party, (taken, now) in enumerate(
        zip(stored.withdrawn_units, ledger.withdrawn_units, strict=True)
    ):
        due = opened.deposits_units[party] + stored.net_positions_units[party]
        if taken not in (0, due) or now + ledger.claims_units[party] != due:
            raise AuditError(_disagreement(stored, f"withdrawn_units[{party}]", taken, due))
    open_wei = sum(ledger.claims_units) * opened.unit_scale
    if left_wei < open_wei:  # more is no fault: rounds of others, or gifts
        raise AuditError(f"The escrow holds {left_wei} wei; its open claims are {open_wei} wei.")


def check_rewards(folder: RoundFolder) -> None:
    """Everybody has the model file that is named, its card agrees, and its score met the target."""
    stored = RewardDocument.read(folder)
    allocation = AllocationDocument.read(folder)
    trained = ValueDocument.read(folder).source == "trained"
    expected = list(range(len(allocation.parties))) if trained else []
    if (found := [entry.party for entry in stored.entries]) != expected:
        raise AuditError(_disagreement(stored, "parties", found, expected))
    if not trained:
        _same(stored, "n_validation", 0)
        _same(stored, "n_holdout", 0)
    recipe = read_config(folder.config_path).recipe
    agreed = json.loads((folder.stage("open") / TERMS_FILE).read_bytes())["data_sha256"]
    for entry in stored.entries:
        name = allocation.parties[entry.party]
        place = f'reward/{RewardDocument.FILE}: party {entry.party} ("{name}")'
        path = folder.stage("reward") / entry.file
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if sha256 != entry.sha256:
            raise AuditError(f"{place}: {entry.file} has SHA-256 {sha256}, not {entry.sha256}.")
        if recipe is None:
            raise AuditError(f"{place}: a model of a round that trains nothing.")
        facts = asdict(entry) | {"party_name": name, "data_sha256": agreed}
        _check_card(path.with_suffix(".json"), facts, recipe)
        target = allocation.model_values[entry.party]
        if not math.isclose(entry.target, target, abs_tol=TOLERANCE):
            raise AuditError(f"{place}: target is {entry.target}; its model value is {target}.")
        if abs(entry.validation_score - target) > 1 / stored.n_validation + TOLERANCE:
            raise AuditError(
                f"{place}: score {entry.validation_score} is more than one of "
                f"{stored.n_validation} samples from its target {target}."
            )


def _check_card(path: Path, facts: dict[str, Any], recipe: Recipe) -> None:
    """A card says what the reward is, how to load it, and on what it was trained.

    How the data were prepared only they can tell, so that part is taken as it stands.
    """
    card = json.loads(path.read_bytes())
    expected = json.loads(dump_json(card_of(facts, recipe, card.get("preparation"))))
    _same_entries(f"reward/{path.name}", card, expected)


def check_report(folder: RoundFolder) -> None:
    """The report says what the other files say."""
    for name, content in report_files(folder, read_config(folder.config_path)).items():
        if (folder.stage("report") / name).read_bytes() != content:
            raise AuditError(f"report/{name} is not what the other files lead to.")


FIGURE_CHECKS: tuple[tuple[str, Callable[[RoundFolder], None]], ...] = (
    ("terms", check_terms),
    ("value table", check_values),
    ("allocation", check_allocation),
    ("journal", check_journal),
    ("chain", check_chain),
    ("model rewards", check_rewards),
    ("report", check_report),
)


def _same_entries(place: str, found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare plain data key by key, each way."""
    for key in expected | found:
        if found.get(key) != expected.get(key):
            raise AuditError(
                f"{place}: {key} is {found.get(key)!s:.80}; expected {expected.get(key)!s:.80}."
            )


def _same(document: Document, name: str, expected: Any) -> None:
    found = getattr(document, name)
    if found != expected:
        raise AuditError(_disagreement(document, name, found, expected))


def _close(document: Document, name: str, expected: Any) -> None:
    """Compare nested figures: floats up to rounding, everything else exactly."""
    found = getattr(document, name)
    for place, one, other in _pairs(name, found, expected):
        both = isinstance(one, float) and isinstance(other, int | float)
        if not (one == other or (both and abs(one - other) <= TOLERANCE)):
            raise AuditError(_disagreement(document, place, one, other))


def _pairs(place: str, found: Any, expected: Any) -> Iterator[tuple[str, Any, Any]]:
    same_length = isinstance(found, list | dict) and type(found) is type(expected)
    if same_length and len(found) == len(expected):
        keys = found if isinstance(found, dict) else range(len(found))
        for key in keys:
            other = expected.get(key) if isinstance(expected, dict) else expected[key]
            yield from _pairs(f"{place}[{key}]", found[key], other)
    else:
        yield place, found, expected


def _disagreement(document: Document, place: str, found: Any, expected: Any) -> str:
    return (
        f"{document.STAGE}/{document.FILE}: {place} is {found!s:.80}; "
        f"what it follows from gives {expected!s:.80}."
    )
