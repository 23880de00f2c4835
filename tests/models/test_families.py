"""What a model can do, by its name: as AutoGen's own table has it, but for what is known better."""

from typing import Final

import pytest
from autogen_ext.models.openai import _model_info as theirs

from aiostream_server.models.families import context_tokens_of, model_info_of

ABILITIES: Final = ("family", "vision", "function_calling", "json_output", "structured_output")
ELSE: Final = {  # prefix of the name: what is otherwise, and why
    "claude-": {"json_output"},  # Anthropic's own API does not know it; LiteLLM, OpenRouter and others do
    "o1-2024": {"json_output", "vision"},  # both came with this version
    "o1-preview": {"function_calling", "structured_output"},  # it never had them
    "gpt-4-1106-vision": {"vision", "function_calling", "json_output"},  # shut down in 2024
}
CONTEXT_ELSE: Final = {"claude-3-haiku-20240307", "gemini-2.5-pro-preview-03-25"}  # 200,000 and 1,048,576 tokens


@pytest.mark.parametrize(("name", "info"), theirs._MODEL_INFO.items(), ids=theirs._MODEL_INFO)
def test_models_that_autogen_knows(name: str, info: dict[str, object]) -> None:
    ours = model_info_of(name, None)
    allowed = next((otherwise for prefix, otherwise in ELSE.items() if name.startswith(prefix)), set())
    assert {ability for ability in ABILITIES if dict(ours)[ability] != info[ability]} == allowed


@pytest.mark.parametrize(("name", "tokens"), theirs._MODEL_TOKEN_LIMITS.items(), ids=theirs._MODEL_TOKEN_LIMITS)
def test_context(name: str, tokens: int) -> None:
    assert (context_tokens_of(name) == tokens) is (name not in CONTEXT_ELSE)


@pytest.mark.parametrize(("short", "name"), theirs._MODEL_POINTERS.items(), ids=theirs._MODEL_POINTERS)
def test_short_names(short: str, name: str) -> None:
    assert model_info_of(short, None) == model_info_of(name, None)
