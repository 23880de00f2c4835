"""`[database.NAME]` and `[conversations]`: SQLAlchemy URLs of databases, and what is read from them."""

from typing import Annotated, ClassVar, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aiostream_server.config.pointers import (
    UNREAD_DATABASE,
    DatabaseUrl,
    SecretFile,
    VariableName,
    WithSecret,
    database_url,
    secret_of,
)
from aiostream_server.config.postgres_url import with_password
from aiostream_server.config.table import Strings

ConcurrentTurns = Literal["queue", "reject", "interrupt"]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}; write it like Europe/Berlin or UTC") from None
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]


class _WithDatabaseUrl(WithSecret):
    """A table with a SQLAlchemy URL. A URL with a password is named by a variable or a file, or the password is."""

    key_prefix = "url"
    needs_url: ClassVar[bool]
    url_env: VariableName | None = None
    url_file: SecretFile | None = None
    password_env: VariableName | None = None
    password_file: SecretFile | None = None
    url: DatabaseUrl | None = Field(default=None, repr=False, validate_default=True)

    @field_validator("url")
    @classmethod
    def _one_url(cls, url: str | None, info: ValidationInfo) -> str | None:
        if not {"url_env", "url_file"} <= info.data.keys():
            return url  # one of them is wrong itself
        given = sum(value is not None for value in (url, info.data["url_env"], info.data["url_file"]))
        if cls.needs_url and given != 1:
            raise ValueError("exactly one of url, url_env and url_file is needed")
        if given > 1:
            raise ValueError("only one of url, url_env and url_file can be given")
        return url

    @model_validator(mode="after")
    def _complete_url(self, info: ValidationInfo) -> Self:
        self._secret = database_url(self._secret, info)
        password = secret_of(self.password_env or self.password_file, info)
        url = self._resolved()
        if url is not None and password is not None and url.get_secret_value() != UNREAD_DATABASE:
            self._secret = SecretStr(with_password(url.get_secret_value(), password.get_secret_value()))
        return self

    def _resolved(self) -> SecretStr | None:
        return SecretStr(self.url) if self._secret is None and self.url is not None else self._secret


class ConversationsConfig(_WithDatabaseUrl):
    """`[conversations]`: what is remembered between the questions of one conversation, and where."""

    needs_url = False
    expiry_s: PositiveFloat = 30 * 24 * 3600.0
    max_state_bytes: PositiveInt = 4 * 1024**2
    concurrent_turns: ConcurrentTurns = "queue"

    @property
    def resolved_url(self) -> SecretStr | None:
        """The URL with its password; None for a SQLite file in the state directory."""
        return self._resolved()


class DatabaseConfig(_WithDatabaseUrl):
    """`[database.NAME]`: a database that teams may read."""

    needs_url = True
    description: str = ""
    row_limit: PositiveInt = 200
    byte_limit: PositiveInt = 64 * 1024
    result_bytes: NonNegativeInt = 4 * 1024**2
    statement_timeout_s: PositiveFloat = 10.0
    statement_memory_bytes: Annotated[int, Field(ge=64 * 1024**2)] = 256 * 1024**2
    max_statements: PositiveInt = 5
    timezone: TimeZone | None = None
    decimal_places: NonNegativeInt = 6
    schemas: Annotated[Strings, Field(min_length=1)] | None = None
    tables: Strings = ()
    notes: dict[str, str] = Field(default_factory=dict)
    schema_tokens: Annotated[int, Field(ge=500)] = 6000

    @property
    def resolved_url(self) -> SecretStr:
        """The URL with its password."""
        return self._resolved() or SecretStr("")
