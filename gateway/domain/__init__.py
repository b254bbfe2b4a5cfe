"""Rules that are true with the power off: values, states and decisions, and no I/O of any kind."""
