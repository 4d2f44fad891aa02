"""Start of the command `fairround`: says whose package `settlement` is, before it is loaded."""

import importlib.util
import sys
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Run the command line, unless another folder named `settlement` hides ours."""
    home = Path(__file__).resolve().parent
    spec = importlib.util.find_spec("settlement")
    places = list(spec.submodule_search_locations or [spec.origin]) if spec else []
    if [Path(str(place)).resolve() for place in places] != [home / "settlement"]:
        found = ", ".join(map(str, places)) or "nothing"
        sys.exit(
            f"error: {found} was found as the package 'settlement'; expected "
            f"{home / 'settlement'}. Take its folder off PYTHONPATH."
        )
    from settlement.cli.main import main as command

    command()
