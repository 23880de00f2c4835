"""A tool that sends one request to an HTTP service. The model chooses arguments, never the host or the path's shape.

AutoGen's `HttpTool` checks the arguments. It does not send the request, because AutoGen puts arguments into the path
unescaped (`../admin`), reads answers of any size, takes an error page for an answer, and makes a client for each call.
"""

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
from autogen_core import CancellationToken
from autogen_ext.tools.http import HttpTool
from pydantic import BaseModel

from aiostream_server.config.model import HttpToolConfig
from aiostream_server.config.tools import placeholders
from aiostream_server.errors import ConfigError
from aiostream_server.teams.tools.fixed_tools import FixedTool
from aiostream_server.text import one_line

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_IN_QUERY: Final = ("GET", "DELETE")
_MAX_REASON_CHARS: Final = 500


class RequestFailed(Exception):
    """The request failed. The message is for the model."""


class HttpService(FixedTool):
    """A `[tools.NAME]`. Raises `ConfigError` for parameters that are not JSON schemas."""

    def __init__(self, name: str, config: HttpToolConfig) -> None:
        try:
            self._tool: Final = BoundHttpTool(name, config)
        except Exception as exc:  # the library that reads the schemas raises many kinds of errors
            raise ConfigError([f"parameters: {type(exc).__name__}: {one_line(exc, 200)}"]) from exc
        super().__init__(self._tool)

    async def close(self) -> None:
        await self._tool.disconnect()


class BoundHttpTool(HttpTool):
    """Has one client for all calls."""

    def __init__(self, name: str, config: HttpToolConfig) -> None:
        parts = urlsplit(config.url)
        schema = {
            "type": "object",
            "title": f"{name} arguments",
            "properties": {key: dict(value) for key, value in config.parameters.items()},
            "required": [key for key in config.parameters if key not in config.optional],
        }
        super().__init__(
            name=name,
            host=parts.hostname or "",
            port=parts.port or (443 if parts.scheme == "https" else 80),
            json_schema=schema,
            description=config.description,
            method=config.method,
        )
        self._config: Final = config

    async def run(self, args: BaseModel, cancellation_token: CancellationToken) -> str:
        """The body of the answer as text of at most `byte_limit` bytes. Raises `RequestFailed`."""
        given = args.model_dump(mode="json", exclude_unset=True)
        url = _filled(self._config.url, given)
        rest = {name: value for name, value in given.items() if name not in placeholders(self._config.url)}
        is_query = self._config.method in _IN_QUERY
        try:
            async with self._client.stream(
                self._config.method,
                url.copy_merge_params({name: _in_query(value) for name, value in rest.items()}) if is_query else url,
                json=None if is_query else rest,
            ) as response:
                text = await self._read(response)
        except httpx.TimeoutException:
            raise RequestFailed(f"{self.name} failed: no answer within {self._config.timeout_s:g} s") from None
        except httpx.HTTPError as exc:
            raise RequestFailed(f"{self.name} failed: the service cannot be reached ({type(exc).__name__})") from exc
        if response.is_redirect:
            raise RequestFailed(f"{self.name} failed: the service redirects, which is not followed")
        if response.is_error:
            raise RequestFailed(f"{self.name} failed: status {response.status_code}: {text[:_MAX_REASON_CHARS]}")
        return text

    async def disconnect(self) -> None:
        if "_client" in vars(self):
            await self._client.aclose()

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers=self._config.all_headers, timeout=self._config.timeout_s, follow_redirects=False
        )

    async def _read(self, response: httpx.Response) -> str:
        content = bytearray()
        limit = self._config.byte_limit
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > limit:
                break
        text = content[:limit].decode(response.encoding or "utf-8", "replace")
        return f"{text}\n… (more was left out)" if len(content) > limit else text


def _filled(template: str, arguments: Mapping[str, Any]) -> httpx.URL:
    """The URL with the arguments escaped, so that each stays within its segment of the path."""

    def fill(match: re.Match[str]) -> str:
        value = str(arguments.get(match[1], ""))
        if not value.strip(". "):
            raise RequestFailed(f"{match[1]} must not be {value!r}")
        return quote(value, safe="")

    return httpx.URL(_PLACEHOLDER.sub(fill, template))


def _in_query(value: Any) -> Any:  # a JSON value
    return json.dumps(value) if isinstance(value, dict) else value
