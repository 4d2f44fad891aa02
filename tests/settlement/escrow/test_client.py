"""The client's own checks: what it refuses before anything is sent, and that it sends once."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from settlement.chain.errors import Reverted
from settlement.chain.opening import open_chain
from settlement.chain.spec import ChainSpec
from settlement.errors import PlanError
from settlement.escrow.artifacts import ArtifactError, artifact
from settlement.escrow.checks import check_contract, check_round
from settlement.escrow.client import EscrowClient, EscrowError
from settlement.escrow.events import RoundTerms
from settlement.escrow.interface import Interface, InterfaceError
from settlement.escrow.typed_data import sign_plan
from settlement.money.terms import RoundReference, SettlementPlan, Transfer


@pytest.fixture
def escrow():
    names = ("operator", "party/0", "party/1", "party/2")
    with open_chain(None, ChainSpec(accounts=names)) as chain:
        yield EscrowClient.deploy(chain, chain.account("operator"))


@pytest.fixture
def parties(escrow):
    return [escrow.chain.account(f"party/{k}") for k in range(3)]


def opened(escrow, parties, terms_hash=b"\x07" * 32):
    now = escrow.chain.started_at
    return escrow.open_round(
        escrow.chain.account("operator"),
        RoundTerms(
            terms_hash=terms_hash,
            unit_scale=10,
            funding_deadline=now + 1_000,
            settlement_deadline=now + 2_000,
            n_parties=len(parties),
        ),
        [party.address for party in parties],
    )


def test_a_round_through_the_client_and_all_of_it_again_sends_nothing(escrow, parties):
    def whole_round():
        client = EscrowClient.deploy(escrow.chain, escrow.chain.account("operator"))
        round_id = opened(client, parties)
        for party, units in enumerate((10, 20, 0)):
            if units:
                client.deposit(round_id, party, parties[party], units, client.agreement(round_id))
        plan = SettlementPlan(client.reference(round_id), (Transfer(1, 2, 15),))
        receipt = client.settle(plan, escrow.chain.account("operator"), parties)
        for party, account in enumerate(parties):
            client.withdraw(round_id, party, account, account.address)
        return receipt, client.ledger(round_id)

    first = whole_round()
    root = escrow.chain.state_root()
    assert whole_round() == first
    assert escrow.chain.state_root() == root
    assert first[1].withdrawn_units == (10, 5, 15)
    assert escrow.chain.balance(escrow.address) == 0


def test_parties_are_checked_before_anything_is_sent(escrow, parties):
    root = escrow.chain.state_root()
    with pytest.raises(EscrowError, match="A round of 1 parties"):
        opened(escrow, parties[:1])
    with pytest.raises(EscrowError, match="Parties 0 and 2 are both"):
        opened(escrow, [parties[0], parties[1], parties[0]])
    assert escrow.chain.state_root() == root


@pytest.mark.parametrize("units", [0, -1, 2**63])
def test_deposits_are_checked_before_anything_is_sent(escrow, parties, units):
    round_id = opened(escrow, parties)
    root = escrow.chain.state_root()
    with pytest.raises(EscrowError, match=f"would deposit {units} base units"):
        escrow.deposit(round_id, 0, parties[0], units, escrow.agreement(round_id))
    assert escrow.chain.state_root() == root


@pytest.mark.parametrize(
    ("transfers", "message"),
    [
        ([(0, 1, 11)], "Party 0 would pay 11 of 10"),
        ([(0, 1, 6), (0, 2, 6)], "Party 0 would pay 12 of 10"),
        ([(0, 3, 1)], "in a round of 3 parties"),
        ([(0, 1, 5), (1, 2, 5)], "Party 1 would pay 5 base units and receive"),
    ],
)
def test_plans_are_checked_before_anything_is_sent(escrow, parties, transfers, message):
    round_id = opened(escrow, parties)
    for party in (0, 1):
        escrow.deposit(round_id, party, parties[party], 10, escrow.agreement(round_id))
    plan = SettlementPlan(escrow.reference(round_id), tuple(Transfer(*t) for t in transfers))
    root = escrow.chain.state_root()
    with pytest.raises(PlanError, match=message):
        escrow.settle(plan, parties[0], parties)
    assert escrow.chain.state_root() == root


def test_a_plan_for_another_round_or_too_few_signatures_is_refused(escrow, parties):
    round_id = opened(escrow, parties)
    good = escrow.reference(round_id)
    other = RoundReference(good.chain_id, good.escrow, good.round_id, b"\x08" * 32)
    root = escrow.chain.state_root()
    with pytest.raises(PlanError, match="Make the plan again"):
        escrow.settle(SettlementPlan(other, ()), parties[0], parties)
    plan = SettlementPlan(good, ())
    with pytest.raises(PlanError, match="2 signatures for a round of 3 parties"):
        escrow.settle(plan, parties[0], signatures=[sign_plan(plan, p) for p in parties[:2]])
    assert escrow.chain.state_root() == root


def test_a_round_or_proposal_that_is_not_there_is_named(escrow, parties):
    with pytest.raises(EscrowError, match="No round 9"):
        escrow.terms(9)
    round_id = opened(escrow, parties)
    with pytest.raises(EscrowError, match="has no proposal"):
        escrow.challenge(round_id, parties[0])


def test_signatures_and_settlement_that_somebody_else_brought_are_not_sent_again(escrow, parties):
    """Anyone may bring them, so a bystander must not be able to stop the operator's client."""
    round_id = opened(escrow, parties)
    escrow.deposit(round_id, 1, parties[1], 20, escrow.agreement(round_id))
    plan = SettlementPlan(escrow.reference(round_id), (Transfer(1, 2, 15),))
    signatures = [sign_plan(plan, party) for party in parties]
    operator, bystander = escrow.chain.account("operator"), parties[0]

    def brought(label, name, *arguments):
        data = escrow.interface.encode(name, *arguments)
        return escrow.chain.send(label, bystander, escrow.address, data, gas=400_000)

    brought("bystander/0", "endorse", round_id, bytes(32), plan.plan_id, b"".join(signatures[:2]))
    assert len(escrow.endorse(plan, operator, signatures)) == 1
    assert escrow.endorse(plan, operator, signatures) == []
    receipt = brought("bystander/1", "settle", round_id, plan.encode())
    sent = escrow.chain.labels()
    settlement = escrow.settle(plan, operator, signatures=signatures)
    assert settlement.transaction_hash == receipt.transaction_hash
    assert escrow.chain.labels() == sent
    other = SettlementPlan(plan.round, (Transfer(1, 2, 14),))
    with pytest.raises(Reverted, match="escrow: round cannot be settled"):
        escrow.carry_out(other, operator)


def test_a_wrong_signature_is_refused_by_the_escrow_and_not_taken_for_brought(escrow, parties):
    round_id = opened(escrow, parties)
    plan = SettlementPlan(escrow.reference(round_id), ())
    signatures = [sign_plan(plan, party) for party in (parties[0], parties[0], parties[2])]
    with pytest.raises(Reverted, match="escrow: signer is not next party"):
        escrow.endorse(plan, parties[0], signatures)


def test_contract_is_compared_with_what_the_sources_make(escrow, parties):
    check_contract(escrow)
    names = ("Judge", "mocks/Party")
    impostors = [
        escrow.chain.send(name, parties[0], None, artifact(name).bytecode, gas=8_000_000)
        for name in names
    ]
    nobody = EscrowClient(escrow.chain, parties[0].address)
    with pytest.raises(EscrowError, match="is not the escrow of this version"):
        check_contract(nobody)
    # The right escrow with a judge that finds no fault in anything.
    judge = bytes.fromhex(impostors[1].contract_address[2:])
    creation = artifact().bytecode + bytes(12) + judge
    made = escrow.chain.send("made", parties[0], None, creation, gas=8_000_000)
    with pytest.raises(EscrowError, match=r"is not its judge of this version .* Deposit nothing"):
        check_contract(EscrowClient(escrow.chain, made.contract_address))


@pytest.mark.parametrize(
    "changes",
    [
        {"unit_scale": 11},
        {"settlement_deadline": 2**63},
        {"terms_hash": b"\x08" * 32},
        {"asset": "0x" + "Ab" * 20},
        {"bond_wei": 1, "challenge_window": 1},
    ],
)
def test_a_round_that_was_not_opened_as_agreed_is_told_by_every_figure(escrow, parties, changes):
    round_id = opened(escrow, parties)
    addresses = [party.address for party in parties]
    terms = escrow.terms(round_id)
    check_round(escrow, round_id, terms, addresses)
    with pytest.raises(EscrowError, match="was not opened as agreed: ") as refusal:
        check_round(escrow, round_id, replace(terms, **changes), addresses)
    assert all(f"{name} is " in str(refusal.value) for name in changes)
    with pytest.raises(EscrowError, match="parties is 0x"):
        check_round(escrow, round_id, terms, addresses[::-1])


def test_an_address_without_an_escrow_is_named(escrow, parties):
    stranger = EscrowClient(escrow.chain, parties[0].address)
    with pytest.raises(InterfaceError, match="is this an escrow"):
        stranger.terms(1)


def test_interface_refuses_what_the_abi_does_not_have():
    interface = Interface(artifact().abi)
    with pytest.raises(InterfaceError, match='no function "pause"'):
        interface.encode("pause")
    with pytest.raises(InterfaceError, match="claim takes 2 arguments; found 1"):
        interface.encode("claim", 1)


def test_artifacts_are_kept_and_a_damaged_one_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRROUND_CACHE", str(tmp_path))
    made = artifact("mocks/Party")
    (kept,) = tmp_path.rglob("Party-*.json")
    assert artifact("mocks/Party") == made
    content = json.loads(kept.read_text())
    for code in ("bytecode", "runtime"):
        kept.write_text(json.dumps(content | {code: "00" + content[code][2:]}))
        assert artifact("mocks/Party") == made
    kept.write_text("{")
    assert artifact("mocks/Party") == made


def test_an_unknown_contract_is_named():
    with pytest.raises(ArtifactError, match="NoSuch"):
        artifact("NoSuch")
