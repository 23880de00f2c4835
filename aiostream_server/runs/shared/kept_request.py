"""What a run was asked, as it is kept in Redis where its team may begin the turn again: in MessagePack, by name.

Bounded: of a request with many or large pictures nothing is kept, and its turn does not begin again.
"""

from dataclasses import fields
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import msgpack

from aiostream_server.config.model import OnDisconnect
from aiostream_server.intake.answer_form import AnswerForm, JsonForm, OutputTool, ToolForm
from aiostream_server.intake.client_tools import AUTO, ClientTool, ToolChoice
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import Question, Turn
from aiostream_server.runs.request import RunRequest

MAX_BYTES: Final = 1024**2


class _Schema(msgspec.Struct):
    name: str
    description: str
    schema: dict[str, Any]


class _Form(msgspec.Struct):
    """Of a `ToolForm`; without `is_named`, of a `JsonForm`."""

    schemas: list[_Schema]
    is_named: bool | None = None


class _Kept(msgspec.Struct, omit_defaults=True):
    model: str
    team: str
    owner: Owner
    task: Turn
    history: tuple[Turn, ...] = ()
    options: dict[str, Any] = {}
    max_tokens: int | None = None
    max_own_calls: int | None = None
    form: _Form | None = None
    client_tools: tuple[ClientTool, ...] = ()
    tool_choice: ToolChoice = AUTO
    on_disconnect: OnDisconnect | None = None
    by_default: OnDisconnect = "cancel"
    conversation: Conversation | None = None
    link_base: str = ""
    fingerprint: str = ""
    protocol: str = ""
    kept: bytes = b""
    tells_waiting: bool = False
    start: str = ""


class KeptRequest(NamedTuple):
    """`request` is without its team; `team` is the team's id. `start` is the digest of its idempotency key."""

    request: RunRequest
    team: str
    start: str


_OF_REQUEST: Final = {*RunRequest.__struct_fields__}.intersection(_Kept.__struct_fields__)
_OF_QUESTION: Final = {field.name for field in fields(Question)}.intersection(_Kept.__struct_fields__) - {"form"}
_decode: Final = msgpack.Decoder(_Kept).decode


def pack_request(request: RunRequest, team: str, start: str) -> bytes | None:
    """None for a request that is too large to be kept."""
    question = request.question
    kept = _Kept(
        team=team,
        start=start,
        form=_packed_form(question.form),
        **{name: getattr(question, name) for name in _OF_QUESTION},
        **{name: getattr(request, name) for name in _OF_REQUEST},
    )
    packed = msgpack.encode(kept)
    return packed if len(packed) <= MAX_BYTES else None


def unpack_request(packed: bytes) -> KeptRequest:
    """Raises `msgspec.MsgspecError` for what another version has kept in another way."""
    kept = _decode(packed)
    question = Question(form=_form(kept.form), **{name: getattr(kept, name) for name in _OF_QUESTION})
    request = RunRequest(question=question, **{name: getattr(kept, name) for name in _OF_REQUEST})
    return KeptRequest(request, kept.team, kept.start)


def _packed_form(form: AnswerForm | None) -> _Form | None:
    match form:
        case JsonForm():
            return _Form([_Schema(form.name, form.description, dict(form.schema.schema))])
        case ToolForm():
            return _Form(
                [_Schema(tool.name, tool.description, dict(tool.parameters.schema)) for tool in form.tools],
                form.is_named,
            )
    return None


def _form(packed: _Form | None) -> AnswerForm | None:
    if packed is None:
        return None
    from aiostream_server.intake.answer_schema import AnswerSchema  # takes 0.1 s, and few requests need it

    schemas = [(each.name, each.description, AnswerSchema(each.schema)) for each in packed.schemas]
    if packed.is_named is None:
        name, description, schema = schemas[0]
        return JsonForm(schema, name, description)
    return ToolForm([OutputTool(*each) for each in schemas], packed.is_named)
