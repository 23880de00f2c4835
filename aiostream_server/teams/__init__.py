"""Teams: the catalogue (a model id -> a fresh team), the built-in teams, and their tools.

A team is built anew for every run. `context` is what a factory gets; `catalogue` loads factories and component files.
`autogen_private` is the only place that uses private names of AutoGen.
"""
