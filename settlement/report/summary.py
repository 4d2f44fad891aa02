"""The summary of a settled round, from its stage documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from ml.game.uncertainty.uncertain import interval_quantile
from settlement.config.terms import AgreedTerms
from settlement.report.tables import PrintedTable, text_table
from settlement.store.documents import (
    FLOWS,
    AllocationDocument,
    OpenedRound,
    RewardDocument,
    SettlementDocument,
    ValueDocument,
)
from settlement.store.folder import RoundFolder
from settlement.store.score_range import from_value

__all__ = [
    "MOST_ROWS",
    "REPORT_HTML",
    "REPORT_JSON",
    "REPORT_TEXT",
    "ROWS_OF_MANY",
    "StoredRound",
    "summarise",
    "summary_tables",
    "summary_text",
]

REPORT_HTML = "report.html"
REPORT_JSON = "report.json"
REPORT_TEXT = "report.txt"


MOST_ROWS = 64
"""Most rows of a table that is read; of more the text shows `ROWS_OF_MANY`, the largest."""

ROWS_OF_MANY = 20

NO_ERROR = 1e-12
"""An error up to this is none, in value units."""

NOISE = " ?"
"""Stands after a payoff that is smaller than its own error."""

SETTLING = "settle"
"""What the names of all transactions that settle a round begin with."""


@dataclass(frozen=True)
class StoredRound:
    """The documents of all stages of one settled round."""

    terms: AgreedTerms
    opened: OpenedRound
    values: ValueDocument
    allocation: AllocationDocument
    rewards: RewardDocument
    settlement: SettlementDocument

    @classmethod
    def read(cls, folder: RoundFolder) -> Self:
        """Read all documents, checking every seal."""
        return cls(
            AgreedTerms.read(folder),
            OpenedRound.read(folder),
            ValueDocument.read(folder),
            AllocationDocument.read(folder),
            RewardDocument.read(folder),
            SettlementDocument.read(folder),
        )


def summarise(stored: StoredRound, rates: Sequence[float | None] = ()) -> dict[str, Any]:
    """All figures of the summary as plain data; amounts in base units, values in value units.

    ``rates`` says what a unit of value is worth to each party, in base units, where it names that:
    its utility is then what its model is worth to it, and what it was paid.
    """
    terms, allocation, settlement = stored.terms, stored.allocation, stored.settlement
    rewards = {entry.party: entry for entry in stored.rewards.entries}
    parties = []
    for party, name in enumerate(terms.party_names):
        reward = rewards.get(party)
        rate = rates[party] if rates else None
        net_units = settlement.net_positions_units[party]
        model_value = allocation.model_values[party]
        parties.append(
            {
                "name": name,
                "own_value": allocation.own_values[party],
                "deposit_units": allocation.deposits_units[party],
                "adjustment_factor": allocation.adjustment_factors[party],
                "payoff": allocation.payoffs[party],
                "payoff_error": allocation.payoff_errors and allocation.payoff_errors[party],
                "factor_error": allocation.factor_errors and allocation.factor_errors[party],
                "net_position_units": net_units,
                "withdrawn_units": settlement.withdrawn_units[party],
                "model_value": model_value,
                "utility": None if rate is None else rate * model_value + net_units,
                "validation_score": reward.validation_score if reward else None,
                "holdout_score": reward.holdout_score if reward else None,
            }
        )
    return {
        "name": terms.round,
        "exchange_rate": terms.exchange_rate,
        "grand_value": stored.values.grand_value,
        "parties": parties,
        "transfers": settlement.transfers,
        "plan_id": settlement.plan_id,
        "settled_by": terms.settlement,
        "escrow": terms.escrow,
        "round_id": stored.opened.round_id,
        "left_units": sum(settlement.claims_units),
        "settlement_block": settlement.settlement_block,
        "gas": {
            f"{sent['call']}/{number}": sent["gas_used"]
            for number, sent in enumerate(settlement.transactions)
        },
        "n_trained_coalitions": len(stored.values.coalitions or stored.values.values[1:]),
        "n_seeds": len(stored.values.scores),
        "trained": bool(stored.values.seeds),
        "interval_quantile": interval_quantile(len(stored.values.scores)),
        "estimated": stored.values.coalitions is not None,
        "n_raised": allocation.n_raised,
        "largest_raised": allocation.largest_raised,
        "flows_given": stored.values.source == FLOWS,
        "monotone": stored.values.monotone,
        "monotone_violations": stored.values.monotone_violations,
        "score_range": stored.values.score_range,
        "measured_by": (stored.values.basis or {}).get("measured_by"),
        "brackets": stored.rewards.brackets,
        "grand_model_of": _grand_model_of(stored.values),
        "buyers": [terms.party_names[party] for party in stored.values.buyers],
        "certificate_gap": allocation.certificate_gap,
    }


def _grand_model_of(values: ValueDocument) -> list[str] | None:
    """Whose data the best model was trained on, if not on everybody's."""
    best = values.best_coalitions
    if values.source == "given" or not best:
        return None
    holders = [party for party in range(len(values.parties)) if party not in values.buyers]
    used = [party for party in holders if best[-1] >> party & 1]
    return None if used == holders else [values.parties[party] for party in used]


def summary_tables(summary: dict[str, Any]) -> tuple[PrintedTable, PrintedTable]:
    """The parties, and the transfers among them."""
    names = [party["name"] for party in summary["parties"]]
    header = ["party", "own value", "deposit", "lambda", "payoff", "net position", "model value"]
    trained = any(party["validation_score"] is not None for party in summary["parties"])
    if trained:
        header += ["reward's score", "on holdout"]
    transfers = [
        [names[t["debtor"]], names[t["creditor"]], f"{t['amount_units']:,}"]
        for t in summary["transfers"]
    ]
    quantile = summary["interval_quantile"]
    rows = [_row(party, trained, quantile) for party in summary["parties"]]
    return (
        PrintedTable("parties", header, rows),
        PrintedTable("transfers (base units)", ["debtor", "creditor", "amount"], transfers),
    )


def summary_text(summary: dict[str, Any]) -> str:
    """The summary as a page of text."""
    parties, transfers = summary_tables(summary)
    lines = [f"{summary['name']}: value of the grand coalition {summary['grand_value']:.4f}", ""]
    lines += text_table(parties.header, _most(summary["parties"], parties.rows, _moved))
    if len(parties.rows) > MOST_ROWS:
        lines += ["", *_totals(summary)]
    if transfers.rows:
        shown = _most(summary["transfers"], transfers.rows, lambda sent: int(sent["amount_units"]))
        arrows = [[debtor, "->", *others] for debtor, *others in shown]
        table = text_table(["debtor", "", "creditor", "amount"], arrows)
        lines += ["", transfers.title, *("  " + line for line in table)]
    else:
        lines += ["", "no transfers: nobody pays"]
    lines += ["", *_chain_lines(summary), _table_line(summary)]
    lines += [*_buyer_lines(summary), *_interval_lines(summary), *_score_lines(summary), ""]
    return "\n".join(lines)


def _buyer_lines(summary: dict[str, Any]) -> list[str]:
    """Who brought no data, and which of them bought no model."""
    if not summary["buyers"]:
        return []
    models = {party["name"]: party["validation_score"] for party in summary["parties"]}
    nothing = [name for name in summary["buyers"] if models[name] is None]
    lines = [f"buyers, who brought no data: {', '.join(summary['buyers'])}"]
    if nothing:
        lines.append(f"no model, because nothing was bought: {', '.join(nothing)}")
    return lines


def _score_lines(summary: dict[str, Any]) -> list[str]:
    """The same figures in the scores that were told, and the models that parties may have."""
    if summary["measured_by"] is None or summary["score_range"] is None:
        return []
    low, high = summary["score_range"]
    grand = from_value(summary["grand_value"], (low, high))
    lines = [
        "",
        f"scores as told ({summary['measured_by']}), from {low:g} (value 0) to {high:g} (value 1); "
        f"the grand coalition has {grand:.6g}, a unit of value is {high - low:g}",
    ]
    rows = []
    for party, bracket in zip(summary["parties"], summary["brackets"], strict=True):
        own = from_value(party["own_value"], (low, high))
        payoff = party["payoff"] * (high - low)
        row = [party["name"], f"{own:.6g}", f"{payoff:+.6g}", f"{bracket['target_score']:.6g}"]
        rows.append([*row, _models(bracket)])
    header = ["party", "own score", "payoff", "model's score", "model"]
    return lines + text_table(header, rows)


def _models(bracket: dict[str, Any]) -> str:
    """Where the model lies on the ladder of checkpoints, if they were told."""
    if bracket["above"] is None:
        return "to be handed over by whoever trained"
    low, high = bracket["below"], bracket["above"]
    return f"{bracket['share']:.0%} from {_checkpoint(low)} to {_checkpoint(high)}"


def _checkpoint(rung: dict[str, Any]) -> str:
    names = {"own": "its own model", "final": "the final model"}
    name = names.get(rung["rung"], f"checkpoint {rung['rung']}")
    return f"{name} ({rung['score']:.6g})"


def _moved(party: dict[str, Any]) -> int:
    return abs(int(party["net_position_units"]))


def _most(
    items: Sequence[dict[str, Any]],
    rows: Sequence[Sequence[str]],
    size: Callable[[dict[str, Any]], int],
) -> list[Sequence[str]]:
    """All rows, or those of the largest items in their order where there are too many to read."""
    if len(rows) <= MOST_ROWS:
        return list(rows)
    largest = sorted(range(len(rows)), key=lambda k: (-size(items[k]), k))[:ROWS_OF_MANY]
    return [rows[k] for k in sorted(largest)]


def _totals(summary: dict[str, Any]) -> list[str]:
    """What a page of text says of many parties together."""
    parties = summary["parties"]
    nets = [party["net_position_units"] for party in parties]
    paid = sum(net for net in nets if net > 0)
    short = sum(party["adjustment_factor"] < 1 for party in parties)
    return [
        f"the {ROWS_OF_MANY} of {len(parties):,} parties, and the {ROWS_OF_MANY} transfers, that "
        f"move most; all of them are in report.json",
        f"all together: {sum(party['deposit_units'] for party in parties):,} base units locked; "
        f"{sum(net < 0 for net in nets):,} pay and {sum(net > 0 for net in nets):,} receive "
        f"{paid:,} in {len(summary['transfers']):,} transfers; {short:,} with lambda below 1",
    ]


def _row(party: dict[str, Any], trained: bool, quantile: float) -> list[str]:
    error = party["payoff_error"]
    noise = NOISE if _is_noise(party, quantile) else ""
    row = [
        party["name"],
        f"{party['own_value']:.4f}",
        f"{party['deposit_units']:,}",
        f"{party['adjustment_factor']:.4f}{_error(party['factor_error'], quantile)}",
        f"{round(party['payoff'], 4) + 0.0:+.4f}{_error(error, quantile)}{noise}",  # no -0.0000
        f"{party['net_position_units']:+,}",
        f"{party['model_value']:.4f}",
    ]
    if trained:
        row += [_score(party["validation_score"]), _score(party["holdout_score"])]
    return row


def _is_noise(party: dict[str, Any], quantile: float) -> bool:
    """Whether a payoff may as well be zero; one that is known to the last digit is no noise."""
    error = party["payoff_error"] or 0.0
    return error > NO_ERROR and abs(party["payoff"]) < quantile * error


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.4f}"


def _chain_lines(summary: dict[str, Any]) -> list[str]:
    gas = summary["gas"]
    settling = sum(used for what, used in gas.items() if what.startswith(SETTLING))
    return [
        f"escrow {summary['escrow']}, round {summary['round_id']}, settled by "
        f"{summary['settled_by']} in block {summary['settlement_block']}",
        f"paid out: {sum(party['withdrawn_units'] for party in summary['parties']):,} base units; "
        f"left in the escrow: {summary['left_units']:,}",
        f"gas: {settling:,} to settle, {sum(gas.values()):,} in all ({len(gas)} transactions)",
    ]


def _error(error: float | None, quantile: float) -> str:
    return "" if error is None else f" +- {quantile * error:.4f}"


def _interval_lines(summary: dict[str, Any]) -> list[str]:
    """What stands after +-, and whose payoff is no more than noise."""
    errors = [party["payoff_error"] for party in summary["parties"]]
    n_seeds, quantile = summary["n_seeds"], summary["interval_quantile"]
    if errors[0] is None:
        if not summary["trained"] or n_seeds > 1:
            return []
        return ["one seed: no error known; with another seed a small payoff may change its sign"]
    seeds = f"{n_seeds} seeds" if n_seeds > 1 else "one seed, of the sample alone"
    lines = [f"+-: 95 % intervals, {quantile:.2f} standard errors ({seeds})"]
    noisy = [party["name"] for party in summary["parties"] if _is_noise(party, quantile)]
    if noisy:
        lines.append(f"{NOISE.strip()}: the payoff may as well be zero ({', '.join(noisy)})")
    return lines


def _table_line(summary: dict[str, Any]) -> str:
    n_parties = len(summary["parties"])
    seeds = f", mean of {summary['n_seeds']} seeds" if summary["n_seeds"] > 1 else ""
    if summary["flows_given"]:
        return "flows were given"
    if summary["estimated"]:
        line = (
            f"flows estimated from {summary['n_trained_coalitions']:,} of "
            f"{2 ** (n_parties - len(summary['buyers'])) - 1:,} coalitions{seeds}"
        )
        if summary["n_raised"]:
            line += (
                f"; {summary['n_raised']:,} of {n_parties * (n_parties - 1):,} came out below zero "
                f"and were raised to it, the lowest by {summary['largest_raised']:.4f}"
            )
        return line
    violations = summary["monotone_violations"]
    if not violations["broken"]:
        return f"value table: monotone in all {violations['edges']} edges{seeds}"
    kept = summary["monotone"] == "keep"
    treated = "kept" if kept else f"covered ({summary['monotone']})"
    line = (
        f"value table: {violations['broken']} of {violations['edges']} edges not monotone, the "
        f"largest by {violations['largest']:.4f}; {treated}{seeds}"
    )
    if summary["grand_model_of"]:
        line += (
            f"\nthe best model was not trained on everybody's data but on that of "
            f"{', '.join(summary['grand_model_of'])}; the cover lifts v(N) by "
            f"{violations['lift']:.4f} above what everybody's model scores, and who buys it gets a "
            f"model that scores v(N)"
        )
    return line
