"""Chooses the tables of a large schema that a question needs, within a budget of tokens.

`words` splits names and questions, `terms` finds other ways to write a word, `index` ranks tables with full-text
search, `joins` follows references, `ranking` puts the tables in order, and `excerpt` writes what fits.
"""
