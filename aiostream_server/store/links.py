"""Signed links: each lets its holder read one file, or watch one run, until it expires. A browser has no API key.

`BASE/v1/files/ID?expires=UNIX_TIME&signature=...` or `BASE/v1/runs/ID/events?...`: HMAC-SHA-256 over the id and the
time, cut to 128 bits, by a secret that is generated once and kept in the state directory.
https://www.rfc-editor.org/rfc/rfc2104#section-5
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

PATH: Final = "/v1/files/"
_SECRET_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 16
_FILE_ID: Final = re.compile(r"file-[A-Za-z0-9_-]{24}", re.ASCII)
_RUN_ID: Final = re.compile(r"run-[A-Za-z0-9_-]{24}", re.ASCII)
_EXPIRES: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_LINK: Final = re.compile(
    rf"{PATH}(?P<file>{_FILE_ID.pattern})\?expires=(?P<expires>{_EXPIRES.pattern})&signature=(?P<signature>[A-Za-z0-9_-]+)",
    re.ASCII,
)


def is_file_id(text: str) -> bool:
    """Whether the text has the form of a file id. Only such text becomes part of a path."""
    return _FILE_ID.fullmatch(text) is not None


class SignedLinks:
    """Signs and verifies links. `clock` gives Unix time."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret: Final = secret
        self._clock: Final = clock

    def link(self, base: str, file_id: str, expires_at: int) -> str:
        """`base` is scheme and host, perhaps with a path, without a slash at the end."""
        return f"{base}{PATH}{file_id}?expires={expires_at}&signature={self._signature(file_id, expires_at)}"

    def watch_link(self, base: str, run_id: str, expires_at: int) -> str:
        """The events of a run."""
        path = f"/v1/runs/{run_id}/events"
        return f"{base}{path}?expires={expires_at}&signature={self._signature(run_id, expires_at)}"

    def is_signed(self, subject: str, expires: str, signature: str) -> bool:
        """Whether the link to this file or run was signed by us, is unchanged and has not expired."""
        if not _EXPIRES.fullmatch(expires) or not (is_file_id(subject) or _RUN_ID.fullmatch(subject)):
            return False
        right = self._signature(subject, int(expires))
        return hmac.compare_digest(right.encode(), signature.encode()) and self._clock() < int(expires)

    def is_own(self, url: str, base: str) -> bool:
        """Whether the URL is a valid link that begins with `base`."""
        found = _LINK.fullmatch(url.removeprefix(base)) if base and url.startswith(base) else None
        return found is not None and self.is_signed(found["file"], found["expires"], found["signature"])

    def _signature(self, subject: str, expires_at: int) -> str:
        """The beginning of an id (`file-`, `run-`) keeps the signatures of files and of runs apart."""
        mac = hmac.digest(self._secret, f"{subject}\n{expires_at}".encode(), hashlib.sha256)[:_SIGNATURE_BYTES]
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def read_secret(path: Path) -> bytes:
    """Read the secret in a file; generate it, readable by its owner only, if there is none. Blocks.

    Processes that generate it at once return the same. Raises `OSError`, and `ValueError` for a damaged file.
    """
    with suppress(FileNotFoundError):
        return _checked(path.read_bytes(), path)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".secret-") as file:  # its mode is 0600
        file.write(secrets.token_bytes(_SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)  # unlike a rename, this never replaces a file
    return _checked(path.read_bytes(), path)


def _checked(secret: bytes, path: Path) -> bytes:
    if len(secret) != _SECRET_BYTES:
        raise ValueError(f"{path} is damaged: delete it, and the links that were given out end to work")
    return secret
