"""Networks, user modules, model files, cards and predictions."""
