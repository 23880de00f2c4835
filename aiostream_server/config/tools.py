"""`[tools.NAME]`: tools for agents. A team gets those that its `tools` key names, and no others."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

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

from aiostream_server.config.pointers import FilePath, SecretFile, VariableName, check_name, secret_of, surroundings
from aiostream_server.config.table import ConfigTable, Factory, HeaderName, HttpUrl, Strings

Secrets: TypeAlias = Mapping[str, SecretStr]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}", re.ASCII)
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_FOR_COMMAND: Final = ("args", "env", "env_from", "env_files", "folder")
_FOR_URL: Final = ("transport", "headers", "header_env", "header_files")


def check_tool_name(name: str) -> None:
    """Raise ValueError for a name that models cannot call: tool names begin with it."""
    if not _NAME.fullmatch(name):
        raise ValueError(f'"{name[:60]}" is no name for a tool: at most 40 letters, digits, "_" and "-"')


def _read_all(
    variables: Mapping[str, str], files: Mapping[str, Path], plain: Mapping[str, str], info: ValidationInfo
) -> dict[str, SecretStr]:
    if twice := sorted({*variables} & {*files} | {*plain} & {*variables, *files}):
        raise ValueError(f"{twice[0]} is given more than once")
    sources: Mapping[str, str | Path] = {**variables, **files}
    found = {name: secret_of(source, info) for name, source in sources.items()}
    return {name: secret for name, secret in found.items() if secret is not None}


class _WithHeaders(ConfigTable):
    """A table with HTTP headers. Secret ones are named, and read by the loader."""

    headers: dict[HeaderName, str] = Field(default_factory=dict, repr=False, description="sent as they are; no secrets")
    header_env: dict[HeaderName, VariableName] = Field(default_factory=dict)
    header_files: dict[HeaderName, SecretFile] = Field(default_factory=dict)
    _secret_headers: dict[str, SecretStr] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _read_headers(self, info: ValidationInfo) -> Self:
        self._secret_headers = _read_all(self.header_env, self.header_files, self.headers, info)
        return self

    @property
    def secret_headers(self) -> Secrets:
        return self._secret_headers

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers of the file and the secret ones. An Authorization of one word is sent as a bearer token."""
        secret = {name: value.get_secret_value() for name, value in self._secret_headers.items()}
        return {**self.headers, **{name: _bearer(name, value) for name, value in secret.items()}}


def _bearer(name: str, value: str) -> str:
    return f"Bearer {value}" if name.lower() == "authorization" and " " not in value else value


class McpToolConfig(_WithHeaders):
    """`kind = "mcp"`: a server of the Model Context Protocol: a `command` that is started, or a `url`.

    https://modelcontextprotocol.io/specification
    """

    kind: Literal["mcp"]
    command: str | None = None
    args: Strings = Field(default=(), repr=False)
    env: dict[str, str] = Field(default_factory=dict, repr=False, description="for the command; no secrets")
    env_from: dict[str, VariableName] = Field(default_factory=dict, description="its variable = this server's variable")
    env_files: dict[str, SecretFile] = Field(default_factory=dict, description="its variable = a file with the value")
    folder: FilePath = Field(default=Path(), validate_default=True, description="where the command starts")
    url: HttpUrl | None = Field(default=None, validate_default=True)
    transport: Literal["http", "sse"] = "http"
    scope: Literal["shared", "run"] = "shared"
    only: Strings = Field(default=(), description="the names of its tools; without any, all of them")
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,20}$", description='letters, digits, "_" and "-"')
    start_timeout_s: PositiveFloat = 30.0
    call_timeout_s: PositiveFloat = 60.0
    byte_limit: PositiveInt = 64 * 1024
    _secret_env: dict[str, SecretStr] = PrivateAttr(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _one_place(cls, url: str | None, info: ValidationInfo) -> str | None:
        if "command" in info.data and (info.data["command"] is None) == (url is None):
            raise ValueError('exactly one of command = "..." and url = "https://..." is needed')
        return url

    @model_validator(mode="after")
    def _read_environment(self, info: ValidationInfo) -> Self:
        stray = self.model_fields_set & {*(_FOR_URL if self.url is None else _FOR_COMMAND)}
        if stray:
            raise ValueError(f"{min(stray)} is for a server with {'a url' if self.url is None else 'a command'}")
        self._secret_env = _read_all(self.env_from, self.env_files, self.env, info)
        return self

    @property
    def secret_env(self) -> Secrets:
        return self._secret_env


class HttpToolConfig(_WithHeaders):
    """`kind = "http"`: one request to one service. `{name}` in the URL's path is an argument; the others go into the
    query (GET, DELETE) or the JSON body. `parameters` are JSON schemas by name."""

    kind: Literal["http"]
    description: str
    url: HttpUrl
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    optional: Strings = ()
    timeout_s: PositiveFloat = 10.0
    byte_limit: PositiveInt = 64 * 1024

    @field_validator("url")
    @classmethod
    def _arguments_in_the_path(cls, url: str) -> str:
        """Arguments may stand in the path only, so that none chooses the host."""
        scheme, _, rest = url.partition("://")
        host, slash, path_and_query = rest.partition("/")
        if "{" in scheme + host or "{" in path_and_query.partition("?")[2] or "#" in url:
            raise ValueError("{arguments} stand in the path of the URL only; others go into its query by themselves")
        if "@" in host:
            raise ValueError("a user or a password does not belong into the URL: header_env names a header's secret")
        if not slash and "?" in host:
            raise ValueError('a "/" must stand before the "?"')
        return url

    @model_validator(mode="after")
    def _all_are_parameters(self) -> Self:
        inside = placeholders(self.url)
        for name in (*self.optional, *inside):
            if name not in self.parameters:
                raise ValueError(f'"{name}" is none of the parameters')
        if needed := {*self.optional} & {*inside}:
            raise ValueError(f'"{min(needed)}" stands in the URL: it cannot be optional')
        return self


def placeholders(url: str) -> tuple[str, ...]:
    """The names of the arguments in a URL."""
    return tuple(_PLACEHOLDER.findall(url))


class CodeToolConfig(ConfigTable):
    """`kind = "code"`: runs Python that a model writes. `local` runs it as the server's own user: for tests, and for
    machines with nothing else on them."""

    kind: Literal["code"]
    executor: Literal["docker", "local"]
    image: str = Field(default="python:3-slim", description="for docker")
    timeout_s: PositiveInt = 60
    byte_limit: PositiveInt = 64 * 1024

    @field_validator("executor")
    @classmethod
    def _tell_of_local(cls, executor: str, info: ValidationInfo) -> str:
        around = surroundings(info)
        if around and executor == "local":
            around.notes.append(
                '[tools.*] executor = "local": code that a model writes runs as this user, and can read and change '
                'whatever it can; executor = "docker" keeps it in a container'
            )
        return executor


class LangChainToolConfig(ConfigTable):
    """`kind = "langchain"`: a LangChain tool, or a function without arguments that makes one."""

    kind: Literal["langchain"]
    factory: Factory


class PythonToolConfig(ConfigTable):
    """`kind = "python"`: an ordinary function with type hints; its docstring tells models what it does."""

    kind: Literal["python"]
    factory: Factory


class SqlToolConfig(ConfigTable):
    """`kind = "sql"`: the schema of a `[database.*]`, and checked, read-only queries."""

    kind: Literal["sql"]
    database: str | None = Field(default=None, validate_default=True, description="without: the only one there is")

    @field_validator("database")
    @classmethod
    def _known_database(cls, database: str | None, info: ValidationInfo) -> str | None:
        if database is not None:
            return check_name("database", database, info)
        around = surroundings(info)
        names = around.tables["database"] if around else None
        if names and len(names) > 1:
            raise ValueError(f"there is more than one: {', '.join(sorted(names))}")
        return None


class ChartToolConfig(ConfigTable):
    """`kind = "chart"`: draws rows that the model passes."""

    kind: Literal["chart"]
    format: Literal["png", "svg"] = "png"


ToolConfig = Annotated[
    McpToolConfig
    | HttpToolConfig
    | CodeToolConfig
    | LangChainToolConfig
    | PythonToolConfig
    | SqlToolConfig
    | ChartToolConfig,
    Field(discriminator="kind"),
]
