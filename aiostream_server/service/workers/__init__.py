"""`[server] workers`: several processes on one listening socket.

supervisor  the parent: starts, replaces and stops the workers; serves nothing itself
process     one worker, as its parent sees it
channel     a worker's end of the socket pair between it and its parent
pages       what each worker counts, in shared memory
peers       a worker's access to the pages of the others
share       the shared sockets, and how many connections each worker has
site        accepts connections, so that every worker gets its share; without workers, those with TLS

Without `[runs] store = "redis"` workers do not share runs: a request reaches one worker, which knows its own runs only.
"""

from typing import Final

NOT_SHARED: Final = (
    "each worker has its own runs, limits and idempotency keys: watching, resuming, listing and cancelling find a run "
    "only in the worker that started it; limits count per worker; two questions of one conversation wait for each "
    "other only where they reach the same one. With a Redis they serve as one: [runs] store, or scripts/install --redis"
)
"""What several workers mean for clients, in a sentence for logs and `check`."""
