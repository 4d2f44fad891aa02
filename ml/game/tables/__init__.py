"""Coalitions, value tables, covers and the flows of a table."""
