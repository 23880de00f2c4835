"""Keeps the HTTP tools of components without trust away from this machine and its network.

A component's author chooses the host of an `HttpTool`, and the server sends the request: to a database beside it, or to
a cloud's metadata service. So only public addresses are asked, and the hosts of `[components] hosts`. The name is
resolved for each call, and the request goes to the address that was checked, so that a second answer of the DNS cannot
be another one (DNS rebinding). Redirects are not followed, and no proxy of the environment is used.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Collection
from functools import cache, partial
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

import httpx
from autogen_core import CancellationToken
from pydantic import BaseModel

from aiostream_server.errors import ToolFailed
from aiostream_server.teams.autogen_private.structure import everything_in, tools_of
from aiostream_server.teams.components.hosts import HOW_TO_LIST, is_public, plain_host

if TYPE_CHECKING:
    from autogen_ext.tools.http import HttpTool

_HTTP_TOOL: Final = "HttpTool"
_MAX_BYTES: Final = 1024**2
_IN_QUERY: Final = ("GET", "DELETE")


def guard_http_tools(team: object, allowed: Collection[str]) -> None:
    """Make every `HttpTool` of a team that was just built ask public addresses only, and those that are allowed."""
    for thing in everything_in(team):
        for tool in tools_of(thing):
            if any(base.__name__ == _HTTP_TOOL for base in type(tool).__mro__):
                vars(tool)["run"] = MethodType(partial(_run, allowed=frozenset(map(plain_host, allowed))), tool)


async def _run(
    tool: "HttpTool", args: BaseModel, cancellation_token: CancellationToken, *, allowed: Collection[str]
) -> Any:  # text, or JSON
    """What `HttpTool.run` does. Raises `ToolFailed`, in words that name no address."""
    params = tool.server_params
    given = args.model_dump()
    in_path = {name: given.pop(name) for name in [*given] if f"{{{name}}}" in params.path}
    url = httpx.URL(scheme=params.scheme, host=params.host, port=params.port, path=params.path.format(**in_path))
    method = params.method or "POST"
    is_query = method in _IN_QUERY
    transport = PublicTransport(allowed)
    async with httpx.AsyncClient(transport=transport, timeout=params.timeout, trust_env=False) as client:
        request = client.build_request(
            method,
            url,
            headers=params.headers,
            params=given if is_query else None,
            json=None if is_query else given,
        )
        response = await client.send(request, stream=True)
        try:
            content = bytearray()
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > _MAX_BYTES:
                    raise ToolFailed(f"{params.name} failed: its answer is longer than {_MAX_BYTES} bytes")
        finally:
            await response.aclose()
    if response.is_redirect:
        raise ToolFailed(f"{params.name} failed: the service redirects, which is not followed")
    text = content.decode(response.encoding or "utf-8", "replace")
    return httpx.Response(200, text=text).json() if params.return_type == "json" else text


@cache
def _certificates() -> ssl.SSLContext:
    """Reading the authorities takes a tenth of a second: once for the process."""
    return httpx.create_ssl_context()


class PublicTransport(httpx.AsyncBaseTransport):
    """Connects to public addresses, and to hosts that are allowed. Raises `ToolFailed` for any other."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed: Final = allowed
        self._inner: Final = httpx.AsyncHTTPTransport(verify=_certificates())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        if plain_host(host) not in self._allowed:
            address = await self._public_address(host)
            request.extensions = {**request.extensions, "sni_hostname": host}  # the certificate is checked for the name
            request.url = request.url.copy_with(host=address)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _public_address(self, host: str) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(plain_host(host), None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise ToolFailed("the host of this tool is not known") from None
        addresses = [str(each[4][0]).partition("%")[0] for each in found]
        if not addresses or not all(is_public(ipaddress.ip_address(address)) for address in addresses):
            raise ToolFailed(f"the host of this tool is no public address: {HOW_TO_LIST}")
        return addresses[0]
