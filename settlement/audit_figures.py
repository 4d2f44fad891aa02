"""The figures that an audit recomputes, one function each; each raises what it finds wrong."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from settlement.audit import TOLERANCE, AuditError
from settlement.chain.chain import open_chain
from settlement.chain.escrow import EscrowClient
from settlement.config import read_config
from settlement.documents import (
    AllocationDocument,
    Document,
    OpenedRound,
    RewardDocument,
    SettlementDocument,
    ValueDocument,
)
from settlement.plans import plan_of
from settlement.report import REPORT_JSON, REPORT_TEXT, StoredRound, summarise, summary_text
from settlement.stages.allocate import allocation_document
from settlement.stages.context import gas_by_label
from settlement.stages.open import TERMS_FILE, estimation_terms
from settlement.stages.train import value_document
from settlement.store import RoundFolder, dump_json
from settlement.terms import net_positions_of

__all__ = ["FIGURE_CHECKS"]


def check_terms(folder: RoundFolder) -> None:
    """The terms are those of the configuration, and their hash is the one on the chain."""
    config = read_config(folder.config_path)
    opened = OpenedRound.read(folder)
    raw = (folder.stage("open") / TERMS_FILE).read_bytes()
    terms = json.loads(raw)
    optimistic = config.chain.settlement == "optimistic"
    _same(opened, "terms_hash", hashlib.sha256(raw).hexdigest())
    _same(opened, "parties", list(config.party_names))
    for name, wanted in {
        "round": config.name,
        "monotone": config.monotone,
        "settlement": config.chain.settlement,
        "bond_wei": config.chain.bond_wei if optimistic else None,
        "challenge_window_s": config.chain.challenge_window_s if optimistic else None,
        "caps": list(config.caps),
        "given_values": None if config.given_values is None else list(config.given_values),
        "estimation": estimation_terms(config),
        "recipe_sha256": config.recipe.digest if config.recipe else None,
        "exchange_rate": config.exchange_rate,
        "unit_scale": config.chain.unit_scale,
        "funding_deadline": opened.funding_deadline,
        "settlement_deadline": opened.settlement_deadline,
        "operator": opened.operator,
        "parties": [
            {"name": name, "address": address}
            for name, address in zip(opened.parties, opened.addresses, strict=True)
        ],
    }.items():
        if terms.get(name) != wanted:
            raise AuditError(
                f"open/{TERMS_FILE}: {name} is {terms.get(name)!s:.80}; expected {wanted!s:.80}."
            )


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


def check_chain(folder: RoundFolder) -> None:
    """Deposits, transfers and withdrawals in the contract's logs are those of the files."""
    opened = OpenedRound.read(folder)
    stored = SettlementDocument.read(folder)
    stored.check_journal(folder)
    config = read_config(folder.config_path)
    planned = plan_of(folder, config)
    plan = planned.plan
    positions = [p.amount_units for p in net_positions_of(plan.transfers, len(opened.parties))]
    due = [d + p for d, p in zip(opened.deposits_units, positions, strict=True)]
    with open_chain(folder.chain_path, config.chain_spec(), read_only=True) as chain:
        ledger = EscrowClient(chain, opened.escrow).ledger(opened.round_id)
        left = chain.balance(opened.escrow)
        gas = gas_by_label(chain)
    _same(opened, "terms_hash", ledger.terms_hash.hex())
    _same(opened, "addresses", list(ledger.parties))
    _same(opened, "deposits_units", list(ledger.deposits_units))
    _same(stored, "not_posted", planned.not_posted)
    _same(stored, "plan_id", plan.plan_id.hex())
    _same(stored, "plan_id", ledger.plan_id.hex() if ledger.plan_id else None)
    if ledger.table_hash != planned.table_hash:
        found = ledger.table_hash.hex() if ledger.table_hash else "none"
        raise AuditError(
            f"The chain names the value table {found}; the folder's is {planned.table_hash.hex()}."
        )
    _same(stored, "net_positions_units", positions)
    # What was not withdrawn when the files were written is still claimed, or was withdrawn since.
    for party, (taken, now) in enumerate(
        zip(stored.withdrawn_units, ledger.withdrawn_units, strict=True)
    ):
        if taken not in (0, due[party]) or now + ledger.claims_units[party] != due[party]:
            place = f"withdrawn_units[{party}]"
            raise AuditError(_disagreement(stored, place, taken, due[party]))
    open_wei = sum(ledger.claims_units) * opened.unit_scale
    if left < open_wei:  # more is no fault: rounds of others, or gifts
        raise AuditError(f"The escrow holds {left} wei; its open claims are {open_wei} wei.")
    for label, used in stored.gas.items():
        if gas.get(label) != used:
            raise AuditError(_disagreement(stored, f"gas[{label}]", used, gas.get(label)))
    transfers = [
        {"debtor": t.debtor, "creditor": t.creditor, "amount_units": t.amount_units}
        for t in ledger.transfers
    ]
    _same(stored, "transfers", transfers)


def check_rewards(folder: RoundFolder) -> None:
    """Everybody has the model file that is named, its card agrees, and its score met the target."""
    stored = RewardDocument.read(folder)
    allocation = AllocationDocument.read(folder)
    trained = ValueDocument.read(folder).source == "trained"
    expected = list(range(len(allocation.parties))) if trained else []
    if (found := [entry.party for entry in stored.entries]) != expected:
        raise AuditError(_disagreement(stored, "parties", found, expected))
    for entry in stored.entries:
        name = allocation.parties[entry.party]
        place = f'reward/{RewardDocument.FILE}: party {entry.party} ("{name}")'
        path = folder.stage("reward") / entry.file
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if sha256 != entry.sha256:
            raise AuditError(f"{place}: {entry.file} has SHA-256 {sha256}, not {entry.sha256}.")
        card = json.loads(path.with_suffix(".json").read_bytes())
        for key, figure in asdict(entry).items():
            if card[key] != figure:
                raise AuditError(f"{place}: {key} is {figure}; its card says {card[key]}.")
        target = allocation.model_values[entry.party]
        if not math.isclose(entry.target, target, abs_tol=TOLERANCE):
            raise AuditError(f"{place}: target is {entry.target}; its model value is {target}.")
        if abs(entry.validation_score - target) > 1 / stored.n_validation + TOLERANCE:
            raise AuditError(
                f"{place}: score {entry.validation_score} is more than one of "
                f"{stored.n_validation} samples from its target {target}."
            )


def check_report(folder: RoundFolder) -> None:
    """The report says what the other files say."""
    summary = summarise(StoredRound.read(folder))
    expected = {REPORT_JSON: dump_json(summary), REPORT_TEXT: summary_text(summary).encode()}
    for name, content in expected.items():
        if (folder.stage("report") / name).read_bytes() != content:
            raise AuditError(f"report/{name} is not what the other files lead to.")


FIGURE_CHECKS: tuple[tuple[str, Callable[[RoundFolder], None]], ...] = (
    ("terms", check_terms),
    ("value table", check_values),
    ("allocation", check_allocation),
    ("chain", check_chain),
    ("model rewards", check_rewards),
    ("report", check_report),
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
