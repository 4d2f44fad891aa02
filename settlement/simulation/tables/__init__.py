"""The tables of a scenario: what they hold, how they are read, and their sweeps."""
