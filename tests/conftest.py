"""What tests of several rooms share: one PostgreSQL for the whole session."""

from tests.postgres import postgres_url

__all__ = ["postgres_url"]
