"""Put pages together: styles, scripts and data in one file that fetches nothing.

There are three: of a settled round, of a simulation, of a payoff matrix; `frame.html` stands around
the body of each. The scripts are ES modules in ``modules/`` and ``simulation/``, readable and
importable by themselves. Browsers load no modules from files, so they are joined here: each becomes
a function that returns its exports.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import posixpath
import re
from importlib.resources import files
from string import Template
from typing import Any

__all__ = ["attack_page", "embedded_text", "page", "script_of_page", "simulation_page"]

ROOM = files("settlement.report.page")
ENTRIES = {
    "page.html": "modules/main",
    "simulation.html": "simulation/simulation",
    "attack.html": "simulation/attack",
}
"""What each page begins with."""
VENDORED = frozenset({"page.html"})
"""Pages that draw with d3."""
MOST_ENTRIES = 64
"""Lists and objects of more entries stand in one line of the embedded text."""
DIGEST_DIGITS = 8
"""Hexadecimal digits of a line's SHA-256 that the page keeps; `modules/round.mjs` reads them."""

_IMPORT = re.compile(r"^import \{([^}]*)\} from \"(\.{1,2}/[\w/]+)\.mjs\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def page(data: dict[str, Any]) -> str:
    """The page of a round as HTML; the same text for the same data.

    Parameters
    ----------
    data
        What `page_data` gives. It is embedded as JSON; nothing in it can become markup or a script.

    Notes
    -----
    A Content-Security-Policy allows this one script and style sheet, by their hashes, and no
    request of any kind.
    """
    return _filled("page.html", data["name"], embedded_text(data))


def simulation_page(document: dict[str, Any]) -> str:
    """The page of a simulation: `settlement.simulation.page_data.page_document` drawn."""
    return _filled("simulation.html", document["summary"]["name"], _json(document))


def attack_page(document: dict[str, Any], name: str) -> str:
    """The page of a payoff matrix: `settlement.simulation.page_data.attack_document` drawn."""
    return _filled("attack.html", f"{name}: everybody deviates alone", _json(document))


def embedded_text(data: dict[str, Any]) -> str:
    """JSON of a round that tells by itself which entry was changed by hand.

    Every entry of a list or object that is not too long has a line of its own; the last line holds
    the beginnings of all lines' SHA-256. Whoever writes those anew too is found by ``verify`` only.
    """
    lines: list[str] = []
    for key, value in data.items():
        signs = "[]" if isinstance(value, list) else "{}"
        entries: list[str] = []
        if isinstance(value, list):
            entries = [_json(entry) for entry in value]
        elif isinstance(value, dict):
            entries = [f"{_json(name)}:{_json(entry)}" for name, entry in value.items()]
        if 0 < len(entries) <= MOST_ENTRIES:
            separated = [f"{entry}," for entry in entries[:-1]]
            lines += [f"{_json(key)}:{signs[0]}", *separated, entries[-1], f"{signs[1]},"]
        else:
            lines.append(f"{_json(key)}:{_json(value)},")
    digests = "".join(hashlib.sha256(line.encode()).hexdigest()[:DIGEST_DIGITS] for line in lines)
    return "\n".join(["{", *lines, f'"digests":"{digests}"', "}"])


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # The only sign that could end the element; an escape means the same to JSON.
    return text.replace("<", "\\u003c")


def _filled(body: str, title: str, data: str) -> str:
    script, style = script_of_page(body), (ROOM / "page.css").read_text("utf-8")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    shown = html.escape(title)
    return _template("frame.html").substitute(
        policy=policy,
        title=shown,
        style=style,
        body=_template(body).substitute(title=shown),
        data=data,
        script=script,
    )


def _template(name: str) -> Template:
    return Template((ROOM / name).read_text("utf-8"))


@functools.cache
def script_of_page(template: str) -> str:
    """The one script of every page of a kind: licences, vendored modules, our own modules."""
    parts = _vendored() if template in VENDORED else []
    own = [_joined(path) for path in _in_order(ENTRIES[template], [])]
    script = "\n".join([*parts, '(() => {\n"use strict";', *own, "})();", ""])
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("A module of the page holds </script or <!--, which would end it early.")
    return script


def _vendored() -> list[str]:
    vendor = ROOM / "vendor"
    packages = [row["package"] for row in json.loads((vendor / "vendor.json").read_text())]
    licences = "\n".join(
        f"{name}\n{(vendor / f'{name}.LICENSE').read_text('utf-8')}" for name in packages
    )
    return [f"/*\n{licences}*/", *((vendor / f"{n}.min.js").read_text("utf-8") for n in packages)]


def _source(path: str) -> str:
    return (ROOM / f"{path}.mjs").read_text("utf-8")


def _in_order(path: str, done: list[str]) -> list[str]:
    """The module and all that it imports, each after those that it uses."""
    for _, used in _IMPORT.findall(_source(path)):
        if (target := _beside(path, used)) not in done:
            _in_order(target, done)
    done.append(path)
    return done


def _beside(path: str, used: str) -> str:
    """Where a module is that another one imports by its place from there."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), used))


def _joined(path: str) -> str:
    """A module as a function that is called at once and returns its exports."""

    def taken(found: re.Match[str]) -> str:
        return f"const {{{found[1]}}} = ${posixpath.basename(_beside(path, found[2]))};\n"

    source = _IMPORT.sub(taken, _source(path))
    exports = ", ".join(_EXPORT.findall(source))
    body = _EXPORT.sub("", source)
    return f"const ${posixpath.basename(path)} = (() => {{\n{body}return {{ {exports} }};\n}})();"


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
