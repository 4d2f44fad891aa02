"""Training of coalition models and model rewards."""
