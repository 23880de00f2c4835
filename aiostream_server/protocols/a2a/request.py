"""The parameters of A2A's operations, as far as this server reads them, and the question that a message asks.

https://a2a-protocol.org/latest/specification/#32-operation-parameter-objects. ProtoJSON: a number may be text, null is
the same as absent, unknown fields are ignored.
"""

# ruff: noqa: N815 - fields are called as the protocol spells them

import base64
import binascii
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.body import Shape, first_problem
from aiostream_server.intake.conversation import ConversationName
from aiostream_server.intake.data_url import parse_data_url
from aiostream_server.intake.json_text import canonical
from aiostream_server.intake.question import ImagePart, Question, Turn
from aiostream_server.protocols.a2a.errors import content_type

_AnyShape = TypeVar("_AnyShape", bound=Shape)

MAX_LISTED: Final = 100
DEFAULT_LISTED: Final = 50
_MAX_KEPT_CHARS: Final = 20_000  # of a message, which the server keeps with its task

State = Literal[
    "TASK_STATE_UNSPECIFIED",
    "TASK_STATE_SUBMITTED",
    "TASK_STATE_WORKING",
    "TASK_STATE_COMPLETED",
    "TASK_STATE_FAILED",
    "TASK_STATE_CANCELED",
    "TASK_STATE_INPUT_REQUIRED",
    "TASK_STATE_REJECTED",
    "TASK_STATE_AUTH_REQUIRED",
]


def _whole(value: object) -> object:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _flag(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


_Count = Annotated[int, Field(ge=0, lt=2**31), BeforeValidator(_whole)]
_Flag = Annotated[bool, BeforeValidator(_flag)]


class MessagePart(Shape):
    """One of `text`, `raw` (base64), `url` and `data`."""

    text: str | None = None
    raw: str | None = None
    url: str | None = None
    data: Any = None
    mediaType: str = ""
    filename: str = ""


class ClientMessage(Shape):
    messageId: Annotated[str, Field(min_length=1, max_length=1_000)]
    role: Literal["ROLE_USER"]
    parts: Annotated[tuple[MessagePart, ...], Field(min_length=1, strict=False)]
    contextId: Annotated[ConversationName | None, BeforeValidator(lambda value: value or None)] = None
    taskId: Annotated[str | None, BeforeValidator(lambda value: value or None)] = None


class Configuration(Shape):
    historyLength: _Count | None = None
    returnImmediately: _Flag = False
    taskPushNotificationConfig: dict[str, Any] | None = None


class SendParams(Shape):
    message: ClientMessage
    configuration: Configuration = Configuration()


class TaskParams(Shape):
    """The parameters of `GetTask`, `CancelTask` and `SubscribeToTask`."""

    id: Annotated[str, Field(min_length=1)]
    historyLength: _Count | None = None


class ListParams(Shape):
    contextId: str = ""
    status: State = "TASK_STATE_UNSPECIFIED"
    pageSize: Annotated[int, Field(ge=1, le=MAX_LISTED), BeforeValidator(_whole)] = DEFAULT_LISTED
    pageToken: str = ""
    historyLength: _Count | None = 0
    statusTimestampAfter: str = ""
    includeArtifacts: _Flag = False


def read_params(shape: type[_AnyShape], params: Mapping[str, object]) -> _AnyShape:
    """Raises `InvalidRequest` for the first mistake."""
    try:
        return shape.model_validate(params)
    except ValidationError as exc:
        raise first_problem(exc) from exc


def question_in(message: ClientMessage) -> Question:
    """Raises `InvalidRequest`, and an error of its own for a part of a type that no team reads."""
    texts: list[str] = []
    images: list[ImagePart] = []
    for index, part in enumerate(message.parts):
        read = _read_part(part, f"message.parts[{index}]")
        if isinstance(read, str):
            texts.append(read)
        else:
            images.append(read)
    text = "\n".join(texts)
    if not text.strip() and not images:
        raise InvalidRequest("message.parts: hold neither text nor a picture", param="message.parts")
    return Question(Turn("user", text, tuple(images)))


def digest_of(message: ClientMessage, raw: object) -> str:
    """The same for a message that is sent again, whatever the order of its keys."""
    return sha256(message.messageId.encode() + b"\0" + canonical(raw)).hexdigest()


def kept_message(message: ClientMessage) -> dict[str, Any]:
    """The message as the task's history shows it: without files, and long text cut."""
    parts: list[dict[str, Any]] = []
    left = _MAX_KEPT_CHARS
    for part in message.parts:
        about: dict[str, Any] = {name: value for name in ("mediaType", "filename") if (value := getattr(part, name))}
        text = part.text if part.text is not None else f"[{part.filename or part.mediaType or 'data'}]"
        if left:
            parts.append({"text": text[:left], **about} if part.text is not None else {"text": text[:left]})
        left -= min(len(text), left)
    return {"messageId": message.messageId, "parts": parts}


def _read_part(part: MessagePart, field: str) -> str | ImagePart:
    given = [name for name in ("text", "raw", "url", "data") if getattr(part, name) is not None]
    if len(given) != 1:
        problem = "has more than one of text, raw, url and data" if given else "needs one of text, raw, url and data"
        raise InvalidRequest(f"{field}: {problem}", param=field)
    if part.text is not None:
        return part.text
    if part.raw is not None:
        return _file(part.raw, part, field)
    if part.url is not None:
        return _linked(part.url, field)
    return json.dumps(part.data, ensure_ascii=False)


def _file(raw: str, part: MessagePart, field: str) -> str | ImagePart:
    """base64 as ProtoJSON takes it: the URL-safe alphabet, too, and without padding."""
    padded = raw.replace("-", "+").replace("_", "/")
    padded += "=" * (-len(padded) % 4)
    kind = part.mediaType.lower().partition(";")[0].strip()
    if kind.startswith("image/"):
        return _image(f"data:{kind};base64,{padded}", f"{field}.raw")
    if not kind.startswith("text/") and kind not in ("application/json", "application/xml"):
        raise content_type(
            "files of this type are not read: send text, or a PNG, JPEG, GIF or WebP", f"{field}.mediaType"
        )
    try:
        return base64.b64decode(padded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"{field}.raw: expected UTF-8 text in base64", param=f"{field}.raw") from exc


def _linked(url: str, field: str) -> ImagePart:
    if not url.lower().startswith("data:"):
        raise content_type("this server does not fetch URLs: send the file in `raw`", f"{field}.url")
    return _image(url, f"{field}.url")


def _image(data_url: str, field: str) -> ImagePart:
    try:
        return parse_data_url(data_url)
    except PydanticCustomError as exc:
        raise content_type(exc.message(), field) from exc
