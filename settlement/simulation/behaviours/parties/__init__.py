"""Behaviours of parties, one a file."""
