"""Many rounds, each on the real contract: scenarios, behaviours, faults, results."""
