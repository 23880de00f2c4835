"""What aiohttp refuses by itself, in OpenAI's shape: what is no HTTP, an unknown `Expect`, a path without a route.

aiohttp's own texts repeat the offending bytes, which may hold a key.
"""

import re
import secrets
from typing import Final

from aiohttp import hdrs, web

from aiostream_server.errors import InvalidRequest, ServerError
from aiostream_server.protocols.chat.errors import refusal
from aiostream_server.web.undocumented import answer_broken_requests

_REASONS: Final = {
    "LineTooLong": "the request line or a header is too long",
    "BadHttpMethod": "the request is not HTTP/1.1: its first line is no method, path and version",
    "BadStatusLine": "the request is not HTTP/1.1: its first line is no method, path and version",
    "InvalidURLError": "the path is not a valid URL",
}
_MALFORMED: Final = "the request is not valid HTTP/1.1: a header or the length of its body is malformed"
_EXPECT: Final = "the only Expect that is understood is 100-continue"
_BASE_URL: Final = "the base URL ends in /v1"
_USE: Final = "use /v1/chat/completions"
_ADVICE: Final = (
    (re.compile(r"/v1(?:/v1)+(?:/|$)"), "the base URL ends in one /v1"),
    (re.compile(r"/chat/completions/"), f"{_BASE_URL}, without /chat/completions"),
    (re.compile(r"^(?!/v1/).*/(?:chat/completions|models|runs)$"), _BASE_URL),
    (re.compile(r"/responses/(?:compact|input_tokens)$"), "this is not served; /v1/responses is"),
    (re.compile(r"/conversations(?:/|$)"), "none is created: send /v1/responses a name of yours as `conversation`"),
    (re.compile(r"/v1/."), _USE),
    (re.compile(r"/(?:completions|messages|embeddings|chat|generate|assistants)(?:/|$)"), _USE),
)
"""What tells a frequent mistake in a path, and what to do about it."""


def advice_on(path: str) -> str:
    """What to do about a path without a route. Most are a base URL that lacks `/v1`, or has too much."""
    path = re.sub("/+", "/", path).rstrip("/")
    return next((advice for mistake, advice in _ADVICE if mistake.search(path)), f"{_BASE_URL}; {_USE}")


def answer_by_ourselves(app: web.Application) -> None:
    """Call this before the app starts."""
    answer_broken_requests(app, _broken)
    app.on_response_prepare.append(_reword_expectation)


def _broken(status: int, exc: BaseException | None) -> web.Response:
    """`exc` is the parser's; without one a handler did not end in time."""
    if status >= web.HTTPInternalServerError.status_code:
        error: ServerError = ServerError("the server failed; its log says why")
    else:
        error = InvalidRequest(_REASONS.get(type(exc).__name__, _MALFORMED))
    return web.Response(
        status=status,
        body=refusal(error)[1],
        headers={"X-Request-ID": f"req-{secrets.token_hex(12)}"},
        content_type="application/json",
        charset="utf-8",
    )


async def _reword_expectation(_: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`: aiohttp checks the header before middlewares run."""
    if isinstance(response, web.HTTPExpectationFailed):
        response.body = refusal(InvalidRequest(_EXPECT))[1]
        response.content_type = "application/json"
        response.headers[hdrs.CONTENT_LENGTH] = str(len(response.body))
