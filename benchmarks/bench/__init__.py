"""`scripts/bench`: CPU time per token of this server, of bare relays and of the usual pattern, under the same load."""
