"""Target columns as classes, or as numbers for a regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.source import DataError

__all__ = ["as_targets"]


def as_targets(
    train: NDArray[Any], test: NDArray[Any] | None, task: str
) -> tuple[NDArray[Any], NDArray[Any] | None, tuple[str, ...]]:
    """Targets of a training and a test set, and the names of the classes (none for regression).

    Classes are numbered in the order of their values, whole numbers as numbers, others as text.

    Raises
    ------
    DataError
        If a number is not finite, or the test set has a class that training has not.
    """
    if task == "regression":
        return _figures(train), None if test is None else _figures(test), ()
    names = [_name(value) for value in train.tolist()]
    order = sorted(set(names), key=_rank)
    number = {name: k for k, name in enumerate(order)}
    if len(order) < 2:
        raise DataError(
            f"All training samples have label {order[0]}; expected at least two labels."
        )
    targets = np.array([number[name] for name in names], np.int64)
    if test is None:
        return targets, None, tuple(order)
    test_names = [_name(value) for value in test.tolist()]
    unseen = sorted(set(test_names) - set(order), key=_rank)
    if unseen:
        raise DataError(
            f"Validation has {len(unseen)} labels that no party has: {', '.join(unseen)}; training "
            f"has {', '.join(order)}. Take those samples out or give them to a party."
        )
    return targets, np.array([number[name] for name in test_names], np.int64), tuple(order)


def _name(value: object) -> str:
    """A label as text; a float that is a whole number is written without its decimal point."""
    if isinstance(value, float):
        if not np.isfinite(value):
            raise DataError(f"Found label {value}; expected a label in every row.")
        if value == int(value):
            return str(int(value))
    name = "" if value is None else str(value).strip()
    if name.lower() in ("", "nan") or isinstance(value, list | dict):
        raise DataError(f"Found label {value!r}; expected a label in every row.")
    return name


def _rank(name: str) -> tuple[int, int, str]:
    return (0, int(name), name) if name.lstrip("-").isdigit() else (1, 0, name)


def _figures(column: NDArray[Any]) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # too large for float32 is infinite, which is refused
            figures = column.astype(np.float32)
    except (ValueError, TypeError) as trouble:
        raise DataError(
            f"The target holds what is no number ({trouble}); regression predicts numbers."
        ) from trouble
    if not np.isfinite(figures).all():
        raise DataError("The target has values that are NaN or infinite; expected finite numbers.")
    return figures
