"""The operator vanishes, with its key and its folder, at every step; everybody gets out.

Each person is a process with a home, a key and an endpoint of its own on a real node, and has the
public files of the round besides. After the operator has gone a party settles in its place, or
nobody does and everybody takes back its deposit.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from eth_utils.abi import function_abi_to_4byte_selector

from ml.game import ValueTable, allocate
from settlement.escrow.artifacts import artifact
from settlement.escrow.deployment import escrow_address
from tests.integration.chunk_hand import N_TRANSFERS
from tests.integration.lying_proxy import lying_proxy
from tests.integration.people import VALUES

FAIRROUND = ("-m", "settlement")
HAND = Path(__file__).with_name("chunk_hand.py")
HOUR_S, DAY_S = 3_700, 86_400
DEPOSITS_UNITS = {"a": 200_000, "b": 100_000, "c": 300_000, "d": 0}
MOMENTS = (
    "trained and packed",
    "opening sent and lost",
    "opened",
    "deposit of a",
    "deposit of b",
    "deposit of c",
    "all closed",
    "settled and nobody paid",
)
BEFORE_THE_MONEY = MOMENTS[:2]


def selector_of(function):
    (found,) = [entry for entry in artifact().abi if entry.get("name") == function]
    return function_abi_to_4byte_selector(found).hex()


def vanish(village):
    """Nothing of the operator's is left: no key, no folder, no process."""
    shutil.rmtree(village.operator.home)
    village.operator = None


def killed_after(village, folder, function, *command):
    """The operator's transaction reaches the chain; its process is killed before it hears so."""
    operator = village.operator
    with lying_proxy(village.node.address, folder, last=selector_of(function)) as proxy:
        operator.asks(proxy.address)
        process = operator.start(*command)
        try:
            while "last" not in proxy.asked:
                assert process.poll() is None, "the operator has ended"
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()


def done_with_funding(person):
    """Deposit if it wants to, and say in any case that there is no more to come."""
    units = DEPOSITS_UNITS[person.name]
    common = (person.round, "--party", person.name, "--yes")
    if not units:
        person("close", *common)
        return
    found = person.json("deposit", *common, "--budget", f"{units} units")
    assert found["deposited_units"] == units


def signed_by_all(village, taker):
    """Everybody signs, and hands its signature to whoever settles."""
    for person in village.parties:
        person("sign", person.round, "--party", person.name, "--yes")
        if person is not taker:
            village.hand(person, taker)


def play_until(village, moment, settlement, folder):
    """The round up to the moment at which the operator vanishes; who has funded until then."""
    operator = village.operator
    village.configure(settlement=settlement)
    operator("train", operator.round)
    operator("pack", operator.round, "--public", "--out", folder / "public.zip")
    if moment == MOMENTS[0]:
        return []
    if moment == MOMENTS[1]:
        killed_after(village, folder / "proxy", "open_round", *FAIRROUND, "open", operator.round)
        assert not (operator.round / "open").exists()
        return []
    operator("open", operator.round)
    village.hand_round()
    n_funded = max(0, MOMENTS.index(moment) - MOMENTS.index("opened"))
    funded = village.parties[:n_funded]
    for person in funded:
        done_with_funding(person)
    if moment == MOMENTS[-1]:
        if settlement == "signatures":
            signed_by_all(village, operator)
        operator("allocate", operator.round)
        function = "settle_by_proof" if settlement == "proof" else "settle"
        killed_after(village, folder / "proxy", function, *FAIRROUND, "settle", operator.round)
        assert not (operator.round / "settle").exists()
    return funded


def opened_by_another(village, folder, settlement):
    """Somebody else takes the operator's part: the public files say what was to be opened."""
    other = village["bystander"]
    shutil.copy(folder / "public.zip", other.home / "public.zip")
    other("collect", other.home / "public", other.home / "public.zip")
    village.operator = other
    village.open(settlement=settlement)
    opened, planned = (
        json.loads((path / "train" / "game.json").read_text())
        for path in (other.round, other.home / "public")
    )
    assert opened["game_hash"] == planned["game_hash"]


QUICK = ("deposit of b", "proof", True)
EVERY_WAY = [
    pytest.param(*way, marks=() if way == QUICK else pytest.mark.slow)
    for moment in MOMENTS
    for settlement in ("proof", "signatures")
    for settles in (True, False)
    for way in [(moment, settlement, settles)]
]


@pytest.mark.parametrize(("moment", "settlement", "settles"), EVERY_WAY)
def test_the_operator_vanishes_and_everybody_gets_out(
    village, tmp_path, moment, settlement, settles
):
    before = village.balance(escrow_address())
    funded = play_until(village, moment, settlement, tmp_path)
    round_id = None if moment in BEFORE_THE_MONEY else village.round_id()
    vanish(village)
    if moment in BEFORE_THE_MONEY:
        assert village.balance(escrow_address()) == before  # nobody has anything to get out
        if not settles:
            return
        opened_by_another(village, tmp_path, settlement)
        round_id = village.round_id()
    for person in village.parties:
        if person not in funded:
            done_with_funding(person)
    units = list(DEPOSITS_UNITS.values())
    expected = allocate(ValueTable(VALUES), [amount / 10**6 for amount in units]).payoffs
    was_settled = moment == MOMENTS[-1]
    b = village["b"]
    if settles:
        if settlement == "signatures" and not was_settled:
            signed_by_all(village, b)
        settled = b.json("settle", b.round, "--party", "b", "--yes")
        nets = settled["net_positions_units"]
        assert all(
            abs(net - payoff * 10**6) < 1 for net, payoff in zip(nets, expected, strict=True)
        )
    elif not was_settled:
        village.later(HOUR_S + DAY_S)
    # Whoever is not paid out yet gets out with its key alone: contract and number are public.
    for person in village.parties:
        place = ("--escrow", escrow_address(), "--round", round_id, "--yes")
        found = person.json("withdraw", *place)["withdrawn_units"]
        party = "abcd".index(person.name)
        net = expected[party] * 10**6 if was_settled else 0
        due = 0 if settles and person.name != "d" else units[party] + net
        if not (settles and person.name == "d"):
            assert abs(found - due) < 1, person.name
    assert village.balance(escrow_address()) == before


def by_hand(person, action, round_id, *rest):
    """Command of a person that carries out its part of a plan in chunks."""
    return [str(HAND), action, str(person.home / "journal"), person.address, str(round_id), *rest]


@pytest.mark.parametrize("settles", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_operator_vanishes_between_a_chunk_and_the_next(village, tmp_path, settles):
    """Another carries on with the public plan, or nobody does: a half-sent plan moves no money."""
    before = village.balance(escrow_address())
    village.open(settlement="signatures")
    for person in village.parties:
        done_with_funding(person)
    round_id = village.round_id()
    signatures = [
        person.python(*by_hand(person, "sign", round_id, str(k))).strip()
        for k, person in enumerate(village.parties)
    ]
    command = by_hand(village.operator, "carry", round_id, *signatures)
    killed_after(village, tmp_path / "proxy", "settle_chunk", *command)
    vanish(village)
    b = village["b"]
    assert b.json("status", b.round)["phase"] == "settling"
    if settles:
        b.python(*by_hand(b, "carry", round_id, *signatures))
    else:
        village.later(HOUR_S + DAY_S)
    moved = N_TRANSFERS if settles else 0
    for person, net in zip(village.parties, (-moved, moved, 0, 0), strict=True):
        place = ("--escrow", escrow_address(), "--round", round_id, "--yes")
        found = person.json("withdraw", *place)["withdrawn_units"]
        assert found == DEPOSITS_UNITS[person.name] + net
    assert village.balance(escrow_address()) == before
