"""Whole rounds: real processes, a real chain, real training, real signals."""

import hashlib
import json
import os
import shutil
import signal
import time

import numpy as np
import pytest
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from settlement.audit import retraining
from settlement.audit.audit import audit_round
from settlement.chain.journal import read_journal
from settlement.config.settings import read_settings
from settlement.config.terms import AgreedTerms
from settlement.escrow import gas_limits
from settlement.escrow.client import EscrowClient
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition, SettlementPlan
from settlement.posting.check import net_amounts
from settlement.round.access import ChainAccess
from settlement.round.agreed import agreed_game
from settlement.round.plan import plan_of
from settlement.round.stages.report import report_files
from settlement.store.documents import AllocationDocument, OpenedRound
from settlement.store.folder import RoundFolder, dump_json

STAGES = ["train", "open", "allocate", "settle", "reward", "report"]

SIMULATED = ChainAccess(read_settings)


@pytest.fixture
def three_parties(fairround, tmp_path):
    folder = tmp_path / "round"
    fairround("init", folder, "--template", "three-parties")
    return folder


def test_the_three_parties_settle_as_in_the_guide(fairround, three_parties):
    result = json.loads(fairround("run", three_parties, "--json"))
    columns = {name: [party[name] for party in result["parties"]] for name in result["parties"][0]}
    assert columns["adjustment_factor"] == pytest.approx([0.75, 1, 1])
    assert columns["payoff"] == pytest.approx([-0.2, 0.1125, 0.0875])
    assert columns["model_value"] == pytest.approx([0.8, 1, 1])
    # Without a limit a party locks the most that it can owe in this game: v(N) - v(i).
    assert columns["deposit_units"] == [200_000, 500_000, 600_000]
    assert columns["net_position_units"] == [-200_000, 112_500, 87_500]
    assert columns["withdrawn_units"] == [0, 612_500, 687_500]
    assert result["transfers"] == [
        {"debtor": 0, "creditor": 1, "amount_units": 112_500},
        {"debtor": 0, "creditor": 2, "amount_units": 87_500},
    ]
    assert result["left_units"] == 0


def test_the_stages_one_by_one_make_the_same_round_and_run_only_once(fairround, three_parties):
    for stage in STAGES:
        assert json.loads(fairround(stage, three_parties, "--json"))
    journal = (three_parties / "chain" / "journal.jsonl").read_bytes()
    for stage in STAGES[:-1]:
        assert "was done before" in fairround(stage, three_parties)
    fairround("run", three_parties)
    assert (three_parties / "chain" / "journal.jsonl").read_bytes() == journal
    assert "ok    settlement" in fairround("verify", three_parties)


def test_a_stage_before_its_turn_says_what_is_missing(fairround, three_parties):
    assert "has no stage 'allocate' yet" in fairround("settle", three_parties, code=1)
    assert "has no stage 'train' yet" in fairround("open", three_parties, code=1)


def test_a_party_that_does_not_fund_has_budget_zero_and_the_round_goes_on(fairround, three_parties):
    config = three_parties / "round.toml"
    config.write_text(config.read_text().replace("budget = 0.2", "budget = 0.2\nfunds = false"))
    result = json.loads(fairround("run", three_parties, "--json"))
    first = result["parties"][0]
    assert first["deposit_units"] == 0
    assert first["payoff"] == pytest.approx(0)
    assert first["net_position_units"] == 0
    assert result["parties"][1]["adjustment_factor"] == pytest.approx(1)
    fairround("verify", three_parties)


def test_verify_names_every_file_after_one_digit_is_changed(fairround, three_parties):
    fairround("run", three_parties)
    assert json.loads(fairround("verify", three_parties, "--json"))["agrees"]
    changed = 0
    for path in sorted({*three_parties.rglob("*")} - {three_parties / "round.schema.json"}):
        content = path.read_bytes() if path.is_file() else b""
        digits = [k for k, byte in enumerate(content) if chr(byte).isdigit()]
        if not digits:
            continue
        position = digits[len(digits) // 2]
        digit = b"%d" % ((content[position] - ord("0") + 1) % 10)
        path.write_bytes(content[:position] + digit + content[position + 1 :])
        name = path.relative_to(three_parties).as_posix()
        troubles = [f.trouble or "" for f in audit_round(three_parties, SIMULATED)]
        assert any(name in trouble for trouble in troubles), f"{name}: {troubles}"
        if name == "chain/journal.jsonl":
            assert "journal.jsonl" in fairround("run", three_parties, code=1)
        if name == "train/values.json":
            assert f"WRONG files of train: {name}" in fairround("verify", three_parties, code=1)
        path.write_bytes(content)
        changed += 1
    assert changed >= 13  # the configuration, the journal, and two files or more a stage
    fairround("verify", three_parties)


def test_a_configuration_edited_after_open_can_be_restored(fairround, three_parties):
    for stage in STAGES[:2]:
        fairround(stage, three_parties)
    edit(three_parties, "budget = 0.2", "budget = 0.3")
    assert "Restore it from open/ or start" in fairround("run", three_parties, code=1)
    shutil.copy(three_parties / "open" / "round.toml", three_parties)
    fairround("run", three_parties)
    fairround("verify", three_parties)


@pytest.mark.parametrize("n_lost", [1, 2])
def test_a_finished_round_misses_the_last_lines_of_its_journal(fairround, three_parties, n_lost):
    """Not even a lost receipt, which a replay would write again."""
    fairround("run", three_parties)
    journal = three_parties / "chain" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-n_lost]))
    told = f"journal.jsonl, line {len(lines) - n_lost}: it ends here"
    assert told in fairround("verify", three_parties, code=1)
    assert told in fairround("run", three_parties, code=1)
    journal.write_bytes(b"".join(lines))
    fairround("verify", three_parties)


def test_a_stage_refuses_a_tampered_file_of_an_earlier_one(fairround, three_parties):
    for stage in STAGES[:2]:
        fairround(stage, three_parties)
    values = three_parties / "train" / "values.json"
    values.write_text(values.read_text().replace("0.7", "0.6"))
    assert "train/values.json has SHA-256" in fairround("allocate", three_parties, code=1)


def test_verify_compares_the_configuration_with_the_terms_on_the_chain(fairround, three_parties):
    """An operator who edits the configuration and seals everything again is still found."""
    for stage in STAGES[:2]:
        fairround(stage, three_parties)
    agreed = {p.name: p.read_bytes() for p in (three_parties / "open").iterdir()}
    shutil.rmtree(three_parties / "open")
    edit(three_parties, "exchange_rate = 1_000_000", "exchange_rate = 2_000_000")
    shutil.rmtree(three_parties / "train")
    fairround("train", three_parties)
    with RoundFolder(three_parties).write_stage("open", inputs=["train"]) as folder:
        for name in agreed.keys() - {"seal.json"}:
            (folder / name).write_bytes(agreed[name])
    fairround("run", three_parties)
    message = fairround("verify", three_parties, code=1)
    assert "WRONG terms: open/terms.json: exchange_rate is 1000000; expected 2000000" in message


def test_a_creditor_without_a_deposit_is_paid_out_too(fairround, three_parties):
    config = three_parties / "round.toml"
    config.write_text(config.read_text().replace('budget = "unlimited"', "budget = 0"))
    text = fairround("run", three_parties)
    assert "paid out: 200,000 base units; left in the escrow: 0" in text
    settled = json.loads((three_parties / "settle" / "settlement.json").read_text())
    assert sum(settled["net_positions_units"][1:]) == 200_000
    assert settled["claims_units"] == [0, 0, 0]
    fairround("verify", three_parties)


def test_attack_a_bystander_that_settles_a_tie_the_other_way_spoils_nothing(
    fairround, three_parties
):
    """Factors that pass, and are not ours, give b the unit that ours give c; both are right."""
    config = three_parties / "round.toml"
    config.write_text(config.read_text().replace("budget = 0.2", 'budget = "25000 units"', 1))
    for stage in ("train", "open", "allocate"):
        fairround(stage, three_parties)
    folder = RoundFolder(three_parties)
    terms, opened = AgreedTerms.read(folder), OpenedRound.read(folder)
    allocation = AllocationDocument.read(folder)
    with ChainAccess(read_settings).open(folder, terms) as chain:
        escrow = EscrowClient(chain, terms.escrow)
        ours = plan_of(escrow, terms, opened.round_id, agreed_game(folder), allocation)
        factors = (17 * 2**72 // 32, *ours.proof.factors[1:])
        nets = net_amounts(ours.proof.game, factors, terms.exchange_rate)
        assert [net - own for net, own in zip(nets, ours.net_amounts, strict=True)] == [0, 1, -1]
        positions = [NetPosition(party, amount) for party, amount in enumerate(nets)]
        plan = SettlementPlan(ours.plan.round, net_transfers(positions))
        arguments = (plan.encode(), list(factors), ours.proof.game.encode())
        data = escrow.interface.encode("settle_by_proof", opened.round_id, *arguments)
        chain.send("bystander", chain.account("party/1"), escrow.address, data, gas=500_000)
    fairround("run", three_parties)
    settled = json.loads((three_parties / "settle" / "settlement.json").read_text())
    assert settled["net_positions_units"] == nets
    assert "ok    report" in fairround("verify", three_parties)


def test_what_settling_costs_at_most_counts_the_pay_out_too(fairround, three_parties):
    """`settle` tells it before it asks: no transaction that it sends is left out."""
    fairround("run", three_parties)
    limits = {
        entry["label"].split("/")[0]: TypedTransaction.from_bytes(HexBytes(entry["raw"])).as_dict()
        for entry in read_journal(three_parties / "chain" / "journal.jsonl").entries
        if entry.kind == "send" and entry["label"].startswith(("settle", "pay-out"))
    }
    assert limits.keys() == {"settle", "pay-out"}
    told = gas_limits.whole_settlement(3, 2, by_proof=True, ether=True)
    spent_at_most = sum(sent["gas"] for sent in limits.values())
    assert gas_limits.proof(3) < spent_at_most <= told  # a has nothing to be paid


def test_a_wrong_configuration_stops_before_anything_is_deployed(fairround, three_parties):
    config = three_parties / "round.toml"
    config.write_text(config.read_text().replace("budget = 0.2", "budget = -0.2\nwish = 3"))
    message = fairround("run", three_parties, code=1)
    assert "round.toml:25: party[0].budget" in message
    assert "round.toml:26: party[0].wish" in message
    assert not [path for path in three_parties.iterdir() if path.is_dir() or path.name == ".lock"]


def test_list_and_show_tell_how_far_rounds_are(fairround, three_parties, tmp_path):
    fairround("train", three_parties)
    fairround("init", tmp_path / "other")
    listed = {
        row["folder"]: row["stages"] for row in json.loads(fairround("list", tmp_path, "--json"))
    }
    assert listed[str(three_parties)] == {stage: stage == "train" for stage in STAGES}
    assert not any(listed[str(tmp_path / "other")].values())
    assert "x train\n  . open" in fairround("show", three_parties)


def kill_when(process, condition):
    """kill -9 as soon as the condition holds; False if the process ended before."""
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if condition():
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.0005)
    process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


def journaled(folder, *fragments):
    path = folder / "chain" / "journal.jsonl"
    if not path.is_file():
        return False
    return any(all(f in line for f in fragments) for line in path.read_text().splitlines())


def test_a_round_killed_right_after_the_settlement_was_sent_settles_once(fairround, three_parties):
    for stage in STAGES[:3]:
        fairround(stage, three_parties)
    process = fairround.start("run", three_parties)
    assert kill_when(process, lambda: journaled(three_parties, '"send"', "settle"))
    assert not (three_parties / "settle").exists()
    result = json.loads(fairround("run", three_parties, "--json"))
    assert result["left_units"] == 0
    settlements = [call for call in result["gas"] if "settle" in call]
    assert len(settlements) == 1
    fairround("verify", three_parties)


def test_a_round_killed_at_any_transaction_finishes_with_one_settlement(fairround, three_parties):
    lines = 1
    while not (three_parties / "report").exists():
        process = fairround.start("run", three_parties)
        killed = kill_when(process, lambda n=lines: journal_length(three_parties) >= n)
        lines = journal_length(three_parties) + 2
        if not killed:
            break
    result = json.loads(fairround("run", three_parties, "--json"))
    assert len([call for call in result["gas"] if "settle" in call]) == 1
    assert [party["withdrawn_units"] for party in result["parties"]] == [0, 612_500, 687_500]
    fairround("verify", three_parties)


def journal_length(folder):
    path = folder / "chain" / "journal.jsonl"
    return len(path.read_bytes().splitlines()) if path.is_file() else 0


@pytest.fixture
def digits(fairround, tmp_path):
    folder = tmp_path / "digits"
    fairround("init", folder, "--template", "digits")
    return folder


def test_a_round_on_digits_rewards_every_party_within_one_sample(fairround, digits):
    fairround("run", digits)
    rewards = json.loads((digits / "reward" / "rewards.json").read_text())
    for reward in rewards["rewards"]:
        distance = abs(reward["validation_score"] - reward["target"])
        assert distance <= 1 / rewards["n_validation"] + 1e-9
        assert (digits / "reward" / reward["file"]).stat().st_size > 0
    fairround("verify", digits)


def test_several_seeds_give_every_payoff_its_standard_error(fairround, digits):
    edit(digits, "epochs = 30", "epochs = 3")
    result = json.loads(fairround("run", digits, "--json"))
    assert result["n_seeds"] == 3
    assert max(party["payoff_error"] for party in result["parties"]) > 0
    shown = fairround("show", digits)
    assert "mean of 3 seeds" in shown
    assert "+-: 95 % intervals, 4.30 standard errors (3 seeds)" in shown
    fairround("verify", digits)


def test_one_seed_says_that_no_error_is_known(fairround, digits):
    edit(digits, "seeds = [0, 1, 2]", "seeds = [0]")
    edit(digits, "epochs = 30", "epochs = 1")
    fairround("run", digits)
    shown = fairround("show", digits)
    assert "one seed: no error known" in shown
    assert "+-" not in shown


def test_a_seller_without_interest_is_paid_and_keeps_its_own_model(fairround, digits):
    edit(digits, "seeds = [0, 1, 2]", "seeds = [0]")
    edit(digits, "epochs = 30", "epochs = 8")
    edit(digits, 'name = "high"', 'name = "high"\ncap = 0')
    result = json.loads(fairround("run", digits, "--json"))
    seller = next(party for party in result["parties"] if party["name"] == "high")
    assert seller["adjustment_factor"] == 0
    assert seller["model_value"] == pytest.approx(seller["own_value"])
    assert seller["net_position_units"] > 0
    fairround("verify", digits)
    told = ("sweep", digits, "--over", "budget", "--party", "low", "--to", 0.2, "--steps", 2)
    swept = json.loads(fairround(*told, "--json"))
    assert [row[2] for row in swept["adjustment_factors"]] == [0, 0]
    fairround("plot", digits)


def test_a_round_of_nine_parties_trains_a_sample_of_coalitions(fairround, digits):
    text = (digits / "round.toml").read_text().partition("[[party]]")[0]
    text = text.replace('monotone = "isotonic"', 'monotone = "refuse"').replace("= 30", "= 3")
    text += '[values]\nmethod = "estimate"\nevaluations = 60\n'
    for party in range(9):
        text += f'[[party]]\nname = "p{party}"\nlabels = [{party}, {party + 1}]\nbudget = 0.05\n'
    (digits / "round.toml").write_text(text)
    result = json.loads(fairround("run", digits, "--json"))
    assert result["estimated"]
    assert result["n_trained_coalitions"] == 60
    assert result["left_units"] == 0
    assert sum(party["net_position_units"] for party in result["parties"]) == 0
    assert min(party["net_position_units"] for party in result["parties"]) >= -50_000
    fairround("verify", digits)


def test_a_model_reward_predicts(fairround, digits, tmp_path):
    edit(digits, "epochs = 30", "epochs = 10")
    fairround("run", digits)
    from sklearn.datasets import load_digits

    images = np.rint(load_digits().images[:20] * 255 / 16).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    asked = ("predict", digits, "--party", "high", tmp_path / "images.npy")
    result = json.loads(fairround(*asked, "--json"))
    assert len(result["classes"]) == 20
    assert len(fairround(*asked).splitlines()) == 20
    assert "No party 'x'" in fairround("predict", digits, "--party", "x", tmp_path / "n", code=1)
    assert json.loads(fairround("cache", "--json"))["n_models"] == 21
    assert json.loads(fairround("cache", "--prune", "0", "--json"))["n_removed"] == 21


def edit(folder, old, new):
    config = folder / "round.toml"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))


OWN_NETWORK = """
import pathlib
import torch

pathlib.Path(__file__).with_name("was-imported").touch()


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)

    def forward(self, images):
        return self.layer(images.flatten(1))
"""


def test_own_code_beside_the_round_runs_only_where_this_user_allows_it(fairround, digits):
    edit(digits, 'network = "mlp"\nhidden = [64, 64]', 'network = "clinic_net:Net"')
    edit(digits, "epochs = 30", "epochs = 2")
    (digits / "clinic_net.py").write_text(OWN_NETWORK)
    refused = fairround("train", digits, code=1)
    assert "which you have not allowed; nothing of it was run" in refused.replace("\n", " ")
    assert not (digits / "was-imported").exists()
    fairround("run", digits, "--allow-module", "clinic_net")
    assert (digits / "was-imported").exists()
    terms = json.loads((digits / "open" / "terms.json").read_text())
    digest = hashlib.sha256(OWN_NETWORK.encode()).hexdigest()
    assert terms["basis"]["code_sha256"] == {"clinic_net:Net": digest}
    (digits / "was-imported").unlink()
    fairround("verify", digits)  # reads files alone
    assert not (digits / "was-imported").exists()
    (digits / "clinic_net.py").write_text(OWN_NETWORK + "# changed\n")
    changed = fairround("verify", digits, "--retrain", "0", "--allow-module", "clinic_net", code=1)
    assert "WRONG data: code_sha256 is" in changed


def test_training_killed_half_way_goes_on_and_trains_no_coalition_twice(
    fairround, digits, tmp_path
):
    config = digits / "round.toml"
    config.write_text(config.read_text().replace("epochs = 30", "epochs = 60\nstack_size = 1"))
    cache = tmp_path / "cache"

    def finished():
        return {p: p.stat().st_ino for p in cache.rglob("*.safetensors")}  # new if written again

    process = fairround.start("train", digits)
    assert kill_when(process, lambda: len(finished()) >= 3)
    assert not (digits / "train").exists()
    before = finished()
    models = 7 * 3  # coalitions, seeds
    assert 3 <= len(before) < models
    fairround("run", digits)
    after = finished()
    assert len(after) == models
    assert {path: after[path] for path in before} == before


def forge(folder, stage, inputs, change):
    """What a forger does who seals the files of a stage again, and writes the report anew."""
    old = {path.name: path.read_bytes() for path in (folder / stage).iterdir()}
    del old["seal.json"]
    if stage == "report":
        old = report_files(RoundFolder(folder))
    shutil.rmtree(folder / stage)
    with RoundFolder(folder).write_stage(stage, inputs=inputs) as new:
        for name, content in old.items():
            (new / name).write_bytes(content)
        change(new)


def before(stage):
    return STAGES[: STAGES.index(stage)]


def test_verify_names_an_allocation_that_does_not_follow_from_game_and_deposits(
    fairround, three_parties
):
    for stage in STAGES[:3]:
        fairround(stage, three_parties)

    def favour(allocate):
        path = allocate / "allocation.json"
        document = json.loads(path.read_text())
        document["payoffs"] = [-0.2, 0.1, 0.1]
        path.write_bytes(dump_json(document))

    forge(three_parties, "allocate", before("allocate"), favour)
    message = fairround("verify", three_parties, code=1)
    assert "allocate/allocation.json: payoffs[1] is 0.1; what it follows from gives" in message


def test_nobody_settles_by_other_deposits_than_the_chains(fairround, three_parties):
    for stage in STAGES[:3]:
        fairround(stage, three_parties)

    def more(allocate):
        path = allocate / "allocation.json"
        path.write_text(path.read_text().replace("200000", "300000"))

    forge(three_parties, "allocate", before("allocate"), more)
    assert "the chain holds the deposits [200000" in fairround(
        "settle", three_parties, code=1
    ).replace("The chain", "the chain")
    assert "WRONG deposits" in fairround("verify", three_parties, code=1)


def test_verify_works_before_anybody_has_deposited_and_says_what_it_left_out(
    fairround, three_parties
):
    fairround("train", three_parties)
    told = fairround("verify", three_parties)
    assert "ok    game" in told
    assert "not checked: what is still to come: open, allocate, settle, reward, report" in told
    fairround("open", three_parties)
    assert "ok    round on the chain" in fairround("verify", three_parties)


def test_no_reward_exists_before_the_settlement(fairround, three_parties):
    for stage in STAGES[:3]:
        fairround(stage, three_parties)
    assert "has no stage 'settle' yet" in fairround("reward", three_parties, code=1)


def test_a_round_by_signatures_settles_as_one_by_proof(fairround, three_parties):
    edit(three_parties, "[chain]\n", '[chain]\nsettlement = "signatures"\n')
    result = json.loads(fairround("run", three_parties, "--json"))
    assert [p["net_position_units"] for p in result["parties"]] == [-200_000, 112_500, 87_500]
    assert [p["withdrawn_units"] for p in result["parties"]] == [0, 612_500, 687_500]
    assert "settled by signatures" in fairround("show", three_parties)
    fairround("verify", three_parties)


def test_a_round_of_the_old_order_is_refused_by_name(fairround, three_parties):
    fairround("train", three_parties)
    seal = three_parties / "train" / "seal.json"
    body = json.loads(seal.read_text())
    del body["seal"], body["layout"]
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    seal.write_bytes(dump_json(body | {"seal": digest}))
    for verb in ("run", "open", "verify", "status"):
        message = fairround(verb, three_parties, code=1)
        assert "is a round of layout 1 (train/seal.json); this version reads layout 3" in message


def test_every_transaction_of_a_round_is_shown_decoded(fairround, three_parties):
    fairround("run", three_parties)
    rows = json.loads(fairround("show", three_parties, "--tx", "--json"))
    assert [row["call"] for row in rows] == [
        "open_round",
        *["deposit"] * 3,
        "settle_by_proof",
        "pay_out",
    ]
    assert [row["arguments"]["units"] for row in rows[1:4]] == [200_000, 500_000, 600_000]
    settled = rows[4]
    assert settled["events"][0]["event"] == "Settled"
    report = json.loads(fairround("report", three_parties, "--json"))
    assert settled["gas_used"] == report["gas"]["settle_by_proof/4"]
    assert "settle_by_proof" in fairround("show", three_parties, "--tx")


def test_what_explorers_verify_compiles_to_the_contract_that_was_used(fairround, three_parties):
    from vyper.cli.vyper_json import compile_json

    fairround("run", three_parties)
    facts = json.loads((three_parties / "open" / "deployment.json").read_text())
    sources = json.loads((three_parties / "open" / "escrow-sources.json").read_text())
    made = compile_json(sources)["contracts"]["contracts/Escrow.vy"]["Escrow"]["evm"]
    creation = bytes.fromhex(made["bytecode"]["object"][2:])
    assert facts["creation_code_keccak256"] == "0x" + keccak(creation).hex()
    raw = bytes.fromhex(facts["deployer"][2:] + facts["salt"][2:])
    place = keccak(b"\xff" + raw + keccak(creation))[12:]
    assert facts["address"].lower() == "0x" + place.hex()
    opened = json.loads((three_parties / "open" / "round.json").read_text())
    assert opened["escrow"] == facts["address"]


def test_measuring_again_finds_forged_scores_and_models(fairround, digits):
    """A forger who also seals all that follows again is found by measuring alone."""
    edit(digits, "epochs = 30", "epochs = 10")
    fairround("run", digits)
    assert "not checked: the data" in fairround("verify", digits)
    confirmed = fairround("verify", digits, "--retrain", "3")
    assert (
        "ok    7 of 7 coalitions trained again (all parties together, each alone, 3 of" in confirmed
    )
    assert "ok    3 model rewards scored again" in confirmed
    assert "not checked" not in confirmed

    def swap(reward):
        """High gets low's model under the card and the name of its own."""
        names = [json.loads((reward / "rewards.json").read_text())["rewards"][k] for k in (0, 2)]
        source, target = (entry["file"] for entry in names)
        (reward / target).write_bytes((reward / source).read_bytes())
        for path in (reward / "rewards.json", (reward / target).with_suffix(".json")):
            path.write_text(path.read_text().replace(names[1]["sha256"], names[0]["sha256"]))

    forge(digits, "reward", before("reward"), swap)
    data, scores, rewards = retraining.measure_again(digits, 0)
    assert data.trouble is None
    assert scores.trouble is None
    assert "reward/2-high.safetensors of high: It scores 0." in rewards.trouble

    def lower(train):
        document = json.loads((train / "values.json").read_text())
        document["scores"][0][5] -= 0.05
        (train / "values.json").write_bytes(dump_json(document))

    forge(digits, "train", [], lower)
    for stage in ("open", "allocate", "settle", "reward"):
        forge(digits, stage, before(stage), lambda new: None)
    _, scores, _ = retraining.measure_again(digits, 3)
    assert scores.trouble.startswith("train/values.json: {low, high} scores 0.")


def test_verify_names_what_is_wrong_in_a_model_card(fairround, digits):
    edit(digits, "epochs = 30", "epochs = 3")
    fairround("run", digits)
    card = digits / "reward" / "2-high.json"
    honest = json.loads(card.read_text())
    for key, figure in {
        "format": "another card",
        "load": ["import os"],  # a party may well run what its card says
        "party_name": "low",
        "data_sha256": "0" * 64,
        "recipe": honest["recipe"] | {"epochs": 4},
        "validation_score": honest["validation_score"] - 1e-9,
        "note": "one key more",
    }.items():
        text = json.dumps(honest | {key: figure})
        forge(
            digits,
            "reward",
            before("reward"),
            lambda new, text=text: (new / card.name).write_text(text),
        )
        forge(digits, "report", before("report"), lambda new: None)  # rests on it: sealed again
        (wrong,) = [finding for finding in audit_round(digits, SIMULATED) if finding.trouble]
        assert wrong.check == "model rewards"
        assert f"reward/2-high.json: {key} is {str(figure)[:80]}; expected" in wrong.trouble


def test_verify_names_other_data_and_a_model_reward_that_is_missing(fairround, digits):
    edit(digits, "epochs = 30", "epochs = 3")
    fairround("run", digits)
    config = digits / "round.toml"
    agreed = config.read_text()
    edit(digits, "holdout_share = 0.5", "holdout_share = 0.4")
    message = fairround("verify", digits, "--retrain", "1", code=1)
    assert "WRONG files of train: round.toml" in message
    for stage in STAGES:  # sealed again with the other data
        forge(digits, stage, before(stage), lambda new: None)
    fairround("verify", digits)  # the files hold the data's hashes alone
    message = fairround("verify", digits, "--retrain", "1", code=1)
    assert "WRONG data: data_sha256 is" in message
    config.write_text(agreed)

    def lose(reward):
        document = json.loads((reward / "rewards.json").read_text())
        (reward / document["rewards"].pop()["file"]).unlink()
        (reward / "rewards.json").write_bytes(dump_json(document))

    for stage in STAGES:
        forge(digits, stage, before(stage), lose if stage == "reward" else lambda new: None)
    assert "parties is [0, 1]" in fairround("verify", digits, code=1)
