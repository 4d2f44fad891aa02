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
from settlement.escrow.client import EscrowClient
from settlement.escrow.deployment import genesis_codes
from settlement.escrow.events import RoundTerms
from settlement.escrow.interface import Interface, InterfaceError
from settlement.escrow.reader import EscrowError
from settlement.escrow.signing import pack_signatures
from settlement.escrow.typed_data import sign_plan
from settlement.money.terms import SettlementPlan, Transfer
from settlement.posting.check import prove
from settlement.posting.format import game_of_values


@pytest.fixture
def escrow():
    names = ("operator", "party/0", "party/1", "party/2")
    with open_chain(None, ChainSpec(accounts=names, codes=genesis_codes())) as chain:
        yield EscrowClient.deploy(chain, chain.account("operator"))


@pytest.fixture
def parties(escrow):
    return [escrow.chain.account(f"party/{k}") for k in range(3)]


def opened(escrow, parties, terms_hash=b"\x07" * 32, game_hash=b"\x09" * 32, **changes):
    now = escrow.chain.started_at
    return escrow.open_round(
        escrow.chain.account("operator"),
        RoundTerms(
            terms_hash=terms_hash,
            game_hash=game_hash,
            unit_scale=10,
            exchange_rate=10**6,
            funding_deadline=now + 1_000,
            settlement_deadline=now + 2_000,
            n_parties=len(parties),
            by_proof=changes.pop("by_proof", False),
            **changes,
        ),
        [party.address for party in parties],
    )


def fund(client, round_id, parties, units):
    """Everybody deposits or nothing, and closes."""
    agreement = client.agreement(round_id)
    for party, (account, amount) in enumerate(zip(parties, units, strict=True)):
        if amount:
            client.deposit(round_id, party, account, amount, agreement, last=True)
        else:
            client.close(round_id, party, account, agreement)


def signed(client, parties, round_id, *transfers):
    plan = SettlementPlan(client.reference(round_id), tuple(Transfer(*t) for t in transfers))
    consent = client.consent(plan, client.ledger(round_id).deposits_units)
    return consent, [sign_plan(consent, party, account) for party, account in enumerate(parties)]


def test_a_round_through_the_client_and_all_of_it_again_sends_nothing(escrow, parties):
    def whole_round():
        client = EscrowClient.deploy(escrow.chain, escrow.chain.account("operator"))
        round_id = opened(client, parties)
        fund(client, round_id, parties, (10, 20, 0))
        consent, signatures = signed(client, parties, round_id, (1, 2, 15))
        receipt = client.settle(consent, escrow.chain.account("operator"), signatures)
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
    fund(escrow, round_id, parties, (10, 10, 0))
    plan = SettlementPlan(escrow.reference(round_id), tuple(Transfer(*t) for t in transfers))
    consent = replace(escrow.consent(SettlementPlan(plan.round, ()), (10, 10, 0)), plan=plan)
    root = escrow.chain.state_root()
    with pytest.raises(PlanError, match=message):
        escrow.settle(consent, parties[0], [bytes(65)] * 3)
    assert escrow.chain.state_root() == root


def test_a_plan_for_another_round_or_too_few_signatures_is_refused(escrow, parties):
    round_id = opened(escrow, parties)
    fund(escrow, round_id, parties, (1, 0, 0))
    consent, signatures = signed(escrow, parties, round_id)
    other = replace(consent.plan, round=replace(consent.plan.round, agreement=b"\x08" * 32))
    root = escrow.chain.state_root()
    with pytest.raises(PlanError, match="Make the plan again"):
        escrow.settle(replace(consent, plan=other), parties[0], signatures)
    with pytest.raises(PlanError, match="2 signatures for a round of 3 parties"):
        escrow.settle(consent, parties[0], signatures[:2])
    assert escrow.chain.state_root() == root


def test_a_round_that_is_not_there_is_named(escrow):
    with pytest.raises(EscrowError, match="No round 9"):
        escrow.terms(9)


def test_the_same_agreement_is_opened_once(escrow, parties):
    """Also by a process that lost its journal: the round of an agreement is found on the chain."""
    round_id = opened(escrow, parties)
    terms = escrow.terms(round_id)
    sent = escrow.chain.labels()
    addresses = [party.address for party in parties]
    assert escrow.open_round(escrow.chain.account("operator"), terms, addresses) == round_id
    assert escrow.chain.labels() == sent


def test_a_settlement_that_somebody_else_brought_is_not_sent_again(escrow, parties):
    """Anyone may bring it, so a bystander must not be able to stop the operator's client."""
    round_id = opened(escrow, parties)
    fund(escrow, round_id, parties, (0, 20, 0))
    consent, signatures = signed(escrow, parties, round_id, (1, 2, 15))
    operator, bystander = escrow.chain.account("operator"), parties[0]
    data = escrow.interface.encode(
        "settle", round_id, consent.plan.encode(), pack_signatures(signatures)
    )
    receipt = escrow.chain.send("bystander", bystander, escrow.address, data, gas=400_000)
    sent = escrow.chain.labels()
    settlement = escrow.settle(consent, operator, signatures)
    assert settlement.transaction_hash == receipt.transaction_hash
    assert escrow.chain.labels() == sent


def test_a_proof_that_somebody_else_brought_is_not_sent_again(escrow, parties):
    game = game_of_values([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
    round_id = opened(escrow, parties, game_hash=game.hash, by_proof=True)
    fund(escrow, round_id, parties, (200_000, 0, 0))
    proof = prove(game, (200_000, 0, 0), 10**6)
    transfers = (Transfer(0, 1, 112_500), Transfer(0, 2, 87_500))
    plan = SettlementPlan(escrow.reference(round_id), transfers)
    with pytest.raises(PlanError, match="not the proof's"):
        escrow.settle_by_proof(replace(plan, transfers=()), parties[0], proof)
    figures = (list(proof.factors), game.encode())
    data = escrow.interface.encode("settle_by_proof", round_id, plan.encode(), *figures)
    receipt = escrow.chain.send("bystander", parties[2], escrow.address, data, gas=400_000)
    log = escrow.settle_by_proof(plan, escrow.chain.account("operator"), proof)
    assert log.transaction_hash == receipt.transaction_hash
    assert escrow.ledger(round_id).claims_units == (0, 112_500, 87_500)


def test_a_wrong_signature_is_refused_by_the_escrow_and_not_taken_for_brought(escrow, parties):
    round_id = opened(escrow, parties)
    fund(escrow, round_id, parties, (1, 0, 0))
    consent, signatures = signed(escrow, parties, round_id)
    with pytest.raises(Reverted, match="escrow: not signed by party"):
        escrow.settle(consent, parties[0], [signatures[0], signatures[0], signatures[2]])


def test_revoking_makes_old_signatures_useless_and_new_ones_work(escrow, parties):
    round_id = opened(escrow, parties)
    fund(escrow, round_id, parties, (9, 0, 0))
    consent, signatures = signed(escrow, parties, round_id, (0, 1, 4))
    escrow.revoke(round_id, 2, parties[2])
    with pytest.raises(Reverted, match="escrow: not signed by party"):
        escrow.settle(consent, parties[0], signatures)
    consent, signatures = signed(escrow, parties, round_id, (0, 1, 4))
    escrow.settle(consent, parties[0], signatures)
    assert escrow.ledger(round_id).claims_units == (5, 4, 0)


def test_pay_out_pays_in_batches_and_again_sends_nothing(escrow, parties):
    round_id = opened(escrow, parties)
    agreement = escrow.agreement(round_id)
    for party, account in enumerate(parties):
        payout = account.address if party else "0x" + "00" * 20
        escrow.deposit(round_id, party, account, 5, agreement, payout=payout, last=True)
    consent, signatures = signed(escrow, parties, round_id, (0, 1, 4))
    escrow.settle(consent, parties[0], signatures)
    assert len(escrow.pay_out(round_id, parties[0])) == 1
    assert escrow.ledger(round_id).withdrawn_units == (0, 9, 5)
    escrow.pay_out(round_id, parties[0])
    assert escrow.ledger(round_id).claims_units == (1, 0, 0)  # it named no address
    assert escrow.pay_out(round_id, parties[0], [1]) == []


def test_contract_is_compared_with_what_the_sources_make(escrow, parties):
    check_contract(escrow)
    nobody = EscrowClient(escrow.chain, parties[0].address)
    with pytest.raises(EscrowError, match=r"this version's is at .* Deposit nothing there"):
        check_contract(nobody)
    impostor = escrow.chain.send(
        "impostor", parties[0], None, artifact("mocks/Party").bytecode, gas=8_000_000
    )
    with pytest.raises(EscrowError, match="Deposit nothing there"):
        check_contract(EscrowClient(escrow.chain, impostor.contract_address))


@pytest.mark.parametrize(
    "changes",
    [
        {"unit_scale": 11},
        {"settlement_deadline": 2**39},
        {"terms_hash": b"\x08" * 32},
        {"asset": "0x" + "Ab" * 20},
        {"game_hash": bytes(32), "quorum_units": 3},
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


def test_attack_logs_of_other_deposits_get_no_consent_whenever_they_are_told(escrow, parties):
    """The plan may be made of what was told first; what is told later must be the same."""
    round_id = opened(escrow, parties)
    fund(escrow, round_id, parties, (10, 20, 0))
    plan = SettlementPlan(escrow.reference(round_id), (Transfer(0, 1, 1),))
    assert escrow.consent(plan, (10, 20, 0)).deposits_hash == escrow.ledger(round_id).deposits_hash
    with pytest.raises(EscrowError, match=r"the plan is made of \(10, 2, 0\)"):
        escrow.consent(plan, (10, 2, 0))
    told = escrow.chain.history

    def lying(*arguments):
        old, new = (units.to_bytes(32, "big") for units in (20, 2))
        return [replace(log, data=log.data.replace(old, new)) for log in told(*arguments)]

    escrow.chain.history = lying
    for made_of in ((10, 2, 0), (10, 20, 0)):
        with pytest.raises(EscrowError, match=r"the logs of \(10, 2, 0\)"):
            escrow.consent(plan, made_of)
