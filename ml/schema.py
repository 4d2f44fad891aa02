"""Tables of a configuration as pydantic models: every range once, all faults at once.

A model is a table, a field is a key: its type and range, its default, and what it means. Documents
and the JSON schema of a round's file are made from the same fields.
"""

from __future__ import annotations

import copy
import difflib
import types
import typing
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ml.errors import Fault, SpecError

__all__ = [
    "FROM_DECIMAL",
    "Filled",
    "Listed",
    "Seed",
    "Table",
    "faults_of",
    "joined",
    "keys_of",
    "place_of",
    "read_repaired",
    "read_table",
    "untold",
]


class Table(BaseModel):
    """One table of a configuration: exact types, no unknown keys, never changed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


TableT = TypeVar("TableT", bound=BaseModel)
Item = TypeVar("Item", bound=Hashable)


def _float(number: object) -> object:
    """TOML is read with exact decimals, which amounts keep and numbers for training do not need."""
    return float(number) if isinstance(number, Decimal) else number


def _distinct(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if twice := sorted(str(item) for item, count in Counter(items).items() if count > 1):
        raise ValueError(f"{', '.join(twice)} is there twice; name each once")
    return items


FROM_DECIMAL = BeforeValidator(_float)
"""Behind the bounds of a `float`: takes what an exact TOML number says."""

Listed = Annotated[tuple[Item, ...], Field(strict=False), AfterValidator(_distinct)]
"""A list that holds nothing twice."""

Filled = Annotated[tuple[Item, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)]
"""The same, and not empty."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""Where random draws start."""

WORDS = {
    "missing": "missing; expected a value",
    "model_type": "expected a table",
    "dict_type": "expected a table",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "string_type": "expected a text in quotes",
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "float_type": "expected a number",
    "is_instance_of": "expected a number",
    "finite_number": "expected a finite number",
    "greater_than_equal": "expected at least {ge}",
    "greater_than": "expected more than {gt}",
    "less_than_equal": "expected at most {le}",
    "less_than": "expected less than {lt}",
    "too_short": "expected at least {min_length} of them",
    "literal_error": "expected {expected}",
    "value_error": "{error}",
}
"""What a fault is called, by pydantic's name for it; anything else keeps pydantic's words."""


def read_table(model: type[TableT], table: object, place: str) -> TableT:
    """The model of a table.

    Raises
    ------
    SpecError
        With every fault and its place, such as ``training.epochs``.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise SpecError(faults_of(error, model, place)) from None


def read_repaired(
    model: type[TableT],
    table: object,
    place: str,
    faults: list[Fault],
    fill: Mapping[str, Any] | None = None,
) -> TableT | None:
    """The model of a table, or of what is left of it without the keys that have a fault.

    Faults are added to the list. With the rest a caller can go on and find what only shows when
    several tables are seen together. A required key that has a fault is taken from ``fill``; if it
    is not there, the table goes that it stands in. None if nothing is left.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        faults += faults_of(error, model, place)
        wrong = _wrong(error)
    rest = copy.deepcopy(table)
    while wrong:
        if not all(_take_out(rest, steps, fill or {}) for steps in wrong):
            return None
        try:
            return model.model_validate(rest)
        except ValidationError as error:
            wrong = _wrong(error)
    return None


def _wrong(error: ValidationError) -> list[tuple[int | str, ...]]:
    """Places with a fault, the outer one where one stands inside another."""
    places = {item["loc"] for item in error.errors()}
    return [
        place
        for place in places
        if not any(place[: len(outer)] == outer for outer in places - {place})
    ]


def _take_out(table: Any, steps: Sequence[int | str], fill: Mapping[str, Any]) -> bool:
    """Take the key that a place leads to out of its table, or fill it in; whether that worked."""
    found: list[tuple[dict[Any, Any], Any]] = []  # tables on the way, and the key that was taken
    node = table
    for position, step in enumerate(steps):
        if isinstance(node, dict):
            if step not in node and position + 1 < len(steps):
                return True  # went with the table that it stood in
            found.append((node, step))
            node = node.get(step)
        else:
            node = node[step] if isinstance(node, list) and isinstance(step, int) else None
    while found:
        inner, key = found.pop()
        if key in inner:
            del inner[key]
            return True
        if key in fill:
            inner[key] = fill[key]
            return True
    return False


def untold(faults: Iterable[Fault], known: Sequence[Fault]) -> list[Fault]:
    """Those faults whose place has none yet, nor anything inside of it."""
    return [
        fault
        for fault in faults
        if not any(
            f"{told.place}.".startswith((f"{fault.place}.", f"{fault.place}[")) for told in known
        )
    ]


def faults_of(error: ValidationError, model: type[BaseModel], place: str = "") -> list[Fault]:
    """What pydantic found, in our words, each with its place in the file."""
    items = error.errors()
    return [
        Fault(place_of(place, item["loc"]), _message(model, item["type"], item))
        for item in items
        # A list whose only item is wrong counts as empty.
        if item["type"] != "too_short" or not any(item["loc"] == o["loc"][:-1] for o in items)
    ]


def place_of(place: str, steps: Iterable[int | str]) -> str:
    """A dotted path such as ``party[2].labels``.

    Examples
    --------
    >>> place_of("party[2]", ("labels", 0))
    'party[2].labels[0]'
    """
    for step in steps:
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
    return place


def joined(words: Iterable[str]) -> str:
    """Words in the order of the alphabet, with commas between them."""
    return ", ".join(sorted(words))


def keys_of(model: type[BaseModel], steps: Sequence[int | str] = ()) -> frozenset[str]:
    """Keys of the table that stands at a place below a model."""
    for step in steps:
        if isinstance(step, str):
            model = _model_in(model.model_fields[step].annotation) or model
    return frozenset(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in ``Model``, ``Model | None`` or ``list[Model]``."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    found = (_model_in(inner) for inner in typing.get_args(annotation))
    return next((model for model in found if model), None)


def _message(model: type[BaseModel], kind: str, item: Mapping[str, Any]) -> str:
    if kind == "extra_forbidden":
        return _unknown(str(item["loc"][-1]), keys_of(model, item["loc"][:-1]))
    words = WORDS.get(kind, item["msg"]).format_map(item.get("ctx", {}))
    return words if kind == "missing" else f"found {item['input']!s:.60}; {words}"


def _unknown(key: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(key, known, 1)
    meant = f'did you mean "{close[0]}"?' if close else f"expected one of {joined(known)}"
    return f"unknown key; {meant}"
