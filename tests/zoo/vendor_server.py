"""Serves one vendor over HTTP, and keeps what it was asked, what it refused and what it said."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.zoo.mind import Mind, Said
from tests.zoo.rules import IN_STREAM, Broken
from tests.zoo.vendor import Request, Vendor


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with the answer, or with the rule that it broke."""

    body: Mapping[str, Any]
    said: Said | None = None
    refused: str = ""


class VendorServer:
    """On a free port of 127.0.0.1 while it is entered; takes any path."""

    def __init__(self, vendor: Vendor, mind: Mind, *, streams: bool) -> None:
        """Without `streams` it answers as a gateway that ignores `stream`."""
        self.exchanges: list[Exchange] = []
        self.origin = ""
        self._vendor = vendor
        self._mind = mind
        self._streams = streams
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_post("/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.05)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        try:
            self._vendor.check(Request(request.path_qs, request.headers, body))
        except Broken as broken:
            self.exchanges.append(Exchange(body, refused=str(broken)))
            return self._refused(broken)
        try:
            said = self._mind.answer(body)
        except LookupError:
            self.exchanges.append(Exchange(body, refused="the story has no answer for this request"))
            return web.json_response({"error": {"message": "the story has no answer for this request"}}, status=400)
        self.exchanges.append(Exchange(body, said))
        if not self._streams:
            return web.json_response(text=json.dumps(self._vendor.whole(said, body)))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in self._vendor.stream(said, body):
            await response.write(event)
        await response.write_eof()
        return response

    def _refused(self, broken: Broken) -> web.Response:
        error = json.dumps(self._vendor.refusal(broken))
        if broken.status == IN_STREAM and self._streams:
            return web.Response(text=f"event: error\ndata: {error}\n\n", content_type="text/event-stream")
        return web.json_response(text=error, status=400 if broken.status == IN_STREAM else broken.status)
