"""A server to which everything has happened that is counted: for tests of the names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.kit.scripted_provider import Call, HttpError, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, config_for, until_idle
from tests.routing.auxiliary.cases import rendered
from tests.service.metrics.counting import Figures, counting, figures_of

TITLE = rendered("0_12_4 generate_title short").body


@asynccontextmanager
async def everything_happened(path: Path) -> AsyncIterator[Figures]:
    """A tool was used, a call was tried again, a run failed, a title was given."""
    async with ScriptedProvider() as provider:
        provider.script(
            ScriptedAnswer(Call("calculate", {"expression": "2+2"}), usage=(20, 5)),
            ScriptedAnswer("4", usage=(30, 1)),
            HttpError(429, "busy"),
            HttpError(400, "wrong"),
        )
        async with counting(config_for(provider.base_url), path) as server:
            await ask(server.url, "What is 2+2?", model="general")
            await ask(server.url, "hello", model="general")
            async with aiohttp.ClientSession() as session:
                async with session.post(f"{server.url}/v1/chat/completions", json=TITLE) as response:
                    assert response.status == 200
                async with session.get(f"{server.url}/v1/nothing") as response:
                    assert response.status == 404
            await until_idle(server)
            yield await figures_of(server)
