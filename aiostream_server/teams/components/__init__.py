"""Teams from JSON files: of AutoGen's `dump_component()`, AutoGen Studio, or its galleries.

`reading` reads a file, `policy` checks it before any class that it names is imported, `clients` gives it shared model
clients, `loading` builds its team for each run. `description` tells what is in it.
"""
