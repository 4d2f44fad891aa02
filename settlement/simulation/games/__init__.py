"""Games of simulated rounds: values of pieces of data, and the accounts that bring them."""
