"""The page's arithmetic is that of `ml.game` and of the settlement."""

import bisect
import copy
import hashlib
import json
import re

import numpy as np
import pytest

from ml.game import (
    ValueTable,
    adjustment_factors,
    budget_sensitivity,
    conditional_shapley,
    payoffs,
)
from settlement.money.bridge import net_positions
from settlement.money.netting import net_transfers
from settlement.money.terms import MAX_AMOUNT_UNITS, RoundReference, SettlementPlan, Transfer
from settlement.posting.check import prove
from settlement.posting.format import game_of_values
from settlement.report.page import data
from settlement.report.page.assemble import embedded_text
from tests.settlement.report.page.rounds import (
    additive_values,
    data_of,
    stored_round,
    three_parties,
)

N_GAMES = 1_000


def random_game(generator):
    """Flows, budgets and caps of 2 to 12 parties, zeros and ties and closed groups among them."""
    n = int(generator.integers(2, 13))
    flows = generator.uniform(0, 1, (n, n)) * 10.0 ** generator.integers(-3, 1, (n, n))
    flows *= generator.uniform(size=(n, n)) > generator.choice([0.0, 0.3, 0.7])
    if generator.uniform() < 0.2:  # ties: everybody owes everybody the same
        flows = np.full((n, n), 0.25)
    if generator.uniform() < 0.2:  # a group that owes nothing outside
        flows[: n // 2, n // 2 :] = 0
    np.fill_diagonal(flows, 0)
    costs = flows.sum(axis=1)
    budgets = costs * generator.choice([0, 0, 0.1, 0.5, 1], n)
    budgets[generator.uniform(size=n) < 0.15] = np.inf
    caps = generator.choice([1.0, 1.0, 1.0, 0.5, 0.0], n)
    return flows, budgets, caps


@pytest.fixture(scope="module")
def games():
    generator = np.random.default_rng(2026)
    return [random_game(generator) for _ in range(N_GAMES)]


@pytest.fixture(scope="module")
def cleared(javascript, games):
    cases = [
        {
            "flows": flows.tolist(),
            "budgets": [None if np.isinf(b) else b for b in budgets],
            "caps": caps.tolist(),
        }
        for flows, budgets, caps in games
    ]
    return javascript("clear", cases)


def test_clearing_agrees_with_the_game_on_1000_random_games(games, cleared):
    limited = 0
    for (flows, budgets, caps), found in zip(games, cleared, strict=True):
        expected = adjustment_factors(flows, budgets, caps).factors
        assert found["factors"] == pytest.approx(expected, abs=1e-12, rel=0)
        assert abs(found["gap"]) < 1e-12
        paid = expected @ flows - expected * flows.sum(axis=1)
        assert found["payoffs"] == pytest.approx(paid, abs=1e-11, rel=0)
        limited += bool((expected < caps).any())
    assert limited > N_GAMES / 4, "too few of the games have a party that cannot pay"


def test_shadow_prices_are_those_of_the_game(games, cleared):
    compared = 0
    for (flows, budgets, caps), found in zip(games[:200], cleared, strict=False):
        if np.isinf(budgets).all():
            continue
        sensitivity = budget_sensitivity(flows, budgets, caps)
        for party, prices in enumerate(found["prices"]):
            if found["marked"][party]:
                expected = sensitivity.payoffs[party]
                assert prices == pytest.approx(expected, abs=1e-9)
                compared += 1
    assert compared > 50


@pytest.mark.parametrize("n_parties", [2, 3, 5, 8, 12])
def test_flows_of_a_table_are_the_conditional_shapley_values(javascript, n_parties):
    generator = np.random.default_rng(n_parties)
    tables = [additive_values(n_parties), generator.uniform(0, 1, 1 << n_parties)]
    tables[1][0] = 0
    found = javascript("flows", [{"values": table.tolist()} for table in tables])
    for flows, table in zip(found, tables, strict=True):
        expected = conditional_shapley(table)
        assert np.reshape(flows, expected.shape) == pytest.approx(expected, abs=1e-12)


def test_steps_that_lower_a_value_are_those_of_the_table(javascript):
    values = np.random.default_rng(7).uniform(0, 1, 32)
    values[0] = 0
    (found,) = javascript("broken", [{"values": values.tolist()}])
    report = ValueTable(values).monotonicity()
    assert len(found) == report.n_broken > 0
    assert found[0]["drop"] == pytest.approx(report.largest)


def random_payoffs(generator):
    """Payoffs that a bridge may meet: balanced up to rounding, at the edge of deposits."""
    n = int(generator.integers(2, 30))
    rate = int(generator.choice([1, 7, 10**6, 2**48]))
    deposits = [int(d) for d in generator.integers(0, rate + 1, n)]
    least = -np.array(deposits) / rate
    shares = generator.choice([0, 0.5, 1], n)
    found = least * shares
    receivers = generator.uniform(0, 1, n) * (shares == 0)
    if receivers.sum() == 0:
        return [0.0] * n, deposits, rate
    found = found + receivers / receivers.sum() * -found.sum()
    return found.tolist(), deposits, rate


def test_net_positions_and_transfers_are_the_settlements_to_the_unit(javascript):
    generator = np.random.default_rng(5)
    cases = [random_payoffs(generator) for _ in range(500)]
    given = [
        {"payoffs": p, "deposits": [str(d) for d in deposits], "rate": str(rate)}
        for p, deposits, rate in cases
    ]
    moved = 0
    for found, case in zip(javascript("nets", given), cases, strict=True):
        positions = net_positions(*case)
        assert [int(net) for net in found["nets"]] == [p.amount_units for p in positions]
        expected = [[t.debtor, t.creditor, str(t.amount_units)] for t in net_transfers(positions)]
        assert found["transfers"] == expected
        moved += len(expected) > 1
    assert moved > 100


def test_net_positions_of_a_posting_are_the_contracts(javascript):
    generator = np.random.default_rng(3)
    cases = []
    for _ in range(20):
        n = int(generator.integers(2, 7))
        deposits = [int(d) for d in generator.integers(0, 10**6, n)]
        proof = prove(game_of_values(additive_values(n, n).tolist()), deposits, 10**6)
        stored = data._posting(proof)
        cases.append(({"posting": stored, "rate": "1000000"}, list(proof.net_amounts)))
    found = javascript("posted", [case for case, _ in cases])
    assert [[int(net) for net in nets] for nets in found] == [nets for _, nets in cases]


def test_at_a_tie_the_page_takes_either_division_and_no_third_one(javascript):
    proof = prove(
        game_of_values([0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1]), [25_000, 10**6, 10**6], 10**6
    )
    asked = {"posting": data._posting(proof), "rate": "1000000"}
    divisions = [(-25_000, 35_937, -10_937), (-25_000, 35_938, -10_938), (-25_000, 35_939, -10_939)]
    divisions += [(-25_001, 35_938, -10_937), (-25_000, 35_938, -10_937)]
    found = javascript("same", [asked | {"nets": [str(n) for n in nets]} for nets in divisions])
    assert found == [True, True, False, False, False]


@pytest.mark.parametrize("n_transfers", [0, 1, 5, 1024, 1025, 2000])
def test_the_hash_of_a_plan_is_the_settlements_to_the_byte(javascript, n_transfers):
    generator = np.random.default_rng(n_transfers)
    transfers = tuple(
        Transfer(2 * k, 2 * k + 1, int(amount))
        for k, amount in enumerate(generator.integers(1, MAX_AMOUNT_UNITS, n_transfers))
    )
    n_parties = max(2, 2 * n_transfers)
    reference = RoundReference(2**63 + 11, "0x" + "9f" * 20, 2**70 + 1, bytes(range(32)), n_parties)
    plan = SettlementPlan(reference, transfers)
    given = {
        "reference": {
            "chainId": str(reference.chain_id),
            "escrow": reference.escrow,
            "roundId": str(reference.round_id),
            "nParties": n_parties,
        },
        "transfers": [[t.debtor, t.creditor, str(t.amount_units)] for t in transfers],
    }
    assert javascript("plan", [given]) == [plan.plan_id.hex()]


CHANGES = {
    # What is changed, how, and a word by which the page must name it.
    "a value": (lambda d: d["values"].__setitem__(3, 0.61), "flow from a to b"),
    "an own value": (lambda d: d["ownValues"].__setitem__(1, 0.51), "own value of b"),
    "the grand value": (lambda d: d.update(grandValue=0.99), "grand coalition"),
    "a flow": (lambda d: d["flows"][0].__setitem__(2, 0.46), "flow from a to c"),
    "a factor": (lambda d: d["factors"].__setitem__(0, 0.76), "lambda of a"),
    "a factor of the certificate": (lambda d: d["factors"].__setitem__(1, 0.0), "lambda of b"),
    "a budget": (lambda d: d["budgets"].__setitem__(0, 0.3), "lambda of a"),
    "a deposit": (lambda d: d["deposits"].__setitem__(1, "999999"), "budget of b"),
    "a payoff": (lambda d: d["payoffs"].__setitem__(2, 0.0876), "payoff of c"),
    "a model value": (lambda d: d["modelValues"].__setitem__(0, 0.9), "model value of a"),
    "a net position": (lambda d: d["nets"].__setitem__(1, "112501"), "net position of b"),
    "a transfer": (lambda d: d["transfers"][0].__setitem__(2, "112499"), "transfers"),
    "a withdrawal": (lambda d: d["withdrawn"].__setitem__(0, "1"), "withdrawal of a"),
    "the plan's hash": (lambda d: d.update(planId="00" * 32), "plan is 0000"),
    "the escrow": (lambda d: d["reference"].update(escrow="0x" + "ac" * 20), "plan is"),
    "the round": (lambda d: d["reference"].update(roundId=2), "plan is"),
    "the exchange rate": (lambda d: d.update(rate="999999"), "budget of a"),
    "nonsense": (lambda d: d.update(payoffs=None), "cannot be read"),
}


def test_the_page_agrees_with_an_honest_round(javascript):
    (checks,) = javascript("check", [{"text": embedded_text(data_of(three_parties()))}])
    assert len(checks) == 9
    assert [check["trouble"] for check in checks] == [None] * 9


@pytest.mark.parametrize("changed", list(CHANGES))
def test_a_changed_figure_is_named(javascript, changed):
    change, told = CHANGES[changed]
    embedded = copy.deepcopy(data_of(three_parties()))
    change(embedded)
    (checks,) = javascript("check", [{"text": embedded_text(embedded)}])
    troubles = [f"{check['what']}: {check['trouble']}" for check in checks if check["trouble"]]
    assert any(told in trouble for trouble in troubles), troubles


def everything():
    """What a page embeds, with every kind of figure there is but a proof's."""
    seeds = [additive_values(5, seed).tolist() for seed in range(3)]
    deposits, errors = [100_000, 0, 50_000, 0, 400_000], [0.001 * k for k in range(1, 6)]
    stored = stored_round(
        ["a", "b", "c", "d", "e"],
        deposits,
        values=additive_values(5).tolist(),
        scores=seeds,
        errors=errors,
        wanted=[None, 0.61, None, 0.52, None],
    )
    return data_of(stored)


def test_a_digit_changed_in_any_number_is_named(javascript):
    """Every number of the embedded text once: the entry that holds it is told, by its name."""
    generator = np.random.default_rng(5)
    content = everything()
    honest = embedded_text(content)
    starts = [honest.index(f'"{key}":') for key in (*content, "digests")]
    cases, keys = [], []
    for token in re.finditer(r"[0-9a-f]*\d[0-9a-f.]*(e-?\d+)?", honest[: starts[-1]]):
        place = int(generator.choice([at for at in range(*token.span()) if honest[at].isdigit()]))
        digit = generator.choice([digit for digit in "123456789" if digit != honest[place]])
        cases.append({"text": f"{honest[:place]}{digit}{honest[place + 1 :]}"})
        keys.append(list(content)[bisect.bisect(starts, place) - 1])
    assert len(cases) > 200
    for key, checks in zip(keys, javascript("check", cases), strict=True):
        (changed,) = [check["trouble"] for check in checks if "as it was written" in check["what"]]
        words = re.sub("[A-Z]", lambda sign: f" {sign[0].lower()}", key)
        assert str(changed).startswith(f"changed since the page was written: {words}")


def test_the_entry_that_was_changed_is_named(javascript):
    content = everything()
    honest = embedded_text(content).splitlines()
    changes = {
        "payoff errors of c": (honest.index('"payoffErrors":[') + 3, "0.003", "0.004"),
        "transactions, number 1": (honest.index('"transactions":[') + 1, "50000", "50001"),
        "reference, chain id": (honest.index('"reference":{') + 1, "1337", "1338"),
        "values, number 32": (honest.index('"values":[') + 32, "1.0", "1.00000000001"),
    }
    cases = []
    for line, old, new in changes.values():
        assert old in honest[line]
        forged = [*honest[:line], honest[line].replace(old, new, 1), *honest[line + 1 :]]
        cases.append({"text": "\n".join(forged)})
    for told, checks in zip(changes, javascript("check", cases), strict=True):
        assert checks[-1]["trouble"] == f"changed since the page was written: {told}"


def test_a_page_made_anew_from_other_figures_agrees_with_itself(javascript):
    """What the page says that it cannot find; `fairround verify` does, see test_browser."""
    others = stored_round(
        ["a", "b", "c"], [100_000, 7, 5], values=[0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1]
    )
    (checks,) = javascript("check", [{"text": embedded_text(data_of(others))}])
    assert not [check for check in checks if check["trouble"]]


def test_caps_bound_the_models_that_are_bought(javascript):
    wanted = [None, 0.6, None]
    values = [0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0]
    deposits = [200_000, 1_000_000, 1_000_000]
    stored = stored_round(["a", "b", "c"], deposits, values=values, wanted=wanted)
    assert stored.allocation.model_values[1] == pytest.approx(0.6)
    texts = [embedded_text(data_of(stored)), embedded_text(data_of(stored) | {"wanted": None})]
    with_caps, without = javascript("check", [{"text": text} for text in texts])
    assert not [check for check in with_caps if check["trouble"]]
    assert any("lambda of" in (check["trouble"] or "") for check in without)


def test_a_spreadsheet_runs_no_field(javascript):
    rows = [["=1+1", '"quoted", name', -0.5], ["+x", "line\nbreak", "-y"]]
    (text,) = javascript("csv", [{"rows": rows}])
    assert text == '\'=1+1,"""quoted"", name",-0.5\r\n\'+x,"line\nbreak",\'-y\r\n'


def test_vendored_modules_are_what_was_fetched():
    from settlement.report.page.assemble import ROOM

    vendor = ROOM / "vendor"
    rows = json.loads((vendor / "vendor.json").read_text())
    assert {row["licence"] for row in rows} <= {"ISC", "BSD-3-Clause"}
    for row in rows:
        for file, key in ((".min.js", "sha256"), (".LICENSE", "licence_sha256")):
            content = (vendor / f"{row['package']}{file}").read_bytes()
            assert hashlib.sha256(content).hexdigest() == row[key], row["package"] + file
    names = {f"{row['package']}{file}" for row in rows for file in (".min.js", ".LICENSE")}
    assert {path.name for path in vendor.iterdir()} == names | {"vendor.json"}


def test_payoffs_of_the_three_parties_are_the_guides():
    """The oracle of this file stands on the figures that the guide gives."""
    embedded = data_of(three_parties())
    assert embedded["factors"] == pytest.approx([0.75, 1, 1])
    assert embedded["payoffs"] == pytest.approx([-0.2, 0.1125, 0.0875])
    assert payoffs(np.array(embedded["flows"])) == pytest.approx([-0.4, 0.2, 0.2])


def test_a_model_meets_what_was_paid_for_or_the_floor_of_its_party(javascript):
    """Who has a better model already, or gets an untrained one for less, is no fault."""
    content = data_of(three_parties())  # a has bought a model of 0.8
    cases = [(0.8, 0.2), (0.9, 0.9), (0.9, 0.2), (0.8, 0.9)]
    texts = []
    for score, floor in cases:
        reward = {"party": 0, "validationScore": score, "holdoutScore": None, "floor": floor}
        texts.append({"text": embedded_text(content | {"rewards": [reward], "nValidation": 100})})
    troubles = [
        next(check["trouble"] for check in checks if "model rewards" in check["what"])
        for checks in javascript("check", texts)
    ]
    assert [trouble is None for trouble in troubles] == [True, True, False, False]
    assert troubles[2] == "score of the model of a is 0.9; its value is 0.8"
