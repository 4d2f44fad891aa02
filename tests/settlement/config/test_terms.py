import hashlib
import json

import pytest

from settlement.config.terms import AgreedTerms, Basis, TermsUnreadable
from settlement.escrow.events import ETHER
from settlement.store.folder import dump_json

HASH = "ab" * 32
TERMS = {
    "layout": 3,
    "round": "three parties",
    "chain_id": 31337,
    "escrow": "0x" + "Ab" * 20,
    "operator": "0x" + "00" * 19 + "01",
    "parties": [
        {"name": "a", "address": "0x" + "00" * 19 + "02", "data_sha256": HASH},
        {"name": "b", "address": "0x" + "00" * 19 + "03", "data_sha256": HASH},
    ],
    "asset": ETHER,
    "unit_scale": 10**12,
    "exchange_rate": 10**6,
    "quorum_units": 0,
    "funding_deadline": 1_800_000_000,
    "settlement_deadline": 1_800_003_600,
    "settlement": "proof",
    "game_sha256": HASH,
    "caps": [0.75, None],
    "values_sha256": HASH,
    "monotone": "above",
    "sampling": {
        "evaluations": 60,
        "estimator": "quadratic",
        "seed": 3,
        "choose": "sizes",
        "largest_payment_error": 0.001,
        "expected_budgets": [0.2, None],
    },
    "basis": {
        "data_sha256": HASH,
        "validation_sha256": HASH,
        "recipe_sha256": HASH,
        "recipe": {"hidden": [64, 64], "arguments": {}},
        "code_sha256": {"own.module:Network": HASH},
    },
}


def test_terms_read_back_to_the_last_byte_and_are_named_by_their_hash():
    raw = dump_json(TERMS)
    terms = AgreedTerms.decode(raw)
    assert terms.encode() == raw
    assert terms.hash == hashlib.sha256(raw).digest()
    assert terms.party_names == ("a", "b")
    assert terms.sampling.evaluations == 60
    assert isinstance(terms.basis, Basis)


def paths(document, place=()):
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        yield (*place, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*place, key))


def changed(place, change):
    document = json.loads(json.dumps(TERMS))
    parent = document
    for key in place[:-1]:
        parent = parent[key]
    change(parent, place[-1])
    return document


# What a recipe is made of is `ml`'s; here it is only hashed.
PLACES = [p for p in paths(TERMS) if p[:2] != ("basis", "recipe") and p[-2:-1] != ("code_sha256",)]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_terms_with_an_odd_value_anywhere_are_refused_by_name(place):
    def spoil(parent, key):
        parent[key] = {"odd": [1]}

    with pytest.raises(TermsUnreadable, match=r"open/terms\.json: "):
        AgreedTerms.decode(dump_json(changed(place, spoil)))


@pytest.mark.parametrize("place", [p for p in PLACES if isinstance(p[-1], str)], ids=str)
def test_terms_that_lack_a_figure_are_refused(place):
    def lose(parent, key):
        del parent[key]

    with pytest.raises(TermsUnreadable):
        AgreedTerms.decode(dump_json(changed(place, lose)))


@pytest.mark.parametrize(
    "spelling",
    [
        json.dumps(TERMS).encode(),
        dump_json(TERMS) + b"\n",
        dump_json(TERMS).replace(b'"chain_id": 31337', b'"chain_id": 1,\n  "chain_id": 31337'),
        dump_json(dict(reversed(TERMS.items()))),
    ],
    ids=["one line", "a line more", "a key twice", "another order"],
)
def test_one_meaning_has_one_spelling(spelling):
    """Else what a person reads and what is hashed could differ."""
    with pytest.raises(TermsUnreadable, match="spelling"):
        AgreedTerms.decode(spelling)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("more",), 1),
        (("layout",), 1),
        (("round",), "a\x1b[2Jb"),
        (("parties", 0, "name"), "b\u202e"),
        (("parties", 0, "name"), "\u3164"),
        (("parties", 0, "name"), "a\ufe0f"),
        (("parties", 0, "name"), "a\u2800b"),
        (("parties", 1, "name"), "a"),
        (("parties", 1, "name"), "\uff21"),  # a wide A
        (("parties", 1, "address"), "0x" + "00" * 19 + "02"),
        (("caps",), [None]),
        (("settlement",), "trust me"),
        (("settlement_deadline",), 1_800_000_000),
        (("unit_scale",), 0),
        (("exchange_rate",), 2**63),
        (("game_sha256",), "AB" * 32),
        (("escrow",), "0x12"),
    ],
)
def test_terms_that_make_no_round_are_refused(place, value):
    def put(parent, key):
        parent[key] = value

    with pytest.raises(TermsUnreadable):
        AgreedTerms.decode(dump_json(changed(place, put)))
