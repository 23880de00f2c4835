"""The process: what is opened at start and closed at the end, and the ways to watch it.

Composition, sockets, signals, workers, reloads, logs, metrics and traces. HTTP itself is in `web`.
"""
