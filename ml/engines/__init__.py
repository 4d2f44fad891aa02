"""Where chunks of training run: in this process, in a pool, on a cluster."""
