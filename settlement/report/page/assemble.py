"""Put the page together: styles, scripts and a round's data in one file that fetches nothing.

The scripts are ES modules in ``modules/``, readable and importable by themselves. Browsers load no
modules from files, so they are joined here: each becomes a function that returns its exports.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import re
from importlib.resources import files
from string import Template
from typing import Any

__all__ = ["page", "script_of_page"]

ROOM = files("settlement.report.page")
ENTRY = "main"

_IMPORT = re.compile(r"^import \{([^}]*)\} from \"\./(\w+)\.mjs\";\n", re.MULTILINE)
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
    script, style = script_of_page(), (ROOM / "page.css").read_text("utf-8")
    embedded = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template((ROOM / "page.html").read_text("utf-8")).substitute(
        policy=policy,
        title=html.escape(data["name"]),
        style=style,
        # The only sign that could end the element; an escape means the same to JSON.
        data=embedded.replace("<", "\\u003c"),
        script=script,
    )


@functools.cache
def script_of_page() -> str:
    """The one script of every page: licences, vendored modules, our own modules."""
    vendor = ROOM / "vendor"
    packages = [row["package"] for row in json.loads((vendor / "vendor.json").read_text())]
    licences = "\n".join(
        f"{name}\n{(vendor / f'{name}.LICENSE').read_text('utf-8')}" for name in packages
    )
    parts = [f"/*\n{licences}*/", *((vendor / f"{n}.min.js").read_text("utf-8") for n in packages)]
    own = [_joined(name) for name in _in_order(ENTRY, [])]
    script = "\n".join([*parts, '(() => {\n"use strict";', *own, "})();", ""])
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("A module of the page holds </script or <!--, which would end it early.")
    return script


def _source(name: str) -> str:
    return (ROOM / "modules" / f"{name}.mjs").read_text("utf-8")


def _in_order(name: str, done: list[str]) -> list[str]:
    """The module and all that it imports, each after those that it uses."""
    for _, used in _IMPORT.findall(_source(name)):
        if used not in done:
            _in_order(used, done)
    done.append(name)
    return done


def _joined(name: str) -> str:
    """A module as a function that is called at once and returns its exports."""
    source = _IMPORT.sub(r"const {\1} = $\2;\n", _source(name))
    exports = ", ".join(_EXPORT.findall(source))
    body = _EXPORT.sub("", source)
    return f"const ${name} = (() => {{\n{body}return {{ {exports} }};\n}})();"


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
