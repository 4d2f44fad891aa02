"""Behaviours by name: those that ship, and those that installed packages add."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from settlement.errors import SettlementError
from settlement.simulation.behaviours import others, parties
from settlement.simulation.behaviours.behaviour import Behaviour

__all__ = ["BehaviourError", "behaviour_of", "known_behaviours"]

GROUP = "fairround.behaviours"
"""Entry points of this group name subclasses of `Behaviour`."""


class BehaviourError(SettlementError):
    """An installed package offers something as a behaviour that is none."""


@functools.cache
def known_behaviours() -> Mapping[str, type[Behaviour]]:
    """All behaviours by name, sorted.

    Raises
    ------
    BehaviourError
        If an entry point leads to something else, or takes a name that is taken.
    """
    found: dict[str, type[Behaviour]] = {}
    for room in (parties, others):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            for made in vars(importlib.import_module(module.name)).values():
                if _is_behaviour(made) and made.__module__ == module.name:
                    found[made.name] = made
    for point in entry_points(group=GROUP):
        made = point.load()
        if not _is_behaviour(made):
            raise BehaviourError(
                f'Entry point "{point.name}" of {GROUP} leads to {made!r}; expected a subclass of '
                "Behaviour with a name and a role."
            )
        if found.get(made.name, made) is not made:
            raise BehaviourError(
                f'Entry point "{point.name}" of {GROUP} is called {made.name!r}, as another '
                "behaviour is. Give it another name."
            )
        found[made.name] = made
    return dict(sorted(found.items()))


def _is_behaviour(made: Any) -> bool:
    return (
        isinstance(made, type)
        and issubclass(made, Behaviour)
        and hasattr(made, "name")
        and hasattr(made, "role")
    )


def behaviour_of(value: Any, role: str) -> Behaviour:
    """A behaviour of a role, from its name or from a table of its name and parameters.

    Raises
    ------
    ValueError
        If there is none of that name (it lists the known ones) or a parameter is wrong.
    """
    parameters = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = parameters.pop("name", None)
    known = {n: kind for n, kind in known_behaviours().items() if kind.role == role}
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"unknown behaviour {name!r}; expected one of {', '.join(known)}")
    try:
        return known[name].model_validate(parameters)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, item['loc'])) or name}: {item['msg']}" for item in error.errors()
        ]
        keys = ", ".join(known[name].model_fields) or "none"
        raise ValueError(f"{name}: {'; '.join(faults)} (parameters: {keys})") from None
