"""The two quick EVMs give the same answers, and py-evm's gas is a chain's."""

import pytest

from settlement.chain import ChainSpec, open_chain
from settlement.chain.quick import QuickEvmError, choosing, has_revm, quick_evm
from settlement.chain.reverts import NO_REASON, OUT_OF_GAS
from tests.settlement.chain import purse

SENDER, OTHER = "0x" + "11" * 20, "0x" + "22" * 20
EVMS = ["py-evm", *(["pyrevm"] if has_revm() else [])]


@pytest.fixture(params=EVMS)
def evm(request):
    made = quick_evm(request.param)
    made.set_balance(SENDER, 10**20)
    return made


@pytest.fixture
def address(evm):
    return evm.deploy(SENDER, purse.compiled()[0])


def test_a_call_moves_ether_and_logs(evm, address):
    answer = evm.call(SENDER, address, purse.encode("deposit"), 70)
    assert answer.succeeded
    assert evm.balance(address) == 70
    assert evm.balance(SENDER) == 10**20 - 70
    (log,) = answer.logs
    assert log.address == address
    assert log.topics[1] == bytes(12) + bytes.fromhex(SENDER[2:])
    assert log.data == (70).to_bytes(32, "big") * 2


def test_a_refusal_gives_the_contracts_sentence_and_moves_nothing(evm, address):
    answer = evm.call(SENDER, address, purse.encode("deposit"))
    assert answer.reason == "purse: nothing was sent"
    assert answer.logs == ()
    assert evm.call(OTHER, address, purse.encode("settle")).reason is not None
    assert int.from_bytes(evm.read(address, purse.encode("settlements")), "big") == 0


def test_a_failed_call_gives_its_ether_back(evm, address):
    evm.call(SENDER, address, purse.encode("deposit"), 5)
    answer = evm.call(SENDER, address, purse.encode("deposit_below", 3), 7)
    assert answer.reason == "purse: more than the limit"
    assert evm.balance(SENDER) == 10**20 - 5


def test_too_little_gas_says_so(evm, address):
    answer = evm.call(SENDER, address, purse.encode("deposit"), 7, gas=25_000)
    assert answer.reason == OUT_OF_GAS
    assert evm.balance(address) == 0


def test_an_overflow_has_no_words(evm, address):
    assert evm.call(SENDER, address, purse.encode("overflow", 1)).reason == NO_REASON


def test_the_clock_is_what_was_said(evm, address):
    evm.set_time(1_234_567_890)
    assert int.from_bytes(evm.read(address, purse.encode("now")), "big") == 1_234_567_890


def test_a_read_changes_nothing(evm, address):
    evm.read(address, purse.encode("settlements"))
    with pytest.raises(QuickEvmError, match="not the operator"):
        evm.read(address, purse.encode("settle"))
    assert int.from_bytes(evm.read(address, purse.encode("settlements")), "big") == 0


def test_back_to_a_mark_is_back_in_every_balance_and_slot(evm, address):
    evm.call(SENDER, address, purse.encode("deposit"), 5)
    outer = evm.snapshot()
    evm.call(SENDER, address, purse.encode("deposit"), 6)
    inner = evm.snapshot()
    evm.call(SENDER, address, purse.encode("settle"))
    evm.restore(inner)
    assert evm.balance(address) == 11
    evm.restore(outer)
    assert evm.balance(address) == 5
    assert evm.balance(SENDER) == 10**20 - 5
    assert int.from_bytes(evm.read(address, purse.encode("settlements")), "big") == 0


def test_a_sender_without_the_ether_is_not_carried_out(evm, address):
    with pytest.raises(QuickEvmError, match="refuses to carry"):
        evm.call(OTHER, address, purse.encode("deposit"), 1)


def test_code_can_be_placed_as_a_genesis_does(evm):
    runtime = bytes.fromhex("60005460010160005560005460005260206000f3")  # counts its calls
    evm.place(OTHER, runtime)
    evm.call(SENDER, OTHER, b"")
    assert int.from_bytes(evm.call(SENDER, OTHER, b"").output, "big") == 2


def test_gas_of_py_evm_is_that_of_a_whole_transaction_on_the_chain(tmp_path):
    chain = open_chain(None, ChainSpec(accounts=("operator",)))
    operator = chain.account("operator")
    on_chain = purse.deploy(chain)
    evm = quick_evm("py-evm")
    evm.set_balance(SENDER, 10**20)
    address = evm.deploy(SENDER, purse.compiled()[0])
    for k in range(3):  # the first touches fresh slots, the others used ones
        for name, value_wei in (("deposit", 9), ("settle", 0)):
            data = purse.encode(name)
            receipt = chain.send(
                f"{name}/{k}", operator, on_chain, data, value_wei=value_wei, gas=purse.GAS
            )
            answer = evm.call(SENDER, address, data, value_wei)
            assert answer.gas_used == receipt.gas_used, (name, k)


def test_gas_of_pyrevm_is_never_told():
    if not has_revm():
        pytest.skip("pyrevm is not installed")
    evm = quick_evm("pyrevm")
    evm.set_balance(SENDER, 10**20)
    assert evm.call(SENDER, OTHER, b"", 1).gas_used is None


def test_without_the_extra_auto_is_py_evm_and_the_name_says_what_to_install(monkeypatch):
    monkeypatch.setattr(choosing, "find_spec", lambda name: None)
    assert quick_evm().name == "py-evm"
    with pytest.raises(QuickEvmError, match=r"fairround\[revm\]"):
        quick_evm("pyrevm")
