"""The schema's history, run by alembic: https://alembic.sqlalchemy.org/

A new version is a file in `versions`, `down_revision` naming the one before it, and a new `schema.HEAD`. It goes
forward only, and runs inside one transaction with all that are due.
"""
