"""A failure is described in one readable line, without a traceback and without paths of this machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.errors import InvalidRequest, ModelTimeout, ShuttingDown
from aiostream_server.events import Error
from aiostream_server.runs.failure import describe_failure
from tests.kit.cpu import takes_less_than

_NO_LEDGER = "the model did not answer the orchestrator of Magentic-One with the JSON that it was asked for"


class Forbidden(Exception):
    """Of some library; ours has the same name."""


class ModelFailed(Exception):
    """The same."""


@pytest.mark.parametrize(
    ("exc", "code", "message"),
    [
        (ModelTimeout("too late"), "model_timeout", "too late"),
        (InvalidRequest("the image is damaged"), "invalid_request", "the image is damaged"),
        (ShuttingDown("bye"), "shutting_down", "bye"),
        (
            RuntimeError("ModelFailed: the provider said no\nTraceback:\n  File x"),
            "model_failed",
            "the provider said no",
        ),
        (RuntimeError("ModelTimeout: late\nmore\nTraceback:\n"), "model_timeout", "late"),
        (
            RuntimeError("ValueError: bad\nTraceback:\nTraceback (most"),
            "team_failed",
            "the team failed: ValueError: bad",
        ),
        (RuntimeError("Forbidden: no\nTraceback:\n"), "team_failed", "the team failed: Forbidden: no"),
        (Forbidden("no"), "team_failed", "the team failed: Forbidden: no"),
        (ModelFailed("no"), "team_failed", "the team failed: ModelFailed: no"),
        (RuntimeError("ModelFailed: \nTraceback:\n  File"), "model_failed", "no reason was given"),
        (RuntimeError("out of luck"), "team_failed", "the team failed: RuntimeError: out of luck"),
        (KeyError("x"), "team_failed", "the team failed: KeyError: 'x'"),
        (
            RuntimeError("KeyError: 'is_request_satisfied'\nTraceback:\n  File x"),
            "team_failed",
            f"the team failed: {_NO_LEDGER} (no 'is_request_satisfied')",
        ),
        (ValueError(), "team_failed", "the team failed: ValueError"),
        (ModelTimeout(" \n "), "model_timeout", "no reason was given"),
        (ModelTimeout("\n\nfirst\r\nsecond"), "model_timeout", "first"),
        (ModelTimeout("a\x1b[31mred\x07"), "model_timeout", "a [31mred"),
        (
            ModelTimeout("Traceback (most recent call last):\n  File x\nOSError: gone\n"),
            "model_timeout",
            "OSError: gone",
        ),
        (ExceptionGroup("unhandled", [ExceptionGroup("inner", [ModelTimeout("late")])]), "model_timeout", "late"),
        (
            ExceptionGroup("two", [ValueError(), KeyError()]),
            "team_failed",
            "the team failed: ExceptionGroup: two (2 sub-exceptions)",
        ),
    ],
)
def test_descriptions(exc: BaseException, code: str, message: str) -> None:
    assert describe_failure(exc) == Error(code, message)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cannot open /etc/very/secret.key now", "cannot open … now"),
        ("[Errno 2] No such file: '/root'", "[Errno 2] No such file: '…'"),
        ("No such file: '/home/me/My Files/x.txt'", "No such file: '…'"),
        ('File "/usr/lib/x.py", line 3', 'File "…", line 3'),
        ("error:/etc/passwd/x", "error:…"),
        ("key=/etc/passwd", "key=…"),
        ("~/.ssh/id_rsa", "~…"),
        ("sqlite:////srv/data/shop.db is locked", "… is locked"),
        ("file:///home/me/x is gone", "… is gone"),
        (r"C:\Users\me\x.txt is gone", "… is gone"),
        (r"'C:\Users\my me\x.txt' is gone", "'…' is gone"),
        (r"\\server\share\x is gone", "… is gone"),
        ("http://127.0.0.1:9/v1/chat/completions answered 500", "… answered 500"),
        ("could not connect to postgresql://me:secret@db.internal:5432/shop?sslmode=require", "could not connect to …"),
        (
            "Cannot connect to host warehouse:5432 ssl:default [refused]",
            "Cannot connect to host … ssl:default [refused]",
        ),
        ("[Errno 111] Connect call failed ('10.1.2.3', 6379)", "[Errno 111] Connect call failed ('…', 6379)"),
        ('connection to server at "db.corp", port 5432 failed', 'connection to server at "…", port 5432 failed'),
        ("redis.internal is down, and cache.svc.cluster.local:6379", "… is down, and …"),
        ("localhost:8080 said no to [::1]:80, fe80::1 and 2001:db8:0:0:0:0:0:1", "… said no to …, … and …"),
        ("host=db user=me password='a b' dbname=x failed", "… user=me … … failed"),
        ("Incorrect API key provided: sk-proj-abcdefgh1234", "Incorrect API key provided: …"),
        (
            "Error -2 connecting to cache01:80. Name or service not known.",
            "Error -2 connecting to … Name or service not known.",
        ),
        ("Failed to resolve 'llm-internal' ([Errno -2])", "Failed to resolve … ([Errno -2])"),
        ('could not translate host name "pg-main" to address', "could not translate host name … to address"),
        ("[Errno -2] Name or service not known: 'pg-main'", "[Errno -2] Name or service not known: …"),
        ("Can't connect to MySQL server on 'db01' (113)", "Can't connect to MySQL server on … (113)"),
        ("Access denied for user 'root'@'app01' (using", "Access denied for user … (using"),
        ("Server=tcp:db01,1433;User ID=sa;Password=pw;", "Server=…,1433;User ID=…;Password=…;"),
        ("{'password': 'pw', \"host\": \"db01\"}", "{'password': …, \"host\": …}"),
        ("DB_PASSWORD=pw, AccountKey=Zm9v==;x", "DB_PASSWORD=…, AccountKey=…;x"),
        ("No such file or directory: 'secrets/a.pem'", "No such file or directory: 'secrets/a.pem'"),
        ("[Errno 2] No such file or directory: 'secrets/a.pem'", "[Errno 2] No such file or directory: …"),
        ("invalid api_key 'abcd-1234'", "invalid api_key …"),
        ("API key provided: 3f9a0b1c.", "API key provided: …"),
        ("Authorization: Basic bWU6cHc=", "Authorization: Basic …"),
        ("of AIzaSyA1234567890abcdef, hf_abcdefgh, eyJhbGciOiJI.eyJzdWIi.dozj", "of …, …, …"),
        (
            "Command '['ssh', '--password', 'pw']' returned non-zero exit status 1.",
            "Command '…' returned non-zero exit status 1.",
        ),
        ("Command 'PGPASSWORD=pw psql -h db' timed out after 5 s", "Command '…' timed out after 5 s"),
        ("no such table: t [SQL: x] [parameters: ('pw', [1])]", "no such table: t [SQL: x] [parameters: …]"),
        ("db.internal:5432postgresql://me:pw@h/x", "……"),
        ("[('db01', 27017) server_type: Unknown]", "[('…', 27017) server_type: Unknown]"),
        ('for host "10.1.2.3", user "me", database "x", no TLS', 'for host "…", user "…", database "…", no TLS'),
        ("lookup db.ns on 10.96.0.10:53: no such host", "lookup … on …: no such host"),
        ("Unable to connect to port 22 on 10.1.2.3 or web01", "Unable to connect to port …"),
        ("'info': 'uid=me,ou=people,dc=corp'", "'info': '…'"),
        ("(HOST=ora)(CONNECT_DATA=(SERVICE_NAME=orcl)))", "(HOST=…)(CONNECT_DATA=(SERVICE_NAME=…)))"),
        ("(env: {'GITHUB_TOKEN': 'abc', 'HOME_KEY=x'})", "(env: {'GITHUB_TOKEN': …, 'HOME_KEY=…'})"),
        ("3f9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c and aB3dE5fG7hI9jK1lM3nO5pQ7", "… and …"),
        (
            "max_tokens=4096, token: x, role 'user', call_aB3dE5fG7hI9jK1lM3nO5pQ7, the server on fire",
            "max_tokens=4096, token: x, role 'user', call_aB3dE5fG7hI9jK1lM3nO5pQ7, the server on fire",
        ),
        (
            "at 12:30:45, version 1.2.3, 99.5 % of 3:1, Room:12, a:b",
            "at 12:30:45, version 1.2.3, 99.5 % of 3:1, Room:12, a:b",
        ),
        ("the host is not known", "the host is not known"),
        ("and/or, 3/4, a/b/c", "and/or, 3/4, a/b/c"),
        ("/help is no command", "/help is no command"),
    ],
)
def test_what_belongs_to_this_machine_is_removed(text: str, told: str) -> None:
    assert describe_failure(ModelTimeout(text)).message == told


@given(st.text(st.characters()))
def test_any_text_is_one_line_of_bounded_length(text: str) -> None:
    for exc in (ModelTimeout(text), RuntimeError(text), ValueError(text)):
        message = describe_failure(exc).message
        assert message
        assert len(message.splitlines()) == 1
        assert len(message) <= 520


@pytest.mark.parametrize("text", ["x" * 20_000_000, "/srv/x\n" * 3_000_000, "1 validation error for X\n" * 800_000])
def test_an_error_of_megabytes_does_not_hold_up_the_event_loop(text: str) -> None:
    """Masking all of it took 20 s, in which no stream went on."""
    with takes_less_than(0.5):
        told = describe_failure(ValueError(text)).message
    assert len(told) < 600
