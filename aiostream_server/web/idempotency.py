"""`Idempotency-Key`: whoever asks again with the same key is given the run that the first asking started.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import re
from hashlib import sha256
from typing import Final

from aiohttp import web

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.body import decode_json
from aiostream_server.runs.starts import Idempotency
from aiostream_server.wire.json_text import canonical

HEADER: Final = "Idempotency-Key"
_TOLD_BY_HEADER: Final = ("X-Conversation-Id", "X-OpenWebUI-Chat-Id", "X-Presentation")
_KEY: Final = re.compile(r"[ -~]{1,255}")


def idempotency_of(request: web.Request, raw: bytes) -> Idempotency | None:
    """None without the header. The same body is one that says the same, in whatever order, asked of the same kind of
    path, in the same conversation: `/api` or not makes no difference. Raises `InvalidRequest`."""
    keys = request.headers.getall(HEADER, ())
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidRequest(f"{HEADER} must be 1 to 255 printable ASCII characters, sent once", param=HEADER)
    said = (request.headers.get(name, "") for name in _TOLD_BY_HEADER)
    kind = "\0".join((request.path.rpartition("/")[2], *said)).encode("utf-8", "surrogateescape")
    return Idempotency(keys[0], sha256(kind + b"\0" + canonical(decode_json(raw))).hexdigest())
