"""The general assistant calculates with its tool."""

from pathlib import Path

from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, config_for, serving


async def test_it_calculates(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(Call("calculate", {"expression": "0.15 * 850"})), ScriptedAnswer("127.5"))
        async with serving(config_for(provider.base_url), tmp_path) as server:
            answer = await ask(server.url, "What is 15% of 850?", model="general")
        assert provider.exchanges[1].body["messages"][-1]["content"] == "127.5"
    assert "<summary>📦 calculate: 127.5</summary>" in answer.text
    assert answer.text.endswith("✅ **Assistant**\n\n127.5")
