"""Many models trained as one computation."""
