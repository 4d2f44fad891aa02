"""A chain that this process closed is taken up as it was left, unless its journal changed."""

from settlement.chain import in_process, open_chain
from settlement.chain.journal import JOURNAL_NAME
from tests.settlement.chain.purse import tell_the_story


def test_a_chain_that_this_process_left_is_taken_up_and_is_what_a_replay_gives(
    tmp_path, spec, monkeypatch
):
    with open_chain(tmp_path, spec) as chain:
        purse = tell_the_story(chain)
    with open_chain(tmp_path) as again:
        assert again.evm is chain.evm
        taken_up = (again.state_root(), again.logs(purse), again.labels(), again.timestamp())
    monkeypatch.setattr(in_process, "_left", {})
    with open_chain(tmp_path, read_only=True) as replayed:
        assert replayed.evm is not chain.evm
        found = (replayed.state_root(), replayed.logs(purse), replayed.labels())
        assert (*found, replayed.timestamp()) == taken_up


def test_a_chain_whose_journal_lost_a_line_is_executed_again(tmp_path, spec):
    with open_chain(tmp_path, spec) as chain:
        tell_the_story(chain)
        last = chain.block_number()
    path = tmp_path / JOURNAL_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    with open_chain(tmp_path) as again:
        assert again.evm is not chain.evm
        assert again.block_number() < last


def test_a_send_without_a_receipt_is_executed_again(tmp_path, spec, monkeypatch):
    """Nobody knows whether the state that was left has it."""
    with open_chain(tmp_path, spec) as chain:
        tell_the_story(chain)
        monkeypatch.setattr(chain, "_finish", lambda receipt: receipt)
        operator = chain.account("operator")
        chain.send("gift", operator, chain.address("party/0"), b"", value_wei=1, gas=21_000)
        balance = chain.balance(chain.address("party/0"))
    with open_chain(tmp_path) as again:
        assert again.evm is not chain.evm
        assert again.receipt("gift").succeeded
        assert again.balance(again.address("party/0")) == balance
