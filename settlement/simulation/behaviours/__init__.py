"""What simulated parties, operators and outsiders do."""
