"""The input of the calculator: a JSON file of values, and limits from the command line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ml.game.words import MAX_TABLE_PARTIES
from ml.reading import VALUES_BYTES, UnreadableFile, read_json
from settlement.errors import SettlementError
from settlement.naming import fault_of_names, listed

__all__ = ["MAX_VALUE", "ValuesFileError", "limits_of", "read_values"]

MAX_VALUE = 1e30
"""Largest value that is read: sums stay far from overflow and figures readable."""


class ValuesFileError(SettlementError):
    """A file of values, a budget or a cap that cannot be read."""


def read_values(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of the parties and their values, float64 (2**n,).

    The file holds ``{"parties": [n names], "values": [2**n numbers]}``; bit i of an index is party
    i. Other keys, such as those of a round's ``train/values.json``, are ignored.

    Raises
    ------
    ValuesFileError
    """
    try:
        document = read_json(path, VALUES_BYTES)
    except UnreadableFile as error:
        raise ValuesFileError(str(error)) from None
    if not isinstance(document, dict) or not {"parties", "values"} <= document.keys():
        raise ValuesFileError(f'{path} must be an object with "parties" and "values".')
    parties, values = document["parties"], document["values"]
    if not isinstance(parties, list) or not all(isinstance(name, str) for name in parties):
        raise ValuesFileError(f"{path}: parties must be a list of names.")
    if fault := fault_of_names(parties):
        raise ValuesFileError(f"{path}: {fault}")
    if not isinstance(values, list):
        raise ValuesFileError(f"{path}: values must be a list of numbers.")
    for index, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValuesFileError(f"{path}: values[{index}] is {value!r}; expected a number.")
        if abs(value) > MAX_VALUE:  # infinities too; not-a-number is refused by the table
            raise ValuesFileError(
                f"{path}: values[{index}] is above {MAX_VALUE:.0e}; values are scores, or money "
                f"of a size that can be added up. Choose a larger unit."
            )
    if len(parties) > MAX_TABLE_PARTIES or len(values) != 2 ** len(parties):
        raise ValuesFileError(
            f"{path}: {len(values)} values for {len(parties)} parties; expected 2**n, "
            f"n at most {MAX_TABLE_PARTIES}."
        )
    return parties, np.array(values, dtype=np.float64)


def limits_of(kind: str, options: Sequence[str], parties: Sequence[str]) -> np.ndarray:
    """One limit a party from options ``NAME=VALUE``, infinite where none is given.

    Parameters
    ----------
    kind
        "budget" or "cap": the name of the option in errors.

    Raises
    ------
    ValuesFileError
    """
    limits = np.full(len(parties), np.inf)
    named = set()
    for option in options:
        name, equals, text = option.rpartition("=")
        if not equals or name not in parties:
            raise ValuesFileError(
                f"--{kind} {option}: expected NAME=VALUE with one of: {listed(parties)}."
            )
        if name in named:
            raise ValuesFileError(f"--{kind} {option}: {name} has a {kind} already.")
        named.add(name)
        try:
            limit = math.inf if text == "unlimited" else float(text)
        except ValueError:
            limit = math.nan
        if not limit >= 0:
            raise ValuesFileError(
                f'--{kind} {option}: expected a number of at least 0, or "unlimited".'
            )
        limits[parties.index(name)] = limit
    return limits
