"""The model that each party receives."""
