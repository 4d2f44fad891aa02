"""The command starts light: help needs none of the heavy packages."""

import subprocess
import sys

HEAVY = ("torch", "web3", "scipy", "numba", "eth_tester", "vyper", "sklearn", "numpy", "pydantic")

SCRIPT = f"""
import sys
from settlement.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print("loaded:", loaded)
"""


def loaded_by(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def test_help_imports_nothing_heavy():
    assert loaded_by("--help") == "loaded: []"


def test_help_of_every_verb_imports_nothing_heavy():
    from settlement.cli.main import fairround

    for verb in fairround.commands:
        assert loaded_by(verb, "--help") == "loaded: []"
