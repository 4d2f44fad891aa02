"""Integer country: nets, pays and audits whole base units on a chain."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from settlement.round.round import Round

__all__ = ["Round"]


def __getattr__(name: str) -> Any:
    """`Round`, on first use: `fairround --help` must load nothing heavy."""
    if name == "Round":
        from settlement.round.round import Round

        return Round
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What completion offers."""
    return sorted({*globals(), *__all__})
