"""The server under load, and for long: `scripts/dev/soak` measures it from outside and compares it with its targets."""
