"""What simulated rounds leave: rows, expectations, a summary."""
