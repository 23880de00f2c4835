"""What `openapi.json` says of chat completions and models."""

from typing import Any, get_args

from aiostream_server.config.model import Presentation
from aiostream_server.protocols.chat.chunks import Chunk
from aiostream_server.protocols.chat.errors import ErrorBody
from aiostream_server.protocols.chat.messages import MESSAGE_SHAPES
from aiostream_server.protocols.chat.models import ModelList, ModelObject
from aiostream_server.protocols.chat.request import ChatRequest
from aiostream_server.protocols.chat.whole import Completion
from aiostream_server.protocols.json_schema import answer_schemas, request_schemas
from aiostream_server.protocols.openapi import (
    ASKING,
    Described,
    asking_headers,
    events,
    get,
    in_path,
    json_body,
    json_text,
    object_of,
    operation,
    parameter,
    refused,
    response,
)


def described() -> Described:
    frames = {"anyOf": [json_text("Chunk", "ErrorBody"), {"const": "[DONE]"}]}
    schemas = {
        **request_schemas(ChatRequest, *MESSAGE_SHAPES),
        **answer_schemas(Completion, Chunk, ModelObject, ModelList, ErrorBody),
        "ChatEvent": {
            "description": "A chunk each, the last one with an error if the run failed, and `[DONE]` behind it.",
            **object_of(data=frames),
        },
    }
    paths = {
        "/v1/chat/completions": {"post": _create_completion()},
        "/v1/models": {"get": get("listModels", "The models that this key may use.", "ModelList")},
        "/v1/models/{model}": {
            "get": get("retrieveModel", "One model.", "ModelObject", "404", parameters=[in_path("model")])
        },
    }
    return Described(paths, schemas)


def _create_completion() -> dict[str, Any]:
    shown = {"type": "string", "enum": [*get_args(Presentation)]}
    content = {**json_body("Completion"), **events("ChatEvent")}
    return operation(
        "createChatCompletion",
        "Ask a team; streamed as server-sent events, or as one completion.",
        {
            "200": response("The answer.", content, "X-Run-Id", "Idempotent-Replayed"),
            **refused(*ASKING, "422", "502", "504"),
        },
        parameters=[parameter("header", "X-Presentation", "How the run is shown.", shown), *asking_headers()],
        body="ChatRequest",
    )
