"""Strict TOML configuration of a round."""
