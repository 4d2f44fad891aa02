"""A party's signature of a plan, taking it back, and settling in the operator's place."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from settlement.audit.comparing import same
from settlement.audit.figures import check_allocation
from settlement.audit.findings import AuditError
from settlement.config.terms import AgreedTerms
from settlement.errors import SettlementError
from settlement.escrow import gas_limits
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import ETHER, RoundState
from settlement.escrow.signing import sign_typed_data, typed_data_in_words
from settlement.escrow.typed_data import Consent
from settlement.money.terms import SettlementPlan, net_positions_of
from settlement.party.consent import check_consent
from settlement.party.desk import Action, PartyDesk, party_desk
from settlement.round.access import ChainAccess
from settlement.round.agreed import agreed_game
from settlement.round.funding import checked_escrow, final_deposits
from settlement.round.plan import RoundPlan, plan_of
from settlement.round.round import Round
from settlement.round.signatures import checked_signature, write_signature
from settlement.round.stages.allocate import stored_or_new_allocation
from settlement.round.words import (
    Asset,
    asset_of,
    chain_in_words,
    ether_in_words,
    moment_in_words,
)
from settlement.store.documents import OpenedRound, SettlementDocument
from settlement.store.folder import RoundFolder

__all__ = [
    "NothingToSign",
    "revoke",
    "settle",
    "sign",
    "take_signatures",
    "typed_data_to_sign",
]

SIGNS_TOO = (
    "  A party whose key is at hand here, and that has not signed yet, signs this plan by it."
)


class NothingToSign(SettlementError):
    """The round is settled by proof, or settled already: no signature counts."""


def sign(desk: PartyDesk, given: str | None = None) -> Action:
    """Sign the plan that follows from the agreed game and the deposits on the chain.

    Parameters
    ----------
    given
        A signature that a wallet has made of the typed data, in hexadecimal; else the party's key
        signs.

    Raises
    ------
    AuditError
        If the folder's game is not the agreed one.
    EscrowError
        If the endpoint tells of deposits that are not the contract's.
    FundingOpen, RoundAbandoned, NothingToSign
    SignatureError
        If the given signature is not the party's.
    """
    consent = _consent(desk)
    lines = [
        desk.where,
        "  You sign the plan that follows from the game and the locked deposits:",
        *_plan_in_words(desk, consent.plan),
        "",
        typed_data_in_words(consent.typed_data(desk.party)),
        "",
        f"Good until {moment_in_words(desk.terms.settlement_deadline)}, and until any party "
        "revokes. It costs no gas. Send the signature to whoever settles.",
    ]

    def carry_out() -> tuple[dict[str, Any], str]:
        if given is None:
            signature = sign_typed_data(desk.account, consent.typed_data(desk.party))
        else:
            signature = checked_signature(desk.escrow, consent, desk.party, given)
        name = write_signature(desk.folder, desk.party, consent.plan.plan_id, signature)
        path = desk.folder.path / name
        text = f"{desk.name}=0x{signature.hex()}"
        told = f"signed: {path}\nWhoever settles needs it, or: --signature {shlex.quote(text)}"
        return {"party": desk.name, "signature": str(path), "text": text}, told

    return Action("\n".join(lines), carry_out)


def take_signatures(path: Path, access: ChainAccess, given: Mapping[str, str]) -> None:
    """Keep signatures that came as text, by the names of their parties, in the round's folder.

    Raises
    ------
    SignatureError
        If one is not its party's, of the plan as it is now. Those before it are kept.
    """
    for name, text in given.items():
        with party_desk(path, name, access) as desk:
            consent = _consent(desk)
            signature = checked_signature(desk.escrow, consent, desk.party, text)
            write_signature(desk.folder, desk.party, consent.plan.plan_id, signature)


def typed_data_to_sign(desk: PartyDesk) -> dict[str, Any]:
    """The typed data (EIP-712) for a wallet elsewhere, after all checks that `sign` makes.

    As ``eth_signTypedData_v4`` takes it in JSON: bytes in hexadecimal, and whole numbers as text,
    for amounts of wei are beyond what every reader of JSON keeps exact.
    """
    plain: dict[str, Any] = _for_json(_consent(desk).typed_data(desk.party))
    return plain


def _for_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _for_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_for_json(item) for item in value]
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


def _consent(desk: PartyDesk) -> Consent:
    if desk.terms.settlement != "signatures":
        raise NothingToSign("This round is settled by proof: nobody signs. Run `fairround settle`.")
    check_consent(desk.folder, desk.terms)
    planned = _plan_now(desk)
    return desk.escrow.consent(planned.plan, planned.deposits_units)


def revoke(desk: PartyDesk) -> Action:
    """Take back what was signed in this round: no signature that anybody gave counts after it."""
    lines = [
        desk.where,
        "  You take back your signature. As every party must have signed, all signatures of this "
        "round become worthless; whoever still wants the plan signs again.",
        f"  {desk.most_gas_in_words(gas_limits.CALL)}",
    ]

    def carry_out() -> tuple[dict[str, Any], str]:
        desk.escrow.revoke(desk.opened.round_id, desk.party, desk.account)
        return {"party": desk.name, "revoked": True}, f"{desk.name} has revoked its signature"

    return Action("\n".join(lines), carry_out)


def settle(path: Path, access: ChainAccess, account: str) -> Action:
    """Carry out what follows from game and deposits, in anybody's place, and pay everybody out.

    Parameters
    ----------
    account
        Address that pays for the gas: a party's, or anybody's.

    Raises
    ------
    FundingOpen, RoundAbandoned
    AuditError
        If the folder holds an allocation that does not follow from the agreed game, or a
        settlement that the chain does not know.
    """
    folder = RoundFolder(path)
    folder.require_config()
    terms, opened = AgreedTerms.read(folder), OpenedRound.read(folder)
    check_consent(folder, terms)
    with folder.lock(), access.open(folder, terms) as chain:
        escrow = checked_escrow(chain, terms, opened)
        deposits = final_deposits(chain, terms, opened)
        plan = _plan_of_deposits(folder, terms, opened, escrow, deposits).plan
        if folder.has("settle"):
            _check_settled(escrow, opened.round_id, SettlementDocument.read(folder))
        asset = asset_of(chain, terms.asset, terms.unit_scale)
    gas = gas_limits.whole_settlement(
        len(deposits),
        len(plan.transfers),
        by_proof=terms.settlement == "proof",
        ether=terms.asset == ETHER,
    )
    most_wei = gas * access.max_fee_wei
    where = f"by the escrow {terms.escrow}, in round {opened.round_id}"
    lines = [
        f'On {chain_in_words(terms.chain_id)}, {where} ("{terms.round}"), with {account}:',
        "  You carry out what follows from the game and the locked deposits:",
        *_transfers_in_words(terms, asset, plan),
        *([SIGNS_TOO] if terms.settlement == "signatures" else []),
        "  Whoever has named an address for it is paid out at once.",
        f"  Gas costs you {ether_in_words(most_wei)} at most.",
    ]

    def carry_out() -> tuple[dict[str, Any], str]:
        round_ = Round(path, access, sender=account)
        round_.carry_out("allocate")
        round_.carry_out("settle")
        result = round_.result("settle")
        return result, f"settled in block {result['settlement_block']}"

    return Action("\n".join(lines), carry_out)


def _check_settled(escrow: EscrowClient, round_id: int, stored: SettlementDocument) -> None:
    """What a folder says was settled is what the chain says: a seal can be made by anybody."""
    if escrow.state(round_id) < RoundState.SETTLED:
        raise AuditError(
            "settle/ says that the round is settled; on the chain it is not. Whoever gave you the "
            "folder has made it up: move settle/ away and settle again."
        )
    ledger = escrow.ledger(round_id)
    nets = net_positions_of(ledger.transfers, len(ledger.parties))
    same(stored, "plan_id", None if ledger.plan_id is None else ledger.plan_id.hex())
    same(stored, "net_positions_units", [net.amount_units for net in nets])


def _plan_in_words(desk: PartyDesk, plan: SettlementPlan) -> list[str]:
    """What a plan means for the party, and every transfer."""
    own = net_positions_of(plan.transfers, len(desk.terms.parties))[desk.party].amount_units
    verb = "receive" if own >= 0 else "pay"
    return [
        f"  Net you {verb} {desk.asset.in_words(abs(own))}.",
        *_transfers_in_words(desk.terms, desk.asset, plan),
    ]


def _transfers_in_words(terms: AgreedTerms, asset: Asset, plan: SettlementPlan) -> list[str]:
    names = terms.party_names
    return [
        f'    "{names[transfer.debtor]}" pays "{names[transfer.creditor]}" '
        f"{asset.in_words(transfer.amount_units)}."
        for transfer in plan.transfers
    ] or ["    Nobody pays anybody anything."]


def _plan_now(desk: PartyDesk) -> RoundPlan:
    deposits = final_deposits(desk.chain, desk.terms, desk.opened)
    return _plan_of_deposits(desk.folder, desk.terms, desk.opened, desk.escrow, deposits)


def _plan_of_deposits(
    folder: RoundFolder,
    terms: AgreedTerms,
    opened: OpenedRound,
    escrow: EscrowClient,
    deposits: list[int],
) -> RoundPlan:
    """The plan of these deposits; an allocation that somebody handed out is worked out again."""
    allocation = stored_or_new_allocation(folder, terms, deposits)
    if folder.has("allocate"):
        check_allocation(folder)  # beyond 64 parties the plan follows from its floats
    return plan_of(escrow, terms, opened.round_id, agreed_game(folder), allocation)
