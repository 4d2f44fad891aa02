"""Commented configurations to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from settlement.errors import SettlementError
from settlement.store.folder import CONFIG

__all__ = ["SCENARIO", "TemplateError", "scenario_names", "template_names", "write_template"]

SCENARIO = "scenario.toml"
"""The file of a scenario in its folder."""

SCENARIOS = "settlement.config.scenarios"
"""Where their templates are."""


class TemplateError(SettlementError):
    """No such template, or a configuration is there already."""


SCHEMA = "round.schema.json"


def template_names() -> list[str]:
    """Names of the templates of rounds, sorted."""
    return _names_in(__name__)


def scenario_names() -> list[str]:
    """Names of the templates of scenarios, sorted."""
    return _names_in(SCENARIOS)


def _names_in(room: str) -> list[str]:
    names = (item.name for item in files(room).iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def write_template(folder: Path, template: str) -> Path:
    """Write a template into a folder, made if need be; never overwrite one.

    A round is written as ``round.toml``, a scenario of the simulator as ``scenario.toml``.

    The JSON schema that the first line of a round names is put beside it, for editors.

    Raises
    ------
    TemplateError
    """
    scenario = template in scenario_names()
    if not scenario and template not in template_names():
        known = ", ".join([*template_names(), *scenario_names()])
        raise TemplateError(f"Unknown template {template!r}; expected one of: {known}.")
    path = folder / (SCENARIO if scenario else CONFIG)
    text = (
        files(SCENARIOS if scenario else __name__).joinpath(f"{template}.toml").read_text("utf-8")
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
        if not scenario:
            (folder / SCHEMA).write_bytes(files(__name__).joinpath(SCHEMA).read_bytes())
    except FileExistsError:
        raise TemplateError(f"{path} is there already; choose another folder.") from None
    except OSError as error:
        raise TemplateError(f"{path} cannot be written: {error.strerror}.") from None
    return path
