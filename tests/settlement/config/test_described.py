"""What documents and editors are told of the configuration is what the models check."""

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from settlement.config import described
from settlement.config.schema import ConfigFile
from settlement.config.settings import Settings
from settlement.config.templates import template_names, write_template

CONFIG = Path(described.__file__).parent


def tables():
    for table in ("round", "values", "external", "data", "training", "engine", "chain", "party"):
        name = described._reference(_property(table))
        yield table, ConfigFile.model_json_schema()["$defs"][name]["properties"]


def _property(table):
    found = ConfigFile.model_json_schema()["properties"][table]
    return found.get("items", found)


def test_the_page_and_the_schema_are_up_to_date():
    """If not: python scripts/upkeep/update_keys.py."""
    assert (CONFIG / "keys.md").read_text() == described.keys_page()
    assert (CONFIG / "templates" / "round.schema.json").read_text() == described.schema_text()


def test_every_key_and_every_setting_stands_in_the_page_with_a_meaning():
    page = described.keys_page()
    keys = [f"{table}.{key}" for table, found in tables() for key in found]
    assert len(keys) > 60
    for key in [*keys, *Settings.model_fields]:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{key}` |"))
        assert len(row.split("|")[4].strip()) > 5, row


def test_bounds_that_are_checked_are_bounds_in_the_page():
    page = described.keys_page()
    assert "| `party.share` | number from 0 to 1 |" in page
    assert "| `round.exchange_rate` | whole number from 1 to 2^63 - 1 | `1000000` |" in page


@pytest.mark.parametrize("name", template_names())
def test_every_template_names_the_schema_that_is_written_beside_it(tmp_path, name):
    path = write_template(tmp_path, name)
    first = path.read_text().splitlines()[0]
    assert first == "#:schema round.schema.json"
    schema = json.loads((tmp_path / first.removeprefix("#:schema ")).read_text())
    assert schema["properties"].keys() == ConfigFile.model_fields.keys()


def test_every_key_of_a_template_is_in_the_schema():
    known = dict(tables())
    for name in template_names():
        text = files("settlement.config.templates").joinpath(f"{name}.toml").read_text()
        for table, found in tomllib.loads(text).items():
            for item in found if isinstance(found, list) else [found]:
                assert item.keys() <= known[table].keys()
