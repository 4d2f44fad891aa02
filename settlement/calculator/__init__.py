"""The allocation of a file of values, without a round."""
