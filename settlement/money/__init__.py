"""Whole base units: terms, the bridge, netting."""
