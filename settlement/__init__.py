"""Integer country: nets, pays and audits whole base units on a chain."""
