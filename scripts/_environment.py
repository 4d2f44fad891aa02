"""Set up `.venv` once for the scripts beside this file. Standard library only."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / "bin"
_STAMP = VENV / "installed-from.sha256"
_SOURCES = ("pyproject.toml", "constraints.txt")


def ensure_environment() -> None:
    """Install the package and its tools into `.venv`, unless what is there is up to date.

    The constraints file pins every dependency, so a fresh machine gets what was tested.
    """
    if sys.version_info < (3, 11):  # noqa: UP036  (runs before anything is installed)
        sys.exit(f"fairround needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    digest = hashlib.sha256(sys.version.encode())
    for name in _SOURCES:
        digest.update((ROOT / name).read_bytes())
    wanted = [digest.hexdigest(), str(VENV)]
    found = _STAMP.read_text().splitlines() if _STAMP.is_file() else []
    if found == wanted:
        return
    print("Setting up .venv (once; takes a few minutes) ...", file=sys.stderr, flush=True)
    if found[1:] != wanted[1:]:  # made half, or elsewhere: its programs would call another Python
        _run(sys.executable, "-m", "venv", "--clear", str(VENV))
    _STAMP.unlink(missing_ok=True)
    pip = (str(BIN / "python"), "-m", "pip", "install", "--quiet")
    _run(*pip, "--constraint", "constraints.txt", "--editable", ".[dev]")
    _STAMP.write_text("\n".join(wanted))


def run_tool(name: str, *arguments: str, **environment: str) -> int:
    """Exit code of a program of `.venv`, run in the repository's root."""
    command = [str(BIN / name), *arguments]
    return subprocess.call(command, cwd=ROOT, env=os.environ | environment)


def _run(*command: str) -> None:
    if code := subprocess.call(command, cwd=ROOT):
        sys.exit(f"`{' '.join(command)}` ended with exit code {code}.")
