"""The three parties' round on the real escrow, for tests of crashes and of providers."""

from __future__ import annotations

from hashlib import sha256

from settlement.chain import Chain
from settlement.chain.journal import Journal
from settlement.escrow.client import EscrowClient
from settlement.escrow.deployment import DEPLOYER, DEPLOYER_CODE
from settlement.escrow.events import NOBODY, RoundTerms
from settlement.escrow.typed_data import sign_plan
from settlement.money.terms import SettlementPlan, Transfer
from settlement.posting.check import prove
from settlement.posting.format import Game, game_of_values

PARTIES = ("party/0", "party/1", "party/2")
ACCOUNTS = ("operator", *PARTIES)
DEPOSITS_UNITS = (200_000, 1_000_000, 1_000_000)
TRANSFERS = (Transfer(0, 1, 112_500), Transfer(0, 2, 87_500))
WITHDRAWN_UNITS = (0, 1_112_500, 1_087_500)
MOMENTS = ("before", "after")  # of a write, to be killed at; torn lines are the purse's
UNIT_SCALE = 10**12
EXCHANGE_RATE = 10**6
TERMS_HASH = bytes(range(32))
GAME_HASH = bytes(range(32, 64))
CODES = {DEPLOYER: DEPLOYER_CODE}  # an in-process chain begins with it, as others do


def prepare(chain: Chain, game: Game | None = None) -> tuple[EscrowClient, int]:
    """Deploy, open and fund; safe to repeat. With a game the round is one by proof."""
    operator = chain.account("operator")
    escrow = EscrowClient.deploy(chain, operator)
    funding_deadline = chain.started_at + 3_600
    round_id = escrow.open_round(
        operator,
        RoundTerms(
            terms_hash=sha256(TERMS_HASH + chain.started_block.to_bytes(8, "big")).digest(),
            game_hash=GAME_HASH if game is None else game.hash,
            unit_scale=UNIT_SCALE,
            exchange_rate=0 if game is None else EXCHANGE_RATE,
            funding_deadline=funding_deadline,
            settlement_deadline=funding_deadline + 86_400,
            n_parties=len(PARTIES),
            by_proof=game is not None,
        ),
        [chain.address(name) for name in PARTIES],
    )
    for party, units in enumerate(DEPOSITS_UNITS):
        account = chain.account(PARTIES[party])
        agreed = escrow.agreement(round_id)
        payout = NOBODY if game is None else account.address
        escrow.deposit(round_id, party, account, units, agreed, payout=payout, last=True)
    return escrow, round_id


def tell_the_story(chain: Chain) -> str:
    """Everything from the deployment to the last withdrawal; safe to repeat."""
    escrow, round_id = prepare(chain)
    plan = SettlementPlan(escrow.reference(round_id), TRANSFERS)
    consent = escrow.consent(plan, DEPOSITS_UNITS)
    signers = [chain.account(name) for name in PARTIES]
    signatures = [sign_plan(consent, party, signer) for party, signer in enumerate(signers)]
    escrow.settle(consent, chain.account("operator"), signatures)
    for party, units in enumerate(WITHDRAWN_UNITS):
        if units:
            account = chain.account(PARTIES[party])
            escrow.withdraw(round_id, party, account, account.address)
    return escrow.address


def tell_the_story_by_proof(chain: Chain) -> None:
    """A round of the same parties and deposits, settled by proof and paid out by the operator."""
    game = game_of_values([0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1])
    escrow, round_id = prepare(chain, game)
    plan = SettlementPlan(escrow.reference(round_id), TRANSFERS)
    operator = chain.account("operator")
    escrow.settle_by_proof(plan, operator, prove(game, DEPOSITS_UNITS, EXCHANGE_RATE))
    escrow.pay_out(round_id, operator)
    assert escrow.ledger(round_id).withdrawn_units == WITHDRAWN_UNITS


def assert_story_happened_once(chain: Chain, address: str, journal: Journal) -> None:
    """One settlement, every amount where it belongs, and a journal that says the same."""
    escrow = EscrowClient(chain, address)
    round_id = escrow._read("round_count")  # each folder has its own, all in one escrow
    ledger = escrow.ledger(round_id)
    assert ledger.deposits_units == DEPOSITS_UNITS
    assert ledger.transfers == TRANSFERS
    assert ledger.withdrawn_units == WITHDRAWN_UNITS
    assert escrow.figures(round_id).total_units == 0
    labels = [entry["label"] for entry in journal.entries if entry.kind == "receipt"]
    assert len(set(labels)) == len(labels)
    assert [label for label in labels if label.startswith("settle")] == [f"settle/{round_id}"]
