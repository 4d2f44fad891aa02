"""Commented scenarios of the simulator to start from."""
