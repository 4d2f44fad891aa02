"""Write what the configuration's models say about themselves: a table of all keys, a JSON schema.

    python scripts/upkeep/update_keys.py    # keys.md and templates/round.schema.json

A test compares both with the models.
"""

from __future__ import annotations

from pathlib import Path

from settlement.config.described import keys_page, schema_text

CONFIG = Path(__file__).resolve().parents[2] / "settlement" / "config"


def main() -> None:
    """Write both files."""
    (CONFIG / "keys.md").write_text(keys_page(), "utf-8")
    (CONFIG / "templates" / "round.schema.json").write_text(schema_text(), "utf-8")


if __name__ == "__main__":
    main()
