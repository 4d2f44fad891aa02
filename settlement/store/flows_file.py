"""Files of payoff flows: read from whoever made them, within limits; written in one form.

A file of ours, or of anybody, holds ``flows`` (n, n) payer by payee, ``own_values`` (n,) and
``grand_value``; where most flows are zero, ``payers``, ``payees`` and ``amounts`` instead of
``flows``; and, if it likes, the names of the ``parties``. JSON and npz have these keys; CSV has a
row a payer, ``party,own_value,grand_value`` and then a column a payee.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.errors import MlError
from ml.game import GivenFlows, sparse_flows
from ml.reading import VALUES_BYTES, UnreadableFile, read_json, read_text
from settlement.money.terms import MAX_ROUND_PARTIES
from settlement.naming import fault_of_names, with_names
from settlement.store.flows_arrays import KINDS, FlowsFileError, read_arrays

__all__ = ["FlowsFile", "FlowsFileError", "read_flows", "write_flows"]

SPARSE = {"payers", "payees", "amounts"}
CSV_COLUMNS = ["party", "own_value", "grand_value"]


@dataclass(frozen=True, eq=False)
class FlowsFile:
    """Flows of a file, and the names that it gives the parties, if it does."""

    given: GivenFlows
    parties: tuple[str, ...] | None


def read_flows(path: Path) -> FlowsFile:
    """Flows, own values and v(N) of a JSON, CSV or npz file, checked.

    Raises
    ------
    FlowsFileError
        Naming the file, what was found in it, and what was expected.
    """
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {
        ".json": _read_json,
        ".csv": _read_csv,
        ".npz": read_arrays,
    }
    if path.suffix not in readers:
        raise FlowsFileError(f"{path} is no file of flows; expected .json, .csv or .npz.")
    try:
        found = readers[path.suffix](path)
        _check_keys(found)
        names = None if "parties" not in found else tuple(map(str, found["parties"]))
        if names is not None and (fault := fault_of_names(names)):
            raise FlowsFileError(fault)
        n_parties = np.size(found["own_values"])
        if not 2 <= n_parties <= MAX_ROUND_PARTIES or (names and len(names) != n_parties):
            raise FlowsFileError(
                f"{n_parties} own values and {n_parties if names is None else len(names)} names; "
                f"expected the same number of each, 2 to {MAX_ROUND_PARTIES}."
            )
        if "flows" in found:
            flows = found["flows"]
        else:
            flows = sparse_flows(found["payers"], found["payees"], found["amounts"], n_parties)
        return FlowsFile(GivenFlows(flows, found["own_values"], found["grand_value"]), names)
    except UnreadableFile as error:
        raise FlowsFileError(str(error)) from None
    except MlError as error:
        told = with_names(error, names) if names else str(error)
        raise FlowsFileError(f"{path}: {told}") from None
    except FlowsFileError as error:
        raise FlowsFileError(f"{path}: {error}") from None


def write_flows(path: Path, given: GivenFlows) -> None:
    """Write flows as npz; the same bytes for the same flows."""
    arrays: dict[str, Any] = {
        "own_values": given.own_values,
        "grand_value": np.float64(given.grand_value),
    }
    if given.is_sparse:
        pairs = given.flows.tocoo()
        order = np.lexsort((pairs.coords[1], pairs.coords[0]))
        arrays["payers"] = pairs.coords[0][order].astype(np.int32)
        arrays["payees"] = pairs.coords[1][order].astype(np.int32)
        arrays["amounts"] = pairs.data[order]
    else:
        arrays["flows"] = given.flows
    np.savez(path, allow_pickle=False, **arrays)


def _check_keys(found: dict[str, Any]) -> None:
    wanted = {"own_values", "grand_value"} | (SPARSE if SPARSE & found.keys() else {"flows"})
    if missing := sorted(wanted - found.keys()):
        raise FlowsFileError(
            f"{', '.join(missing)} missing; expected flows (n, n), or payers, payees and amounts; "
            "own_values (n,) and grand_value."
        )
    if unknown := sorted(found.keys() - wanted - {"parties"}):
        raise FlowsFileError(f"{unknown[0]!r:.80} is not expected beside {', '.join(wanted)}.")


def _read_json(path: Path) -> dict[str, Any]:
    document = read_json(path, VALUES_BYTES)
    if not isinstance(document, dict):
        raise FlowsFileError("expected an object with flows, own_values and grand_value.")
    names = document.get("parties", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FlowsFileError("parties must be a list of names.")
    found = dict(document)
    for key in found.keys() & KINDS.keys() - {"parties"}:
        if key != "grand_value" and not isinstance(found[key], list):
            raise FlowsFileError(f"{key} must be a list of numbers.")
        try:
            found[key] = np.array(found[key])
        except ValueError:
            raise FlowsFileError(f"{key} must be rows of one length.") from None
        if found[key].size and found[key].dtype.kind not in KINDS[key]:
            raise FlowsFileError(f"{key} must hold nothing but numbers.")
    return found


def _read_csv(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path, VALUES_BYTES)
        header, *rows = csv.reader(io.StringIO(text, newline=None), strict=True)
    except csv.Error as error:
        raise FlowsFileError(f"no CSV: {error}.") from None
    except ValueError:
        raise FlowsFileError("no CSV: not even a header.") from None
    if header[:3] != CSV_COLUMNS:
        raise FlowsFileError(
            f"the header begins with {','.join(header[:3])!r:.80}; expected "
            f"{','.join(CSV_COLUMNS)}, and then a column a payee."
        )
    names = header[3:]
    rows = [row for row in rows if row]
    if [row[0] for row in rows] != names:
        raise FlowsFileError(
            "the names of the rows are not those of the columns in the same order; expected one "
            "row a payer and one column a payee."
        )
    numbers = np.empty((len(names), len(names) + 2))
    for place, row in enumerate(rows):
        if len(row) != len(header):
            raise FlowsFileError(f"row {place + 2} has {len(row)} cells; expected {len(header)}.")
        for column, cell in enumerate(row[1:]):
            try:
                numbers[place, column] = float(cell)
            except ValueError:
                raise FlowsFileError(
                    f"row {place + 2}, column {header[column + 1]!r:.40}: {cell!r:.40} is no "
                    "number."
                ) from None
    grand = numbers[:, 1]
    if len(grand) and not (grand == grand[0]).all():
        raise FlowsFileError(
            f"grand_value is {grand.min():.12g} in one row and {grand.max():.12g} in another; "
            "expected v(N), the same in each."
        )
    return {
        "parties": names,
        "flows": numbers[:, 2:],
        "own_values": numbers[:, 0],
        "grand_value": grand[0] if len(grand) else 0.0,
    }
