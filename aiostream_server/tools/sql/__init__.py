"""EscapedView, read-only, bounded queries on SQLite and PostgreSQL databases.

`guard` approves a statement or says why not, `database` runs approved statements through the backends `sqlite` and
`postgres`, `schema` describes what can be queried, `rows` holds results, and `shop` builds the demo database.
"""
