"""What the page adds to a question: a file's text, an image, a workspace model's prompt and parameters."""

import base64
from typing import Any, Final

from tests.e2e import provider
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps.seen import DATA, last_asked
from tests.kit.pictures import png

_FILE: Final = b"The warehouse in Oslo keeps 7312 umbrellas.\nThe warehouse in Rome keeps 11 umbrellas.\n"
_FILE_QUESTION: Final = "How many umbrellas does the warehouse in Oslo keep?"
_IMAGE_QUESTION: Final = "What is in this picture?"
_PROMPT: Final = "You are a careful librarian."
_TEMPERATURE: Final = 0.25


async def _file(stage: Stage) -> None:
    """The file's text reaches the team as context, and the question stays the question."""
    await stage.chat.open("scripted")
    await stage.chat.attach("stock.txt", "text/plain", _FILE)
    await stage.ask(_FILE_QUESTION)
    body = last_asked(stage, _FILE_QUESTION)
    assert "7312 umbrellas" in str(body["messages"]), body["messages"]
    assert provider.user_texts(body)[-1].rstrip().endswith(_FILE_QUESTION), provider.user_texts(body)
    await stage.chat.open("auto")
    await stage.chat.attach("stock.txt", "text/plain", _FILE)
    looks = await stage.ask(DATA)
    await stage.picture("file")
    assert "East" in looks[-1].text, looks[-1].text
    assert "Guidelines" not in looks[-1].text, f"the page's template was taken for the question: {looks[-1].text}"


async def _image(stage: Stage) -> None:
    """An image reaches a model that sees."""
    await stage.chat.open("seeing")
    await stage.chat.attach("dot.png", "image/png", base64.b64decode(png().partition(",")[2]))
    await stage.ask(_IMAGE_QUESTION)
    await stage.picture("image")
    body: Any = last_asked(stage, _IMAGE_QUESTION)
    kinds = [part["type"] for part in body["messages"][-1]["content"]]
    assert kinds == ["text", "image_url"], body["messages"][-1]


async def _workspace_model(stage: Stage) -> None:
    """A model that a user made of a team: its prompt and its temperature count."""
    await stage.chat.open("scripted")
    model = {
        "id": "librarian",
        "base_model_id": "scripted",
        "name": "Librarian",
        "meta": {"capabilities": {"builtin_tools": False}},
        "params": {"system": _PROMPT, "temperature": _TEMPERATURE},
    }
    await stage.chat.api("/api/v1/models/create", model)
    await stage.chat.open("librarian")
    await stage.ask(provider.FIRST)
    body: Any = last_asked(stage, provider.FIRST)
    assert _PROMPT in str([message for message in body["messages"] if message["role"] == "system"]), body
    assert body["temperature"] == _TEMPERATURE, body


async def _direct(stage: Stage) -> str:
    """The browser asks the server itself."""
    await stage.chat.open("scripted")
    settings = {"OPENAI_API_BASE_URLS": [f"{stage.server.url}/v1"], "OPENAI_API_KEYS": ["any"]}
    connections = {**settings, "OPENAI_API_CONFIGS": {"0": {"enable": True, "prefix_id": "direct"}}}
    await stage.chat.api("/api/v1/users/user/settings/update", {"ui": {"directConnections": connections}})
    await stage.chat.open("direct.scripted")
    looks = await stage.ask(provider.FIRST)
    await stage.picture("direct")
    await stage.chat.api("/api/v1/users/user/settings/update", {"ui": {}})
    assert "4711" in looks[-1].text, looks[-1]
    return f"status line: {looks[-1].status or 'none'}"


STEPS: Final = (
    Step("file", _file),
    Step("image", _image),
    Step("workspace-model", _workspace_model),
    Step("direct", _direct),
)
