"""One round, and the rounds of one replicate."""
