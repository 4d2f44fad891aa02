"""How a round stands, asked of its chain now, and what each of its people does next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from settlement.config.reading import read_config
from settlement.config.terms import AgreedTerms
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import RoundState
from settlement.escrow.ledger import RoundLedger
from settlement.report.summary import MOST_ROWS, ROWS_OF_MANY
from settlement.report.tables import text_table
from settlement.round.access import ChainAccess
from settlement.round.funding import checked_escrow
from settlement.round.measuring.asking import questions
from settlement.round.signatures import signature_path
from settlement.round.words import asset_of, chain_in_words, moment_in_words
from settlement.store.documents import OpenedRound
from settlement.store.folder import STAGES, RoundFolder

__all__ = ["live_status", "phase_of", "status_text"]


def phase_of(escrow: EscrowClient, terms: AgreedTerms, round_id: int, ledger: RoundLedger) -> str:
    """One word for where a round is: funding, ready, settling, settled, expired or abandoned."""
    state = escrow.state(round_id)
    if state >= RoundState.SETTLED:
        return "settled"
    if escrow.chain.timestamp() > terms.settlement_deadline:
        return "expired"
    if state == RoundState.SETTLING:
        return "settling"
    if not escrow.funding_has_ended(round_id):
        return "funding"
    return "abandoned" if sum(ledger.deposits_units) < terms.quorum_units else "ready"


def live_status(path: Path, access: ChainAccess) -> dict[str, Any]:
    """Stages in the folder; phase, deadlines and parties on the chain; what comes next for whom.

    Before the round is open there is no chain to ask.
    """
    folder = RoundFolder(path)
    folder.require_config()
    done = [stage for stage in STAGES if folder.has(stage)]
    status: dict[str, Any] = {"folder": str(path), "done": done}
    if "open" not in done:
        return status | _before_opening(folder, path)
    terms, opened = AgreedTerms.read(folder), OpenedRound.read(folder)
    with access.open(folder, terms, read_only=True) as chain:
        escrow = checked_escrow(chain, terms, opened)
        ledger = escrow.ledger(opened.round_id)
        phase = phase_of(escrow, terms, opened.round_id, ledger)
        asset = asset_of(chain, terms.asset, terms.unit_scale)
    parties = [
        {
            "name": party.name,
            "address": party.address,
            "deposit_units": ledger.deposits_units[k],
            "deposit": asset.in_words(ledger.deposits_units[k]),
            "done_depositing": k in ledger.closed,
            "signed": (folder.path / signature_path(k)).is_file(),
            "withdrawn_units": ledger.withdrawn_units[k],
            "claim_units": ledger.claims_units[k],
        }
        for k, party in enumerate(terms.parties)
    ]
    return status | {
        "round": terms.round,
        "phase": phase,
        "chain": chain_in_words(terms.chain_id),
        "escrow": terms.escrow,
        "round_id": opened.round_id,
        "settlement": terms.settlement,
        "funding_deadline": moment_in_words(terms.funding_deadline),
        "settlement_deadline": moment_in_words(terms.settlement_deadline),
        "parties": parties,
        "next": _next_steps(path, phase, done, terms, parties),
    }


def _before_opening(folder: RoundFolder, path: Path) -> dict[str, Any]:
    """What comes before there is a chain: training, or scores of somebody else; then opening."""
    if not folder.has("train"):
        external = read_config(folder.config_path).external
        if external is not None and external.told_by_hand:
            n_open = questions(path, 1)["open"]
            if n_open:
                steps = {
                    "whoever measures": f"fairround ask {_quoted(path)}",
                    "whoever has scores": f"fairround tell {_quoted(path)} FILE",
                }
                return {"phase": "measuring", "open_questions": n_open, "next": steps}
    verb = "open" if folder.has("train") else "train"
    return {"phase": "new", "next": {"operator": f"fairround {verb} {_quoted(path)}"}}


def _next_steps(
    path: Path, phase: str, done: list[str], terms: AgreedTerms, parties: list[dict[str, Any]]
) -> dict[str, str]:
    """A command to paste for everybody who can do something now."""
    steps = {}
    folder = _quoted(path)
    if phase == "settled":
        missing = [stage for stage in STAGES if stage not in done]
        if missing:
            steps["operator"] = f"fairround run {folder}"
    elif phase in ("ready", "settling"):
        steps["operator"] = f"fairround run {folder}"
    for party in parties:
        name = shlex.quote(party["name"])
        if phase == "funding" and not party["done_depositing"]:
            steps[party["name"]] = f"fairround deposit {folder} --party {name} --budget BUDGET"
        elif phase == "ready" and terms.settlement == "signatures" and not party["signed"]:
            steps[party["name"]] = f"fairround sign {folder} --party {name}"
        elif phase == "ready" and terms.settlement == "proof":
            steps[party["name"]] = f"fairround settle {folder} --party {name}"
        elif phase in ("settled", "expired", "abandoned") and party["claim_units"]:
            steps[party["name"]] = f"fairround withdraw {folder} --party {name}"
    return steps


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


PHASES = {
    "new": "not opened yet",
    "measuring": "not opened yet: scores are still to be told",
    "funding": "deposits are being taken",
    "ready": "ready to be settled",
    "settling": "being settled: a part of the plan is still to be brought",
    "settled": "settled",
    "expired": "expired without a settlement: everybody takes its deposit back",
    "abandoned": "abandoned, the quorum was missed: everybody takes its deposit back",
}


def _totals(parties: list[dict[str, Any]]) -> list[str]:
    """What a page of text says of many parties together."""
    done = sum(party["done_depositing"] for party in parties)
    return [
        f"the first {ROWS_OF_MANY} of {len(parties):,} parties; --json has all of them",
        f"all together: {done:,} are done depositing, {sum(p['signed'] for p in parties):,} have "
        f"signed, {sum(p['withdrawn_units'] for p in parties):,} base units were taken out, "
        f"{sum(p['claim_units'] for p in parties):,} are still in",
    ]


def status_text(status: dict[str, Any]) -> str:
    """The same as a page of text."""
    lines = [f"{status.get('round', status['folder'])}: {PHASES[status['phase']]}"]
    if "open_questions" in status:
        lines.append(f"open questions: {status['open_questions']:,}")
    if "parties" in status:
        lines += [
            f"on {status['chain']}, escrow {status['escrow']}, round {status['round_id']}, settled "
            f"by {status['settlement']}",
            f"deposits until {status['funding_deadline']}, settlement until "
            f"{status['settlement_deadline']}",
            "",
        ]
        signs = status["settlement"] == "signatures"
        header = ["party", "deposit", "done", *(["signed"] * signs), "taken out", "still in"]
        rows = [
            [
                party["name"],
                party["deposit"],
                "yes" if party["done_depositing"] else "no",
                *(["yes" if party["signed"] else "no"] * signs),
                f"{party['withdrawn_units']:,}",
                f"{party['claim_units']:,}",
            ]
            for party in status["parties"]
        ]
        shown = rows if len(rows) <= MOST_ROWS else rows[:ROWS_OF_MANY]
        lines += text_table(header, shown)
        if len(shown) < len(rows):
            lines += ["", *_totals(status["parties"])]
    if status["next"]:
        steps = [f"  {who}: {what}" for who, what in status["next"].items()]
        first = steps if len(steps) <= MOST_ROWS else steps[:ROWS_OF_MANY]
        lines += ["", "next", *first]
        if len(first) < len(steps):
            lines.append(f"  and {len(steps) - len(first):,} more do the same")
    return "\n".join([*lines, ""])
