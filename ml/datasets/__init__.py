"""Data of the parties: sources, splits, and the union for a coalition."""
