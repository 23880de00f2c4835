"""`scripts/soak`: loads the server for minutes, measures it from outside, compares it with its targets."""
