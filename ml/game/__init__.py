"""Coalition games: exact payoff flows, Shapley values, adjustment factors, comparisons."""
