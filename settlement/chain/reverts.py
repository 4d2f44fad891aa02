"""A revert in words: the contract's sentence out of the bytes that the EVM returned.

Every provider wraps a revert in its own way. Only the returned bytes are the same on all of
them, so the sentence is read from these bytes and from nothing else.
"""

from __future__ import annotations

__all__ = ["NO_REASON", "OUT_OF_GAS", "revert_reason"]

ERROR_SELECTOR = bytes.fromhex("08c379a0")  # Error(string)
PANIC_SELECTOR = bytes.fromhex("4e487b71")  # Panic(uint256)
WORD_BYTES = 32

NO_REASON = "reverted without a reason"
OUT_OF_GAS = "out of gas"


def revert_reason(data: bytes) -> str:
    """The sentence inside revert data.

    ``Error(string)`` gives its text; ``Panic(uint256)`` its code; any other data is shown as it is,
    because a guess would look like the contract's own words. No data gives `NO_REASON`:
    this is what a checked overflow or an unknown selector of a Vyper contract returns.

    Examples
    --------
    >>> revert_reason(b"")
    'reverted without a reason'
    >>> revert_reason(bytes.fromhex("4e487b71") + (17).to_bytes(32, "big"))
    'panic 0x11'
    """
    if not data:
        return NO_REASON
    selector, body = data[:4], data[4:]
    if selector == ERROR_SELECTOR:
        sentence = _decode_string(body)
        if sentence is not None:
            return sentence
    if selector == PANIC_SELECTOR and len(body) == WORD_BYTES:
        return f"panic 0x{int.from_bytes(body, 'big'):02x}"
    return f"reverted with 0x{data.hex()}"


def _decode_string(body: bytes) -> str | None:
    """ABI string at the offset that the first word names; None if it is not a well-formed one."""
    if len(body) < 2 * WORD_BYTES:
        return None
    start = int.from_bytes(body[:WORD_BYTES], "big")
    length = int.from_bytes(body[start : start + WORD_BYTES], "big")
    text = body[start + WORD_BYTES : start + WORD_BYTES + length]
    if len(text) != length:
        return None
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return None
