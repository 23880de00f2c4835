"""Teams that come as JSON: of AutoGen's `dump_component()`, of AutoGen Studio, out of its galleries.

    reading -> policy -> clients -> loading
                      -> description

A file is read, judged before anything that it names is imported, given the server's own model clients, and loaded.
"""

from aiostream_server.teams.components.loading import ComponentTeam, check, load, prepare, try_out
from aiostream_server.teams.components.policy import find_code, find_problems
from aiostream_server.teams.components.reading import Component, read_component, title_of

__all__ = [
    "Component",
    "ComponentTeam",
    "check",
    "find_code",
    "find_problems",
    "load",
    "prepare",
    "read_component",
    "title_of",
    "try_out",
]
