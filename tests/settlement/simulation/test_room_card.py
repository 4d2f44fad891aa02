"""The room card of the simulator is complete, and what it shows runs."""

import re
import sqlite3
from pathlib import Path

import pytest

import settlement.simulation
from settlement.simulation.behaviours.behaviour import Entry
from settlement.simulation.behaviours.registry import known_behaviours
from settlement.simulation.results.database import OTHERS, TABLES
from settlement.simulation.results.expectations import FILTERS, METRICS, ROUND_PROPERTIES
from settlement.simulation.results.export import write_parquet
from settlement.simulation.simulating import simulate
from settlement.simulation.tables import scenario

ROOM = Path(settlement.simulation.__file__).parent
CARD = (ROOM / "README.md").read_text("utf-8")


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", CARD, re.DOTALL)


def test_every_file_and_room_is_on_the_card():
    for path in ROOM.iterdir():
        if path.name.startswith("_") or path.name == "README.md":
            continue
        name = f"`{path.name}/`" if path.is_dir() else f"`{path.name}`"
        assert name in CARD, name


def test_the_package_itself_has_the_function_and_its_type():
    assert settlement.simulation.simulate is simulate
    assert settlement.simulation.Results.__name__ == "Results"
    with pytest.raises(AttributeError, match="has no attribute 'perform'"):
        _ = settlement.simulation.perform


def test_every_behaviour_metric_filter_and_property_is_on_the_card():
    for name in (*known_behaviours(), *METRICS, *FILTERS, *ROUND_PROPERTIES):
        assert f"`{name}`" in CARD or f'`"{name}"`' in CARD, name


@pytest.mark.parametrize(
    ("place", "model"),
    [
        ("scenario", scenario.ScenarioTable),
        ("round", scenario.RoundRules),
        ("party", scenario.PartyTable),
        ("chain", scenario.ChainTroubles),
        ("expect", scenario.Claim),
        ("game", scenario.FamilyGame),
        ("game", scenario.TableGame),
        ("game", scenario.ShardsGame),
        ("game", scenario.FlowsGame),
    ],
)
def test_every_key_is_on_the_card(place, model):
    rows = [line for line in CARD.splitlines() if line.startswith(f"| `{place}.")]
    for name in model.model_fields:
        if name not in ("kind", "data", "training"):
            assert any(f"`{place}.{name}`" in row or f"`{name}`" in row for row in rows), name


def test_every_column_of_every_table_is_on_the_card():
    for table, text in {**TABLES, **OTHERS}.items():
        if table in ("meta", "done"):
            continue
        (row,) = [line for line in CARD.splitlines() if line.startswith(f"| `{table}` |")]
        for part in text.partition(", PRIMARY")[0].split(", "):
            name = part.split()[0]
            if name not in ("cell", "replicate", "period"):
                assert f"`{name}`" in row, (table, name)


def test_the_queries_of_the_card_run(tmp_path, tables):
    tables["party"][0]["private_rate"] = [0.5, 1.0]
    tables["outsider"] = [{"behaviour": "bystander"}]
    results = simulate(tables, folder=tmp_path)
    (sql,) = blocks("sql")
    queries = [query for query in sql.split(";") if query.strip()]
    assert len(queries) == 3
    with sqlite3.connect(results.database) as connection:
        for query in queries:
            assert connection.execute(query).fetchall()


def test_pandas_and_duckdb_give_the_same_answers(tmp_path, tables):
    """pandas reads the file itself; DuckDB the parquet files, for which it downloads nothing."""
    pandas, duckdb = pytest.importorskip("pandas"), pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    tables["party"][0]["private_rate"] = [0.5, 1.0]
    results = simulate(tables, folder=tmp_path)
    write_parquet(results.database, tmp_path / "parquet")
    other = duckdb.connect()
    for path in (tmp_path / "parquet").iterdir():
        other.execute(f"CREATE VIEW {path.stem} AS FROM '{path}'")
    (sql,) = blocks("sql")
    with sqlite3.connect(results.database) as connection:
        for query in ["SELECT * FROM parties", *filter(str.strip, sql.split(";"))]:
            expected = sorted(connection.execute(query).fetchall(), key=repr)
            assert sorted(other.execute(query).fetchall(), key=repr) == expected
            frame = pandas.read_sql(query, connection)
            assert frame.shape == (len(expected), len(frame.columns))
        frame = pandas.read_sql("SELECT * FROM parties", connection)
    assert frame.groupby("party").payoff_units.first().to_dict() == {
        "a": -200_000,
        "b": 112_500,
        "c": 87_500,
    }


def test_the_behaviour_of_the_card_is_one():
    (code,) = blocks("python")
    names = {}
    exec(code, names)
    made = names["PaysInLate"]()
    assert made.funds(Entry(1, 101), True) == 50
    assert made.funds(Entry(1, 101), False) == 0
    assert made.signs is not None
