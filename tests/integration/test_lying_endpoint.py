"""Endpoints that lie: a proxy in a process of its own, which swaps two addresses in all it says.

A contract address in the terms that has no code looks like the escrow through it; seats that were
opened for other accounts look like those of the parties.
"""

from __future__ import annotations

import requests

from settlement.escrow.artifacts import artifact
from settlement.escrow.deployment import escrow_address
from tests.integration.lying_proxy import lying_proxy
from tests.integration.people import address_of
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
