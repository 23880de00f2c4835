"""Raw HTTP answers, kept in files: what every protocol answers, byte for byte.

`RECORD_ANSWERS=1 pytest tests/protocols/test_recorded.py` writes the files anew; their diff is what a client notices.
Ids, times, durations and lengths that follow from them are normalised.
"""

import os
import re
from pathlib import Path
from typing import Final

from tests.web.raw import RawAnswer, send

_FOLDER: Final = Path(__file__).parent / "recorded"
_IS_RECORDING: Final = os.environ.get("RECORD_ANSWERS") == "1"
_NORMALISED: Final = (
    (re.compile(r"run-[A-Za-z0-9_-]{16,}"), "run-ID"),
    (re.compile(r"chatcmpl-[A-Za-z0-9_-]{16,}"), "chatcmpl-ID"),
    (re.compile(r"req-[0-9a-f]{24}"), "req-ID"),
    (re.compile(r"file-[A-Za-z0-9_-]{16,}"), "file-ID"),
    (re.compile(r'("created(?:_at)?": ?)\d+'), r"\1SECONDS"),
    (re.compile(r'("timestamp": ?)"[^"]+"'), r'\1"TIME"'),
    (re.compile(r'("(?:duration|first_token)_s": ?)[0-9.e-]+'), r"\1SECONDS"),
    (re.compile(r'("(?:request|answer)_bytes": ?)[0-9]+'), r"\1BYTES"),
    (re.compile(r"(SQLite) [0-9.]+(; the time zone is UTC, today is) [0-9-]+"), r"\1 VERSION\2 DATE"),
    (re.compile(r"(127\.0\.0\.1):\d+"), r"\1:PORT"),
    (re.compile(r"expires=\d+&signature=[\w-]+"), "expires=SECONDS&signature=SIGNATURE"),
    (re.compile(r"(Done in|Failed after) [0-9.]+ s"), r"\1 SECONDS"),
    (re.compile(r' \\u00b7 [0-9]+ s(?="\}\}\})'), ""),
    (re.compile(r"^Date: .*\n", re.MULTILINE), ""),
    (re.compile(r"^Server: .*\n", re.MULTILINE), ""),
)
_LENGTH: Final = re.compile(r"^Content-Length: \d+$", re.MULTILINE)


class Recording:
    """The answers of one file, in the order in which they were asked for."""

    def __init__(self, name: str, url: str = "") -> None:
        self.url = url
        self._file = _FOLDER / f"{name}.txt"
        self._answers: list[str] = []

    async def ask(self, label: str, request: bytes, url: str | None = None) -> RawAnswer:
        """Send it, and keep the answer under `label`."""
        answer = await send(url or self.url, request, timeout_s=30)
        self.add(label, _shown(answer))
        return answer

    def add(self, label: str, text: str) -> None:
        """Keep this text under `label`."""
        self._answers.append(f"### {label}\n{text}")

    def check(self) -> None:
        """Compare with the file, or write it."""
        text = "\n".join(self._answers)
        if _IS_RECORDING:
            self._file.write_text(text, "utf-8", newline="")
        expected = self._file.read_bytes().decode("utf-8")
        for now, before in zip(text.split("### "), expected.split("### "), strict=False):
            assert now == before
        assert text == expected


def _shown(answer: RawAnswer) -> str:
    is_chunked = answer.headers.get("Transfer-Encoding") == "chunked"
    raw = _joined(answer.body) if is_chunked else answer.body
    body = _normalised(raw.decode("utf-8"))
    head = _normalised("".join(f"{name}: {value}\n" for name, value in answer.headers.items()))
    if body.encode() != raw:
        head = _LENGTH.sub("Content-Length: LENGTH", head)
    return f"{answer.status}\n{head}\n{body}\n"


def _normalised(text: str) -> str:
    for pattern, word in _NORMALISED:
        text = pattern.sub(word, text)
    return text


def _joined(chunked: bytes) -> bytes:
    """The body without the sizes of its chunks, which depend on what the socket took at once."""
    parts: list[bytes] = []
    rest = chunked
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            assert rest == b"\r\n"
            return b"".join(parts)
        parts.append(rest[:length])
        assert rest[length : length + 2] == b"\r\n"
        rest = rest[length + 2 :]
