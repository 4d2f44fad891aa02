"""EVMs without blocks, for simulations and tests: pyrevm where it is installed, else py-evm.

Importing this room loads neither; `quick_evm` does, when it is called.
"""

from settlement.chain.quick.choosing import has_revm, quick_evm
from settlement.chain.quick.evm import (
    CHAIN_ID,
    GAS_LIMIT,
    CallResult,
    PlainLog,
    QuickEvm,
    QuickEvmError,
)

__all__ = [
    "CHAIN_ID",
    "GAS_LIMIT",
    "CallResult",
    "PlainLog",
    "QuickEvm",
    "QuickEvmError",
    "has_revm",
    "quick_evm",
]
