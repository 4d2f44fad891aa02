"""The folder of a round and its documents."""
