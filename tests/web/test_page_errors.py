"""A user of a chat page reads plain sentences in one box; a program gets the fields and statuses that it needs."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.config.model import LimitsConfig, ServerConfig
from tests.kit.scripted_provider import HttpError, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, ask, chat_body, config_for, sample_team, serving

PAGE = {"X-OpenWebUI-User-Id": "ann", "X-OpenWebUI-Chat-Id": "chat"}


@pytest.fixture
async def server(tmp_path: Path, provider: ScriptedProvider) -> AsyncIterator[Server]:
    config = config_for(
        provider.base_url,
        sample_team("solo"),
        server=ServerConfig(max_body_bytes=4_000),
        limits=LimitsConfig(idle_timeout_s=0.4),
    )
    async with serving(config, tmp_path) as running:
        yield running


async def refused(server: Server, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{server.url}/v1/chat/completions", json=body) as response,
    ):
        return response.status, json.loads(await response.read())["error"]


@pytest.mark.parametrize(
    ("body", "plain", "technical"),
    [
        (chat_body("hi", model="gone"), "This model is no longer offered. Choose", "there is no model 'gone'; there"),
        (chat_body(" ", model="solo"), "The question is empty. Write", "messages[0].content: is empty"),
        (chat_body("x" * 5_000, model="solo"), "The question is too large", "the body is larger than 4000 bytes"),
    ],
)
async def test_what_is_refused(server: Server, body: dict[str, Any], plain: str, technical: str) -> None:
    status, shown = await refused(server, body, PAGE)
    assert shown["message"].startswith(plain)
    expected = await refused(server, body, {})
    assert expected[1]["message"].startswith(technical)
    assert (status, {**shown, "message": ""}) == (expected[0], {**expected[1], "message": ""})


async def test_what_fails_later_keeps_the_text_and_is_told_once(server: Server, provider: ScriptedProvider) -> None:
    provider.script(ScriptedAnswer("half of it", Stall()))
    shown = await ask(server.url, "hi", model="solo", headers=PAGE)
    assert "half of it" in shown.text
    assert "❌" not in shown.text
    (error,) = shown.errors
    assert error["message"] == (
        "The team said nothing for too long, and was stopped. Ask again. "
        "If it fails again, tell the operator of this server."
    )


async def test_a_failing_provider(server: Server, provider: ScriptedProvider) -> None:
    provider.script(HttpError(401, "bad key sk-123"), HttpError(401, "bad key sk-123"))
    shown = await ask(server.url, "hi", model="solo", headers=PAGE)
    plain = await ask(server.url, "hi", model="solo")
    assert [error["message"] for error in shown.errors] == [
        "The model's provider does not accept this server's key. Only the operator of this server can mend that."
    ]
    [error] = plain.errors
    assert error["message"].startswith("the model provider of [models.default] answered 401 Unauthorized: it asks for")
    assert "sk-123" not in error["message"]
