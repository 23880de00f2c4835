"""Two programs of one client: `python -m tests.clients.programs.together ASKING RESPONDING`."""

import sys

from tests.clients.programs.telling import tell_together

tell_together(*sys.argv[1:])
