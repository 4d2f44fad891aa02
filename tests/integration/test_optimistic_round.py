"""Rounds that settle by an operator's posted allocation, which anyone may disprove."""

import dataclasses
import json

import pytest

from settlement.chain.opening import open_chain
from settlement.config.reading import OPERATOR, read_config
from settlement.escrow.client import EscrowClient
from settlement.round.plan import plan_of
from settlement.store.documents import OpenedRound
from settlement.store.folder import RoundFolder


@pytest.fixture
def optimistic(fairround, tmp_path):
    folder = tmp_path / "round"
    fairround("init", folder, "--template", "three-parties")
    config = folder / "round.toml"
    config.write_text(
        config.read_text().replace("[chain]\n", '[chain]\nsettlement = "optimistic"\n')
    )
    return folder


def test_an_honest_posting_settles_after_its_window(fairround, optimistic):
    result = json.loads(fairround("run", optimistic, "--json"))
    assert [p["withdrawn_units"] for p in result["parties"]] == [0, 1_112_500, 1_087_500]
    assert result["escrow_balance_wei"] == 0
    assert any("propose" in label for label in result["gas"])
    fairround("verify", optimistic)


ILL_CONDITIONED = """
[round]
name = "two parties pay almost only each other"
[values]
given = [0.0, 0.1, 0.1, 0.9, 1e-9, 0.100000001, 0.100000001, 0.900000001]
[chain]
settlement = "optimistic"
[[party]]
name = "a"
budget = 0
[[party]]
name = "b"
budget = 0
[[party]]
name = "c"
cap = 0
"""


def test_an_allocation_that_cannot_be_posted_settles_by_signatures(fairround, optimistic):
    (optimistic / "round.toml").write_text(ILL_CONDITIONED)
    result = json.loads(fairround("run", optimistic, "--json"))
    assert "Dual value" in result["not_posted"]
    assert not any("propose" in label for label in result["gas"])
    assert [p["withdrawn_units"] for p in result["parties"]] == [0, 0, 1_000_000]
    assert "could not be posted. Dual value" in fairround("show", optimistic)
    fairround("verify", optimistic)


def test_an_honest_posting_cannot_be_challenged_by_accident(fairround, optimistic):
    for stage in ("open", "train", "allocate"):
        fairround(stage, optimistic)
    propose(optimistic, lambda posting: posting)
    journal = (optimistic / "chain" / "journal.jsonl").read_bytes()
    assert "nothing to disprove" in fairround("challenge", optimistic, "--party", "b")
    assert (optimistic / "chain" / "journal.jsonl").read_bytes() == journal
    assert json.loads(fairround("run", optimistic, "--json"))["escrow_balance_wei"] == 0


def test_a_lying_operator_is_disproved_and_everybody_gets_its_deposit_back(fairround, optimistic):
    for stage in ("open", "train", "allocate", "reward"):
        fairround(stage, optimistic)

    def lie(posting):
        factors = (posting.factors[0] - 1, *posting.factors[1:])
        return dataclasses.replace(posting, factors=factors)

    propose(optimistic, lie)
    assert "disproved: WRONG_FACTORS" in fairround("challenge", optimistic, "--party", "c")
    assert "The round is void" in fairround("settle", optimistic, code=1)
    for name, deposit in (("a", 200_000), ("b", 1_000_000), ("c", 1_000_000)):
        taken = json.loads(fairround("withdraw", optimistic, "--party", name, "--json"))
        assert taken["withdrawn_units"] == deposit
    with open_chain(optimistic / "chain", read_only=True) as chain:
        assert chain.balance(OpenedRound.read(RoundFolder(optimistic)).escrow) == 0


def propose(path, change):
    """What an operator does who posts other figures than its round's."""
    folder = RoundFolder(path)
    config = read_config(folder.config_path)
    opened = OpenedRound.read(folder)
    planned = plan_of(folder, config)
    with open_chain(folder.chain_path, config.chain_spec()) as chain:
        escrow, operator = EscrowClient(chain, opened.escrow), chain.account(OPERATOR)
        chain.advance_to(opened.funding_deadline + 1)
        escrow.commit_table(opened.round_id, operator, planned.posting.table_hash)
        escrow.propose(planned.plan, operator, change(planned.posting))


def test_a_vanished_operator_keeps_nobody_from_its_deposit(fairround, optimistic):
    fairround("open", optimistic)
    assert "still open" in fairround("withdraw", optimistic, "--party", "a", code=1)
    folder = RoundFolder(optimistic)
    spec = read_config(folder.config_path).chain_spec()
    with open_chain(folder.chain_path, spec) as chain:
        chain.advance_to(OpenedRound.read(folder).settlement_deadline + 1)
    assert "took out 200,000 base units" in fairround("withdraw", optimistic, "--party", "a")
    assert "no claim left" in fairround("withdraw", optimistic, "--party", "a")
