"""Errors over seeds and samples, carried through to payoffs and factors."""
