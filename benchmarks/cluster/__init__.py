"""`scripts/soak cluster`: kills, pauses, cuts off and upgrades servers that share their runs, and looks at each stream.

nodes        the servers, their Redis and their provider, as processes
views        streams of events, as clients see them, and what must be true of them
proxy        nginx in front of the servers, as docs/cluster.md sets it up
the others   one promise each
"""
