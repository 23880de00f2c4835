"""A model's capabilities by its name: AutoGen's `model_info` where the configuration does not set it, and which
sequences of messages its template or service refuses.

Matches names of OpenAI, Ollama (`llama3.3:70b`), Hugging Face and OpenRouter (`meta-llama/Llama-3.3-70B-Instruct`).
"""

import re
from enum import Flag, auto
from functools import partial
from typing import Final, NamedTuple, cast

from autogen_core.models import ModelFamily, ModelInfo

from aiostream_server.config.model import ModelInfoConfig


class MessageRule(Flag):
    """A demand on the messages of a request; `models.openai.sequences` meets them."""

    ROLES_ALTERNATE = auto()  # user and assistant in turns, the user first
    SYSTEM_FIRST = auto()  # one system message, at the beginning
    NO_SYSTEM = auto()
    USER_LAST = auto()  # or a tool
    HAS_USER = auto()
    NOT_EMPTY = auto()  # results and parts, too
    CALLS_ANSWERED = auto()  # each call has a result, right behind it
    SHORT_IDS = auto()  # of calls: nine letters and digits
    TEXT_OR_THOUGHT = auto()  # not both beside calls
    CALLS_AS_TEXT = auto()  # for a template that knows no tools
    TOOLS_NAMED = auto()  # where messages hold calls
    NO_TOOL_CHOICE = auto()  # for tools that are only named
    RESULTS_NAMED = auto()  # by their tools


class _Family(NamedTuple):
    family: str
    vision: bool = False
    structured_output: bool = False
    json_output: bool = True
    function_calling: bool = True
    context_tokens: int = 128_000  # no API reports it; most models have this much or more


_images: Final = partial(_Family, vision=True)
_images_and_schemas: Final = partial(_Family, vision=True, structured_output=True)

# The first pattern that matches the beginning of the name, without its organisation, decides.
_FAMILIES: Final[tuple[tuple[str, _Family], ...]] = (
    (r"gpt-5", _images_and_schemas(ModelFamily.GPT_5, context_tokens=400_000)),
    (r"gpt-4\.1", _images_and_schemas(ModelFamily.GPT_41, context_tokens=1_047_576)),
    (r"gpt-4\.5", _images_and_schemas(ModelFamily.GPT_45)),
    (r"gpt-4o-2024-05-13", _images(ModelFamily.GPT_4O)),
    (r"gpt-4o(-mini)?-search-preview", _Family(ModelFamily.GPT_4O, structured_output=True)),
    (r"(chat)?gpt-4o", _images_and_schemas(ModelFamily.GPT_4O)),
    (r"gpt-4-turbo-preview", _Family(ModelFamily.GPT_4)),
    (r"gpt-4-turbo", _images(ModelFamily.GPT_4)),
    (r"gpt-4-(1106|0125)", _Family(ModelFamily.GPT_4)),
    (r"gpt-4-32k", _Family(ModelFamily.GPT_4, context_tokens=32_768)),
    (r"gpt-4", _Family(ModelFamily.GPT_4, context_tokens=8_192)),
    (r"gpt-3\.?5-turbo-(0613|instruct)", _Family(ModelFamily.GPT_35, context_tokens=4_096)),
    (r"gpt-3\.?5", _Family(ModelFamily.GPT_35, context_tokens=16_385)),
    (r"o4", _images_and_schemas(ModelFamily.O4, context_tokens=200_000)),
    (r"o3-mini", _Family(ModelFamily.O3, structured_output=True, context_tokens=200_000)),
    (r"o3", _images_and_schemas(ModelFamily.O3, context_tokens=200_000)),
    (r"o1-(preview|mini)", _Family(ModelFamily.O1, json_output=False, function_calling=False)),
    (r"o1", _images_and_schemas(ModelFamily.O1, context_tokens=200_000)),
    (r"(deepseek-r1|deepseek-reasoner|r1)", _Family(ModelFamily.R1)),
    (r"gemini-1\.5-flash", _images_and_schemas(ModelFamily.GEMINI_1_5_FLASH, context_tokens=1_048_576)),
    (r"gemini-1\.5-pro", _images_and_schemas(ModelFamily.GEMINI_1_5_PRO, context_tokens=2_097_152)),
    (r"gemini-2\.0-flash", _images_and_schemas(ModelFamily.GEMINI_2_0_FLASH, context_tokens=1_048_576)),
    (r"gemini-2\.5-pro", _images_and_schemas(ModelFamily.GEMINI_2_5_PRO, context_tokens=1_048_576)),
    (r"gemini-2\.5-flash", _images_and_schemas(ModelFamily.GEMINI_2_5_FLASH, context_tokens=1_048_576)),
    (r"claude-3-haiku", _images(ModelFamily.CLAUDE_3_HAIKU, context_tokens=200_000)),
    (r"claude-3-sonnet", _images(ModelFamily.CLAUDE_3_SONNET, context_tokens=200_000)),
    (r"claude-3-opus", _images(ModelFamily.CLAUDE_3_OPUS, context_tokens=200_000)),
    (r"claude-3[.-]5-haiku", _images(ModelFamily.CLAUDE_3_5_HAIKU, context_tokens=200_000)),
    (r"claude-3[.-]5-sonnet", _images(ModelFamily.CLAUDE_3_5_SONNET, context_tokens=200_000)),
    (r"claude-3[.-]7-sonnet", _images(ModelFamily.CLAUDE_3_7_SONNET, context_tokens=200_000)),
    (r"claude-(4-opus|opus-4)", _images(ModelFamily.CLAUDE_4_OPUS, context_tokens=200_000)),
    (r"claude-(4-sonnet|sonnet-4)", _images(ModelFamily.CLAUDE_4_SONNET, context_tokens=200_000)),
    (r"llama-?3\.3(-8b|:8b)", _Family(ModelFamily.LLAMA_3_3_8B)),
    (r"llama-?3\.3", _Family(ModelFamily.LLAMA_3_3_70B)),
    (r"llama-?4-?:?scout", _images_and_schemas(ModelFamily.LLAMA_4_SCOUT)),
    (r"llama-?4-?:?maverick", _images_and_schemas(ModelFamily.LLAMA_4_MAVERICK)),
    (r"codestral-mamba|open-codestral-mamba", _Family(ModelFamily.OPEN_CODESRAL_MAMBA)),
    (r"codestral", _Family(ModelFamily.CODESRAL)),
    (r"pixtral", _images(ModelFamily.PIXTRAL)),
    (r"ministral", _Family(ModelFamily.MINISTRAL)),
    (r"mistral", _Family(ModelFamily.MISTRAL)),
)
_ALTERNATE: Final = MessageRule.ROLES_ALTERNATE | MessageRule.SYSTEM_FIRST
_ALTERNATE_TO_USER: Final = _ALTERNATE | MessageRule.USER_LAST
_WHOLE_CALLS: Final = MessageRule.CALLS_ANSWERED | MessageRule.NOT_EMPTY

# As above. Names that are not here take every sequence, or their refusal is learned.
_MESSAGE_RULES: Final = (
    (
        r"(open-)?(mi[sx]tral|ministral|codestral|devstral|magistral|mathstral|pixtral|voxtral)",
        _ALTERNATE_TO_USER | _WHOLE_CALLS | MessageRule.SHORT_IDS,
    ),
    (r"gemma(-1\.1)?([-:]\d+b|:|$)|gemma-?2", _ALTERNATE | MessageRule.NO_SYSTEM),
    (r"gemma", _ALTERNATE),
    (r"(code)?llama-?2|codellama", _ALTERNATE),
    (r"(deepseek-r1|deepseek-reasoner|r1)", _ALTERNATE_TO_USER),
    (r"sonar", _ALTERNATE_TO_USER),  # Perplexity's
    (r"qwen-?3\.[5-9]|qwen-?[4-9]", MessageRule.SYSTEM_FIRST | MessageRule.HAS_USER),
    (r"gemini", MessageRule.RESULTS_NAMED),
    (r"claude", _WHOLE_CALLS | MessageRule.USER_LAST | MessageRule.TOOLS_NAMED),
    (r"o1-(preview|mini)", MessageRule.NO_SYSTEM),
)
_RULES_BY_NAME: Final = tuple((re.compile(pattern), rules) for pattern, rules in _MESSAGE_RULES)
_BY_NAME: Final = tuple((re.compile(pattern), family) for pattern, family in _FAMILIES)
_UNKNOWN: Final = _Family(ModelFamily.UNKNOWN)


def model_info_of(model: str, configured: ModelInfoConfig | None) -> ModelInfo:
    """The `configured` capabilities, and those of the name for the rest."""
    known = _family_of(model)._asdict() | {"multiple_system_messages": True}
    said = configured.model_dump(include=configured.model_fields_set) if configured is not None else {}
    del known["context_tokens"]
    return cast("ModelInfo", known | said)


def context_tokens_of(model: str) -> int:
    """The model's context size; a guess for an unknown name."""
    return _family_of(model).context_tokens


def message_rules_of(model: str) -> MessageRule:
    """What the model is known to demand of a sequence of messages."""
    name = _bare(model)
    return next((rules for pattern, rules in _RULES_BY_NAME if pattern.match(name)), MessageRule(0))


def _bare(model: str) -> str:
    return model.rsplit("/", 1)[-1].lower()


def _family_of(model: str) -> _Family:
    name = _bare(model)
    return next((family for pattern, family in _BY_NAME if pattern.match(name)), _UNKNOWN)
