from __future__ import annotations

import shutil

import pytest
from pydantic import ValidationError

from settlement.chain import ChainSpec, in_process, open_chain
from settlement.chain.errors import (
    ChainSpecError,
    JournalMismatch,
    LabelConflict,
    ReadOnlyChain,
    Reverted,
    TransactionRefused,
    UnknownAccount,
)
from settlement.chain.journal import JOURNAL_NAME, Journal, read_journal
from tests.settlement.chain.purse import (
    GAS,
    assert_story_happened_once,
    encode,
    settlements,
    tell_the_story,
)


class Forgetful(dict):
    """Remembers nothing, so that a chain that is opened again is executed again."""

    def __setitem__(self, key, value):
        pass


@pytest.fixture(autouse=True)
def executed_again(monkeypatch):
    """As another process would open a chain; what this one remembers has tests of its own."""
    monkeypatch.setattr(in_process, "_left", Forgetful())


def send_settle(chain, purse, label="settle", account="operator", **options):
    return chain.send(label, chain.account(account), purse, encode("settle"), gas=GAS, **options)


def test_send_carries_out_one_transaction_and_says_what_it_did(chain, purse):
    receipt = chain.send(
        "deposit/0", chain.account("party/0"), purse, encode("deposit"), value_wei=70, gas=GAS
    )
    assert receipt.succeeded
    assert (receipt.label, receipt.block_number) == ("deposit/0", 2)
    assert 21_000 < receipt.gas_used < GAS
    assert chain.balance(purse) == 70
    (log,) = receipt.logs
    assert log.address == purse
    assert log.data == (70).to_bytes(32, "big") * 2  # what came, and what is there now
    assert log.topics[1][12:].hex() == chain.account("party/0").address[2:].lower()
    assert chain.logs(purse) == [log]
    assert chain.logs(purse, from_block=3) == []


def test_send_of_a_label_again_sends_nothing(chain, purse):
    first = send_settle(chain, purse)
    root, lines = chain.state_root(), len(chain.journal.entries)
    assert send_settle(chain, purse) == first
    assert settlements(chain, purse) == 1
    assert (chain.state_root(), len(chain.journal.entries)) == (root, lines)


@pytest.mark.parametrize("changed", ["data", "value_wei", "sender", "to"])
def test_send_refuses_a_label_for_another_transaction(chain, purse, changed):
    chain.send(
        "deposit/0", chain.account("party/0"), purse, encode("deposit"), value_wei=70, gas=GAS
    )
    lines = len(chain.journal.entries)
    to = chain.account("party/1").address if changed == "to" else purse
    data = encode("settle") if changed == "data" else encode("deposit")
    account = chain.account("party/1" if changed == "sender" else "party/0")
    with pytest.raises(LabelConflict, match=f'"deposit/0" was sent with {changed}'):
        chain.send(
            "deposit/0", account, to, data, value_wei=71 if changed == "value_wei" else 70, gas=GAS
        )
    assert len(chain.journal.entries) == lines


def test_send_that_reverts_gives_the_sentence_and_leaves_no_trace(chain, purse):
    root, lines = chain.state_root(), len(chain.journal.entries)
    with pytest.raises(Reverted, match=r"^purse: caller is not the operator$") as refusal:
        send_settle(chain, purse, account="party/0")
    assert refusal.value.reason == "purse: caller is not the operator"
    assert (chain.state_root(), len(chain.journal.entries)) == (root, lines)
    assert send_settle(chain, purse).succeeded  # the label is still free


def test_send_that_fails_after_a_call_that_passed_frees_its_label(chain, purse):
    operator = chain.account("operator")
    data = encode("settle_if_gas_is_free", chain.balance(operator.address))
    with pytest.raises(Reverted, match=r"^purse: gas was paid$"):
        chain.send("settle", operator, purse, data, gas=GAS)
    assert chain.receipt("settle").succeeded is False
    assert settlements(chain, purse) == 0
    assert chain.receipt("settle").succeeded is False
    assert send_settle(chain, purse).succeeded
    assert settlements(chain, purse) == 1


@pytest.mark.parametrize(
    ("function", "words", "reason"),
    [
        ("overflow", [1], "reverted without a reason"),
        ("burn", [], "out of gas"),
    ],
)
def test_call_tells_a_revert_without_a_sentence_in_fixed_words(
    chain, purse, function, words, reason
):
    with pytest.raises(Reverted) as refusal:
        chain.call(purse, encode(function, *words), gas=GAS)
    assert refusal.value.reason == reason


def test_call_changes_nothing(chain, purse):
    root = chain.state_root()
    operator = chain.account("operator").address
    chain.call(purse, encode("settle"), operator)
    assert settlements(chain, purse) == 0
    assert chain.state_root() == root


def test_clock_moves_by_one_step_a_block_and_never_back(chain, purse):
    assert chain.timestamp() == chain.started_at + 2
    chain.advance_to(1_700_003_600)
    assert chain.timestamp() == 1_700_003_600
    assert int.from_bytes(chain.call(purse, encode("now")), "big") == 1_700_003_600
    chain.advance_to(1_700_000_000)
    assert chain.timestamp() == 1_700_003_600
    send_settle(chain, purse)
    assert chain.timestamp() == 1_700_003_601


def test_replay_reaches_the_same_chain(tmp_path, spec):
    with open_chain(tmp_path, spec) as chain:
        purse = tell_the_story(chain)
        chain.advance_to(1_700_009_999)
        chain.send("later", chain.account("operator"), purse, encode("settle"), gas=GAS)
        root, receipts = chain.state_root(), [chain.receipt(label) for label in chain.labels()]
        head = chain.evm.backend.get_block_by_number("latest")["hash"]
    written = (tmp_path / JOURNAL_NAME).read_bytes()
    with open_chain(tmp_path) as chain:
        assert chain.state_root() == root
        assert [chain.receipt(label) for label in chain.labels()] == receipts
        assert chain.evm.backend.get_block_by_number("latest")["hash"] == head
        assert chain.timestamp() == 1_700_010_000
        assert settlements(chain, purse) == 2
    assert (tmp_path / JOURNAL_NAME).read_bytes() == written


def test_one_seed_and_one_story_make_one_journal(tmp_path, spec):
    digests = set()
    for name in ("here", "there"):
        with open_chain(tmp_path / name, spec) as chain:
            tell_the_story(chain)
            digests.add(chain.journal.digest)
    assert len(digests) == 1


def test_replay_names_the_line_and_both_values_of_a_forged_receipt(tmp_path, spec):
    """A forger who makes the running digest right again is still found by executing."""
    with open_chain(tmp_path, spec) as chain:
        tell_the_story(chain)
    entries = read_journal(tmp_path / JOURNAL_NAME).entries
    shutil.rmtree(tmp_path)
    with Journal(tmp_path) as forged:
        for entry in entries:
            fields = dict(entry.fields)
            if entry.kind == "receipt" and entry["label"] == "settle":
                honest = fields["gas_used"]
                fields["gas_used"] += 1
            forged.append(entry.kind, fields)
    with pytest.raises(JournalMismatch) as mismatch:
        open_chain(tmp_path)
    assert mismatch.value.line == len(entries)
    assert (mismatch.value.journaled, mismatch.value.found) == (honest + 1, honest)


def test_replay_refuses_a_journal_of_another_genesis(tmp_path, spec):
    with open_chain(tmp_path, spec) as chain:
        tell_the_story(chain)
    entries = read_journal(tmp_path / JOURNAL_NAME).entries
    shutil.rmtree(tmp_path)
    with Journal(tmp_path) as forged:
        for entry in entries:
            fields = dict(entry.fields)
            if entry.kind == "genesis":
                fields["timestamp"] += 1
            forged.append(entry.kind, fields)
    with pytest.raises(JournalMismatch, match="line 3: the journal says block hash"):
        open_chain(tmp_path)


def test_read_only_chain_replays_and_writes_nothing(tmp_path, spec):
    with open_chain(tmp_path, spec) as chain:
        purse = tell_the_story(chain)
        with open_chain(tmp_path, read_only=True) as reader:
            assert settlements(reader, purse) == 1
            with pytest.raises(ReadOnlyChain):
                send_settle(reader, purse, label="again")
            with pytest.raises(ReadOnlyChain):
                reader.advance_to(2_000_000_000)
            assert_story_happened_once(reader, purse, chain.journal)


def test_chain_in_memory_leaves_no_file(tmp_path, spec, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_chain(None, spec) as chain:
        purse = tell_the_story(chain)
        assert_story_happened_once(chain, purse, chain.journal)
    assert list(tmp_path.iterdir()) == []


def test_accounts_differ_by_name_and_seed(chain, spec):
    addresses = {chain.account(name).address for name in spec.accounts}
    assert len(addresses) == len(spec.accounts)
    with open_chain(None, ChainSpec(accounts=spec.accounts)) as other:
        assert addresses.isdisjoint(other.account(name).address for name in spec.accounts)


def test_account_that_was_not_named_is_refused_by_name(chain):
    with pytest.raises(UnknownAccount, match=r'No account "outsider".*operator, party/0, party/1'):
        chain.account("outsider")


def test_reopening_with_another_spec_names_what_differs(tmp_path, spec):
    open_chain(tmp_path, spec).close()
    other = ChainSpec(accounts=spec.accounts, block_gas_limit=50_000_000)
    with pytest.raises(ChainSpecError, match=r"block_gas_limit: asked for 50000000; .*30029122"):
        open_chain(tmp_path, other)


def test_spec_tells_all_its_faults_at_once():
    with pytest.raises(ValidationError) as refusal:
        ChainSpec(accounts=("a", "a"), provider="carrier pigeon", block_gas_limit=1, seed=b"x")
    places = [error["loc"] for error in refusal.value.errors()]
    assert places == [("accounts",), ("provider",), ("block_gas_limit",), ("seed",)]


@pytest.mark.parametrize(
    ("gas", "value_wei", "words"),
    [
        (10**9, 1, "a block takes 30029122"),
        (GAS, 10**31, "refuses to execute it"),
        (100, 1, "refuses to execute it"),
    ],
)
def test_send_that_the_chain_would_not_execute_is_refused_before_the_journal(
    chain, purse, gas, value_wei, words
):
    lines = len(chain.journal.entries)
    with pytest.raises(TransactionRefused, match=words):
        chain.send(
            "deposit/0",
            chain.account("party/0"),
            purse,
            encode("deposit"),
            value_wei=value_wei,
            gas=gas,
        )
    assert len(chain.journal.entries) == lines


def test_send_without_the_means_for_gas_is_refused_before_the_journal(spec):
    poor = ChainSpec(accounts=("operator",), balance_wei=1_000)
    with open_chain(None, poor) as chain:
        operator = chain.account("operator")
        with pytest.raises(TransactionRefused, match="holds 1000 wei; value and gas need up to"):
            chain.send("pay", operator, operator.address, b"", value_wei=1, gas=21_000)
        assert len(chain.journal.entries) == 1


def test_web3_sees_the_same_chain(chain, purse):
    """The backend is eth-tester's own: web3 and everything built on it can look at a round."""
    from eth_tester import EthereumTester
    from web3 import EthereumTesterProvider, Web3

    receipt = send_settle(chain, purse)
    web3 = Web3(EthereumTesterProvider(EthereumTester(chain.evm.backend)))
    seen = web3.eth.get_transaction_receipt(receipt.transaction_hash)
    assert (seen["status"], seen["gasUsed"], seen["blockNumber"]) == (
        1,
        receipt.gas_used,
        receipt.block_number,
    )
    assert web3.eth.chain_id == chain.chain_id
    assert bytes(web3.eth.get_block("latest")["stateRoot"]) == chain.state_root()
