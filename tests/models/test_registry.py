"""Configured models are opened once, shared, and closed; what cannot be opened is told at once."""

from pathlib import Path
from typing import Any

import pytest
from autogen_core.models import ModelFamily, UserMessage
from pydantic import TypeAdapter

from aiostream_server.config.model import ModelConfig, ModelInfoConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.families import model_info_of
from aiostream_server.models.registry import open_models
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider

CONFIG: TypeAdapter[dict[str, ModelConfig]] = TypeAdapter(dict[str, ModelConfig])
REPLAY = {
    "provider": "autogen_ext.models.replay.ReplayChatCompletionClient",
    "config": {"chat_completions": ["played"]},
}


def config(**models: dict[str, Any]) -> dict[str, ModelConfig]:
    return CONFIG.validate_python(models)


async def test_all_three_kinds() -> None:
    """OpenAI-compatible, component and demo: each answers by its name."""
    async with ScriptedProvider() as scripted:
        scripted.script(ScriptedAnswer("scripted"))
        models = config(
            remote={"provider": "openai", "model": "m", "base_url": scripted.base_url},
            other={"provider": "component", "component": REPLAY},
            demo={"provider": "demo"},
        )
        async with open_models(models) as opened:
            assert opened.names == ("remote", "other", "demo")
            assert opened.client("remote") is opened.client("remote"), "shared"
            question = [UserMessage(content="What is 15% of 850?", source="user")]
            answers = [(await opened.client(name).create(question)).content for name in opened.names]
    assert answers[:2] == ["scripted", "played"]
    assert answers[2]


async def test_unknown_model() -> None:
    async with open_models(config(a={"provider": "component", "component": REPLAY})) as models:
        with pytest.raises(ConfigError, match=r"there is no model 'b': the configuration has \[models.a\]"):
            models.client("b")
    async with open_models({}) as models:
        with pytest.raises(ConfigError, match="the configuration has none at all"):
            models.client("default")


async def test_every_mistake_at_once() -> None:
    models = config(
        a={"provider": "component", "component": Path("/nowhere.json")},
        b={"provider": "openai", "model": "m", "base_url": "http://host:99999"},
        c={"provider": "component", "component": REPLAY},
    )
    with pytest.raises(ConfigError) as error:
        async with open_models(models):
            pass
    first, second = error.value.problems
    assert first == "[models.a] /nowhere.json: FileNotFoundError: No such file or directory"
    assert second.startswith("[models.b] ")


@pytest.mark.parametrize(
    ("name", "family", "vision", "structured"),
    [
        ("gpt-4o-mini", ModelFamily.GPT_4O, True, True),
        ("openai/gpt-4.1-nano", ModelFamily.GPT_41, True, True),
        ("gpt-4-0613", ModelFamily.GPT_4, False, False),
        ("gpt-5", ModelFamily.GPT_5, True, True),
        ("deepseek-r1:7b", ModelFamily.R1, False, False),
        ("meta-llama/Llama-3.3-70B-Instruct", ModelFamily.LLAMA_3_3_70B, False, False),
        ("claude-sonnet-4-20250514", ModelFamily.CLAUDE_4_SONNET, True, False),
        ("qwen2.5:7b", ModelFamily.UNKNOWN, False, False),
    ],
)
def test_model_info_by_name(name: str, family: str, vision: bool, structured: bool) -> None:
    info = model_info_of(name, None)
    assert (info["family"], info["vision"], info["structured_output"]) == (family, vision, structured)


def test_configured_model_info_counts_and_the_rest_is_by_name() -> None:
    """Only what was said: the defaults of the configuration are not a statement about the model."""
    info = model_info_of("gpt-4o", ModelInfoConfig(function_calling=False))
    assert info["function_calling"] is False
    assert info["vision"] is True
    assert info["family"] == ModelFamily.GPT_4O
