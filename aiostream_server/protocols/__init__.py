"""Protocols: one folder each, with the same files in each (`request`, `stream`, `whole`, `errors`).

A protocol reads a question out of a request's body, and writes an answer as a pure function of a run's log. It knows no
HTTP beyond statuses: `web` makes routes of `dialect.Dialect`s.
"""
