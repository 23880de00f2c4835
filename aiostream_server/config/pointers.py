"""Types of keys that point outside their own table: at a file, an environment variable, another table.

Pydantic checks them together with everything else, so that one pass names every mistake. `config.load` passes the
`Surroundings`, which say what exists, as the validation context. A model that is made in code has none, and is not
checked for these mistakes.

* Relative paths, and the relative path in a `sqlite:///` URL, start at the folder of the configuration file.
* A path that begins with `$CREDENTIALS_DIRECTORY/` starts at that folder, where systemd puts what a unit's
  LoadCredential= names: https://systemd.io/CREDENTIALS/. No other variable is expanded.
* A secret is one printable line in an environment variable or a file; white space around it is not part of it.
"""

import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Final, Self, TypeVar

from pydantic import AfterValidator, PrivateAttr, SecretStr, Strict, ValidationInfo, model_validator

from aiostream_server.config.problem_text import did_you_mean, toml_key
from aiostream_server.config.table import ConfigTable
from aiostream_server.unreadable import why_unreadable

_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
_UNREAD: Final = "a placeholder for a secret that was not read"
UNREAD_DATABASE: Final = "sqlite:///"
"""Stands for a database URL that could not be read and is not needed."""
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)
_Source = TypeVar("_Source", str, Path)
_SQLITE_FILE: Final = re.compile(r"(sqlite(?:\+\w+)?:///)(?!/|file:|:memory:)([^?]+)(.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a configuration may point at. None: the table is too broken to say what it holds."""

    folder: Path
    environ: Mapping[str, str] = field(repr=False)
    tables: Mapping[str, frozenset[str] | None]
    """The names of the `models`, `database` and `tools` tables."""
    teams: tuple[str, ...] | None
    has_other_teams: bool = False
    """Whether other teams are served beside `[[teams]]`. Their ids are not known before they are loaded."""
    notes: list[str] = field(default_factory=list)
    """The checks add what is no mistake, but worth a line in the log."""
    needs_secrets: bool = True
    """If False, a secret that cannot be read is added to `unread`, and a placeholder stands for it."""
    unread: list[str] = field(default_factory=list)
    secrets: dict[str | Path, SecretStr] = field(default_factory=dict, repr=False)
    """By the variable or the file that a key names. The checks add what they read."""


def surroundings(info: ValidationInfo) -> Surroundings | None:
    return info.context if isinstance(info.context, Surroundings) else None


def _absolute(path: Path, info: ValidationInfo) -> Path:
    around = surroundings(info)
    if around is None:
        return path
    if path.parts[:1] == (f"${_CREDENTIALS}",):
        return _credentials(around) / path.relative_to(f"${_CREDENTIALS}")
    return around.folder / path


def _credentials(around: Surroundings) -> Path:
    if folder := around.environ.get(_CREDENTIALS):
        return Path(folder)
    if not around.needs_secrets:
        return around.folder / f"${_CREDENTIALS}"
    raise ValueError(f"${_CREDENTIALS} is not set: it is set by systemd for services with LoadCredential=")


def _anchored(url: str, info: ValidationInfo) -> str:
    around = surroundings(info)
    found = _SQLITE_FILE.fullmatch(url)
    return f"{found[1]}{around.folder / found[2]}{found[3]}" if around and found else url


def _database_url(url: str, info: ValidationInfo) -> str:
    if "://" not in url:
        raise ValueError("expected a SQLAlchemy URL, such as sqlite+aiosqlite:///shop.db")
    return _anchored(url, info)


def _read(source: _Source, info: ValidationInfo) -> _Source:
    """Read the secret into `Surroundings.secrets`."""
    if (around := surroundings(info)) is None:
        return source
    try:
        secret = _from_file(source, around) if isinstance(source, Path) else _from_variable(source, around.environ)
    except ValueError as exc:
        if around.needs_secrets:
            raise
        around.unread.append(f"{info.field_name}: {exc}")
        secret = _UNREAD
    around.secrets[source] = SecretStr(secret)
    return source


def _only_source(file: Path, info: ValidationInfo) -> Path:
    other = f"{str(info.field_name).removesuffix('_file')}_env"
    if info.data.get(other) is not None:
        raise ValueError(f"{other} is given too: only one of them can be the source")
    return file


FilePath = Annotated[Path, Strict(False), AfterValidator(_absolute)]
VariableName = Annotated[str, AfterValidator(_read)]
SecretFile = Annotated[FilePath, AfterValidator(_only_source), AfterValidator(_read)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]


def secret_of(source: str | Path | None, info: ValidationInfo) -> SecretStr | None:
    """The secret that a key names. None if it names none, and for a model that is made in code."""
    around = surroundings(info)
    return None if around is None or source is None else around.secrets[source]


class WithSecret(ConfigTable):
    """A table with the keys `NAME_env` and `NAME_file`, one of which may name a secret."""

    key_prefix: ClassVar[str]
    _secret: SecretStr | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _keep_secret(self, info: ValidationInfo) -> Self:
        source = getattr(self, f"{self.key_prefix}_env") or getattr(self, f"{self.key_prefix}_file")
        self._secret = secret_of(source, info)
        return self

    @property
    def secret(self) -> SecretStr | None:
        """None if the table names none."""
        return self._secret

    def with_secret(self, secret: SecretStr | None) -> Self:
        """A copy with a secret that was read elsewhere."""
        table = self.model_copy()
        table._secret = secret  # noqa: SLF001 - it is of this very class
        return table


def database_url(secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    """The URL that is a secret, checked and completed."""
    if secret and secret.get_secret_value() == _UNREAD:
        return SecretStr(UNREAD_DATABASE)
    return SecretStr(_database_url(secret.get_secret_value(), info)) if secret else None


def check_name(table: str, name: str, info: ValidationInfo) -> str:
    """Raise if there is no `[table.name]`."""
    around = surroundings(info)
    names = None if around is None else around.tables[table]
    if names is not None and name not in names:
        raise ValueError(f"there is no [{table}.{toml_key(name)}]{did_you_mean(name, sorted(names))}")
    return name


ModelName = Annotated[str, AfterValidator(partial(check_name, "models"))]
DatabaseName = Annotated[str, AfterValidator(partial(check_name, "database"))]
ToolName = Annotated[str, AfterValidator(partial(check_name, "tools"))]


def check_team(team: str, teams: Collection[str]) -> None:
    if team not in teams:
        raise ValueError(f'no team has the id "{team}"{did_you_mean(team, teams)}')


def check_unique_team(team: str, info: ValidationInfo) -> None:
    around = surroundings(info)
    if around and around.teams and around.teams.count(team) > 1:
        raise ValueError(f'more than one team has the id "{team}"')


def _from_variable(name: str, environ: Mapping[str, str]) -> str:
    # A text that is no name of a variable may be the secret itself, in the wrong place: do not repeat it.
    label = f"the environment variable {name}" if _VARIABLE.fullmatch(name) else "the environment variable it names"
    if name not in environ:
        raise ValueError(f"{label} is not set")
    return _one_line(environ[name], label)


def _hint(path: Path, around: Surroundings) -> str:
    credentials = around.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and path.is_relative_to(credentials):
        return "systemd copies credentials when the service starts: one that is new takes a restart"
    return f"paths start at {around.folder}"


def _from_file(path: Path, around: Surroundings) -> str:
    # The path may be the secret itself, too: do not repeat it.
    try:
        text = path.read_text("utf-8")
        is_public = path.stat().st_mode & stat.S_IROTH
    except UnicodeDecodeError:
        raise ValueError("the file it names is not UTF-8 text") from None
    except OSError as exc:
        why = f"{why_unreadable(exc)} ({_hint(path, around)})"
        raise ValueError(f"the file it names cannot be read: {why}") from None
    secret = _one_line(text, "the file it names")
    if is_public:
        around.notes.append(f"every user of this machine can read the secret in {path}: chmod 600 {path}")
    return secret


def _one_line(text: str, label: str) -> str:
    secret = text.strip()
    if not secret:
        raise ValueError(f"{label} is empty")
    if not secret.isprintable():
        raise ValueError(f"{label} holds more than one line, or what cannot be printed")
    return secret
