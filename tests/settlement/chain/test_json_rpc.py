"""A round on a real node: anvil, started by the test."""

from __future__ import annotations

import hashlib
import time

import pytest
from eth_account import Account
from pydantic import ValidationError

from settlement.chain import ChainSpec, open_chain
from settlement.chain.errors import (
    ChainSpecError,
    ClockError,
    DeedsChanged,
    FeeCapExceeded,
    JournalFault,
    JournalMismatch,
    LabelConflict,
    NonceTaken,
    ProviderUnreachable,
    Reverted,
    TransactionRefused,
    Unconfirmed,
    WrongChain,
)
from settlement.chain.journal import JOURNAL_NAME, Journal, read_journal
from settlement.chain.records import intent_of
from settlement.chain.spec import SIMULATED_CHAIN_ID
from settlement.errors import SettlementError
from tests.settlement.chain.anvil import (
    ADDRESSES,
    CHAIN_ID,
    KEYS,
    anvil_spec,
    key_variable,
    running_anvil,
)
from tests.settlement.chain.purse import (
    GAS,
    assert_story_happened_once,
    deploy,
    encode,
    settlements,
    tell_the_story,
)
from tests.settlement.escrow import escrow_story


@pytest.fixture
def chain(anvil, tmp_path):
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        yield chain


def test_story_happens_once_on_a_node(chain):
    purse = tell_the_story(chain)
    assert_story_happened_once(chain, purse, chain.journal)
    assert chain.chain_id == CHAIN_ID
    assert tell_the_story(chain) == purse
    assert_story_happened_once(chain, purse, chain.journal)


def test_node_and_process_agree_on_gas_logs_and_results(chain):
    with open_chain(None, ChainSpec(accounts=tuple(KEYS))) as in_process:
        receipts = []
        for one in (in_process, chain):
            purse = tell_the_story(one)
            receipts.append([one.receipt(label) for label in one.labels()])
            assert settlements(one, purse) == 1
    for here, there in zip(*receipts, strict=True):
        assert here.label == there.label
        assert here.gas_used == there.gas_used
        assert [log.data for log in here.logs] == [log.data for log in there.logs]
        assert [log.topics[0] for log in here.logs] == [log.topics[0] for log in there.logs]


def test_node_and_process_agree_on_every_unit_of_gas_of_an_escrow_round(
    anvil_program, tmp_path, monkeypatch, compiled_contracts
):
    """By signatures and by proof, with the same keys, chain id and time: the same bytes."""
    monkeypatch.setenv("FAIRROUND_CACHE", str(compiled_contracts))
    spec = ChainSpec(
        accounts=escrow_story.ACCOUNTS, genesis_timestamp=1_700_000_000, codes=escrow_story.CODES
    )
    options = {"timestamp": spec.genesis_timestamp, "chain-id": SIMULATED_CHAIN_ID}
    with (
        open_chain(tmp_path / "here", spec) as here,
        running_anvil(anvil_program, **options) as node,
    ):
        for name in spec.accounts:
            account = here.account(name)
            monkeypatch.setenv(key_variable(name), account.key.hex())
            node.ask("anvil_setBalance", account.address, hex(10**24))
        there_spec = anvil_spec(
            node.address,
            accounts=spec.accounts,
            addresses={name: here.address(name) for name in spec.accounts},
            chain_id=SIMULATED_CHAIN_ID,
        )
        with open_chain(tmp_path / "there", there_spec) as there:
            for chain in (here, there):
                escrow = escrow_story.tell_the_story(chain)
                escrow_story.assert_story_happened_once(chain, escrow, chain.journal)
                escrow_story.tell_the_story_by_proof(chain)
            assert here.labels() == there.labels()
            assert "settle/2" in here.labels()
            for label in here.labels():
                ours, theirs = here.receipt(label), there.receipt(label)
                assert ours.gas_used == theirs.gas_used, label
                assert ours.contract_address == theirs.contract_address
                assert [log.as_json() for log in ours.logs] == [
                    log.as_json() for log in theirs.logs
                ]


@pytest.mark.parametrize(
    ("function", "words", "sender"),
    [
        ("settle", [], "party/0"),
        ("settle_if_gas_is_free", [1], "party/0"),
        ("overflow", [1], None),
        ("burn", [], None),
        ("deposit", [], "party/0"),
    ],
)
def test_reverts_are_told_in_the_same_words_on_every_provider(chain, function, words, sender):
    told = []
    with open_chain(None, ChainSpec(accounts=tuple(KEYS))) as in_process:
        for one in (in_process, chain):
            purse = deploy(one)
            caller = None if sender is None else one.account(sender).address
            try:
                one.call(purse, encode(function, *words), caller, gas=GAS)
                told.append(None)
            except Reverted as error:
                told.append(error.reason)
    assert told[0] == told[1]
    assert told[0] is not None


def test_new_process_takes_up_the_round(anvil, tmp_path):
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        purse = tell_the_story(chain)
        receipts = [chain.receipt(label) for label in chain.labels()]
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        assert [chain.receipt(label) for label in chain.labels()] == receipts
        assert tell_the_story(chain) == purse
        assert_story_happened_once(chain, purse, chain.journal)


def test_send_that_reverts_is_not_journaled(chain):
    purse = deploy(chain)
    lines = len(chain.journal.entries)
    with pytest.raises(Reverted, match=r"^purse: caller is not the operator$"):
        chain.send("settle", chain.account("party/0"), purse, encode("settle"), gas=GAS)
    assert len(chain.journal.entries) == lines


def test_send_that_fails_after_a_call_that_passed_frees_its_label(chain):
    purse, operator = deploy(chain), chain.account("operator")
    data = encode("settle_if_gas_is_free", chain.balance(operator.address))
    with pytest.raises(Reverted, match=r"^purse: gas was paid$"):
        chain.send("settle", operator, purse, data, gas=GAS)
    assert chain.receipt("settle").succeeded is False
    assert settlements(chain, purse) == 0
    assert chain.send("settle", operator, purse, encode("settle"), gas=GAS).succeeded
    assert settlements(chain, purse) == 1


def test_label_for_another_transaction_is_refused(chain):
    purse = tell_the_story(chain)
    with pytest.raises(LabelConflict, match='"settle" was sent with data_sha256'):
        chain.send("settle", chain.account("operator"), purse, encode("deposit"), gas=GAS)


def test_wrong_chain_id_is_refused_before_anything_is_sent(anvil, tmp_path):
    with pytest.raises(WrongChain, match=r"serves chain 31337; the round is for chain 1\. Nothing"):
        open_chain(tmp_path, anvil_spec(anvil.address, chain_id=1))
    assert anvil.head() == 0


def test_another_chain_with_the_same_id_is_refused(anvil, anvil_program, tmp_path):
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        deploy(chain)
    with running_anvil(anvil_program, timestamp=1_600_000_000) as other:
        with pytest.raises(WrongChain, match="genesis hash"):
            open_chain(tmp_path, anvil_spec(other.address))
        assert other.head() == 0


def test_folder_of_one_kind_of_chain_is_refused_by_the_other(anvil, tmp_path):
    open_chain(tmp_path / "here", ChainSpec()).close()
    with pytest.raises(ChainSpecError, match="in-process; keep it"):
        open_chain(tmp_path / "here", anvil_spec(anvil.address))
    open_chain(tmp_path / "there", anvil_spec(anvil.address)).close()
    with pytest.raises(ChainSpecError, match="behind a JSON-RPC endpoint"):
        open_chain(tmp_path / "there", ChainSpec())


def test_endpoint_that_is_not_there_is_named_without_its_address(tmp_path):
    spec = anvil_spec("http://127.0.0.1:9/secret-token", patience_s=0.2)
    with pytest.raises(ProviderUnreachable, match="no answer to eth_chainId") as failure:
        open_chain(tmp_path, spec)
    assert "secret-token" not in str(failure.value)


def test_provider_may_be_named_by_the_environment(anvil, tmp_path, monkeypatch):
    spec = anvil_spec("env:ROUND_ENDPOINT")
    monkeypatch.delenv("ROUND_ENDPOINT", raising=False)
    with pytest.raises(ChainSpecError, match="ROUND_ENDPOINT holds nothing"):
        open_chain(tmp_path, spec)
    monkeypatch.setenv("ROUND_ENDPOINT", anvil.address)
    with open_chain(tmp_path, spec) as chain:
        assert chain.chain_id == CHAIN_ID


@pytest.mark.parametrize(
    ("provider", "chain_id", "words"),
    [
        ("ftp://host", 1, 'found "ftp://host"; expected "in-process"'),
        ("http://host", None, "a JSON-RPC provider needs it"),
        ("in-process", 1, "has its own"),
    ],
)
def test_unknown_provider_is_refused(provider, chain_id, words):
    with pytest.raises(ValidationError, match=words):
        ChainSpec(provider=provider, chain_id=chain_id)


def test_fee_above_the_cap_is_refused_before_the_journal(anvil, tmp_path):
    with open_chain(
        tmp_path, anvil_spec(anvil.address, max_fee_wei=10, priority_fee_wei=1)
    ) as chain:
        with pytest.raises(FeeCapExceeded, match=r"base fee \d+\); the round pays at most 10\."):
            deploy(chain)
        assert len(chain.journal.entries) == 1


def test_fee_never_goes_beyond_the_cap(anvil, tmp_path):
    cap_wei = 1_100_000_000
    spec = anvil_spec(anvil.address, max_fee_wei=cap_wei, priority_fee_wei=100_000_000)
    with open_chain(tmp_path, spec) as chain:
        deploy(chain)
        receipt = chain.receipt("deploy")
    sent = anvil.ask("eth_getTransactionByHash", f"0x{receipt.transaction_hash.hex()}")
    assert int(sent["maxFeePerGas"], 16) == cap_wei
    assert int(sent["maxPriorityFeePerGas"], 16) == 100_000_000


def test_account_that_cannot_pay_the_cap_goes_as_high_as_it_can(chain, anvil):
    party = chain.account("party/0")
    anvil.ask("anvil_setBalance", party.address, hex(21_000 * 5 * 10**9 + 1))
    receipt = chain.send("pay", party, chain.address("operator"), b"", value_wei=1, gas=21_000)
    sent = anvil.ask("eth_getTransactionByHash", f"0x{receipt.transaction_hash.hex()}")
    assert int(sent["maxFeePerGas"], 16) == 5 * 10**9


def test_account_without_means_is_refused_before_the_journal(chain, anvil):
    address = chain.account("party/0").address
    anvil.ask("anvil_setBalance", address, "0x10")
    with pytest.raises(TransactionRefused, match="holds 16 wei; value and gas need up to"):
        chain.send("pay", chain.account("party/0"), address, b"", value_wei=1, gas=21_000)
    assert len(chain.journal.entries) == 1


def test_clock_of_a_real_chain_cannot_be_moved(chain):
    chain.advance_to(chain.timestamp())
    with pytest.raises(ClockError, match="keeps real time: it is"):
        chain.advance_to(chain.timestamp() + 3600)


def test_nonce_used_by_somebody_else_frees_the_label(anvil, tmp_path):
    """The same account in two rounds: the bytes of one can never be executed any more."""
    with open_chain(tmp_path / "one", anvil_spec(anvil.address)) as chain:
        purse = deploy(chain)
        operator = chain.account("operator")
        raw, details = chain._sign(operator, purse, encode("settle"), 0, GAS)
    with open_chain(tmp_path / "two", anvil_spec(anvil.address)) as other:
        deploy(other)
    sent = read_journal(tmp_path / "one" / JOURNAL_NAME).entries[-2].fields
    with Journal(tmp_path / "one") as journal:  # as if killed between writing and sending
        fields = sent | details | {"label": "settle", "raw": raw.hex(), "to": purse}
        fields["data_sha256"] = hashlib.sha256(encode("settle")).hexdigest()
        journal.append("send", fields)
    with open_chain(tmp_path / "one", anvil_spec(anvil.address)) as chain:
        assert chain.receipt("settle") is None
        assert chain.journal.entries[-1].kind == "dropped"
        assert chain.send("settle", operator, purse, encode("settle"), gas=GAS).succeeded
        assert settlements(chain, purse) == 1
    with open_chain(tmp_path / "one", anvil_spec(anvil.address)) as chain:
        assert chain.receipt("settle").succeeded


def test_a_node_that_finds_a_receipt_later_than_it_counts_the_nonce_is_waited_for(anvil, tmp_path):
    """Busy nodes do; the label was freed, and the next command sent the same thing again."""
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        purse, party, honest = deploy(chain), chain.account("party/0"), chain._rpc.ask
        hidden = [None] * 6

        def late(method, *parameters):
            if method == "eth_getTransactionReceipt" and hidden:
                return hidden.pop()
            return honest(method, *parameters)

        chain._rpc.ask = late
        chain.send("deposit/0", party, purse, encode("deposit"), value_wei=70, gas=GAS)
        assert not hidden
        assert [entry.kind for entry in chain.journal.entries[-2:]] == ["send", "receipt"]


def test_attack_an_endpoint_that_calls_every_nonce_spent_gets_one_signature_a_command(
    anvil, tmp_path
):
    """It kept the bytes back, said so, and got the same deposit signed with the next nonce."""
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        purse, party, honest = deploy(chain), chain.account("party/0"), chain._rpc.ask
        kept = []

        def lying(method, *parameters):
            if method == "eth_sendRawTransaction":
                kept.append(parameters[0])
                assert len(set(kept)) < 3
                return None
            if method == "eth_getTransactionReceipt":
                return None
            answer = honest(method, *parameters)
            counts = method == "eth_getTransactionCount"
            return hex(int(answer, 16) + len(set(kept))) if counts else answer

        chain._rpc.ask = lying
        with pytest.raises(NonceTaken, match="or both transactions may be carried out"):
            chain.send("deposit/0", party, purse, encode("deposit"), value_wei=70, gas=GAS)
        assert len(set(kept)) == 1


def made_up(folder, anvil, **send):
    """A journal that somebody wrote: it began on this chain, and holds one send."""
    with Journal(folder) as journal:
        genesis = anvil.block_hash(0)
        journal.append(
            "endpoint",
            {"chain_id": CHAIN_ID, "genesis_hash": genesis, "block": 0, "timestamp": 1},
        )
        journal.append("send", send)


def a_send(signer, nonce):
    """What an account has signed, as a journal tells it."""
    account = Account.from_key(KEYS[signer])
    signed = account.sign_transaction(
        {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": nonce,
            "to": account.address,
            "data": b"",
            "value": 0,
            "gas": 21_000,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
        }
    )
    intent = intent_of(account.address, account.address, b"", 0)
    common = {"label": "gift", "hash": signed.hash.hex(), "nonce": nonce}
    return intent | common | {"raw": bytes(signed.raw_transaction).hex()}


@pytest.mark.parametrize(
    "forged",
    [
        {"sender": ADDRESSES["party/0"]},
        {"nonce": 5},
        {"hash": "12" * 32},
        {"to": ADDRESSES["party/1"]},
        {"value_wei": "1"},
        {"data_sha256": "00" * 32},
        {"raw": ""},
        {"raw": "zz"},
        {"raw": "02" * 40},
        {"label": 5},
        {"label": None},
    ],
)
def test_attack_a_journal_with_what_nobody_has_signed_is_named(anvil, tmp_path, forged):
    """A high nonce made every later command of the account wait for it."""
    made_up(tmp_path, anvil, **a_send("operator", 1_000) | forged)
    with pytest.raises(JournalFault, match="line 2: not what this version writes"):
        open_chain(tmp_path, anvil_spec(anvil.address))


def test_attack_a_journal_with_what_somebody_else_owes_keeps_nobody_waiting(
    anvil, tmp_path, monkeypatch
):
    """The operator has signed a transaction that cannot come for long, and hands it out."""
    made_up(tmp_path, anvil, **a_send("operator", 1_000))
    monkeypatch.delenv(key_variable("operator"))
    started_s = time.monotonic()
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        party = chain.account("party/0")
        assert chain.send("mine", party, party.address, b"", gas=30_000).succeeded
        assert [entry.kind for entry in chain.journal.entries][1:] == ["send", "send", "receipt"]
    assert time.monotonic() - started_s < 100
    monkeypatch.setenv(key_variable("operator"), KEYS["operator"])
    with pytest.raises(Unconfirmed, match='"gift"'):  # its owner does wait for it
        open_chain(tmp_path, anvil_spec(anvil.address, patience_s=0.3))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("receipt", {}),
        ("receipt", {"hash": "12" * 32, "block": "5"}),
        ("dropped", {"hash": "12" * 32}),
        ("reorganised", {"hash": "12" * 32}),
        ("clock", {}),
    ],
)
def test_a_journal_of_another_form_is_named(anvil, tmp_path, kind, fields):
    made_up(tmp_path, anvil, **a_send("operator", 1_000))
    with Journal(tmp_path) as journal:
        journal.append(kind, fields)
    with pytest.raises(SettlementError, match="line 3: "):
        open_chain(tmp_path, anvil_spec(anvil.address))


def test_send_without_confirmations_stays_owed_and_goes_on(anvil, tmp_path):
    hasty = anvil_spec(anvil.address, confirmations=3, patience_s=0.3)
    with (
        open_chain(tmp_path, hasty) as chain,
        pytest.raises(
            Unconfirmed, match=r'"deploy" .* not got 3 confirmation.* base fee .* nonce 0 of'
        ),
    ):
        deploy(chain)
    while anvil.head() == 0:
        pass  # the node has the bytes, and may still be at work on their block
    anvil.mine(2)
    with open_chain(tmp_path, anvil_spec(anvil.address, confirmations=3)) as chain:
        assert chain.receipt("deploy").succeeded
        assert anvil.head() - chain.receipt("deploy").block_number + 1 == 3
        assert [entry.kind for entry in chain.journal.entries] == ["endpoint", "send", "receipt"]


def test_send_that_the_endpoint_refuses_stays_owed_and_goes_on(anvil, tmp_path):
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        deploy(chain)
    party = next(iter(KEYS.values()))
    address = Account.from_key(party).address
    held = anvil.ask("eth_getBalance", address, "latest")
    anvil.reorganise(1)  # the bytes are owed again, and their sender cannot pay any more
    anvil.ask("anvil_setBalance", address, "0x0")
    with pytest.raises(TransactionRefused, match=r'The endpoint refuses "deploy" .*kept in the'):
        open_chain(tmp_path, anvil_spec(anvil.address, patience_s=1.0))
    anvil.ask("anvil_setBalance", address, held)
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        assert chain.receipt("deploy").succeeded


def test_send_that_does_something_else_in_its_new_block_is_reported(anvil, tmp_path):
    """Somebody else was faster on the branch that won."""
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        purse, party = deploy(chain), chain.account("party/0")
        chain.send("deposit/0", party, purse, encode("deposit"), value_wei=70, gas=GAS)
        faster = chain.address("party/1")
    theirs = {"from": faster, "to": purse, "value": "0x5", "data": f"0x{encode('deposit').hex()}"}
    anvil.ask("anvil_reorg", 1, [[theirs, 0]])
    with pytest.raises(DeedsChanged, match='The block of "deposit/0" was reorganised; in its new'):
        open_chain(tmp_path, anvil_spec(anvil.address))
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        assert chain.receipt("deposit/0").logs[0].data[-1] == 75
        assert chain.balance(purse) == 75


def test_send_that_fails_in_its_new_block_frees_its_label(anvil, tmp_path):
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        purse, party = deploy(chain), chain.account("party/0")
        data = encode("deposit_below", 100)
        chain.send("deposit/0", party, purse, data, value_wei=70, gas=GAS)
        faster = chain.address("party/1")
    theirs = {"from": faster, "to": purse, "value": "0x32", "data": f"0x{encode('deposit').hex()}"}
    anvil.ask("anvil_reorg", 1, [[theirs, 0]])
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        assert chain.receipt("deposit/0").succeeded is False
        with pytest.raises(Reverted, match="purse: more than the limit"):
            chain.send("deposit/0", party, purse, data, value_wei=70, gas=GAS)
        assert chain.send("deposit/0", party, purse, data, value_wei=40, gas=GAS).succeeded
        assert chain.balance(purse) == 90


def test_audit_compares_every_receipt_with_the_node(anvil, tmp_path):
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        purse = tell_the_story(chain)
    with open_chain(tmp_path, anvil_spec(anvil.address), read_only=True) as reader:
        assert settlements(reader, purse) == 1
    entries = read_journal(tmp_path / JOURNAL_NAME).entries
    (tmp_path / JOURNAL_NAME).unlink()
    with Journal(tmp_path) as forged:
        for entry in entries:
            change = (
                {"gas_used": 1} if entry.kind == "receipt" and entry["label"] == "settle" else {}
            )
            forged.append(entry.kind, entry.fields | change)
    with pytest.raises(JournalMismatch, match='receipt of "settle"'):
        open_chain(tmp_path, anvil_spec(anvil.address), read_only=True)
