"""Runs: each drives one team through one task and writes what happens into a log.

`Registry` starts and finds them, `Run` is one of them, `RunView` is what everything above this room sees of one.
"""
