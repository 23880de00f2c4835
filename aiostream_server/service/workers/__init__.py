"""`[server] workers`: several processes on one listening socket.

supervisor  the parent: starts them, replaces those that end, stops them; it serves nothing itself
line        what ties a worker to its parent
loads       how busy each of them is, seen by all
site        takes connections from the shared socket, so that all of them get their share

Workers do not share runs. Whatever goes beyond one request knows only those of the worker that it reaches.
"""

from typing import Final

NOT_SHARED: Final = (
    "each worker has its own runs, limits and idempotency keys: watching, resuming, listing and cancelling find a run "
    "only in the worker that started it; limits count per worker; two questions of one conversation wait for each "
    "other only where they reach the same one; /metrics is at [metrics] loopback_port, a port for each, and not shared"
)
"""What several workers mean for whoever uses them."""
