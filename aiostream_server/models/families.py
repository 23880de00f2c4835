"""A model's capabilities by its name: AutoGen's `model_info` where the configuration does not set it.

Matches names of OpenAI, Ollama (`llama3.3:70b`), Hugging Face and OpenRouter (`meta-llama/Llama-3.3-70B-Instruct`).
"""

import re
from typing import Final, NamedTuple

from autogen_core.models import ModelFamily, ModelInfo

from aiostream_server.config.model import ModelInfoConfig


class _Family(NamedTuple):
    family: str
    vision: bool = False
    structured_output: bool = False
    json_output: bool = True
    function_calling: bool = True
    context_tokens: int = 128_000  # no API reports it; most models have this much or more


# The first pattern that matches the beginning of the name, without its organisation, decides.
_FAMILIES: Final[tuple[tuple[str, _Family], ...]] = (
    (r"gpt-5", _Family(ModelFamily.GPT_5, vision=True, structured_output=True, context_tokens=400_000)),
    (r"gpt-4\.1", _Family(ModelFamily.GPT_41, vision=True, structured_output=True, context_tokens=1_047_576)),
    (r"gpt-4\.5", _Family(ModelFamily.GPT_45, vision=True, structured_output=True)),
    (r"gpt-4o-2024-05-13", _Family(ModelFamily.GPT_4O, vision=True)),
    (r"gpt-4o(-mini)?-search-preview", _Family(ModelFamily.GPT_4O, structured_output=True)),
    (r"(chat)?gpt-4o", _Family(ModelFamily.GPT_4O, vision=True, structured_output=True)),
    (r"gpt-4-turbo-preview", _Family(ModelFamily.GPT_4)),
    (r"gpt-4-turbo", _Family(ModelFamily.GPT_4, vision=True)),
    (r"gpt-4-(1106|0125)", _Family(ModelFamily.GPT_4)),
    (r"gpt-4-32k", _Family(ModelFamily.GPT_4, context_tokens=32_768)),
    (r"gpt-4", _Family(ModelFamily.GPT_4, context_tokens=8_192)),
    (r"gpt-3\.?5-turbo-(0613|instruct)", _Family(ModelFamily.GPT_35, context_tokens=4_096)),
    (r"gpt-3\.?5", _Family(ModelFamily.GPT_35, context_tokens=16_385)),
    (r"o4", _Family(ModelFamily.O4, vision=True, structured_output=True, context_tokens=200_000)),
    (r"o3-mini", _Family(ModelFamily.O3, structured_output=True, context_tokens=200_000)),
    (r"o3", _Family(ModelFamily.O3, vision=True, structured_output=True, context_tokens=200_000)),
    (r"o1-(preview|mini)", _Family(ModelFamily.O1, json_output=False, function_calling=False)),
    (r"o1", _Family(ModelFamily.O1, vision=True, structured_output=True, context_tokens=200_000)),
    (r"(deepseek-r1|deepseek-reasoner|r1)", _Family(ModelFamily.R1)),
    (
        r"gemini-1\.5-flash",
        _Family(ModelFamily.GEMINI_1_5_FLASH, vision=True, structured_output=True, context_tokens=1_048_576),
    ),
    (
        r"gemini-1\.5-pro",
        _Family(ModelFamily.GEMINI_1_5_PRO, vision=True, structured_output=True, context_tokens=2_097_152),
    ),
    (
        r"gemini-2\.0-flash",
        _Family(ModelFamily.GEMINI_2_0_FLASH, vision=True, structured_output=True, context_tokens=1_048_576),
    ),
    (
        r"gemini-2\.5-pro",
        _Family(ModelFamily.GEMINI_2_5_PRO, vision=True, structured_output=True, context_tokens=1_048_576),
    ),
    (
        r"gemini-2\.5-flash",
        _Family(ModelFamily.GEMINI_2_5_FLASH, vision=True, structured_output=True, context_tokens=1_048_576),
    ),
    (r"claude-3-haiku", _Family(ModelFamily.CLAUDE_3_HAIKU, vision=True, context_tokens=200_000)),
    (r"claude-3-sonnet", _Family(ModelFamily.CLAUDE_3_SONNET, vision=True, context_tokens=200_000)),
    (r"claude-3-opus", _Family(ModelFamily.CLAUDE_3_OPUS, vision=True, context_tokens=200_000)),
    (r"claude-3[.-]5-haiku", _Family(ModelFamily.CLAUDE_3_5_HAIKU, vision=True, context_tokens=200_000)),
    (r"claude-3[.-]5-sonnet", _Family(ModelFamily.CLAUDE_3_5_SONNET, vision=True, context_tokens=200_000)),
    (r"claude-3[.-]7-sonnet", _Family(ModelFamily.CLAUDE_3_7_SONNET, vision=True, context_tokens=200_000)),
    (r"claude-(4-opus|opus-4)", _Family(ModelFamily.CLAUDE_4_OPUS, vision=True, context_tokens=200_000)),
    (r"claude-(4-sonnet|sonnet-4)", _Family(ModelFamily.CLAUDE_4_SONNET, vision=True, context_tokens=200_000)),
    (r"llama-?3\.3(-8b|:8b)", _Family(ModelFamily.LLAMA_3_3_8B)),
    (r"llama-?3\.3", _Family(ModelFamily.LLAMA_3_3_70B)),
    (r"llama-?4-?:?scout", _Family(ModelFamily.LLAMA_4_SCOUT, vision=True, structured_output=True)),
    (r"llama-?4-?:?maverick", _Family(ModelFamily.LLAMA_4_MAVERICK, vision=True, structured_output=True)),
    (r"codestral-mamba|open-codestral-mamba", _Family(ModelFamily.OPEN_CODESRAL_MAMBA)),
    (r"codestral", _Family(ModelFamily.CODESRAL)),
    (r"pixtral", _Family(ModelFamily.PIXTRAL, vision=True)),
    (r"ministral", _Family(ModelFamily.MINISTRAL)),
    (r"mistral", _Family(ModelFamily.MISTRAL)),
)
_BY_NAME: Final = tuple((re.compile(pattern), family) for pattern, family in _FAMILIES)
_UNKNOWN: Final = _Family(ModelFamily.UNKNOWN)


def model_info_of(model: str, configured: ModelInfoConfig | None) -> ModelInfo:
    """The `configured` capabilities, and those of the name for the rest."""
    family = _family_of(model)
    said = configured.model_dump(include=configured.model_fields_set) if configured is not None else {}
    known = {**family._asdict(), **said}
    return ModelInfo(
        vision=known["vision"],
        function_calling=known["function_calling"],
        json_output=known["json_output"],
        structured_output=known["structured_output"],
        family=known["family"],
        multiple_system_messages=True,
    )


def context_tokens_of(model: str) -> int:
    """The model's context size; a guess for an unknown name."""
    return _family_of(model).context_tokens


def _family_of(model: str) -> _Family:
    name = model.rsplit("/", 1)[-1].lower()
    return next((family for pattern, family in _BY_NAME if pattern.match(name)), _UNKNOWN)
