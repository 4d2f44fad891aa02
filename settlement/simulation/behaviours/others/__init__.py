"""Behaviours of operators and of people without a seat, one a file."""
