"""A scheme of one's own beside ours: what it pays, and which of the paper's properties it misses.

python scripts/examples/own_scheme.py
"""

from __future__ import annotations

import numpy as np

from ml.game import Outcome, ValueTable, check_properties


def everybody_the_same(table: ValueTable, budgets: np.ndarray) -> Outcome:
    """Nobody pays anything, and everybody gets the model of all data."""
    n_parties = table.n_parties
    nothing, best = np.zeros(n_parties), np.full(n_parties, table.grand_value)
    return Outcome(nothing, best, nothing)


table = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
properties = check_properties(everybody_the_same, table, np.full(3, np.inf))
for name, check in properties.items():
    told = "holds" if check.holds else f"misses by {check.violation:.4f}: {check.detail}"
    print(f"{name:<24} {told}")
