"""Teams from JSON files: of AutoGen's `dump_component()`, AutoGen Studio, or its galleries.

    reading -> policy -> clients -> loading
                      -> description

A file is read, checked before any class that it names is imported, given shared model clients, and loaded.
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
