"""An ABI put to use: calls encoded, answers and logs decoded. No addresses, no chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from settlement.chain.records import Log
from settlement.errors import SettlementError

__all__ = ["Interface", "InterfaceError"]


class InterfaceError(SettlementError):
    """A function or event that an ABI does not have, or data that does not follow it."""


def _type_of(parameter: dict[str, Any]) -> str:
    """Canonical type, tuples spelled out: ``(bytes32,address)[]``."""
    kind: str = parameter["type"]
    if kind.startswith("tuple"):
        inner = ",".join(_type_of(component) for component in parameter["components"])
        return f"({inner}){kind[len('tuple') :]}"
    return kind


@dataclass(frozen=True, slots=True)
class _Entry:
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    hash: bytes


class Interface:
    """Functions and events of one ABI by name; the escrow overloads no name."""

    def __init__(self, abi: Sequence[dict[str, Any]]) -> None:
        self._functions: dict[str, _Entry] = {}
        self._events: dict[bytes, tuple[str, _Entry]] = {}
        for item in abi:
            if item["type"] not in ("function", "event"):
                continue
            inputs = tuple(item["inputs"])
            signature = f"{item['name']}({','.join(_type_of(p) for p in inputs)})"
            entry = _Entry(inputs, tuple(item.get("outputs", ())), keccak(text=signature))
            if item["type"] == "function":
                self._functions[item["name"]] = entry
            else:
                self._events[entry.hash] = (item["name"], entry)

    def encode(self, name: str, *arguments: Any) -> bytes:
        """Call data of a function."""
        entry = self._function(name)
        if len(arguments) != len(entry.inputs):
            raise InterfaceError(
                f"{name} takes {len(entry.inputs)} arguments; found {len(arguments)}."
            )
        return entry.hash[:4] + encode([_type_of(p) for p in entry.inputs], arguments)

    def decode_call(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """Name and arguments of a call.

        Raises
        ------
        InterfaceError
            If it is no call of a function of this ABI.
        """
        for name, entry in self._functions.items():
            if entry.hash[:4] == data[:4]:
                types = [_type_of(parameter) for parameter in entry.inputs]
                try:
                    values = decode(types, data[4:])
                except Exception as error:
                    raise InterfaceError(f"A call of {name} with odd arguments.") from error
                return name, {
                    parameter["name"]: _checksummed(kind, value)
                    for parameter, kind, value in zip(entry.inputs, types, values, strict=True)
                }
        raise InterfaceError(f"The ABI has no function 0x{data[:4].hex()}.")

    def decode(self, name: str, answer: bytes) -> Any:
        """What a function returned: the value itself if there is one, else a tuple."""
        entry = self._function(name)
        try:
            values = decode([_type_of(p) for p in entry.outputs], answer)
        except Exception as error:
            raise InterfaceError(
                f"{name} answered {len(answer)} bytes that are not its type: is this an escrow?"
            ) from error
        return values[0] if len(values) == 1 else values

    def decode_log(self, log: Log) -> tuple[str, dict[str, Any]] | None:
        """Name and fields of an event; None for a log of some other interface.

        Raises
        ------
        InterfaceError
            If its data are not those of the event.
        """
        if not log.topics or log.topics[0] not in self._events:
            return None
        name, entry = self._events[log.topics[0]]
        try:
            return name, self._fields_of(entry, log)
        except Exception as error:  # the library's own errors have no common root
            raise InterfaceError(f"A log of {name} with odd data: {error!r:.200}.") from error

    def _fields_of(self, entry: _Entry, log: Log) -> dict[str, Any]:
        plain = [p for p in entry.inputs if not p.get("indexed")]
        indexed = [p for p in entry.inputs if p.get("indexed")]
        values = dict(
            zip(
                (p["name"] for p in plain),
                decode([_type_of(p) for p in plain], log.data),
                strict=True,
            )
        )
        for parameter, topic in zip(indexed, log.topics[1:], strict=True):
            (values[parameter["name"]],) = decode([_type_of(parameter)], topic)
        return {p["name"]: _checksummed(_type_of(p), values[p["name"]]) for p in entry.inputs}

    def _function(self, name: str) -> _Entry:
        try:
            return self._functions[name]
        except KeyError:
            raise InterfaceError(f'The ABI has no function "{name}".') from None


def _checksummed(kind: str, value: Any) -> Any:
    """Addresses as people write them."""
    if kind == "address":
        return to_checksum_address(value)
    if kind == "address[]":
        return tuple(to_checksum_address(one) for one in value)
    return value
