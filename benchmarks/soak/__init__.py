"""The server under load, and for long: `scripts/soak` measures it from outside and compares it with its targets."""
