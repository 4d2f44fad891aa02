"""Rounds with buyers, who bring no data: trained, paid for, settled, reported and verified."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from ml.datasets.spec import NO_SAMPLES
from settlement.store.folder import dump_json
from tests.conftest import ROOT
from tests.hostile import resealed

BUYERS = """
[[party]]
name = "insurer"
labels = []
budget = 0.2

[[party]]
name = "pauper"
buyer = true
funds = false
"""


def edit(folder, *changes):
    path = folder / "round.toml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def add(folder, text):
    path = folder / "round.toml"
    path.write_text(path.read_text() + text)


@pytest.fixture
def digits(fairround, tmp_path):
    """Three parties with data, and two buyers: one pays, one does not."""
    folder = tmp_path / "digits"
    fairround("init", folder, "--template", "digits")
    edit(folder, ("seeds = [0, 1, 2]", "seeds = [0, 1]"), ("epochs = 30", "epochs = 8"))
    add(folder, BUYERS)
    return folder


def party(result, name):
    return next(party for party in result["parties"] if party["name"] == name)


def test_a_buyer_pays_for_a_model_and_is_paid_nothing(fairround, digits, tmp_path):
    told = fairround("data", digits)
    assert re.search(r"insurer +0 +0 +a buyer, who brings no data", told)
    told = fairround("check", digits)
    assert "buyers, who bring no data: insurer, pauper" in told
    assert "models to train: 14" in told  # 7 coalitions, 2 seeds
    result = json.loads(fairround("run", digits, "--json"))
    cached = list((tmp_path / "cache").rglob("*.safetensors"))
    assert len(cached) == 14
    values = json.loads((digits / "train" / "values.json").read_text())
    for table in (*values["scores"], values["values"]):
        assert np.array_equal(table, np.tile(table[:8], 4))  # exactly, after the cover too
    terms = json.loads((digits / "open" / "terms.json").read_text())
    brought = [party["data_sha256"] == NO_SAMPLES for party in terms["parties"]]
    assert brought == [False, False, False, True, True]
    flows = np.array(json.loads((digits / "train" / "game.json").read_text())["flows"])
    assert not flows[:, 3:].any()
    assert np.array_equal(flows[3], flows[4])

    insurer, pauper = (party(result, name) for name in ("insurer", "pauper"))
    assert insurer["own_value"] == 0
    assert insurer["net_position_units"] == -200_000
    assert 0 < insurer["adjustment_factor"] < 1
    assert insurer["model_value"] == pytest.approx(0.2, abs=1e-6)
    rewards = json.loads((digits / "reward" / "rewards.json").read_text())
    bought = rewards["rewards"][3]
    assert bought["party"] == 3
    one_sample = 1 / rewards["n_validation"] + 1e-9
    floor = values["untrained_score"]
    assert abs(bought["validation_score"] - max(floor, insurer["model_value"])) <= one_sample
    # v({buyer}) = 0, so that lambda v(N) is all it gets; without money it gets nothing.
    assert pauper["adjustment_factor"] == 0
    assert pauper["net_position_units"] == 0
    assert pauper["validation_score"] is None
    assert len(rewards["rewards"]) == 4
    assert not list((digits / "reward").glob("4-*"))
    assert sum(p["net_position_units"] for p in result["parties"]) == 0

    shown = fairround("show", digits)
    assert "buyers, who brought no data: insurer, pauper" in shown
    assert "no model, because nothing was bought: pauper" in shown
    assert re.search(r"pauper .* - +-\n", shown)
    fairround("verify", digits)
    again = fairround("verify", digits, "--retrain", "2")
    assert f"ok    score of the untrained network, {floor:.4f}" in again
    assert "ok    4 model rewards scored again" in again

    np.save(tmp_path / "images.npy", np.zeros((3, 8, 8), np.uint8))
    asked = [(name, tmp_path / "images.npy") for name in ("insurer", "pauper")]
    assert len(fairround("predict", digits, "--party", *asked[0]).splitlines()) == 3
    refused = fairround("predict", digits, "--party", *asked[1], code=1).replace("\n", " ")
    assert "has no model: it brought no data and bought nothing" in refused
    page = (digits / "report" / "report.html").read_text()
    assert "models of all 7 coalitions of those who brought data were trained" in page
    assert page_troubles(page) == []


def page_troubles(page):
    """What the page itself finds wrong with the round that it shows, in node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; it is needed to test the page's modules, not to run")
    embedded = re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1]
    runner = ROOT / "tests" / "settlement" / "report" / "page" / "modules.mjs"
    modules = ROOT / "settlement" / "report" / "page" / "modules"
    given = json.dumps({"name": "check", "cases": [{"text": embedded}]})
    done = subprocess.run(
        [node, runner, modules], input=given, capture_output=True, text=True, check=True
    )
    (checks,) = json.loads(done.stdout)
    assert any("model rewards" in check["what"] for check in checks)
    return [check for check in checks if check["trouble"]]


def forge_values(folder, change):
    """The value table changed by whoever holds the folder, with a seal that fits."""

    def rewrite(stage):
        path = stage / "values.json"
        document = json.loads(path.read_bytes())
        change(document)
        path.write_bytes(dump_json(document))

    resealed(folder, "train", rewrite)


def test_verify_finds_an_operator_that_lets_a_buyer_contribute(fairround, digits):
    edit(digits, ("epochs = 8", "epochs = 1"), ('monotone = "isotonic"', 'monotone = "keep"'))
    fairround("train", digits)

    def favour(document):
        for row in document["scores"]:
            row[0b01111] += 0.01  # all who bring data, and the insurer
            row[0b11111] += 0.01
        document["values"] = np.mean(document["scores"], axis=0).tolist()

    forge_values(digits, favour)
    told = fairround("verify", digits, code=1)
    assert "insurer brought no data" in told.replace("\n", " ")


def test_verify_finds_a_score_of_the_untrained_network_that_is_invented(fairround, digits):
    """It is the least that a buyer gets: a larger one would give it more than it pays for."""
    edit(digits, ("epochs = 8", "epochs = 1"))
    fairround("train", digits)
    lift = {"untrained_score": 0.9}
    forge_values(digits, lambda document: document.update(lift))
    told = fairround("verify", digits, "--retrain", "0", code=1)
    assert "WRONG score of the untrained network" in told
    assert "untrained_score is 0.9, not 0." in told.replace("\n", " ")


def test_a_round_of_buyers_alone_is_refused_by_name(fairround, digits):
    path = digits / "round.toml"
    path.write_text(re.sub(r"labels = \[.*\]", "labels = []", path.read_text()))
    told = fairround("check", digits, code=1).replace("\n", " ")
    assert "all 5 parties are buyers without data; expected one with data" in told


def test_an_estimated_round_trains_nothing_for_its_buyers(fairround, digits):
    text = (digits / "round.toml").read_text().partition("[[party]]")[0]
    text = text.replace('monotone = "isotonic"', 'monotone = "keep"').replace("= 8", "= 3")
    text += '[values]\nmethod = "estimate"\nevaluations = 20\n'
    for k in range(5):
        text += f'[[party]]\nname = "p{k}"\nlabels = [{2 * k}, {2 * k + 1}]\nbudget = 0.05\n'
    (digits / "round.toml").write_text(text + BUYERS)
    assert "models to train: 40" in fairround("check", digits)
    result = json.loads(fairround("run", digits, "--json"))
    assert result["n_trained_coalitions"] == 20
    insurer, pauper = (party(result, name) for name in ("insurer", "pauper"))
    assert insurer["net_position_units"] == -200_000
    assert pauper["net_position_units"] == 0
    flows = np.array(json.loads((digits / "train" / "game.json").read_text())["flows"])
    assert not flows[:, 5:].any()
    shown = fairround("show", digits)
    assert "flows estimated from 20 of 31 coalitions" in shown
    assert "no model, because nothing was bought: pauper" in shown
    assert re.search(r"pauper .* \+0\.0000 \+- 0\.0000 +\+0 ", shown)  # known to be nothing
    fairround("verify", digits)
    fairround("verify", digits, "--retrain", "1")
    assert page_troubles((digits / "report" / "report.html").read_text()) == []
    edit(digits, ("evaluations = 20\n", 'evaluations = 20\nstop = "100 units"\n'))
    told = fairround("check", digits, code=1).replace("\n", " ")
    assert "not expected beside buyers without data" in told


ROWS = "age,sugar,target\n" + "".join(
    f"{20 + k % 60},{k % 7},{int(k % 60 > 30)}\n" for k in range(90)
)


def test_a_buyer_among_clinics_needs_no_folder_and_hides_no_samples(fairround, tmp_path):
    folder = tmp_path / "clinics"
    fairround("init", folder, "--template", "csv")
    edit(folder, ("epochs = 30", "epochs = 3"), ("seeds = [0, 1, 2]", "seeds = [0]"))
    add(folder, '\n[[party]]\nname = "insurer"\nbuyer = true\nbudget = 0.3\n')
    for part in ("parties/north", "parties/south", "parties/east", "validation"):
        place = folder / "data" / part
        place.mkdir(parents=True)
        (place / "rows.csv").write_text(ROWS)
    hidden = folder / "data" / "parties" / "insurer" / "rows.csv"
    hidden.parent.mkdir()
    hidden.write_text(ROWS)
    told = fairround("run", folder, code=1).replace("\n", " ")
    assert 'Party "insurer" is a buyer, who brings no data, but' in told
    hidden.unlink()
    result = json.loads(fairround("run", folder, "--json"))
    assert party(result, "insurer")["net_position_units"] < 0
    fairround("verify", folder, "--retrain", "1")
