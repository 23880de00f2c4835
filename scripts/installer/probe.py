"""Asks the installed server as a client does."""

import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final

from scripts.installer.steps import Problem

_QUESTION: Final = "What is 15% of 850?"
_ANSWER_WITHIN_S: Final = 120.0
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Address:
    """The server's address: TCP, or the path of a unix socket."""

    host: str = "127.0.0.1"
    port: int = 8000
    tls: bool = False
    unix: str | None = None

    def __str__(self) -> str:
        """As a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.unix}" if self.unix else f"{'https' if self.tls else 'http'}://{host}:{self.port}"


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_ANSWER_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_ANSWER_WITHIN_S)
        self.sock.connect(self._path)


def wait_until_ready(address: Address, within_s: float) -> None:
    """Wait until `/readyz` reports `ready`. Raises `Problem`."""
    deadline = time.monotonic() + within_s
    while (found := _readiness(address)) != "ready":
        if time.monotonic() > deadline:
            raise Problem(f"{address}/readyz does not say ready within {within_s:g} s, but: {found}")
        time.sleep(_POLL_S)


def ask_a_question(address: Address, key: str | None) -> str | None:
    """None for a correct answer; else the failure of the model's provider, for which the server is not to blame.

    Raises `Problem` where the server refuses the question, or does not end its answer properly.
    """
    body = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": _QUESTION}]}
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    try:
        status, text = _request(address, "POST", "/v1/chat/completions", json.dumps(body), headers)
    except (OSError, HTTPException) as exc:
        raise Problem(f"a question gets no answer: {exc}") from None
    if status != 200:
        raise Problem(f"a question is refused with status {status}: {text[:500]}")
    frames = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    if not frames or frames[-1] != "[DONE]":
        raise Problem("the answer to a question breaks off before its end")
    return next((found for frame in frames[:-1] if (found := _error(json.loads(frame)))), None)


def _readiness(address: Address) -> str:
    try:
        status, text = _request(address, "GET", "/readyz")
        return str(json.loads(text)["status"]) if status == 200 else f"status {status}"
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as exc:
        return str(exc)


def _request(
    address: Address, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    connection = _connection(address)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def _connection(address: Address) -> HTTPConnection:
    if address.unix is not None:
        return _UnixConnection(address.unix)
    if not address.tls:
        return HTTPConnection(address.host, address.port, timeout=_ANSWER_WITHIN_S)
    # The certificate names another host than this machine's own address, and what is asked never leaves the machine.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 # so the standard library calls it
    return HTTPSConnection(address.host, address.port, timeout=_ANSWER_WITHIN_S, context=context)


def _error(frame: dict[str, object]) -> str | None:
    error = frame.get("error")
    return str(error.get("message")) if isinstance(error, dict) else None
