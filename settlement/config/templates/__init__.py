"""Commented configurations to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from settlement.errors import SettlementError
from settlement.store.folder import CONFIG

__all__ = ["TemplateError", "template_names", "write_template"]


class TemplateError(SettlementError):
    """No such template, or a configuration is there already."""


SCHEMA = "round.schema.json"


def template_names() -> list[str]:
    """Names of all templates, sorted."""
    names = (item.name for item in files(__name__).iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def write_template(folder: Path, template: str) -> Path:
    """Write a template as ``round.toml`` into a folder, made if need be; never overwrite one.

    The JSON schema that its first line names is put beside it, for editors.

    Raises
    ------
    TemplateError
    """
    if template not in template_names():
        known = ", ".join(template_names())
        raise TemplateError(f"Unknown template {template!r}; expected one of: {known}.")
    path = folder / CONFIG
    text = files(__name__).joinpath(f"{template}.toml").read_text("utf-8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
        (folder / SCHEMA).write_bytes(files(__name__).joinpath(SCHEMA).read_bytes())
    except FileExistsError:
        raise TemplateError(f"{path} is there already; choose another folder.") from None
    except OSError as error:
        raise TemplateError(f"{path} cannot be written: {error.strerror}.") from None
    return path
