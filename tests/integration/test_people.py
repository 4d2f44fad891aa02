"""Rounds among people on a real node: own process, home, key, endpoint and files each."""

import json
import shutil
import time

import pytest
from eth_account import Account
from eth_utils.address import to_checksum_address

from ml.game import ValueTable, allocate
from settlement.escrow.artifacts import artifact
from settlement.escrow.deployment import escrow_address
from settlement.escrow.interface import Interface
from tests.integration.people import KEYS, VALUES, Person

ETHER_A_UNIT = 10**12
DAY_S = 86_400


def deposit(person, budget, *options):
    return person.json(
        "deposit", person.round, "--party", person.name, "--budget", budget, "--yes", *options
    )["deposited_units"]


def in_the_escrow(village):
    return village.balance(escrow_address())


def test_by_proof_the_operator_vanishes_after_opening_and_a_party_settles_in_its_place(village):
    """One never deposits; everybody gets out with its own key and the round's public files."""
    before = in_the_escrow(village)
    village.open()
    a, b, c, d = village.parties
    assert deposit(a, "0.2") == 200_000
    assert deposit(b, "100000 units") == 100_000
    assert deposit(c, "unlimited") == 700_000  # v(N) - v(c)
    # d never deposits, and says nothing; the operator is never heard of again.
    waits = b("settle", b.round, "--party", "b", "--yes", code=3)
    assert waits.startswith("waiting: Deposits can change until")
    assert "Not yet: d." in waits
    village.later(3_700)
    money = {p.name: village.balance(p.address) for p in village.parties}
    settled = b.json("settle", b.round, "--party", "b", "--yes")
    nets = settled["net_positions_units"]
    assert sum(nets) == 0
    expected = allocate(ValueTable(VALUES), [0.2, 0.1, 0.7, 0.0]).payoffs
    assert all(abs(net - payoff * 10**6) < 1 for net, payoff in zip(nets, expected, strict=True))
    assert nets[0] == -200_000
    assert nets[3] == 0  # without a budget it pays with what it receives
    for k in (0, 2):  # paid out by b, who pays for the gas
        due = [200_000, 100_000, 700_000, 0][k] + nets[k]
        person = village.parties[k]
        assert village.balance(person.address) - money[person.name] == due * ETHER_A_UNIT
    assert in_the_escrow(village) == before
    for person in (a, b, c, d):
        assert person.json("withdraw", person.round, "--party", person.name, "--yes") == {
            "party": person.name,
            "withdrawn_units": 0,
        }
    assert "ok    settlement" in b("verify", b.round)
    assert "not checked: what is still to come: reward, report" in b("verify", b.round)


def test_by_proof_a_bystander_settles_with_the_public_files(village):
    village.open()
    for person, budget in zip(village.parties, ("0.2", "0.1", "0.1", "0.05"), strict=True):
        deposit(person, budget)
    bystander = village["bystander"]
    package = village.operator.home / "public.zip"
    village.operator("pack", village.operator.round, "--public", "--out", package)
    shutil.copy(package, bystander.home / "public.zip")
    bystander("collect", bystander.round, bystander.home / "public.zip")
    bystander("allocate", bystander.round)
    settled = bystander.json("settle", bystander.round, "--account", bystander.address, "--yes")
    # The operator finds the round settled, and goes on with what is on the chain.
    village.operator("allocate", village.operator.round)
    mine = village.operator.json("settle", village.operator.round)
    assert mine["settlement_transaction"] == settled["settlement_transaction"]
    assert mine["net_positions_units"] == settled["net_positions_units"]
    village.operator("run", village.operator.round)
    assert "ok    report" in village.operator("verify", village.operator.round)


def test_everybody_done_ends_the_funding_at_once_and_steps_and_files_are_few(village):
    """At most five commands and two files a party, the last one its reward."""
    village.open()
    a, b, c, d = village.parties
    deposit(a, "0.2")
    deposit(b, "0.1")
    deposit(c, "0.1")
    assert d.json("close", d.round, "--party", "d", "--yes") == {"party": "d", "closed": True}
    village.operator("run", village.operator.round)  # no deadline has to pass
    village.hand(village.operator, a)
    assert (a.round / "settle" / "settlement.json").exists()
    status = a.json("status", a.round)
    assert status["phase"] == "settled"
    assert "ok    settlement" in a("verify", a.round)


def wallet_of(village, owner):
    """A contract wallet on the node whose owner is a person's key."""
    made = artifact("mocks/Wallet")
    creation = made.bytecode + bytes(12) + bytes.fromhex(owner.address[2:]) + bytes(32)
    receipt = sent(village, owner, None, creation)
    return to_checksum_address(receipt["contractAddress"]), Interface(made.abi)


def sent(village, person, to, data, value_wei=0):
    node = village.node
    key = KEYS[person.name]
    transaction = {
        "chainId": int(node.ask("eth_chainId"), 16),
        "nonce": int(node.ask("eth_getTransactionCount", person.address, "latest"), 16),
        "gas": 3_000_000,
        "maxFeePerGas": 10**11,
        "maxPriorityFeePerGas": 10**9,
        "value": value_wei,
        "data": data,
        **({} if to is None else {"to": to_checksum_address(to)}),
    }
    signed = Account.sign_transaction(transaction, key)
    hash_ = node.ask("eth_sendRawTransaction", "0x" + signed.raw_transaction.hex())
    while (receipt := node.ask("eth_getTransactionReceipt", hash_)) is None:
        time.sleep(0.01)
    assert receipt["status"] == "0x1", receipt
    return receipt


def through_wallet(village, person, wallet, interface, calls):
    """What the wallet's owner does with transactions that were printed for it."""
    for call in calls:
        data = interface.encode(
            "act", call["to"], bytes.fromhex(call["data"][2:]), int(call["value_wei"])
        )
        sent(village, person, wallet, data)


def delegated(village, person, code_address):
    """Give an account code beside its key (EIP-7702)."""
    node = village.node
    nonce = int(node.ask("eth_getTransactionCount", person.address, "latest"), 16)
    chain_id = int(node.ask("eth_chainId"), 16)
    authorization = Account.sign_authorization(
        {"chainId": chain_id, "address": code_address, "nonce": nonce + 1}, KEYS[person.name]
    )
    transaction = {
        "type": 4,
        "chainId": chain_id,
        "nonce": nonce,
        "gas": 200_000,
        "maxFeePerGas": 10**11,
        "maxPriorityFeePerGas": 10**9,
        "to": person.address,
        "value": 0,
        "data": b"",
        "accessList": [],
        "authorizationList": [authorization],
    }
    signed = Account.sign_transaction(transaction, KEYS[person.name])
    hash_ = node.ask("eth_sendRawTransaction", "0x" + signed.raw_transaction.hex())
    while node.ask("eth_getTransactionReceipt", hash_) is None:
        time.sleep(0.01)
    code = node.ask("eth_getCode", person.address, "latest")
    assert code.startswith("0xef0100")


def test_by_signatures_with_a_wallet_a_delegated_account_one_that_revokes_and_one_that_is_absent(
    village,
):
    """Parties sign by themselves; a party takes the signatures to the chain, not the operator."""
    before = in_the_escrow(village)
    a, b, c, d = village.parties
    wallet, interface = wallet_of(village, b)
    sent(village, b, wallet, b"", value_wei=10**18)
    delegated(village, c, wallet)
    village.open({"b": wallet}, settlement="signatures")
    assert deposit(a, "0.2") == 200_000
    assert deposit(c, "0.3") == 300_000
    calls = b.json(
        *("deposit", b.round, "--party", "b", "--budget", "0.1"), *("--payout", wallet, "--call")
    )
    assert [call["from"] for call in calls] == [wallet]
    through_wallet(village, b, wallet, interface, calls)
    assert "Not yet: d." in a("sign", a.round, "--party", "a", "--yes", code=3)
    village.later(3_700)  # d never deposits

    def signed_by(person, *options):
        path = person.json("sign", person.round, "--party", person.name, "--yes", *options)
        return path["signature"]

    for person in (a, c, d):
        signed_by(person)
    typed = b.json("sign", b.round, "--party", "b", "--typed-data")
    transfers = typed["message"]["transfers"]
    assert {"debtor", "creditor", "amount_wei"} == transfers[0].keys()
    by_wallet = Account.sign_typed_data(KEYS["b"], full_message=for_signing(typed)).signature
    signed_by(b, "--signature", "0x" + by_wallet.hex())
    # a takes its signature back: none of the four counts any more.
    a("revoke", a.round, "--party", "a", "--yes")
    for person in village.parties:
        village.hand(person, a)
    stale = a("settle", a.round, "--party", "a", "--yes", code=1)
    assert "Sign again" in stale
    for person in (a, c, d):
        signed_by(person)
    typed = b.json("sign", b.round, "--party", "b", "--typed-data")
    by_wallet = Account.sign_typed_data(KEYS["b"], full_message=for_signing(typed)).signature
    signed_by(b, "--signature", "0x" + by_wallet.hex())
    village.hand(c, a)
    # Those of b and d are still the ones from before the revocation.
    assert "Sign again" in a("settle", a.round, "--party", "a", "--yes", code=1)
    for person in (b, d):
        village.hand(person, a)
    settled = a.json("settle", a.round, "--party", "a", "--yes")
    assert sum(settled["net_positions_units"]) == 0
    if settled["claims_units"][3]:
        d("withdraw", d.round, "--party", "d", "--yes")
    assert in_the_escrow(village) == before
    assert "ok    settlement" in c("verify", settled_folder(village, a, c))


def for_signing(typed):
    """What a wallet makes of the JSON: bytes and whole numbers by the declared types."""
    types = typed["types"]

    def read(kind, value):
        if kind.endswith("[]"):
            return [read(kind[:-2], item) for item in value]
        if kind in types:
            return {
                field["name"]: read(field["type"], value[field["name"]]) for field in types[kind]
            }
        if kind == "bytes32":
            return bytes.fromhex(value[2:])
        return int(value) if kind.startswith("uint") else value

    domain, message = typed["domain"], typed["message"]
    return typed | {
        "domain": read("EIP712Domain", domain),
        "message": read(typed["primaryType"], message),
    }


def settled_folder(village, giver, taker):
    """The settled round, copied as an auditor would get it."""
    package = giver.home / "settled.zip"
    giver("pack", giver.round, "--public", "--out", package)
    shutil.copy(package, taker.home / "settled.zip")
    taker("collect", taker.home / "audit", taker.home / "settled.zip")
    return taker.home / "audit"


@pytest.mark.parametrize("settlement", ["proof", "signatures"])
def test_an_operator_that_vanishes_before_anybody_settles_keeps_nobody_from_its_deposit(
    village, settlement
):
    """No folder is needed either: contract, number, key and node."""
    before = in_the_escrow(village)
    village.open(settlement=settlement)
    a, b, c, _ = village.parties
    for person, budget in ((a, "0.2"), (b, "0.1"), (c, "0.1")):
        deposit(person, budget)
        shutil.rmtree(person.round)
    escrow, round_id = escrow_address(), village.round_id()
    early = a("withdraw", "--escrow", escrow, "--round", round_id, "--yes", code=3)
    assert "is still open" in early
    village.later(3_700 + DAY_S)
    for person, units in ((a, 200_000), (b, 100_000), (c, 100_000)):
        found = person.json("withdraw", "--escrow", escrow, "--round", round_id, "--yes")
        assert found["withdrawn_units"] == units
    assert in_the_escrow(village) == before


def test_a_party_whose_folder_is_lost_settles_from_the_copy_that_it_kept(village):
    village.open()
    a, b, c, d = village.parties
    kept = a.json("deposit", a.round, "--party", "a", "--budget", "0.2", "--yes")["kept"]
    for person in (b, c, d):
        person("close", person.round, "--party", person.name, "--yes")
    shutil.rmtree(a.round)
    settled = a.json("settle", kept, "--party", "a", "--yes")
    assert settled["net_positions_units"][0] == -200_000


def test_a_round_that_misses_its_quorum_gives_everything_back_at_once(village):
    village.open(quorum="500000 units")
    a, b, c, d = village.parties
    words = a.words("deposit", a.round, "--party", "a", "--budget", "0.2")
    assert "below 0.5 ether (500,000 base units)" in words
    deposit(a, "0.2")
    for person in (b, c, d):
        person("close", person.round, "--party", person.name, "--yes")
    abandoned = b("settle", b.round, "--party", "b", "--yes", code=1)
    assert "Abandoned: 200,000 base units were locked; the terms want 500,000" in abandoned
    assert a.json("status", a.round)["phase"] == "abandoned"
    assert a.json("withdraw", a.round, "--party", "a", "--yes")["withdrawn_units"] == 200_000


def test_a_party_reads_in_words_what_will_happen_before_it_says_yes(village):
    village.open()
    a = village["a"]
    words = a.words("deposit", a.round, "--party", "a", "--budget", "0.2")
    for part in (
        "On chain 31337 (a local test node)",
        f"by the escrow {escrow_address()}",
        'as party "a" with the account',
        "You lock 0.2 ether (200,000 base units). It is your budget: you can owe no more.",
        "Gas costs you",
        "you take all of it back",
        "Go on?",
    ):
        assert part in words
    assert village.balance(escrow_address()) == village.balance(escrow_address())
    assert a.json("status", a.round)["parties"][0]["deposit_units"] == 0


def test_values_of_the_village_are_monotone():
    for coalition, value in enumerate(VALUES):
        for party in range(4):
            assert VALUES[coalition | 1 << party] >= value


# The attacks of an operator that means harm, each by its name.


def retold(village, person, stage, change):
    """What a dishonest operator hands out: a stage's files changed and sealed again."""
    from settlement.store.folder import STAGES, RoundFolder

    folder = person.round
    for name in ("train", "open"):
        if not (folder / name).exists():
            continue
        old = {path.name: path.read_bytes() for path in (folder / name).iterdir()}
        del old["seal.json"]
        if name == stage:
            change(old)
        shutil.rmtree(folder / name)
        inputs = STAGES[: STAGES.index(name)]
        with RoundFolder(folder).write_stage(name, inputs=inputs) as new:
            for file, content in old.items():
                (new / file).write_bytes(content)


def puppet_is_worth_everything(files):
    """A game that hands all deposits to party d, and does not follow from the values."""
    from settlement.round.game import stored_game
    from settlement.store.documents import GameDocument
    from settlement.store.folder import dump_json

    game = json.loads(files["game.json"])
    for payer, row in enumerate(game["flows"]):
        row[:] = [0] * 3 + [sum(row)] if payer != 3 else row
    game["game_hash"] = stored_game(GameDocument(**game)).hash.hex()
    files["game.json"] = dump_json(game)


def test_attack_an_invented_game_gets_no_deposit(village):
    village.configure()
    operator, a = village.operator, village["a"]
    operator("train", operator.round)
    retold(village, operator, "train", puppet_is_worth_everything)
    operator("open", operator.round)  # the chain agrees: it was opened on the invented game
    village.hand(operator, a)
    refused = a("deposit", a.round, "--party", "a", "--budget", "0.2", "--yes", code=1)
    assert "train/game.json: flows is" in refused
    assert a.json("status", a.round)["parties"][0]["deposit_units"] == 0


def test_attack_invented_values_are_not_those_of_the_terms(village):
    village.open()
    a = village["a"]

    def invent(files):
        files["values.json"] = files["values.json"].replace(b"0.35", b"0.95")

    retold(village, a, "train", invent)
    refused = a("deposit", a.round, "--party", "a", "--budget", "0.2", "--yes", code=1)
    assert "the terms name" in refused


def test_attack_terms_that_are_not_the_rounds_on_the_chain(village):
    village.open()
    a = village["a"]

    def cheaper(files):
        files["terms.json"] = files["terms.json"].replace(
            b'"unit_scale": 1000000000000', b'"unit_scale": 1000000000'
        )

    retold(village, a, "open", cheaper)
    refused = a("deposit", a.round, "--party", "a", "--budget", "0.2", "--yes", code=1)
    assert "was not opened as agreed" in refused


def test_attack_an_endpoint_that_says_the_escrow_is_elsewhere(village):
    """The terms name a contract that a proxy would answer for: its address gives it away."""
    village.open()
    a = village["a"]
    impostor = "0x" + "12" * 20

    def elsewhere(files):
        for name in ("terms.json", "round.json"):
            files[name] = files[name].replace(escrow_address().encode(), impostor.encode())

    retold(village, a, "open", elsewhere)
    refused = a("deposit", a.round, "--party", "a", "--budget", "0.2", "--yes", code=1)
    assert "Deposit nothing there" in refused


def test_attack_the_operators_endpoint_fees_and_modules_are_never_used(village, tmp_path):
    """A round.toml that names an endpoint, fees, a keystore or a shell command moves nothing."""
    village.open()
    a = village["a"]
    trap = tmp_path / "trap"
    text = (a.round / "round.toml").read_text()
    evil = text.replace(
        "[chain]",
        '[training]\nnetwork = "os:system"\narguments = {command = "touch '
        + str(trap)
        + '"}\n[chain]\npriority_fee_gwei = 1000000\nprovider = "http://127.0.0.1:1"',
    )
    (a.round / "round.toml").write_text(evil)
    refused = a("deposit", a.round, "--party", "a", "--budget", "0.2", "--yes", code=1)
    assert "round.toml has SHA-256" in refused
    # Sealed again, the file is believed to be the round's, and is still not read.
    retold(village, a, "train", lambda files: None)
    retold(village, a, "open", lambda files: None)
    spent = village.balance(a.address)
    assert deposit(a, "0.2") == 200_000
    spent -= village.balance(a.address)
    assert not trap.exists()
    assert spent - 200_000 * ETHER_A_UNIT < 10**17


def test_attack_an_agreement_that_is_a_path_writes_nothing_elsewhere(village, tmp_path):
    """The copy of what was agreed to is named by the agreement, which must be the terms'."""
    village.open()
    a = village["a"]
    elsewhere = tmp_path / "elsewhere"

    def outside(files):
        opened = json.loads(files["round.json"])
        opened["agreement"] = str(elsewhere)
        files["round.json"] = json.dumps(opened).encode()

    retold(village, a, "open", outside)
    refused = a("deposit", a.round, "--party", "a", "--budget", "0.2", "--yes", code=1)
    assert "open/round.json: agreement is" in refused
    assert not elsewhere.exists()


def test_attack_a_settlement_that_the_chain_does_not_know_keeps_nobody_from_settling(village):
    from settlement.store.documents import SettlementDocument
    from settlement.store.folder import RoundFolder

    village.open()
    a = village["a"]
    for person in village.parties:
        deposit(person, "0.2")
    nothing = [0] * 4
    made_up = SettlementDocument(
        *("00" * 32, nothing, [], "00" * 32, 7, nothing, nothing, [], "", 0, "")
    )
    with RoundFolder(a.round).write_stage("settle", inputs=["train", "open"]) as folder:
        made_up.write(folder)
    command = ("settle", a.round, "--party", "a", "--yes")
    assert "on the chain it is not" in a(*command, code=1)
    b = village["b"]
    b("settle", b.round, "--party", "b", "--yes")
    assert "settle/settlement.json: plan_id is" in a(*command, code=1)
    shutil.rmtree(a.round / "settle")
    a(*command)


def test_attack_a_journal_that_somebody_made_up_withdraws_nothing_in_words_alone(village):
    """A folder's journal may tell of transactions that nobody sent; the chain is asked."""
    from settlement.chain.journal import Journal
    from settlement.chain.records import TransactionReceipt, intent_of

    village.open()
    a, ask = village["a"], village.node.ask
    assert deposit(a, "0.2") == 200_000
    shutil.rmtree(a.round / "chain")
    data = Interface(artifact().abi).encode("withdraw", village.round_id(), 0, a.address)
    label = f"withdraw/{village.round_id()}/0"
    wanted = {"type": 2, "chainId": 31337, "nonce": 1_000, "to": escrow_address(), "data": data}
    wanted |= {"value": 0, "gas": 350_000, "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9}

    def make_up(signer):
        signed = Account.sign_transaction(wanted, KEYS[signer])
        block = ask("eth_getBlockByNumber", "0x1", False)["hash"]
        with Journal(a.round / "chain") as journal:
            genesis = ask("eth_getBlockByNumber", "0x0", False)["hash"]
            began = {"chain_id": 31337, "genesis_hash": genesis, "block": 0, "timestamp": 0}
            journal.append("endpoint", began)
            sent = intent_of(a.address, escrow_address(), data, 0)
            sent |= {"raw": bytes(signed.raw_transaction).hex(), "hash": signed.hash.hex()}
            journal.append("send", sent | {"label": label, "nonce": 1_000})
            receipt = TransactionReceipt(
                *(label, bytes(signed.hash), 1, 21_000, True),
                block_hash=bytes.fromhex(block[2:]),
            )
            journal.append("receipt", receipt.as_json())

    village.later(DAY_S + 7200)
    withdraw = ("withdraw", a.round, "--party", "a", "--yes")
    make_up("operator")
    refused = a(*withdraw, code=1).replace("\n", " ")
    assert "its account has signed no such thing" in refused
    shutil.rmtree(a.round / "chain")
    make_up("a")  # as if it had got hold of what a signed and never sent
    assert f'the journal says that "{label}" was sent' in a(*withdraw, code=1).replace("\n", " ")
    place = ("--escrow", escrow_address(), "--round", village.round_id(), "--yes")
    assert a.json("withdraw", *place)["withdrawn_units"] == 200_000


def test_attack_a_copied_folder_of_another_chain_is_refused(village):
    village.open()
    a = village["a"]

    def other(files):
        files["terms.json"] = files["terms.json"].replace(
            b'"chain_id": 31337', b'"chain_id": 11155111'
        )

    retold(village, a, "open", other)
    refused = a("deposit", a.round, "--party", "a", "--budget", "0.2", "--yes", code=1)
    assert "serves chain 31337; the round is for chain 11155111" in refused.replace("\n", " ")


@pytest.mark.parametrize(
    "recipient", ["hello", "0x12", "0x70997970c51812dc3A010C7d01b50e0d17dc79C8"]
)
def test_attack_money_does_not_go_to_a_broken_address(village, recipient):
    village.open()
    a = village["a"]
    broken = a("withdraw", a.round, "--party", "a", "--to", recipient, "--yes", code=1)
    assert broken.startswith("error: ")
    assert len(broken.splitlines()) == 1
    for command in (
        ("withdraw", "--escrow", escrow_address(), "--round", village.round_id()),
        ("settle", a.round),
    ):
        other = a(*command, "--account", recipient, "--yes", code=1)
        assert other.startswith(f"error: {broken.split()[1]}"), other
        assert len(other.splitlines()) == 1


def test_a_person_without_the_key_can_do_nothing_for_a_party(village):
    village.open()
    b = village["b"]
    refused = b("deposit", b.round, "--party", "a", "--budget", "0.2", "--yes", code=1)
    assert "No key of" in refused
    assert isinstance(b, Person)


def token_of(village, funded):
    """A token on the node, and so many of its smallest units for each of its holders."""
    made = artifact("mocks/Token")
    receipt = sent(village, village.operator, None, made.bytecode + bytes(32))
    token, interface = to_checksum_address(receipt["contractAddress"]), Interface(made.abi)
    for person in funded:
        mint = interface.encode("mint", person.address, 10**24)
        sent(village, village.operator, token, mint)

    def balance(address):
        data = "0x" + interface.encode("balanceOf", address).hex()
        return int(village.node.ask("eth_call", {"to": token, "data": data}, "latest"), 16)

    def habits(number):
        sent(village, village.operator, token, interface.encode("set_habit", number))

    return token, balance, habits


def test_attack_a_collectible_as_the_asset_is_not_locked_for_ever(village):
    """A deposit of one unit would be the piece with the number 1; nothing gives it back."""
    a = village["a"]
    made = artifact("mocks/Collectible")
    token = to_checksum_address(sent(village, a, None, made.bytecode)["contractAddress"])
    village.configure(asset=token, unit_scale=1)
    operator = village.operator
    operator("train", operator.round)
    refused = operator("open", operator.round, code=1)
    assert "a collection of single pieces (ERC-721)" in refused.replace("\n", " ")
    careless = (
        "import sys, settlement.round.stages.open as stage; from settlement.cli.main import main; "
        "stage.check_token = lambda chain, asset: None; main(sys.argv[1:])"
    )
    operator.python("-c", careless, "open", operator.round)
    village.hand_round()
    one = ("deposit", a.round, "--party", "a", "--budget", "1 units", "--yes")
    assert "Deposit nothing" in a(*one, code=1).replace("\n", " ")
    data = "0x" + Interface(made.abi).encode("ownerOf", 1).hex()
    owner = village.node.ask("eth_call", {"to": token, "data": data}, "latest")
    assert owner[-40:] == a.address[2:].lower()


def n_transactions(village, person):
    return int(village.node.ask("eth_getTransactionCount", person.address, "latest"), 16)


@pytest.mark.parametrize("settlement", ["proof", "signatures"])
def test_a_round_in_a_token_approves_locks_settles_and_pays_out_in_it(village, settlement):
    a, b, c, d = village.parties
    token, balance, habits = token_of(village, (a, b, c))
    village.open(asset=token, settlement=settlement, unit_scale=10**6)
    words = a.words("deposit", a.round, "--party", "a", "--budget", "0.2")
    assert "you allow the escrow to take so much of the token: by a signature" in words
    assert f"200,000,000,000 smallest units of the token at {token}" in words
    for person, budget, habit in ((a, "0.2", 0), (b, "0.1", 9), (c, "0.3", 10)):
        habits(habit)
        n_sent = n_transactions(village, person)
        deposit(person, budget)
        # By one transaction with a permit; a domain that is not the token's gets no signature.
        assert n_transactions(village, person) - n_sent == (1 if habit == 0 else 2)
    habits(0)
    d("close", d.round, "--party", "d", "--yes")
    assert balance(escrow_address()) == 600_000 * 10**6
    if settlement == "signatures":
        for person in village.parties:
            person("sign", person.round, "--party", person.name, "--yes")
            village.hand(person, b) if person is not b else None
    settled = b.json("settle", b.round, "--party", "b", "--yes")
    nets = settled["net_positions_units"]
    deposits = (200_000, 100_000, 300_000)
    for person, units, net in zip((a, b, c), deposits, nets, strict=False):
        assert balance(person.address) == 10**24 + net * 10**6, units
    assert balance(d.address) == nets[3] * 10**6
    assert balance(escrow_address()) == 0
