"""open: agree on the terms, open the round in the escrow; whose key is at hand deposits at once.

The stage is complete when the round is open. Parties elsewhere deposit by themselves, with its
public files; `allocate` waits for them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from settlement.chain.chain import Chain
from settlement.chain.errors import UnknownAccount
from settlement.config.reading import OPERATOR, party_account
from settlement.config.terms import TERMS_FILE, AgreedTerms
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import ETHER
from settlement.escrow.sources import deployment_facts, standard_json
from settlement.round.agreed import AgreedGame, agreed_game
from settlement.round.agreement import agreement_of, contract_terms, terms_of_round
from settlement.round.context import RoundContext
from settlement.round.funding import budget_in_units
from settlement.round.tokens import check_token, lock
from settlement.store.documents import GameDocument, OpenedRound, ValueDocument
from settlement.store.folder import dump_json, sha256_of

__all__ = ["carry_out"]

DEPLOYMENT_FILE = "deployment.json"
SOURCES_FILE = "escrow-sources.json"


def carry_out(context: RoundContext) -> None:
    """Open the round on the chain; each party's locked deposit will be its budget b_i."""
    game = GameDocument.read(context.folder)
    n_steps = len(game.parties) + 2
    with (
        context.folder.write_stage("open", inputs=["train"]) as folder,
        context.access.begin(context.folder, context.config) as chain,
    ):
        context.progress("open", 0, n_steps)
        check_token(chain, context.config.chain.asset or ETHER)
        escrow = EscrowClient.deploy(chain, chain.account(OPERATOR))
        context.progress("open", 1, n_steps)
        terms = _terms(context, chain, escrow, game)
        opened = _open_on_chain(chain, escrow, terms)
        _deposit_for_keys_at_hand(
            context, chain, escrow, terms, opened, agreed_game(context.folder)
        )
        (folder / TERMS_FILE).write_bytes(terms.encode())
        for path in context.folder.config_paths:
            shutil.copy(path, folder)  # to go back to, should it be edited
        _write_deployment(folder, escrow)
        opened.write(folder)
        context.progress("open", n_steps, n_steps)


def _terms(
    context: RoundContext, chain: Chain, escrow: EscrowClient, game: GameDocument
) -> AgreedTerms:
    config = context.config
    values = ValueDocument.read(context.folder)
    return terms_of_round(
        config,
        values,
        game,
        values_sha256=sha256_of(context.folder.stage(values.STAGE) / values.FILE),
        chain_id=chain.chain_id,
        escrow=escrow.address,
        operator=chain.address(OPERATOR),
        addresses=[chain.address(party_account(party)) for party in range(len(config.parties))],
        funding_deadline=chain.started_at + config.chain.funding_s,
    )


def _open_on_chain(chain: Chain, escrow: EscrowClient, terms: AgreedTerms) -> OpenedRound:
    operator = chain.account(OPERATOR)
    round_id = escrow.open_round(operator, contract_terms(terms), terms.addresses)
    return OpenedRound(
        chain_id=terms.chain_id,
        escrow=terms.escrow,
        round_id=round_id,
        terms_hash=terms.hash.hex(),
        agreement=agreement_of(terms).hex(),
    )


def _deposit_for_keys_at_hand(
    context: RoundContext,
    chain: Chain,
    escrow: EscrowClient,
    terms: AgreedTerms,
    opened: OpenedRound,
    game: AgreedGame,
) -> None:
    """Lock the budgets of the configuration; `funds = false` is a party that never turns up."""
    agreement = bytes.fromhex(opened.agreement)
    for party, wishes in enumerate(context.config.parties):
        context.progress("open", 2 + party, len(terms.parties) + 2)
        if not wishes.funds:
            continue
        try:
            account = chain.account(party_account(party))
        except UnknownAccount:
            continue  # it deposits by itself
        units = budget_in_units(wishes.budget, game, party, terms.exchange_rate)
        if units:
            place = (escrow, opened.round_id, party, account)
            lock(*place, units, agreement, payout=account.address, last=True)
        else:
            escrow.close(opened.round_id, party, account, agreement, payout=account.address)


def _write_deployment(folder: Path, escrow: EscrowClient) -> None:
    """What an explorer needs to show that the contract is ours: where, from what, by whom."""
    facts = deployment_facts(escrow.chain.chain_id, escrow.address)
    (folder / DEPLOYMENT_FILE).write_bytes(dump_json(facts))
    (folder / SOURCES_FILE).write_bytes(dump_json(standard_json()))
