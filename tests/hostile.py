"""Files changed at random, or sealed again, for tests of whatever reads what others wrote."""

import json
import shutil

from ml.errors import MlError
from settlement.errors import SettlementError
from settlement.store.folder import RoundFolder

VALUES = (
    None,
    True,
    [],
    {},
    "",
    "x" * 3_000,
    "\u202e",
    "../../etc/passwd",
    -1,
    0,
    2**64,
    1e308,
    -0.5,
    [[]],
    {"a": 1},
    ["a"],
    [1, 1],
)
NAMED = (MlError, SettlementError)


def refused(read, *arguments):
    """Whether a reader says no by name; any other error of it fails the test."""
    try:
        read(*arguments)
    except NAMED as error:
        return bool(str(error))
    return False


def places(document, path=()):
    """Every place inside a JSON document."""
    yield path
    items = document.items() if isinstance(document, dict) else ()
    items = enumerate(document[:20]) if isinstance(document, list) else items
    for key, value in items:
        yield from places(value, (*path, key))


def changed(document, chance):
    """The document with one place changed, taken out, or put in anew."""
    document = json.loads(json.dumps(document))
    *way, last = chance.choice([path for path in places(document) if path])
    inner = document
    for key in way:
        inner = inner[key]
    kind = chance.random()
    if kind < 0.2:
        del inner[last]
    elif kind < 0.3 and isinstance(inner, dict):
        inner[chance.choice("abc") + str(last)] = inner[last]
    else:
        inner[last] = chance.choice(VALUES)
    return document


def scrambled(text, chance):
    """The text with a few bytes changed, cut off, doubled or nested."""
    content = bytearray(text.encode())
    at = chance.randrange(len(content) + 1)
    kind = chance.randrange(5)
    if kind == 0:
        content[at:at] = bytes(chance.choices(range(256), k=chance.randint(1, 4)))
    elif kind == 1:
        del content[at : at + chance.randint(1, 30)]
    elif kind == 2:
        content = content[:at]
    elif kind == 3:
        content[at:at] = content[at : at + 40]
    else:
        content[at:at] = chance.choice([b"[", b'{"a":']) * 100_000
    return bytes(content)


def resealed(folder, stage, change):
    """Change a file of a stage as whoever holds the folder can: with a seal that fits."""
    store = RoundFolder(folder)
    kept = folder / "kept"
    (folder / stage).rename(kept)
    with store.write_stage(stage, inputs=[]) as partial:
        for path in kept.iterdir():
            if path.name != "seal.json":
                shutil.copy(path, partial)
        change(partial)
    shutil.rmtree(kept)
    return store
