"""The JSON schemas of what comes in and goes out, for `web.openapi`. https://json-schema.org/draft/2020-12

Written by hand, for what clients may send is wider than the shapes it becomes: null is the same as absent, a text the
same as a list of one part. What a schema cannot say stands in descriptions. Unknown fields are ignored.
"""

from typing import Any, Final, get_args

from aiostream_server.wire.completion import WireFinishReason
from aiostream_server.wire.data_url import IMAGE_TYPES
from aiostream_server.wire.messages import Detail
from aiostream_server.wire.request import ChatRequest

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _list(items: Schema, **bounds: int) -> Schema:
    return {"type": "array", "items": items, **bounds}


def _content(*parts: str) -> Schema:
    """A text, or a list of parts."""
    return {"anyOf": [_TEXT, _list({"anyOf": [ref(part) for part in parts]}, minItems=1)]}


def _choices_of(field: str) -> Schema:
    """The words that a field of `ChatRequest` takes."""
    (words, _) = get_args(ChatRequest.model_fields[field].annotation)
    return _one_of(*get_args(words))


_TEXT: Final[Schema] = {"type": "string"}
_FLAG: Final[Schema] = {"type": "boolean"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_NAME: Final = _or_null(_TEXT)
_TOKENS: Final = _or_null({"type": "integer", "minimum": 1})
_PENALTY: Final = _or_null({"type": "number", "minimum": -2, "maximum": 2})
_MEDIA: Final = "|".join(kind.removeprefix("image/") for kind in IMAGE_TYPES)
_BASE64: Final = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)"

_IN: Final[Schema] = {
    "TextPart": _object({"type": {"const": "text"}, "text": _TEXT}),
    "RefusalPart": _object({"type": {"const": "refusal"}, "refusal": _TEXT}),
    "ImagePart": _object(
        {
            "type": {"const": "image_url"},
            "image_url": _object(
                {
                    "url": {
                        "type": "string",
                        "pattern": f"^data:image/({_MEDIA});base64,{_BASE64}$",
                        "description": "A data URL; nothing is fetched.",
                    }
                },
                {"detail": _or_null(_one_of(*get_args(Detail)))},
            ),
        }
    ),
    "SystemMessage": _object(
        {"role": _one_of("system", "developer"), "content": _content("TextPart")}, {"name": _NAME}
    ),
    "UserMessage": _object({"role": {"const": "user"}, "content": _content("TextPart", "ImagePart")}, {"name": _NAME}),
    "AssistantMessage": {
        **_object(
            {"role": {"const": "assistant"}},
            {
                "content": _or_null(_content("TextPart", "RefusalPart")),
                "refusal": _or_null(_TEXT),
                "tool_calls": _or_null(_list(ref("ToolCall"))),
                "name": _NAME,
            },
        ),
        "anyOf": [
            {"required": ["content"], "properties": {"content": {"type": ["string", "array"]}}},
            {"required": ["refusal"], "properties": {"refusal": _TEXT}},
            {"required": ["tool_calls"], "properties": {"tool_calls": {"type": "array", "minItems": 1}}},
        ],
    },
    "ToolMessage": _object({"role": {"const": "tool"}, "content": _content("TextPart"), "tool_call_id": _TEXT}),
    "ToolCall": _object(
        {"id": _TEXT, "type": {"const": "function"}, "function": _object({"name": _TEXT, "arguments": _TEXT})}
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
        **_object(
            {
                "model": {
                    "type": "string",
                    "minLength": 1,
                    "description": "A team's id, or `auto`.",
                    "examples": ["auto"],
                },
                "messages": {
                    **_list(ref("Message"), minItems=1),
                    "contains": {"type": "object", "required": ["role"], "properties": {"role": {"const": "user"}}},
                    "description": (
                        "At least one is the user's. Where the last one is (system messages aside), it must not be "
                        "blank. A tool's message answers a call of the assistant's message before it."
                    ),
                    "examples": [[{"role": "user", "content": "What is 15% of 850?"}]],
                },
            },
            {
                "stream": _or_null(_FLAG),
                "stream_options": _or_null(_object({}, {"include_usage": _or_null(_FLAG)})),
                "n": _or_null({"type": "integer", "const": 1}),
                "max_tokens": _TOKENS,
                "max_completion_tokens": _TOKENS,
                "temperature": _or_null({"type": "number", "minimum": 0, "maximum": 2}),
                "top_p": _or_null({"type": "number", "minimum": 0, "maximum": 1}),
                "seed": _or_null({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}),
                "presence_penalty": _PENALTY,
                "frequency_penalty": _PENALTY,
                "reasoning_effort": _or_null(_choices_of("reasoning_effort")),
                "verbosity": _or_null(_choices_of("verbosity")),
                "response_format": _or_null(_object({"type": {"const": "text"}})),
                "modalities": _or_null(_list({"const": "text"})),
                "audio": {"type": "null"},
            },
        ),
    },
}

_MODEL: Final = _object(
    {
        "id": _TEXT,
        "object": {"const": "model"},
        "created": _COUNT,
        "owned_by": _TEXT,
        "name": _TEXT,
        "description": _TEXT,
        "info": _object(
            {
                "meta": _object(
                    {
                        "description": _TEXT,
                        "capabilities": {"type": "object", "additionalProperties": _FLAG},
                        "suggestion_prompts": _list(
                            _object({"content": _TEXT, "title": _list(_TEXT, minItems=2, maxItems=2)})
                        ),
                    }
                )
            }
        ),
    }
)
_FINISH_REASON: Final = _one_of(*get_args(WireFinishReason))
_USAGE: Final = _object({"prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT})
_CHOICE: Final = _object(
    {
        "index": {"const": 0},
        "message": _object({"role": {"const": "assistant"}, "content": _TEXT}, {"reasoning_content": _TEXT}),
        "finish_reason": _FINISH_REASON,
    }
)
_DELTA: Final = _object(
    {
        "index": {"const": 0},
        "delta": _object({}, {"role": {"const": "assistant"}, "content": _TEXT, "reasoning_content": _TEXT}),
        "finish_reason": _or_null(_FINISH_REASON),
    }
)

_OUT: Final[Schema] = {
    "Model": _MODEL,
    "Models": _object({"object": {"const": "list"}, "data": _list(ref("Model"))}),
    "Completion": _object(
        {
            "id": _TEXT,
            "object": {"const": "chat.completion"},
            "created": _COUNT,
            "model": _TEXT,
            "choices": _list(_CHOICE, minItems=1, maxItems=1),
            "usage": _USAGE,
        }
    ),
    "Event": _object(
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
    "Chunk": _object(
        {
            "id": _TEXT,
            "object": {"const": "chat.completion.chunk"},
            "created": _COUNT,
            "model": _TEXT,
            "choices": _list(_DELTA, maxItems=1),
        },
        {"usage": _USAGE},
    ),
    "Health": _object({"status": {"const": "ok"}}),
    "Readiness": _object({"status": _one_of("ready", "shutting_down"), "live_runs": _COUNT}),
    "Error": _object(
        {"error": _object({"message": _TEXT, "type": _TEXT, "param": {"type": ["string", "null"]}, "code": _TEXT})}
    ),
}

SCHEMAS: Final[Schema] = {**_IN, **_OUT}
