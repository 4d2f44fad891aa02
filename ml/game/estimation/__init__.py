"""Flows from a sample of coalitions."""
