"""What Open WebUI adds to a question reaches the agents: files' text, pictures, settings of a workspace model."""

from pathlib import Path
from typing import Any

from tests.kit.pictures import png
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, ask, serving
from tests.web.test_images import config as seeing

PAGE = {"X-OpenWebUI-Chat-Id": "chat", "X-OpenWebUI-User-Id": "ann"}
FOUND = (
    "### Task:\nRespond to the user query using the provided context, incorporating inline citations in the format "
    '[id].\n\n<context>\n<source id="1">The umbrella is yellow.</source>\n</context>\n\nWhat colour is it?'
)


async def told(server: Server, provider: ScriptedProvider, content: Any, **fields: Any) -> dict[str, Any]:
    """What the model's provider was sent for a question of the page."""
    messages = [{"role": "system", "content": "Answer as a pirate."}, {"role": "user", "content": content}]
    answer = await ask(server.url, messages, model="solo", headers=PAGE, **fields)
    assert answer.finish_reasons == ["stop"]
    body: dict[str, Any] = provider.exchanges[-1].body
    return body


async def test_files_pictures_and_settings_of_a_workspace_model_reach_the_agents(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": FOUND}, {"type": "image_url", "image_url": {"url": png()}}]
    settings = {"temperature": 0.2, "top_p": 0.9, "seed": 7, "max_tokens": 500}
    ignored = {
        "mirostat": 1,
        "num_ctx": 4096,
        "keep_alive": "5m",
        "stream_delta_chunk_size": 3,
        "function_calling": "native",
    }
    async with ScriptedProvider() as provider:
        provider.script(*[ScriptedAnswer("Yellow.")] * 2)
        config = seeing(provider.base_url, vision=True)
        async with serving(config, tmp_path) as server:
            sent = await told(server, provider, FOUND, **settings, **ignored)
            seen = await told(server, provider, parts)
    assert {name: sent[name] for name in settings} == settings
    assert not {*ignored} & {*sent}
    systems = [message["content"] for message in sent["messages"] if message["role"] == "system"]
    assert any("Answer as a pirate." in text for text in systems)
    assert "The umbrella is yellow." in sent["messages"][-1]["content"]
    assert [part["type"] for part in seen["messages"][-1]["content"]] == ["text", "image_url"]
