"""Every transaction of a round, whoever sent it, found by the round's logs and decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from settlement.config.terms import AgreedTerms
from settlement.escrow.client import EscrowClient
from settlement.escrow.interface import InterfaceError
from settlement.round.access import ChainAccess
from settlement.round.funding import checked_escrow
from settlement.round.words import printable
from settlement.store.documents import OpenedRound
from settlement.store.folder import RoundFolder

__all__ = ["round_transactions", "transactions_of", "transactions_text"]

LONGEST_ARGUMENT = 200


def transactions_of(path: Path, access: ChainAccess) -> list[dict[str, Any]]:
    """Each transaction that the round's logs name: call, arguments, events, gas; in order."""
    folder = RoundFolder(path)
    folder.require_config()
    terms, opened = AgreedTerms.read(folder), OpenedRound.read(folder)
    with access.open(folder, terms, read_only=True) as chain:
        return _decoded(checked_escrow(chain, terms, opened), opened.round_id)


def round_transactions(escrow: EscrowClient, round_id: int) -> list[dict[str, Any]]:
    """What a report tells of each transaction of a round: the call, its events, its gas, as texts.

    Numbers are texts, because amounts of wei are beyond what every reader of JSON keeps exact; long
    arguments, such as the flows of a proof, are shortened.
    """
    return [
        {
            "call": row["call"],
            "party": row["arguments"].get("party"),
            "block": row["block"],
            "gas_used": row["gas_used"],
            "transaction": row["transaction"],
            "sender": row["sender"],
            "value_wei": str(row["value_wei"]),
            "arguments": {name: _short(value) for name, value in row["arguments"].items()},
            "events": [
                {name: _short(value) for name, value in event.items()} for event in row["events"]
            ],
        }
        for row in _decoded(escrow, round_id)
    ]


def _decoded(escrow: EscrowClient, round_id: int) -> list[dict[str, Any]]:
    events: dict[bytes, list[dict[str, Any]]] = {}
    for log in escrow.logs(round_id):
        found = escrow.interface.decode_log(log)
        if found is not None:
            events.setdefault(log.transaction_hash, []).append(
                {"event": found[0], **_plain(found[1])}
            )
    rows = []
    for key, logged in events.items():
        sent = escrow.chain.transaction(key)
        call, arguments = "another contract's", {}
        if sent.to is not None and sent.to.lower() == escrow.address.lower():
            try:
                call, found_arguments = escrow.interface.decode_call(sent.data)
                arguments = _plain(found_arguments)
            except InterfaceError:
                call = "unknown"
        rows.append(
            {
                "transaction": f"0x{key.hex()}",
                "block": sent.block_number,
                "sender": sent.sender,
                "to": sent.to,
                "value_wei": sent.value_wei,
                "gas_used": sent.gas_used,
                "call": call,
                "arguments": arguments,
                "events": logged,
            }
        )
    return rows


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _shown(value) for name, value in fields.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return value


def transactions_text(rows: list[dict[str, Any]]) -> str:
    """The same as text, one block a transaction."""
    lines = []
    for row in rows:
        lines.append(
            f"block {row['block']}  {row['call']}  {row['gas_used']:,} gas  {row['transaction']}"
        )
        ether = f", {row['value_wei']} wei" if row["value_wei"] else ""
        lines.append(f"  from {row['sender']}{ether}")
        lines += [f"  {name}: {_short(value)}" for name, value in row["arguments"].items()]
        for event in row["events"]:
            fields = ", ".join(f"{k} {_short(v)}" for k, v in event.items() if k != "event")
            lines.append(f"  -> {event['event']}: {fields}")
    return "\n".join([*lines, ""])


def _short(value: Any) -> str:
    text = printable(str(value))
    if len(text) <= LONGEST_ARGUMENT:
        return text
    return f"{text[:LONGEST_ARGUMENT]}... ({len(text)} characters)"
