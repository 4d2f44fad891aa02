"""Which quick EVM is used: pyrevm where it is installed, else py-evm."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from settlement.chain.quick.evm import QuickEvm, QuickEvmError

__all__ = ["has_revm", "quick_evm"]

EvmName = Literal["auto", "pyrevm", "py-evm"]


def has_revm() -> bool:
    """Whether the extra ``revm`` is installed."""
    return find_spec("pyrevm") is not None


def quick_evm(name: EvmName = "auto", *, timestamp: int = 10**9) -> QuickEvm:
    """An empty EVM; ``"auto"`` takes pyrevm where it is installed, else py-evm.

    Raises
    ------
    QuickEvmError
        If pyrevm is asked for by name and is not installed.
    """
    if name == "pyrevm" and not has_revm():
        raise QuickEvmError(
            "pyrevm is not installed; expected the extra: pip install 'fairround[revm]' (CPython "
            "3.11 or 3.12 on x86-64 Linux or macOS). Or take py-evm, which is slower."
        )
    if name == "py-evm" or not has_revm():
        from settlement.chain.quick.py_evm import make_py_evm

        return make_py_evm(timestamp)
    from settlement.chain.quick.revm import make_revm

    return make_revm(timestamp)
