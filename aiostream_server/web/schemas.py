"""The JSON schemas of what comes in and goes out, for `web.openapi`.

Written by hand, for what clients may send is wider than the shapes it becomes: null is the same as absent, a text the
same as a list of one part. What a schema cannot say stands in descriptions. Unknown fields are ignored.
"""

from typing import Final, get_args

from aiostream_server.web.run_schemas import run_schemas
from aiostream_server.web.shapes import COUNT, FLAG, TEXT, USAGE, Schema, list_of, one_of, or_null, ref, shape
from aiostream_server.web.traffic import Phase
from aiostream_server.wire.completion import WireFinishReason
from aiostream_server.wire.data_url import IMAGE_TYPES
from aiostream_server.wire.messages import Detail
from aiostream_server.wire.request import ChatRequest


def _content(*parts: str) -> Schema:
    """A text, or a list of parts."""
    return {"anyOf": [TEXT, list_of({"anyOf": [ref(part) for part in parts]}, minItems=1)]}


def _choices_of(field: str) -> Schema:
    """The words that a field of `ChatRequest` takes."""
    (words, _) = get_args(ChatRequest.model_fields[field].annotation)
    return one_of(*get_args(words))


_SECONDS: Final[Schema] = {"type": "number", "minimum": 0}
_NAME: Final = or_null(TEXT)
_TOKENS: Final = or_null({"type": "integer", "minimum": 1})
_PENALTY: Final = or_null({"type": "number", "minimum": -2, "maximum": 2})
_MEDIA: Final = "|".join(kind.removeprefix("image/") for kind in IMAGE_TYPES)
_BASE64: Final = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)"

_IN: Final[Schema] = {
    "TextPart": shape({"type": {"const": "text"}, "text": TEXT}),
    "RefusalPart": shape({"type": {"const": "refusal"}, "refusal": TEXT}),
    "ImagePart": shape(
        {
            "type": {"const": "image_url"},
            "image_url": shape(
                {
                    "url": {
                        "type": "string",
                        "pattern": f"^data:image/({_MEDIA});base64,{_BASE64}$",
                        "description": "A data URL; nothing is fetched.",
                    }
                },
                {"detail": or_null(one_of(*get_args(Detail)))},
            ),
        }
    ),
    "SystemMessage": shape({"role": one_of("system", "developer"), "content": _content("TextPart")}, {"name": _NAME}),
    "UserMessage": shape({"role": {"const": "user"}, "content": _content("TextPart", "ImagePart")}, {"name": _NAME}),
    "AssistantMessage": {
        **shape(
            {"role": {"const": "assistant"}},
            {
                "content": or_null(_content("TextPart", "RefusalPart")),
                "refusal": or_null(TEXT),
                "tool_calls": or_null(list_of(ref("ToolCall"))),
                "name": _NAME,
            },
        ),
        "anyOf": [
            {"required": ["content"], "properties": {"content": {"type": ["string", "array"]}}},
            {"required": ["refusal"], "properties": {"refusal": TEXT}},
            {"required": ["tool_calls"], "properties": {"tool_calls": {"type": "array", "minItems": 1}}},
        ],
    },
    "ToolMessage": shape({"role": {"const": "tool"}, "content": _content("TextPart"), "tool_call_id": TEXT}),
    "ToolCall": shape(
        {"id": TEXT, "type": {"const": "function"}, "function": shape({"name": TEXT, "arguments": TEXT})}
    ),
    "Message": {
        "oneOf": [ref(f"{role}Message") for role in ("System", "User", "Assistant", "Tool")],
        "discriminator": {
            "propertyName": "role",
            "mapping": {
                role: f"#/components/schemas/{shape}Message"
                for role, shape in (
                    ("system", "System"),
                    ("developer", "System"),
                    ("user", "User"),
                    ("assistant", "Assistant"),
                    ("tool", "Tool"),
                )
            },
        },
    },
    "ChatRequest": {
        "description": "Fields that are not listed are ignored. Integers have no fraction: `1`, not `1.0`.",
        **shape(
            {
                "model": {
                    "type": "string",
                    "minLength": 1,
                    "description": "A team's id, or `auto`.",
                    "examples": ["auto"],
                },
                "messages": {
                    **list_of(ref("Message"), minItems=1),
                    "contains": {"type": "object", "required": ["role"], "properties": {"role": {"const": "user"}}},
                    "description": (
                        "At least one is the user's. Where the last one is (system messages aside), it must not be "
                        "blank. A tool's message answers a call of the assistant's message before it."
                    ),
                    "examples": [[{"role": "user", "content": "What is 15% of 850?"}]],
                },
            },
            {
                "stream": or_null(FLAG),
                "stream_options": or_null(shape({}, {"include_usage": or_null(FLAG)})),
                "n": or_null({"type": "integer", "const": 1}),
                "max_tokens": _TOKENS,
                "max_completion_tokens": _TOKENS,
                "temperature": or_null({"type": "number", "minimum": 0, "maximum": 2}),
                "top_p": or_null({"type": "number", "minimum": 0, "maximum": 1}),
                "seed": or_null({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}),
                "presence_penalty": _PENALTY,
                "frequency_penalty": _PENALTY,
                "reasoning_effort": or_null(_choices_of("reasoning_effort")),
                "verbosity": or_null(_choices_of("verbosity")),
                "response_format": or_null(shape({"type": {"const": "text"}})),
                "modalities": or_null(list_of({"const": "text"})),
                "audio": {"type": "null"},
            },
        ),
    },
}

_MODEL: Final = shape(
    {
        "id": TEXT,
        "object": {"const": "model"},
        "created": COUNT,
        "owned_by": TEXT,
        "name": TEXT,
        "description": TEXT,
        "info": shape(
            {
                "meta": shape(
                    {
                        "description": TEXT,
                        "capabilities": {"type": "object", "additionalProperties": FLAG},
                        "suggestion_prompts": list_of(
                            shape({"content": TEXT, "title": list_of(TEXT, minItems=2, maxItems=2)})
                        ),
                    }
                )
            }
        ),
    }
)
_FINISH_REASON: Final = one_of(*get_args(WireFinishReason))
_CHOICE: Final = shape(
    {
        "index": {"const": 0},
        "message": shape({"role": {"const": "assistant"}, "content": TEXT}, {"reasoning_content": TEXT}),
        "finish_reason": _FINISH_REASON,
    }
)
_DELTA: Final = shape(
    {
        "index": {"const": 0},
        "delta": shape({}, {"role": {"const": "assistant"}, "content": TEXT, "reasoning_content": TEXT}),
        "finish_reason": or_null(_FINISH_REASON),
    }
)

_OUT: Final[Schema] = {
    "Model": _MODEL,
    "Models": shape({"object": {"const": "list"}, "data": list_of(ref("Model"))}),
    "Completion": shape(
        {
            "id": TEXT,
            "object": {"const": "chat.completion"},
            "created": COUNT,
            "model": TEXT,
            "choices": list_of(_CHOICE, minItems=1, maxItems=1),
            "usage": USAGE,
        }
    ),
    "Event": shape(
        {
            "data": {
                "anyOf": [
                    {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "contentSchema": {"anyOf": [ref("Chunk"), ref("Error")]},
                    },
                    {"const": "[DONE]"},
                ],
                "description": "A chunk each, perhaps an error behind them, and `[DONE]` last.",
            }
        }
    ),
    "Chunk": shape(
        {
            "id": TEXT,
            "object": {"const": "chat.completion.chunk"},
            "created": COUNT,
            "model": TEXT,
            "choices": list_of(_DELTA, maxItems=1),
        },
        {"usage": USAGE},
    ),
    "Health": shape({"status": {"const": "ok"}}),
    "Readiness": shape(
        {"status": one_of(*get_args(Phase)), "live_runs": COUNT, "viewers": COUNT, "queued": COUNT},
        {"loop_lag_s": _SECONDS, "loop_lag_max_s": _SECONDS},
    ),
    "Error": shape(
        {"error": shape({"message": TEXT, "type": TEXT, "param": {"type": ["string", "null"]}, "code": TEXT})}
    ),
}

SCHEMAS: Final[Schema] = {**_IN, **_OUT, **run_schemas(_IN["ChatRequest"])}
