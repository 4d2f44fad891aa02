"""Adjustment factors: problem, solvers, certificate, sweeps."""
