"""A run's numbered events: the log that one run writes and any number of viewers read."""
