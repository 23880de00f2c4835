"""A run's numbered events: one run writes them, any number of viewers read them.

`protocol` says what a log is, `memory` keeps one in this process, `entries` is how it stores them.
"""
