"""Rounds of given flows and of many parties: run to the end, withdrawn, and verified."""

import json
import shutil

import numpy as np
import pytest

from settlement.audit.audit import left_out
from settlement.audit.figures import check_configuration
from settlement.audit.findings import AuditError
from settlement.audit.game import check_agreed_game
from settlement.config.terms import AgreedTerms
from settlement.store.flows_file import FlowsFileError
from settlement.store.folder import RoundFolder
from tests.hostile import resealed

LONGEST_RUN_S = 7_200
"""Ten thousand deposits and pay-outs are executed one by one, and again when they are read."""


def write_round(folder, n_parties, *, sparse=False, settlement=None, budgets=True):
    """A round of flows that are given, its parties in a file."""
    folder.mkdir()
    rng = np.random.default_rng(n_parties)
    own = rng.uniform(0.2, 0.6, n_parties)
    others = {"own_values": own, "grand_value": 1.0}
    if sparse:
        near = 10
        payers = np.repeat(np.arange(n_parties), near)
        drawn = [1 + rng.choice(n_parties - 1, near, replace=False) for _ in range(n_parties)]
        payees = (payers + np.concatenate(drawn)) % n_parties
        shares = rng.dirichlet(np.ones(near), n_parties) * (1 - own)[:, None]
        np.savez(
            folder / "flows.npz", payers=payers, payees=payees, amounts=shares.ravel(), **others
        )
    else:
        flows = rng.random((n_parties, n_parties)) * rng.random(n_parties)
        np.fill_diagonal(flows, 0.0)
        flows *= ((1 - own) / flows.sum(axis=1))[:, None]
        np.savez(folder / "flows.npz", flows=flows, **others)
    rows = ["name,budget,cap"]
    for party in range(n_parties):
        budget = f"{rng.uniform(0, 0.3):.3f}" if budgets else ""
        rows.append(f"site-{party:05d},{budget},{'0.9' if party % 7 == 0 else ''}")
    (folder / "parties.csv").write_text("\n".join(rows) + "\n")
    way = settlement or ("signatures" if n_parties > 64 else "proof")
    (folder / "round.toml").write_text(
        f'[round]\nname = "many"\nparties = "parties.csv"\n[values]\nflows = "flows.npz"\n'
        f'[chain]\nsettlement = "{way}"\nfunding_s = {max(3600, 2 * n_parties)}\n'
    )
    return folder


def check_finished(fairround, folder, n_parties, call):
    """Everything was paid out, nobody paid beyond its deposit, and an audit agrees."""
    report = json.loads((folder / "report" / "report.json").read_text())
    assert len(report["parties"]) == n_parties
    assert report["left_units"] == 0
    assert sum(party["net_position_units"] for party in report["parties"]) == 0
    for party in report["parties"]:
        paid_out = party["deposit_units"] + party["net_position_units"]
        assert party["withdrawn_units"] == paid_out >= 0
        assert party["net_position_units"] == pytest.approx(party["payoff"] * 10**6, abs=2)
    assert any(name.startswith(f"{call}/") for name in report["gas"])
    assert any(party["adjustment_factor"] < 1 for party in report["parties"])
    found = json.loads(fairround("verify", folder, "--json", timeout_s=LONGEST_RUN_S))
    assert found["agrees"]
    assert len(found["findings"]) == 17


@pytest.mark.parametrize(
    ("n_parties", "settlement", "call"),
    [
        (12, "proof", "settle_by_proof"),
        (66, "signatures", "settle_large"),
    ],
)
def test_a_round_of_given_flows_runs_to_the_end(fairround, tmp_path, n_parties, settlement, call):
    folder = write_round(tmp_path / "round", n_parties, settlement=settlement)
    text = fairround("run", folder)
    assert "flows were given" in text
    check_finished(fairround, folder, n_parties, call)
    stated = fairround("status", folder)
    assert "settled" in stated
    assert max(len(text.splitlines()), len(stated.splitlines())) < 70
    if n_parties > 64:
        assert "the 20 of 66 parties" in text
        assert "the first 20 of 66 parties" in stated


@pytest.mark.slow
def test_a_thousand_parties_are_settled_and_paid_out(fairround, tmp_path):
    folder = write_round(tmp_path / "round", 1000)
    fairround("run", folder)
    check_finished(fairround, folder, 1000, "settle_large")


@pytest.mark.slow
def test_ten_thousand_parties_are_settled_in_chunks(fairround, tmp_path):
    folder = write_round(tmp_path / "round", 10_000, sparse=True)
    fairround("run", folder, timeout_s=LONGEST_RUN_S)
    check_finished(fairround, folder, 10_000, "settle_chunk")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Makes rounds of 12 and of 70 parties up to `open`, once each; copies of them."""
    made = {}

    def copy(fairround, tmp_path, n_parties):
        if n_parties not in made:
            made[n_parties] = write_round(tmp_path_factory.mktemp("many") / "round", n_parties)
            fairround("train", made[n_parties])
            fairround("open", made[n_parties])
        return shutil.copytree(made[n_parties], tmp_path / "copy")

    return copy


def test_a_file_of_flows_that_was_changed_after_it_was_read_is_named(fairround, opened, tmp_path):
    folder = opened(fairround, tmp_path, 12)
    store, path = RoundFolder(folder), folder / "flows.npz"
    check_configuration(store)
    with np.load(path) as arrays:
        kept = dict(arrays)
    kept["flows"][0, 1] += 1e-9
    kept["flows"][0, 2] -= 1e-9
    np.savez(path, **kept)
    with pytest.raises(AuditError, match=r"flows\.npz has flows that differ by up to 1e-09"):
        check_configuration(store)
    path.write_bytes(b"{}")
    with pytest.raises(FlowsFileError, match="no npz file"):
        check_configuration(store)
    path.unlink()
    check_configuration(store)
    assert any("flows.npz that the configuration names" in told for told in left_out(folder))


@pytest.mark.parametrize("n_parties", [12, 70])
def test_other_flows_than_the_agreed_ones_are_named_before_a_deposit(
    fairround, opened, tmp_path, n_parties
):
    folder = opened(fairround, tmp_path, n_parties)
    terms = AgreedTerms.read(RoundFolder(folder))

    def one_flow_moved(partial):
        with np.load(partial / "flows.npz") as arrays:
            kept = dict(arrays)
        kept["flows"][0, 1] += 1e-3
        kept["flows"][0, 2] -= 1e-3
        np.savez(partial / "flows.npz", **kept)

    store = resealed(folder, "train", one_flow_moved)
    with pytest.raises(AuditError, match=r"train/game\.json: (game_hash|flows\[0\]\[1\])"):
        check_agreed_game(store, terms)


def test_attack_an_allocation_that_somebody_made_up_is_neither_settled_nor_signed(
    fairround, opened, tmp_path
):
    """Beyond 64 parties money follows from the allocation's floats: they must follow themselves."""
    folder = opened(fairround, tmp_path, 70)
    fairround("allocate", folder)

    def one_pays_another(partial):
        path = partial / "allocation.json"
        stored = json.loads(path.read_text())
        stored["payoffs"][3] -= 0.01
        stored["payoffs"][4] += 0.01
        path.write_text(json.dumps(stored))

    resealed(folder, "allocate", one_pays_another)
    for verb in ("settle", "sign"):
        message = fairround(verb, folder, "--party", "site-00003", "--yes", code=1)
        assert "allocate/allocation.json: payoffs[3] is" in message
    assert not (folder / "settle").exists()


def test_flows_of_other_parties_stop_the_round_before_anything_is_written(fairround, tmp_path):
    folder = write_round(tmp_path / "round", 12)
    rows = (folder / "parties.csv").read_text().splitlines()
    (folder / "parties.csv").write_text("\n".join(rows[:-1]) + "\n")
    message = fairround("train", folder, code=1)
    assert "holds flows of 12 parties; the round has 11" in message
    with np.load(folder / "flows.npz") as arrays:
        kept = dict(arrays)
    kept["flows"][3, 4] += 0.01
    np.savez(folder / "flows.npz", **kept)
    (folder / "parties.csv").write_text("\n".join(rows) + "\n")
    message = fairround("train", folder, code=1)
    assert "v(i) of party 3" in message
    assert "eq. (4)" in message
    assert not (folder / "train").exists()


def test_the_file_of_parties_is_sealed_like_the_configuration(fairround, opened, tmp_path):
    folder = opened(fairround, tmp_path, 12)
    path = folder / "parties.csv"
    path.write_text(path.read_text().replace("0.9", "0.8", 1))
    message = fairround("allocate", folder, code=1)
    assert "parties.csv has SHA-256" in message
    assert "Restore it from open/" in message
    shutil.copy(folder / "open" / "parties.csv", path)
    fairround("allocate", folder)


def test_a_package_carries_flows_and_parties(fairround, opened, tmp_path):
    folder = opened(fairround, tmp_path, 70)
    fairround("pack", folder, "--for", "site-00003", "--out", tmp_path / "package.zip")
    there = tmp_path / "there"
    fairround("collect", there, tmp_path / "package.zip")
    assert (there / "parties.csv").read_bytes() == (folder / "parties.csv").read_bytes()
    assert (there / "train" / "flows.npz").is_file()
    store = RoundFolder(there)
    check_agreed_game(store, AgreedTerms.read(store))


FAULTS = {
    "proof of many": (
        lambda text: text.replace('"signatures"', '"proof"'),
        "chain.settlement: 70 parties cannot be settled by proof",
    ),
    "tables and a file": (
        lambda text: text + '[[party]]\nname = "a"\n',
        "party: not expected: the parties stand in parties.csv",
    ),
    "another file": (
        lambda text: text.replace('"parties.csv"', '"../parties.csv"'),
        "round.parties",
    ),
    "values and flows": (
        lambda text: text.replace("[chain]", "given = [0, 1]\n[chain]"),
        "values.flows: not expected beside values.given",
    ),
    "training": (
        lambda text: text + "[training]\nepochs = 1\n",
        "training: not expected: the flows are given",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_faults_of_the_configuration_are_named(fairround, tmp_path, what):
    folder = write_round(tmp_path / "round", 70)
    change, message = FAULTS[what]
    path = folder / "round.toml"
    path.write_text(change(path.read_text()))
    assert message in fairround("check", folder, code=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns ''"),
        ("budget\n1\n", "has the columns 'budget'"),
        ("name,colour\na,red\n", "has the columns 'name,colour'"),
        ("name,budget\na\nb,1\n", "parties.csv:2 has 1 cells; expected 2"),
        ("name,budget\na,much\nb,1\n", "party[0].budget"),
        ("name\na\na\n", "party[1].name: 'a' is the name of party 0 too"),
        ("name,funds\na,maybe\nb,\n", "party[0].funds"),
        ("name\na\n", "1 parties; expected 2"),
        ('name\n"a', "parties.csv"),
    ],
)
def test_a_file_of_parties_that_is_none_is_named(fairround, tmp_path, text, message):
    folder = write_round(tmp_path / "round", 3)
    (folder / "parties.csv").write_text(text)
    assert message in fairround("check", folder, code=1)
    (folder / "parties.csv").unlink()
    assert "cannot be read" in fairround("check", folder, code=1)


FLOW_FAULTS = {
    "order": (["c", "b", "a"], None, "calls party 0 'c'; the round calls it 'a'"),
    "number": (["a", "b"], None, "holds flows of 2 parties; the round has 3"),
    "sum": (["a", "b", "c"], 0.9, "Each row of flows is v(N) - v(i). Party 1 is"),
}


@pytest.mark.parametrize("what", FLOW_FAULTS)
def test_check_reads_the_flows_before_anything_is_trained_or_locked(fairround, tmp_path, what):
    names, flow, message = FLOW_FAULTS[what]
    folder = write_round(tmp_path / "round", 3)
    (folder / "parties.csv").write_text("name\na\nb\nc\n")
    share = 0.5 / (len(names) - 1)
    flows = [[0.0 if i == j else share for j in names] for i in names]
    if flow is not None:
        flows[1][0] = flow
    document = {"parties": names, "flows": flows, "grand_value": 1.0}
    document["own_values"] = [0.5] * len(names)
    (folder / "flows.json").write_text(json.dumps(document))
    path = folder / "round.toml"
    path.write_text(path.read_text().replace("flows.npz", "flows.json"))
    assert message in fairround("check", folder, code=1)
    assert not (folder / "train").exists()
