"""What a token costs: `scripts/bench` measures this server beside bare relays and the usual pattern, all in one go."""
