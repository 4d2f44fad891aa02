"""One SQLite file with every row of a simulation, written while it runs.

A replicate is in the file or it is not, whatever kills the process, and a row says nothing of when
or where it was made: a run that was killed and goes on ends in the same rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from settlement.errors import SettlementError

__all__ = ["DATABASE", "TABLES", "Database", "OtherScenario", "Rows", "all_rows"]

DATABASE = "simulation.sqlite"

SCHEMA_VERSION = "1"

Rows = dict[str, list[tuple[Any, ...]]]
"""Rows of one replicate by table; the key columns cell and replicate are in them."""

KEY = "cell INTEGER, replicate INTEGER, period INTEGER"

TABLES = {
    "rounds": (
        f"{KEY}, n_accounts INTEGER, way TEXT, operator TEXT, lie TEXT, grand_value REAL, "
        "settled INTEGER, settled_by TEXT, deposits_units INTEGER, n_transfers INTEGER, "
        "gross_units INTEGER, net_units INTEGER, left_units INTEGER, n_calls INTEGER, "
        "n_refusals INTEGER, troubles TEXT, PRIMARY KEY (cell, replicate, period)"
    ),
    "parties": (
        f"{KEY}, party TEXT, kind TEXT, behaviour TEXT, parameters TEXT, looks INTEGER, "
        "private_rate REAL, budget_units INTEGER, n_accounts INTEGER, deposit_units INTEGER, "
        "own_value REAL, model_value REAL, payoff_units INTEGER, gas_units REAL, utility REAL, "
        "utility_alone REAL, gain REAL, payoff_otherwise INTEGER, moved INTEGER, "
        "PRIMARY KEY (cell, replicate, period, party)"
    ),
    "accounts": (
        f"{KEY}, account INTEGER, party TEXT, pieces TEXT, deposit_units INTEGER, "
        "net_units INTEGER, withdrawn_units INTEGER, left_units INTEGER, factor REAL, "
        "model_value REAL, PRIMARY KEY (cell, replicate, period, account)"
    ),
    "transfers": (
        f"{KEY}, sequence INTEGER, debtor INTEGER, creditor INTEGER, amount_units INTEGER, "
        "PRIMARY KEY (cell, replicate, period, sequence)"
    ),
    "refusals": (
        f"{KEY}, sequence INTEGER, step TEXT, sender TEXT, reason TEXT, "
        "PRIMARY KEY (cell, replicate, period, sequence)"
    ),
    "gas": f"{KEY}, sequence INTEGER, step TEXT, sender TEXT, gas_used INTEGER, "
    "PRIMARY KEY (cell, replicate, period, sequence)",
    "violations": (
        f"{KEY}, sequence INTEGER, property TEXT, message TEXT, "
        "PRIMARY KEY (cell, replicate, period, sequence)"
    ),
}
"""Columns of the tables that hold rows of rounds, by name."""

OTHERS = {
    "meta": "key TEXT PRIMARY KEY, value TEXT",
    "cells": "cell INTEGER, place TEXT, name TEXT, value TEXT, PRIMARY KEY (cell, place)",
    "done": "cell INTEGER, replicate INTEGER, PRIMARY KEY (cell, replicate)",
    "failures": "cell INTEGER, replicate INTEGER, traceback TEXT, PRIMARY KEY (cell, replicate)",
}


class OtherScenario(SettlementError):
    """The file holds the rows of another scenario."""


class Database:
    """The file of one scenario's results; opened for writing, made if need be.

    Raises
    ------
    OtherScenario
        If it holds rows of another scenario, or is no such file.
    """

    def __init__(self, path: Path, scenario_hash: str, name: str) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        try:
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=NORMAL")
            with _transaction(self.connection):
                for table, columns in {**TABLES, **OTHERS}.items():
                    self.connection.execute(
                        f"CREATE TABLE IF NOT EXISTS {table} ({columns}) WITHOUT ROWID"
                    )
                facts = {"schema": SCHEMA_VERSION, "scenario": scenario_hash, "name": name}
                for key, value in facts.items():
                    self.connection.execute(
                        "INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value)
                    )
            kept = dict(self.connection.execute("SELECT key, value FROM meta"))
        except sqlite3.DatabaseError as error:
            self.connection.close()
            raise OtherScenario(
                f"{path} is no file of results ({error}). Move it away and run again."
            ) from None
        if (kept["scenario"], kept["schema"]) != (scenario_hash, SCHEMA_VERSION):
            self.connection.close()
            raise OtherScenario(
                f"{path} holds the rounds of another scenario ({kept['scenario'][:12]}; this one "
                f"is {scenario_hash[:12]}). Move it away, or give the scenario a folder of its own."
            )

    def close(self) -> None:
        """Let the file go, its log folded in."""
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.connection.close()

    def name_cell(self, cell: int, parameters: Mapping[str, Any]) -> None:
        """Say what is swept, and the values of a cell."""
        rows = [
            (cell, place, place.rpartition(".")[2], json.dumps(value))
            for place, value in parameters.items()
        ]
        self.connection.executemany("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?)", rows)

    def note_tier(self, tier: str) -> None:
        """Say on which EVM rounds are played; several if runs differed. Rows are the same."""
        with _transaction(self.connection):
            known = {name for name in self.tier().split(" and ") if name}
            names = " and ".join(sorted({*known, tier}))
            self.connection.execute("INSERT OR REPLACE INTO meta VALUES ('tier', ?)", (names,))

    def note_not_modelled(self, items: Iterable[str]) -> None:
        """Say what the rounds leave out, for whoever reads the file without the summary."""
        values = ("not_modelled", "; ".join(items))
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)

    def tier(self) -> str:
        """The EVMs on which rounds were played."""
        found = self.connection.execute("SELECT value FROM meta WHERE key = 'tier'").fetchone()
        return str(found[0]) if found else ""

    def done(self) -> set[tuple[int, int]]:
        """Cell and replicate of all that is in the file."""
        return set(self.connection.execute("SELECT cell, replicate FROM done"))

    def write(self, finished: Iterable[tuple[int, int, Rows]]) -> None:
        """Keep whole replicates, all of them or none."""
        with _transaction(self.connection):
            for cell, replicate, rows in finished:
                for table, values in rows.items():
                    if values:
                        marks = ",".join("?" * len(values[0]))
                        self.connection.executemany(
                            f"INSERT OR REPLACE INTO {table} VALUES ({marks})", values
                        )
                self.connection.execute(
                    "INSERT OR REPLACE INTO done VALUES (?, ?)", (cell, replicate)
                )
                self.connection.execute(
                    "DELETE FROM failures WHERE cell = ? AND replicate = ?", (cell, replicate)
                )

    def write_failure(self, cell: int, replicate: int, traceback: str) -> None:
        """Keep why a replicate has no rows; the next run tries it again."""
        with _transaction(self.connection):
            self.connection.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?)", (cell, replicate, traceback)
            )


class _transaction:
    """All statements or none: the connection itself commits each alone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def all_rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, sorted by key: what two runs of one scenario have in common."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr)
            for table in (*TABLES, "cells", "done", "failures")
        }
    finally:
        connection.close()
