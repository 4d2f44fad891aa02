"""The purse contract for tests of the chain room, and the story that the crash tests tell."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path

from settlement.chain import Chain
from settlement.chain.journal import Journal

SOURCE = Path(__file__).with_name("Purse.vy")
PARTIES = ("party/0", "party/1")
ACCOUNTS = ("operator", *PARTIES)
MOMENTS = ("before", "torn", "after")  # of a write, to be killed at
GAS = 300_000
DEPLOY_GAS = 1_500_000


@functools.cache
def compiled() -> tuple[bytes, dict[str, str]]:
    """Creation code and selectors by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vyper

        made = vyper.compile_code(
            SOURCE.read_text(), output_formats=["bytecode", "method_identifiers"]
        )
    selectors = {
        signature.partition("(")[0]: selector
        for signature, selector in made["method_identifiers"].items()
    }
    return bytes.fromhex(made["bytecode"][2:]), selectors


def encode(function: str, *words: int) -> bytes:
    """Call data of a function of the purse."""
    selector = bytes.fromhex(compiled()[1][function][2:])
    return selector + b"".join(word.to_bytes(32, "big") for word in words)


def deploy(chain: Chain) -> str:
    """Create the purse once; its address."""
    operator = chain.account("operator")
    receipt = chain.send("deploy", operator, None, compiled()[0], gas=DEPLOY_GAS)
    assert receipt.contract_address is not None
    return receipt.contract_address


def settlements(chain: Chain, purse: str) -> int:
    """How often the purse was settled."""
    return int.from_bytes(chain.call(purse, encode("settlements")), "big")


def tell_the_story(chain: Chain) -> str:
    """Deploy, two deposits, one settlement; safe to repeat from the beginning."""
    purse = deploy(chain)
    for index, party in enumerate(PARTIES):
        account = chain.account(party)
        chain.send(f"deposit/{index}", account, purse, encode("deposit"), value_wei=70, gas=GAS)
    chain.send("settle", chain.account("operator"), purse, encode("settle"), gas=GAS)
    return purse


def assert_story_happened_once(chain: Chain, purse: str, journal: Journal) -> None:
    """One settlement, each deposit once, and a journal that says the same."""
    assert settlements(chain, purse) == 1
    assert chain.balance(purse) == 70 * len(PARTIES)
    assert len(chain.logs(purse)) == len(PARTIES) + 1
    labels = [entry["label"] for entry in journal.entries if entry.kind == "receipt"]
    assert labels == ["deploy", "deposit/0", "deposit/1", "settle"]
