"""The calculator as a library: who pays whom, what a budget changes, what others would propose.

python scripts/examples/calculator.py
"""

from __future__ import annotations

import numpy as np

from ml.game import ValueTable, allocate, allocate_many, compare_schemes

# Values of all coalitions of three parties: bit i of the index is party i.
table = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
names = ("a", "b", "c")

# Party a can pay 0.2 at most, the others as much as they owe.
allocation = allocate(table, budgets=[0.2, np.inf, np.inf])
print("party  lambda   payoff  model value")
for k, name in enumerate(names):
    factor, payoff = allocation.adjustment_factors[k], allocation.payoffs[k]
    print(f"{name:<5}  {factor:.4f}  {payoff:+.4f}  {allocation.model_values[k]:.4f}")

# The same game under many budgets of party a.
budgets = np.full((5, 3), np.inf)
budgets[:, 0] = np.linspace(0.0, 0.4, 5)
many = allocate_many(allocation.flows, budgets)
print("\nbudget of a  lambda of a")
for budget, factors in zip(budgets[:, 0], many.factors, strict=True):
    print(f"{budget:>11.1f}  {factors[0]:.4f}")

print("\nscheme                  payoffs of a, b, c")
for report in compare_schemes(table):
    print(f"{report.name:<22}  {np.array2string(report.outcome.payoffs, precision=4)}")
