"""A party's signature of a plan, taking it back, and settling in the operator's place."""

from __future__ import annotations

from typing import Any

from settlement.config.reading import party_account
from settlement.errors import SettlementError
from settlement.escrow import gas_limits
from settlement.escrow.signing import sign_typed_data, typed_data_in_words
from settlement.escrow.typed_data import Consent
from settlement.money.terms import SettlementPlan, net_positions_of
from settlement.party.consent import check_consent
from settlement.party.desk import Action, PartyDesk
from settlement.round.funding import final_deposits
from settlement.round.plan import RoundPlan, plan_of
from settlement.round.round import Round
from settlement.round.signatures import checked_signature, write_signature
from settlement.round.words import moment_in_words
from settlement.store.documents import GameDocument

__all__ = ["NothingToSign", "revoke", "settle", "sign", "typed_data_to_sign"]


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
        "revokes. It costs no gas. Give the file to whoever settles.",
    ]

    def carry_out() -> tuple[dict[str, Any], str]:
        if given is None:
            signature = sign_typed_data(desk.account, consent.typed_data(desk.party))
        else:
            signature = checked_signature(desk.escrow, consent, desk.party, given)
        name = write_signature(desk.folder, desk.party, consent.plan.plan_id, signature)
        path = desk.folder.path / name
        return {"party": desk.name, "signature": str(path)}, f"signed: {path}"

    return Action("\n".join(lines), carry_out)


def typed_data_to_sign(desk: PartyDesk) -> dict[str, Any]:
    """The typed data (EIP-712) for a wallet elsewhere, after all checks that `sign` makes."""
    return _consent(desk).typed_data(desk.party)


def _consent(desk: PartyDesk) -> Consent:
    if desk.terms.settlement != "signatures":
        raise NothingToSign("This round is settled by proof: nobody signs. Run `fairround settle`.")
    check_consent(desk.folder, desk.terms)
    return desk.escrow.consent(_plan_now(desk).plan)


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


def settle(desk: PartyDesk) -> Action:
    """Carry out what follows from game and deposits, in anybody's place, and pay everybody out.

    The action opens the round's folder and chain again, so the desk must be left before.

    Raises
    ------
    FundingOpen, RoundAbandoned
    """
    check_consent(desk.folder, desk.terms)
    planned = _plan_now(desk)
    gas = gas_limits.proof(len(desk.terms.parties))
    lines = [
        desk.where,
        "  You carry out what follows from the game and the locked deposits:",
        *_plan_in_words(desk, planned.plan),
    ]
    lines += [
        "  Whoever has named an address for it is paid out at once.",
        f"  {desk.most_gas_in_words(gas)}",
    ]

    def carry_out() -> tuple[dict[str, Any], str]:
        round_ = Round(desk.folder.path, desk.access, sender=party_account(desk.party))
        round_.carry_out("allocate")
        round_.carry_out("settle")
        result = round_.result("settle")
        return result, f"settled in block {result['settlement_block']}"

    return Action("\n".join(lines), carry_out)


def _plan_in_words(desk: PartyDesk, plan: SettlementPlan) -> list[str]:
    """What a plan means for the party, and every transfer."""
    names = desk.terms.party_names
    own = net_positions_of(plan.transfers, len(names))[desk.party].amount_units
    verb = "receive" if own >= 0 else "pay"
    transfers = [
        f'    "{names[transfer.debtor]}" pays "{names[transfer.creditor]}" '
        f"{desk.asset.in_words(transfer.amount_units)}."
        for transfer in plan.transfers
    ]
    return [
        f"  Net you {verb} {desk.asset.in_words(abs(own))}.",
        *(transfers or ["    Nobody pays anybody anything."]),
    ]


def _plan_now(desk: PartyDesk) -> RoundPlan:
    deposits = final_deposits(desk.chain, desk.terms, desk.opened)
    game = GameDocument.read(desk.folder)
    return plan_of(desk.escrow, desk.terms, desk.opened.round_id, game, deposits)
