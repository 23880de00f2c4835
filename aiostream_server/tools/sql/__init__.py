"""Questions to a database: guarded, read-only, bounded.

`guard` decides what may run, `database` runs what it approved behind walls of its own, `schema` says what there is to
ask, `rows` shows what came back, and `shop` builds the demo database.
"""
