"""Recompute a finished round from its files and the chain's logs alone."""
