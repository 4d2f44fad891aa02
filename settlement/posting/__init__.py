"""Allocations as whole numbers that a contract can check."""
