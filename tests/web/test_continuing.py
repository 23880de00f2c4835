"""Open WebUI's "Continue response": the last message is an answer that was cut, and the new answer goes on in it."""

from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, chat_body, config_for, sample_team, serving

CUT: Final = "The primes are 2, 3, "
MESSAGES: Final = [{"role": "user", "content": "Which primes?"}, {"role": "assistant", "content": CUT}]
PARTS: Final = [MESSAGES[0], {"role": "assistant", "content": [{"type": "text", "text": CUT}]}]


@pytest.mark.parametrize("presentation", ["transcript", "reasoning", "answer"])
@pytest.mark.parametrize("headers", [{}, {"X-OpenWebUI-Chat-Id": "c"}], ids=["client", "page"])
@pytest.mark.parametrize("messages", [MESSAGES, PARTS], ids=["text", "parts"])
async def test_the_answer_goes_on_in_the_sentence(
    tmp_path: Path, presentation: str, headers: dict[str, str], messages: list[dict[str, Any]]
) -> None:
    """No heading and no gap before it, and the space at the end of the cut answer reaches the model."""
    headers = {**headers, "X-Presentation": presentation}
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("5 ", "and 7."), ScriptedAnswer("5 ", "and 7."))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            streamed = await ask(server.url, messages, model="solo", headers=headers)
            body = chat_body(messages, model="solo", stream=False)
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{server.url}/v1/chat/completions", json=body, headers=headers) as response,
            ):
                whole = await response.json()
        assert streamed.text == whole["choices"][0]["message"]["content"] == "5 and 7."
        for exchange in provider.exchanges:
            cut = [each["content"] for each in exchange.body["messages"] if each["role"] == "assistant"]
            assert cut == [CUT]
