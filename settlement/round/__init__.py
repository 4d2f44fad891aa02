"""A round: its stages in order, and what they share."""
