"""`[database.NAME]` and `[conversations]`: where a database is. Its URL stands in the file, or is named where it holds
a password."""

from typing import Literal, Self

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aiostream_server.config.pointers import DatabaseUrl, SecretFile, VariableName, read_database_url
from aiostream_server.config.table import Table

ConcurrentTurns = Literal["queue", "reject", "interrupt"]


class ConversationsConfig(Table):
    """`[conversations]`: what is remembered between the questions of one conversation, and where."""

    url_env: VariableName | None = None
    url_file: SecretFile | None = None
    url: DatabaseUrl | None = Field(default=None, repr=False, validate_default=True)
    expiry_s: PositiveFloat = 30 * 24 * 3600.0
    max_state_bytes: PositiveInt = 4 * 1024**2
    concurrent_turns: ConcurrentTurns = "queue"
    _resolved_url: SecretStr | None = PrivateAttr(default=None)

    @field_validator("url")
    @classmethod
    def _one_url(cls, url: str | None, info: ValidationInfo) -> str | None:
        others = [info.data.get(name, "wrong") for name in ("url_env", "url_file")]
        if "wrong" not in others and [url, *others].count(None) < 2:
            raise ValueError("only one of url, url_env and url_file can be given")
        return url

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> Self:
        self._resolved_url = read_database_url(self.url_env, self.url_file, info)
        return self

    @property
    def resolved_url(self) -> SecretStr | None:
        """The URL itself, password and all; None for a SQLite file in the state directory."""
        if self._resolved_url is not None:
            return self._resolved_url
        return None if self.url is None else SecretStr(self.url)


class DatabaseConfig(Table):
    """`[database.NAME]`: a SQLAlchemy URL, in the file, or named where it holds a password."""

    url_env: VariableName | None = None
    url_file: SecretFile | None = None
    url: DatabaseUrl | None = Field(default=None, repr=False, validate_default=True)
    description: str = ""
    row_limit: PositiveInt = 200
    byte_limit: PositiveInt = 64 * 1024
    statement_timeout_s: PositiveFloat = 10.0
    _resolved_url: SecretStr | None = PrivateAttr(default=None)

    @field_validator("url")
    @classmethod
    def _one_url(cls, url: str | None, info: ValidationInfo) -> str | None:
        others = [info.data.get(name, "wrong") for name in ("url_env", "url_file")]
        if "wrong" not in others and [url, *others].count(None) != 2:
            raise ValueError("exactly one of url, url_env and url_file is needed")
        return url

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> Self:
        self._resolved_url = read_database_url(self.url_env, self.url_file, info)
        return self

    @property
    def resolved_url(self) -> SecretStr:
        """The URL itself, password and all."""
        if self._resolved_url is not None:
            return self._resolved_url
        return SecretStr(self.url or "")
