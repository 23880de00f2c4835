"""Measurements from outside: `bench` compares what a token costs, `soak` loads the server and looks for leaks.

The modules here are shared by both: processes and their accounting, figures with targets, the provider's protocol.
"""
