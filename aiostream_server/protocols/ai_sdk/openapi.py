"""What `openapi.json` says of the AI SDK's chats."""

from typing import Any, Final

from aiostream_server.protocols.ai_sdk.messages import MESSAGE_SHAPES
from aiostream_server.protocols.ai_sdk.request import UIChatRequest
from aiostream_server.protocols.json_schema import Schema, request_schemas
from aiostream_server.protocols.openapi import (
    ASKING,
    READING,
    SENDING,
    Described,
    asking_headers,
    events,
    in_path,
    json_body,
    json_text,
    object_of,
    operation,
    refused,
    response,
)

_TYPES: Final = (
    *("start", "start-step", "finish-step", "finish", "abort", "error", "message-metadata"),
    *(f"{part}-{step}" for part in ("text", "reasoning") for step in ("start", "delta", "end")),
    *("tool-input-start", "tool-input-delta", "tool-input-available", "tool-approval-request"),
    *("tool-output-available", "tool-output-error", "source-document", "file"),
    *(f"data-{name}" for name in ("routing", "waiting", "validation", "input", "notice", "dropped", "restarted")),
)
_CHUNK: Final[Schema] = {
    "description": "https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol",
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"enum": [*_TYPES]}},
}


def described() -> Described:
    frames = {"anyOf": [json_text("UIMessageChunk"), {"const": "[DONE]"}]}
    schemas = {
        **request_schemas(UIChatRequest, *MESSAGE_SHAPES),
        "UIMessageChunk": _CHUNK,
        "UIMessageEvent": {"description": "A chunk each; `[DONE]` is the last.", **object_of(data=frames)},
    }
    paths = {
        "/v1/ai-sdk/{model}": {"post": _ask()},
        "/v1/ai-sdk/{model}/{chat}/stream": {"get": _resume()},
        "/v1/ai-sdk/{model}/{chat}/stop": {"post": _stop()},
    }
    return Described(paths, schemas)


def _ask() -> dict[str, Any]:
    answer = response("The message, as it grows.", events("UIMessageEvent"), "X-Run-Id", "Idempotent-Replayed")
    return operation(
        "sendUIMessages",
        "Ask a team, as `useChat` does.",
        {"200": answer, **refused(*ASKING)},
        parameters=[in_path("model"), *asking_headers()],
        body="UIChatRequest",
    )


def _resume() -> dict[str, Any]:
    answer = response("The message from its beginning, then live.", events("UIMessageEvent"), "X-Run-Id")
    nothing = {"description": "Nothing is being answered in this chat."}
    return operation(
        "resumeUIMessageStream",
        "Watch the answer of a chat that is being given.",
        {"200": answer, "204": nothing, **refused(*READING)},
        parameters=[in_path("model"), in_path("chat")],
    )


def _stop() -> dict[str, Any]:
    nothing = {"description": "Nothing was being answered in this chat."}
    return operation(
        "stopUIMessageStream",
        "End the answer of a chat that is being given.",
        {"200": response("Its run.", json_body("RunObject"), "X-Run-Id"), "204": nothing, **refused(*SENDING)},
        parameters=[in_path("model"), in_path("chat")],
    )
