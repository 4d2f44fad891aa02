"""The page in a real browser: it asks for nothing, follows the budgets, and is legible."""

import dataclasses
import json
import re

import numpy as np
import pytest

from ml.game import adjustment_factors, payoffs
from settlement.report.page import page
from tests.settlement.report.page.conftest import OVERLAPS, SETTLE_MS, serious_faults
from tests.settlement.report.page.rounds import (
    SETTLED,
    additive_values,
    data_of,
    flows_of_many,
    stored_round,
    three_parties,
)


def five_parties(**others):
    names = ["0", "1-2", "0-3", "3-5", "6-9"]
    deposits = [100_000, 0, 50_000, 0, 400_000]
    return stored_round(names, deposits, values=additive_values(5).tolist(), **others)


def forty_parties():
    flows, own = flows_of_many(40)
    names = [f"hospital number {k} of the north" for k in range(40)]
    deposits = [(k % 4) * 100_000 for k in range(40)]
    return stored_round(names, deposits, flows=flows, own=own)


def estimated():
    flows, own = flows_of_many(16, seed=4)
    names = [f"clinic {k}" for k in range(16)]
    deposits = [(k % 3) * 200_000 for k in range(16)]
    errors = [0.01 + k / 900 for k in range(16)]
    return stored_round(names, deposits, flows=flows, own=own, errors=errors)


def test_the_page_opens_without_a_network_and_agrees_with_itself(show):
    shown, trouble = show(data_of(three_parties()))
    assert trouble == []
    assert shown.inner_text("#verdict").startswith("✓ Checked here, by this page: 9 of 9")


def test_the_figures_of_the_page_are_those_of_the_report(show, fairround, tmp_path):
    folder = tmp_path / "round"
    fairround("init", folder)
    fairround("run", folder)
    summary = json.loads((folder / "report" / "report.json").read_text())
    shown, trouble = show((folder / "report" / "report.html").read_text("utf-8"))
    assert trouble == []
    rows = shown.locator("#party-table tbody tr").all()
    assert len(rows) == len(summary["parties"])
    for row, party in zip(rows, summary["parties"], strict=True):
        cells = [cell.inner_text() for cell in row.locator("th, td").all()]
        expected = [
            party["name"],
            f"{party['own_value']:.4f}",
            f"{party['deposit_units']:,}",
            f"{party['adjustment_factor']:.4f}",
            f"{party['payoff']:+.4f}".replace("-", "−"),
            f"{party['net_position_units']:+,}".replace("-", "−"),
            f"{party['model_value']:.4f}",
        ]
        assert cells == expected
    text = shown.inner_text("#chain")
    assert summary["plan_id"] in text
    assert summary["escrow"] in text
    decoded = json.loads(fairround("show", folder, "--tx", "--json"))
    shown_ones = shown.locator("#decoded details")
    assert 0 < shown_ones.count() <= len(decoded)  # what came after the settlement is not in it
    for k in range(shown_ones.count()):
        shown_ones.nth(k).locator("summary").click()
        told = shown_ones.nth(k).inner_text()
        row = decoded[k]
        for text in (row["call"], row["sender"], f"{row['gas_used']:,}"):
            assert text in told
        for name, value in row["arguments"].items():
            assert name in told
            assert str(value)[:200] in told
        for event in row["events"]:
            assert f"{event['event']}: " in told
    gas = shown.evaluate("fairround.round.transactions.reduce((sum, t) => sum + t.gas, 0)")
    assert gas == sum(summary["gas"].values())
    deposit = shown.locator("#decoded details", has_text="deposit of b")
    assert "Deposited: " in deposit.inner_text()
    assert re.search(r"Deposited: .*\b500000\b", deposit.inner_text())
    assert "500,000,000,000,000,000" in deposit.inner_text()  # wei
    shown.click("text=Transfers as a table")
    for transfer in summary["transfers"]:
        assert f"{transfer['amount_units']:,}" in shown.inner_text("#transfer-table")


def test_a_digit_changed_in_the_file_turns_the_line_red_and_verify_names_the_file(
    show, fairround, tmp_path
):
    folder = tmp_path / "round"
    fairround("init", folder)
    fairround("run", folder)
    path = folder / "report" / "report.html"
    honest = path.read_text("utf-8")
    assert honest.count('"112500"') >= 2
    forged = honest.replace('"nets":[\n"-200000",\n"112500"', '"nets":[\n"-200000",\n"112501"')
    assert forged != honest
    path.write_text(forged, "utf-8")
    shown, _ = show(forged)
    assert shown.get_attribute("#verdict", "class") == "wrong"
    assert "net position of b is 112501; recomputed it is 112500" in shown.inner_text("#verdict")
    assert "report/report.html" in fairround("verify", folder, code=1)
    # Made anew from a forged figure it agrees with itself, as it says; the folder tells.
    content = json.loads(shown.text_content("#data"))
    del content["digests"]
    content["nets"][1] = "112500"
    content["transactions"][0]["gas"] += 1
    forged = page(content)
    path.write_text(forged, "utf-8")
    shown, _ = show(forged)
    assert shown.get_attribute("#verdict", "class") == "right"
    assert "report/report.html" in fairround("verify", folder, code=1)


def test_a_digit_that_leaves_no_json_or_no_drawing_turns_the_line_red(show):
    honest = page(data_of(three_parties()))
    shown, _ = show(honest.replace('"rate":"1000000"', '"rate":"x000000"'))
    assert "embedded data cannot be read" in shown.inner_text("#verdict.wrong")
    shown, _ = show(honest.replace('"grandValue":1.0', '"grandValue":01.0'))
    assert "embedded data cannot be read" in shown.inner_text("#verdict.wrong")
    shown, _ = show(honest.replace('"block":8', '"block":9'))
    told = "changed since the page was written: transactions, number 1"
    assert told in shown.inner_text("#verdict.wrong")


def budget_fields(shown):
    return shown.locator(".control input[type=text]").all()


def test_budgets_that_are_moved_give_the_figures_of_the_game(show):
    stored = five_parties()
    flows = np.array(stored.allocation.flows)
    shown, trouble = show(data_of(stored))
    field = budget_fields(shown)[0]
    field.fill("0")
    field.press("Enter")
    slider = shown.locator(".control input[type=range]").nth(4)
    slider.focus()
    for _ in range(3):
        slider.press("ArrowLeft")
    shown.wait_for_timeout(SETTLE_MS)
    units = [int(text) for text in shown.evaluate("fairround.whatIf.budgets.map(String)")]
    assert units[0] == 0
    assert units[4] not in (0, 400_000)
    factors = adjustment_factors(flows, np.array(units) / 10**6).factors
    found = shown.evaluate("[...fairround.whatIf.outcome.solution.factors]")
    assert found == pytest.approx(factors, abs=1e-12)
    paid = payoffs(factors[:, None] * flows)
    told = [row.inner_text() for row in shown.locator(".control .figures").all()]
    for line, factor, payoff in zip(told, factors, paid, strict=True):
        assert f"λ {factor:.4f} · payoff {round(payoff, 4) + 0.0:+.4f}".replace("-", "−") in line
    assert trouble == []


def test_a_view_is_sent_by_its_address_and_one_click_leads_back(show):
    content = data_of(five_parties())
    address = "#budgets=7,0,50000,0,400000&sweep=2"
    shown, _ = show(content, address=address)
    assert shown.evaluate("String(fairround.whatIf.budgets[0])") == "7"
    assert shown.evaluate("document.getElementById('sweep-party').value") == "2"
    assert "differ" in shown.inner_text("#moved")
    shown.click("#reset")
    shown.wait_for_timeout(SETTLE_MS)
    assert (
        shown.evaluate("fairround.whatIf.budgets.map(String).join()") == "100000,0,50000,0,400000"
    )
    assert "budgets" not in shown.url
    assert shown.is_disabled("#reset")


@pytest.mark.parametrize(
    "address", ["#budgets=-1,0,0,0,0", "#budgets=1,2", "#sweep=99&map=7-8-9", "#<script>"]
)
def test_an_address_that_makes_no_sense_shows_what_was_settled(show, address):
    shown, trouble = show(data_of(five_parties()), address=address)
    assert trouble == []
    assert shown.inner_text("#moved") == "As settled."


def test_a_budget_that_is_no_number_is_marked_and_changes_nothing(show):
    shown, _ = show(data_of(three_parties()))
    field = budget_fields(shown)[0]
    field.fill("many")
    field.press("Enter")
    assert field.get_attribute("aria-invalid") == "true"
    assert shown.evaluate("String(fairround.whatIf.budgets[0])") == "200000"


def test_the_page_says_who_cannot_pay_and_what_one_more_unit_would_give(show):
    shown, _ = show(data_of(three_parties()))
    assert "Cannot pay in full: a" in shown.inner_text("#consequences")
    assert "c 0.1125, b 0.0875" in shown.inner_text("#consequences")
    assert "a: c +0.563, b +0.438" in shown.inner_text("#prices")


WORK = """() => {
  const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];
  const timed = (work) => {
    const times = [];
    for (let k = 0; k < 21; k += 1) {
      const begun = performance.now();
      work(k);
      times.push(performance.now() - begun);
    }
    return median(times);
  };
  let sum = 0;
  const loop = timed(() => { for (let k = 0; k < 2e7; k += 1) sum += Math.sqrt(k); });
  const { whatIf } = fairround;
  const draw = timed((k) => {
    whatIf.budgets = whatIf.budgets.map((_, i) => BigInt((k * 7919 + i * 104729) % 300000));
    whatIf.draw();
    document.body.offsetHeight;
  });
  return { loop, draw, sum };
}"""


def test_moving_a_budget_of_12_parties_takes_a_quarter_of_a_fixed_loop_at_most(show):
    """The loop adds up 20 million square roots beside it, so a busy machine slows down both."""
    names = [f"party {k}" for k in range(12)]
    stored = stored_round(names, [50_000] * 12, values=additive_values(12).tolist())
    shown, trouble = show(data_of(stored))
    found = shown.evaluate(WORK)
    print(f"clearing and drawing {found['draw']:.1f} ms, the loop {found['loop']:.1f} ms")
    assert found["draw"] < found["loop"] / 4
    assert trouble == []


ROUNDS = {
    "three": three_parties,
    "five": five_parties,
    "forty": forty_parties,
    "estimated": estimated,
}


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("which", list(ROUNDS))
def test_no_text_overlaps_or_is_cut(show, which, width):
    shown, trouble = show(data_of(ROUNDS[which]()), width=width)
    assert trouble == []
    assert shown.inner_text("#verdict").startswith("✓")
    assert shown.locator("svg text").count() > 20
    assert shown.evaluate(OVERLAPS) == []


def test_an_overlap_would_be_noticed(show):
    shown, _ = show(data_of(three_parties()))
    shown.evaluate("document.querySelectorAll('#bars text')[1].setAttribute('x', 30)")
    assert any("overlap" in fault or "cut" in fault for fault in shown.evaluate(OVERLAPS))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_no_serious_fault(show, dark, width):
    shown, _ = show(data_of(five_parties()), width=width, dark=dark)
    assert serious_faults(shown) == []


REACHABLE = """() => [...document.querySelectorAll(
  "a, button, input, select, summary, [tabindex='0']")]
  .filter((element) => !element.disabled && element.checkVisibility()).length"""


def test_the_keyboard_alone_reaches_everything(show):
    shown, _ = show(data_of(three_parties()))
    wanted = shown.evaluate(REACHABLE)
    seen = set()
    shown.evaluate("document.activeElement.blur()")
    for _ in range(wanted + 3):
        shown.keyboard.press("Tab")
        seen.add(
            shown.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)")
        )
    assert wanted > 20
    assert len(seen - {-1, 0}) >= wanted


NASTY = [
    "</script><script>window.hacked = 1</script>",
    '"quotes" & \'more\' <img src=x onerror="window.hacked=1">',
    "בית חולים العربية",
    "👩🏽‍⚕️ clinic 🏥",
    "${window.hacked=1} $script $data",
]


def test_names_of_any_kind_do_no_harm(show):
    stored = stored_round(NASTY, [0, 10**6, 300_000, 0, 10**6], values=additive_values(5).tolist())
    terms = stored.terms.model_copy(update={"round": "<!-- " + NASTY[0]})
    shown, trouble = show(data_of(dataclasses.replace(stored, terms=terms)))
    assert trouble == []
    assert shown.evaluate("window.hacked") is None
    assert shown.inner_text("#verdict").startswith("✓")
    names = [cell.inner_text() for cell in shown.locator("#party-table tbody th").all()]
    assert names == NASTY
    assert shown.title() == terms.round
    assert shown.evaluate(OVERLAPS) == []


def test_the_policy_stops_scripts_that_are_not_the_pages(show):
    text = page(data_of(three_parties())).replace(
        "</main>", "</main><script>window.hacked = 1</script><b onclick='1'>x</b>"
    )
    shown, trouble = show(text)
    assert shown.evaluate("window.hacked") is None
    assert any("Content Security Policy" in told for told in trouble)


def test_tables_can_be_saved(show):
    stored = three_parties()
    shown, _ = show(data_of(stored))
    with shown.expect_download() as download:
        shown.click("#save-parties")
    assert download.value.suggested_filename == "a-round-parties.csv"
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "party,own value,deposit,lambda,payoff,net position,model value"
    assert lines[1].split(",")[2] == "200000"
    with shown.expect_download() as download:
        shown.click("#save-json")
    assert json.loads(download.value.path().read_text())["planId"] == stored.settlement.plan_id


def test_a_page_of_five_parties_is_small_and_is_made_alike_twice():
    seeds = [additive_values(5, seed).tolist() for seed in range(3)]
    content = data_of(five_parties(scores=seeds))
    assert page(content) == page(content)
    assert len(page(content).encode()) < 250_000


def test_gas_is_added_up_over_all_transactions_not_only_over_those_shown(show):
    stored = three_parties()
    sent = [SETTLED | {"gas_used": 50_000 + k} for k in range(301)]
    stored.settlement.transactions[:] = sent
    shown, trouble = show(data_of(stored))
    assert trouble == []
    caption = shown.inner_text("#transactions caption")
    assert caption.startswith(f"Transactions: 301, {sum(t['gas_used'] for t in sent):,} gas in all")
    assert "the first 300 are shown" in caption
    assert shown.locator("#decoded details").count() == 300


def test_moving_a_budget_of_64_parties_takes_a_quarter_of_the_same_loop_at_most(show):
    flows, own = flows_of_many(64)
    names = [f"party {k}" for k in range(64)]
    shown, trouble = show(data_of(stored_round(names, [50_000] * 64, flows=flows, own=own)))
    found = shown.evaluate(WORK)
    print(f"clearing and drawing {found['draw']:.1f} ms, the loop {found['loop']:.1f} ms")
    assert found["draw"] < found["loop"] / 4
    assert trouble == []


def test_a_round_of_200_parties_is_shown_without_its_flows(show):
    flows, own = flows_of_many(200)
    stored = stored_round([f"p{k}" for k in range(200)], [50_000] * 200, flows=flows, own=own)
    content = data_of(stored)
    assert content["flows"] is None
    shown, trouble = show(content)
    assert trouble == []
    assert shown.is_hidden("#whatif")
    assert shown.locator("#party-table tbody tr").count() == 200
