"""The Vyper sources of the escrow, shipped as package data."""
