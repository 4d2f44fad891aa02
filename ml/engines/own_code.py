"""Code of somebody's own, by import path: only what this user has allowed is ever imported.

A recipe or a model card names a network or a score as ``module:name``. It may come from somebody
else, and to import a module is to run it. So whoever runs this process says which modules it may
import: `allow_modules`, or the variable ``FAIRROUND_ALLOWED_MODULES``. Worker processes inherit it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ml.errors import MlError

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "OwnCodeError",
    "allow_modules",
    "allowed_modules",
    "code_digest",
    "function_of_own",
    "network_class",
]

ALLOWED = "FAIRROUND_ALLOWED_MODULES"
"""Variable with the allowed modules, commas between them."""

FOLDER_VARIABLE = "FAIRROUND_MODULE_FOLDER"
"""Variable with a folder where an allowed module is looked for if Python does not find it."""


class OwnCodeError(MlError):
    """A name leads to code that is not allowed, cannot be imported, or is of another kind."""


def allow_modules(*names: str, folder: Path | None = None) -> None:
    """Let recipes and cards name classes and functions of these modules, and of those below them.

    Parameters
    ----------
    names
        Such as ``"package.models"``. They are imported when a recipe or a card asks for them.
    folder
        Where a module is looked for that Python itself does not find, such as a round's folder.
    """
    os.environ[ALLOWED] = ",".join(sorted({*allowed_modules(), *names}))
    if folder is not None:
        os.environ[FOLDER_VARIABLE] = str(folder.resolve())


def allowed_modules() -> tuple[str, ...]:
    """Names of the modules that are allowed in this process."""
    return tuple(name for name in os.environ.get(ALLOWED, "").split(",") if name)


def network_class(path: str) -> type[nn.Module]:
    """The class of an allowed import path, before anything of it is called.

    Raises
    ------
    OwnCodeError
        If its module is not allowed or cannot be imported, or it is no class of modules.
    """
    from torch import nn

    found = _imported(path, "Network")
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        what = found.__name__ if isinstance(found, type) else type(found).__name__
        raise OwnCodeError(
            f"Network {path} is a {what}; expected a class that inherits torch.nn.Module."
        )
    return found


def function_of_own(path: str, what: str) -> Any:
    """The function of an allowed import path; one that an allowed module itself defines.

    ``what`` is what errors call it, such as ``"Score"``.

    Raises
    ------
    OwnCodeError
        If its module is not allowed or cannot be imported, or it is no such function.
    """
    found = _imported(path, what)
    if not inspect.isfunction(found) or not _is_allowed(found.__module__):
        raise OwnCodeError(
            f"{what} {path} is a {type(found).__name__}; expected a function that is written in an "
            "allowed module."
        )
    return found


def code_digest(path: str) -> str:
    """SHA-256 of the file behind an import path; empty for a name that is none.

    A user's code is part of what a model is made of: when it changes, models are trained again.
    """
    if ":" not in path:
        return ""
    source = inspect.getsourcefile(_imported(path, "Name"))
    return hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""


def _is_allowed(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed_modules())


def _imported(path: str, what: str) -> Any:
    module, _, name = path.partition(":")
    if not _is_allowed(module):
        raise OwnCodeError(
            f'{what} {path} is code of the module "{module}", which you have not allowed; nothing '
            f"of it was run. If you trust it, give --allow-module {module}, or call "
            f'ml.training.allow_modules("{module}").'
        )
    try:
        return getattr(_module(module), name)
    except OwnCodeError:
        raise
    except Exception as trouble:  # an import runs the user's code, which may raise anything
        raise OwnCodeError(
            f"{what} {path} cannot be imported: {trouble}. Put its folder on PYTHONPATH or "
            "install its package."
        ) from trouble


def _module(name: str) -> ModuleType:
    """An allowed module: Python's, or the one in the folder that may hold it.

    The folder is no part of Python's path: other files in it would then stand in for modules that
    some library asks for and does without.
    """
    top = name.partition(".")[0]
    folder = os.environ.get(FOLDER_VARIABLE)
    if top not in sys.modules and folder and importlib.util.find_spec(top) is None:
        for file in (Path(folder) / f"{top}.py", Path(folder) / top / "__init__.py"):
            spec = importlib.util.spec_from_file_location(top, file) if file.is_file() else None
            if spec and spec.loader:
                sys.modules[top] = importlib.util.module_from_spec(spec)
                try:
                    spec.loader.exec_module(sys.modules[top])
                except BaseException:
                    del sys.modules[top]
                    raise
                break
    return importlib.import_module(name)
