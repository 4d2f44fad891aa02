"""Put pages together: styles, scripts and data in one file that fetches nothing.

There are three: of a settled round, of a simulation, of a payoff matrix. The scripts are ES modules
in ``modules/`` and ``simulation/``, readable and importable by themselves. Browsers load no modules
from files, so they are joined here: each becomes a function that returns its exports.
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

__all__ = ["attack_page", "page", "script_of_page", "simulation_page"]

ROOM = files("settlement.report.page")
ENTRIES = {
    "page.html": "modules/main",
    "simulation.html": "simulation/simulation",
    "attack.html": "simulation/attack",
}
"""What each page begins with."""
VENDORED = frozenset({"page.html"})
"""Pages that draw with d3."""

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
    return _filled("page.html", data["name"], data)


def simulation_page(document: dict[str, Any]) -> str:
    """The page of a simulation: `settlement.simulation.page_data.page_document` drawn."""
    return _filled("simulation.html", document["summary"]["name"], document)


def attack_page(document: dict[str, Any], name: str) -> str:
    """The page of a payoff matrix: `settlement.simulation.page_data.attack_document` drawn."""
    return _filled("attack.html", f"{name}: everybody deviates alone", document)


def _filled(template: str, title: str, data: dict[str, Any]) -> str:
    script, style = script_of_page(template), (ROOM / "page.css").read_text("utf-8")
    embedded = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template((ROOM / template).read_text("utf-8")).substitute(
        policy=policy,
        title=html.escape(title),
        style=style,
        # The only sign that could end the element; an escape means the same to JSON.
        data=embedded.replace("<", "\\u003c"),
        script=script,
    )


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
