"""Reads a `Schema` from a live database, without counting rows and with at most a few hundred rows of each table.

Each table is read by itself where that can fail: what cannot be read is skipped, and named in `Schema.skipped`.
"""
