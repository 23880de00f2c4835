"""API keys: what one looks like, and finding the one that a request presents.

A key is `aio-`, an id of eight characters, `-`, and a secret of 256 bits. Only its SHA-256 is stored: the secret has
full entropy, so a slow hash would protect no better. The id finds the record, and the hashes are compared in constant
time. Without a record the comparison is made with a dummy hash, so that a wrong id takes as long as a wrong secret.
"""

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import AwareDatetime, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from aiostream_server.config.model import ClientKind, Presentation
from aiostream_server.errors import ConfigError
from aiostream_server.unreadable import why_unreadable

Scope: TypeAlias = Literal["ask", "metrics"]
"""What a key opens: everything but `/metrics`, or only `/metrics`."""

_ID_CHARACTERS: Final = string.ascii_lowercase + string.digits
_KEY: Final = re.compile(r"aio-([a-z0-9]{8})-[A-Za-z0-9_-]{43}")
_NO_ID: Final = ""
_NO_HASH: Final = "-" * 64


@dataclass(frozen=True, slots=True)
class Key:
    """A record of the keys file: everything about a key but its secret.

    `models` None allows every model. `trust_user_headers` believes what the key's holder says about its users. `client`
    is the program that the key was made for. `presentation` is that of its answers, unless a request names another. A
    record may leave out what has a default.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9]{8}$")]
    name: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = field(repr=False)
    created: AwareDatetime
    models: tuple[str, ...] | None = None
    trust_user_headers: bool = False
    client: ClientKind | None = None
    scope: Scope = "ask"
    presentation: Presentation | None = None


_FILE: Final = TypeAdapter(list[Key])


class KeyRing:
    """The keys that a server accepts. A server with an empty ring needs no key and serves only its own machine."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._by_id = {key.id: key for key in keys}

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """The keys of a file; none where no file is named.

        Raises `ConfigError`, also where the named file does not exist: a server that lost its keys must not run open.
        """
        if path is None:
            return cls()
        try:
            return cls(read_keys(path))
        except FileNotFoundError:
            create = f"aiostream-server keys create NAME --keys-file {path}"
            raise ConfigError([f"{path}: there is no such keys file; `{create}` makes it"]) from None

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_id.values())

    def find(self, presented: str) -> Key | None:
        """The key for this text, which may be anything; None for a wrong one."""
        match = _KEY.fullmatch(presented)
        key = self._by_id.get(match[1] if match else _NO_ID)
        same = hmac.compare_digest(_sha256(presented), key.sha256 if key else _NO_HASH)
        return key if same else None


def new_key(
    name: str,
    *,
    models: Iterable[str] | None = None,
    trust_user_headers: bool = False,
    client: ClientKind | None = None,
    scope: Scope = "ask",
    presentation: Presentation | None = None,
) -> tuple[Key, SecretStr]:
    """A new key, and the text that its owner presents."""
    key_id = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(8))
    text = f"aio-{key_id}-{secrets.token_urlsafe(32)}"
    key = Key(
        id=key_id,
        name=name,
        sha256=_sha256(text),
        created=datetime.now(UTC).replace(microsecond=0),
        models=None if models is None else tuple(models),
        trust_user_headers=trust_user_headers,
        client=client,
        scope=scope,
        presentation=presentation,
    )
    return key, SecretStr(text)


def read_keys(path: Path) -> list[Key]:
    """Every record of a keys file. Raises `FileNotFoundError`, and `ConfigError` for what cannot be read."""
    try:
        keys = _FILE.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be read: {why_unreadable(exc)}"]) from None
    except ValidationError as exc:
        raise ConfigError([f"{path}: {_record_problem(exc)}"]) from None
    ids = [key.id for key in keys]
    if repeated := sorted({key_id for key_id in ids if ids.count(key_id) > 1}):
        raise ConfigError([f"{path}: more than one record has the id {key_id}" for key_id in repeated])
    return keys


def write_keys(keys: Sequence[Key]) -> bytes:
    """The content of a keys file, readable for people. An older server can read it if it knows the fields in use."""
    return _FILE.dump_json(list(keys), indent=2, exclude_defaults=True) + b"\n"


def _record_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    match first["loc"]:
        case (int(index), *rest):
            place = f"record {index + 1}{''.join(f', {part}' for part in rest)}"
        case _:
            place = "expected a JSON list of records"
    return f"not a keys file: {place}: {first['msg'].lower()}"


def _sha256(presented: str) -> str:
    # A header may hold any bytes, which arrive as lone surrogates: encoding them must not fail.
    return hashlib.sha256(presented.encode("utf-8", "backslashreplace")).hexdigest()
