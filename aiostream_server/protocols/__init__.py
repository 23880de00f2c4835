"""Protocols: one folder each, with the same files: `request`, `stream`, `whole`, and `errors` for a shape of their own.

Other protocols have errors in OpenAI's shape, that of `chat.errors`: a client needs one parser.

A protocol reads a question out of a request's body, and writes an answer as a pure function of a run's log. It knows no
HTTP beyond statuses: `web` makes routes of `dialect.Dialect`s.
"""
