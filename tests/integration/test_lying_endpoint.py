"""Endpoints that lie: a proxy in a process of its own, which swaps two addresses in all it says.

A contract address in the terms that has no code looks like the escrow through it; seats that were
opened for other accounts look like those of the parties.
"""

from __future__ import annotations

import json
import random
import shutil

import requests
from web3.providers.rpc import HTTPProvider

from settlement.config.settings import Settings
from settlement.escrow.artifacts import artifact
from settlement.escrow.deployment import escrow_address
from settlement.party.desk import party_desk
from settlement.party.funding import deposit as deposit_action
from settlement.party.leaving import desk_without_folder
from settlement.party.settling import settle
from settlement.round.access import ChainAccess
from settlement.round.status import live_status
from tests.hostile import VALUES, refused
from tests.integration.lying_proxy import lying_proxy
from tests.integration.people import KEYS, address_of
from tests.integration.test_people import deposit, retold, sent

IMPOSTOR = address_of("bystander")
BUDGET = ("--budget", "0.2", "--yes")


def code_at(endpoint, address):
    body = {"jsonrpc": "2.0", "id": 1, "method": "eth_getCode", "params": [address, "latest"]}
    return requests.post(endpoint, json=body, timeout=30).json()["result"]


def replaced(*pairs):
    """A change to the stage `open` as a dishonest operator hands it out."""

    def change(files):
        for name in ("terms.json", "round.json"):
            for old, new in pairs:
                files[name] = files[name].replace(old.encode(), new.encode())

    return change


def test_attack_a_proxy_that_swaps_two_addresses_gets_no_deposit(village, tmp_path):
    """The operator names its own account as the contract, and its proxy answers as if it were."""
    village.open()
    a = village["a"]
    pocket = village.balance(IMPOSTOR)
    retold(village, a, "open", replaced((escrow_address(), IMPOSTOR)))
    swap = (escrow_address(), IMPOSTOR)
    with lying_proxy(village.node.address, tmp_path / "proxy", swap=swap) as proxy:
        assert code_at(proxy.address, IMPOSTOR) == f"0x{artifact().runtime.hex()}"
        for endpoint in (village.node.address, proxy.address):
            a.asks(endpoint)
            refused = a("deposit", a.round, "--party", "a", *BUDGET, code=1)
            assert "Deposit nothing there" in refused
        assert "eth_sendRawTransaction" not in proxy.asked
    assert village.balance(IMPOSTOR) == pocket


def test_attack_the_endpoint_that_the_rounds_file_names_is_never_asked(village, tmp_path):
    """No key of the round's file names an endpoint; in a party's copy nobody reads one."""
    village.open()
    a = village["a"]
    swap = (escrow_address(), IMPOSTOR)
    with lying_proxy(village.node.address, tmp_path / "proxy", swap=swap) as proxy:
        for key in ("provider", "endpoint"):
            named = (a.round / "round.toml").read_text()
            named = named.replace("[chain]", f'[chain]\n{key} = "{proxy.address}"')
            mine = village.operator.home / key
            mine.mkdir()
            (mine / "round.toml").write_text(named)
            assert "round.toml:" in village.operator("open", mine, code=1)
        (a.round / "round.toml").write_text(named)
        for stage in ("train", "open"):  # sealed again with the file that names it
            retold(village, a, stage, lambda files: None)
        assert deposit(a, "0.2") == 200_000
        assert proxy.asked == []
        # Pointed at it by its own settings, the party finds no escrow where one must be.
        b = village["b"]
        b.asks(proxy.address)
        refused = b("deposit", b.round, "--party", "b", *BUDGET, code=1)
        assert "Deposit nothing on this chain" in refused.replace("\n", " ")


def opened_again(village, *pairs):
    """The same terms once more, with other accounts in the seats; the number of that round."""
    node = village.node
    asked = {"address": escrow_address(), "fromBlock": "0x0"}
    hash_ = node.ask("eth_getLogs", asked)[-1]["transactionHash"]
    data = node.ask("eth_getTransactionByHash", hash_)["input"]
    for old, new in pairs:
        data = data.replace(old[2:].lower(), new[2:].lower())
    sent(village, village.operator, escrow_address(), bytes.fromhex(data[2:]))
    return int(node.ask("eth_getLogs", asked)[-1]["topics"][1], 16)


def test_attack_swapped_seats_behind_a_proxy_get_no_deposit(village, tmp_path):
    """a's seat is b's account on the chain; the operator's proxy swaps the two when a looks."""
    a, b = village["a"], village["b"]
    village.open()
    before = village.balance(escrow_address())
    marked = "0x" + "77" * 20
    seats = ((a.address, marked), (b.address, a.address), (marked, b.address))
    number = opened_again(village, *seats)
    numbers = [f'"round_id": {k}' for k in (village.round_id(), number)]
    retold(village, a, "open", replaced(numbers))
    swap = (a.address, b.address)
    with lying_proxy(village.node.address, tmp_path / "proxy", swap=swap) as proxy:
        a.asks(proxy.address)
        refused = a("deposit", a.round, "--party", "a", *BUDGET, code=1)
        assert "was not opened as agreed: the agreement is" in refused.replace("\n", " ")
        assert "eth_sendRawTransaction" not in proxy.asked
    assert village.balance(escrow_address()) == before


def test_attack_an_endpoint_that_tells_of_other_deposits_gets_no_signature(village, tmp_path):
    """c is to sign for the plan of another division, by the hash of the true deposits."""
    village.open(settlement="signatures")
    c = village["c"]
    for person, units in zip(village.parties, (200_000, 100_000, 30_000, 50_000), strict=True):
        deposit(person, f"{units} units")
    shown = c("sign", c.round, "--party", "c", "--typed-data")
    lie = (f"{200_000:064x}", f"{1:064x}")
    with lying_proxy(village.node.address, tmp_path / "proxy", log=lie) as proxy:
        c.asks(proxy.address)
        refused = c("sign", c.round, "--party", "c", "--yes", code=1)
        assert "The endpoint tells of different deposits of round" in refused.replace("\n", " ")
        assert not (c.round / "signatures").exists()
    c.asks(village.node.address)
    assert c("sign", c.round, "--party", "c", "--typed-data") == shown


def changed_answer(answer, chance):
    """An answer with one place changed: taken out, another digit, or something of another kind."""
    if isinstance(answer, dict | list) and answer and chance.random() < 0.85:
        answer = json.loads(json.dumps(answer))
        key = chance.choice(list(answer) if isinstance(answer, dict) else range(len(answer)))
        if isinstance(answer, dict) and chance.random() < 0.15:
            del answer[key]
        else:
            answer[key] = changed_answer(answer[key], chance)
        return answer
    if isinstance(answer, str) and len(answer) > 6 and chance.random() < 0.5:
        at = chance.randrange(2, len(answer))
        return answer[:at] + chance.choice("0123456789abcdefxyz") * 2 + answer[at + 1 :]
    return chance.choice([*VALUES, "0x", "0x0", "0x" + "f" * 64, "0x" + "ff" * 300, "\x1b[2J"])


def test_answers_changed_at_random_are_refused_by_name(village, monkeypatch):
    """Whatever an endpoint answers, a party reads a sentence: no traceback, and no hang."""
    village.open()
    a = village["a"]
    monkeypatch.setenv("FAIRROUND_KEY", KEYS["a"])
    settings = Settings(endpoint=village.node.address, keystore=str(a.home / "none"))
    access = ChainAccess(lambda: settings)
    chance, honest = random.Random(11), HTTPProvider.make_request

    def lying(provider, method, parameters):
        reply = honest(provider, method, parameters)
        if chance.random() > share:
            return reply
        return reply | {"result": changed_answer(reply.get("result"), chance)}

    def look():
        with party_desk(a.round, "a", access) as desk:
            deposit_action(desk, None, a.address, last=True)

    def leave():
        with desk_without_folder(access, escrow_address(), village.round_id(), a.address) as desk:
            desk.withdraw(None)

    monkeypatch.setattr(HTTPProvider, "make_request", lying)
    n_refused = 0
    for _ in range(60):
        for verb in (
            look,
            leave,
            lambda: live_status(a.round, access),
            lambda: settle(a.round, access, a.address),
        ):
            share = chance.choice([0.03, 0.1, 0.3])
            shutil.rmtree(a.round / "chain", ignore_errors=True)
            n_refused += refused(verb)
    assert n_refused > 150
