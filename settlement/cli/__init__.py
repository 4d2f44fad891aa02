"""The command `fairround`: each verb parses, calls and prints."""

import importlib.util
import sys
from pathlib import Path

# `ml` and `contracts` are common names: another folder of that name that comes first on
# PYTHONPATH would be taken for ours, and fail somewhere deep.
_home = Path(__file__).resolve().parents[2]
for _name in ("ml", "contracts"):
    _spec = importlib.util.find_spec(_name)
    _found = _spec.origin if _spec else None
    if _found is None or Path(_found).resolve().parents[1] != _home:
        sys.exit(
            f"error: {_found or 'nothing'} was found as the package {_name!r}; expected "
            f"{_home / _name}. Take its folder off PYTHONPATH."
        )
