"""Puts a team's answer into the form that a request asks for: one more call of the answering agent's model.

An answer that fits already is taken as it is. Where the provider constrains its output to the schema, the JSON is
streamed as it comes. Otherwise the model is told the schema, and is asked once more where its answer does not fit.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import ToolSchema

from aiostream_server.errors import ConfigError, ModelFailed, SchemaNotMet
from aiostream_server.intake.answer_form import AnswerForm, JsonForm, ToolForm
from aiostream_server.intake.question import Question
from aiostream_server.models.call_facts import CallFacts
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.ending import without_remark
from aiostream_server.models.live_arguments import CallPiece
from aiostream_server.models.provider import End, ModelLabel, TextDelta, ThoughtDelta
from aiostream_server.models.token_sink import current_sink
from aiostream_server.runs.recorder import Recorder
from aiostream_server.teams.autogen_private.structure import client_of_agent
from aiostream_server.teams.catalogue import TeamSpec

_ATTEMPTS: Final = 2
_MAX_TEXT_CHARS: Final = 100_000
_REFUSES: Final = re.compile(
    r"response.?format|schema|grammar|structured|tool_choice|json.?(mode|object)|mime type", re.IGNORECASE
)
_KNOWS_NONE: Final = re.compile(
    r"not support|unsupported|not available|unavailable|unknown|unrecogni[sz]ed", re.IGNORECASE
)
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_MAX_NAME_CHARS: Final = 64
_TASK: Final = "You put an answer that is given to you into JSON. You add nothing to what it says."
_ALONE: Final = "Write the JSON alone, without words around it and without a code fence."

_log = structlog.get_logger()


async def put_in_form(
    form: AnswerForm, question: Question, team: object, spec: TeamSpec, recorder: Recorder, token: CancellationToken
) -> None:
    """Make the recorder's answer one in the form. Raises `SchemaNotMet`, and what a model call raises."""
    from aiostream_server.runs.formed_answer import Formed, fitted  # takes 0.1 s, and few requests need it

    said = recorder.answer or recorder.last
    if said is None:
        raise SchemaNotMet("the team said nothing that could be put into the JSON that the request asks for")
    if recorder.ended in ("refusal", "content_filter"):
        return  # nothing to put into a form: the client is told how it ended
    if isinstance(form, JsonForm):
        ready = await asyncio.to_thread(fitted, said.content, form.schema)
        if isinstance(ready, Formed):
            recorder.answer_in_form(said.agent, ready.text)
            return
    client = _client_of(team, spec, said.agent).speaking_as(said.agent)
    await _LastCall(form, recorder, client, said.agent, token).make(_conversation(question, said.content))


def _client_of(team: object, spec: TeamSpec, agent: str) -> StreamingClient:
    """The model of the agent that answered; of a team without one, the team's `model`."""
    found = client_of_agent(team, agent)
    if isinstance(found, StreamingClient):
        return found
    if isinstance(found, ChatCompletionClient):
        from aiostream_server.models.component_provider import provider_of  # a factory brings its own client

        return StreamingClient(provider_of(found), label=ModelLabel(agent, type(found).__name__, "component", None))
    try:
        return spec.context.model()
    except ConfigError as exc:
        raise SchemaNotMet("no model can put the team's answer into JSON: configure [models.default]") from exc


def _conversation(question: Question, answer: str) -> list[LLMMessage]:
    """The client's instructions, its last question with what came after it, and the team's answer."""
    systems = [turn.text for turn in question.history if turn.role == "system"]
    turns = [turn for turn in (*question.history, question.task) if turn.role != "system"]
    last = max(index for index, turn in enumerate(turns) if turn.role == "user" and turn.text == question.asked[-1])
    asked: list[str] = []
    for turn in turns[last:]:
        asked += [turn.text, *(f"{call.name}({call.arguments})" for call in turn.tool_calls)]
    return [
        SystemMessage(content="\n\n".join((_TASK, *systems))[:_MAX_TEXT_CHARS]),
        UserMessage(content="\n\n".join(filter(None, asked))[:_MAX_TEXT_CHARS] or "…", source="user"),
        AssistantMessage(content=answer[:_MAX_TEXT_CHARS], source="assistant"),
    ]


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to ask a model for a form. `is_streamed`: the provider sees to it that what it sends fits."""

    request: str
    is_streamed: bool = False
    json_output: bool = False
    response_format: Mapping[str, Any] | None = None
    tools: Sequence[ToolSchema] = ()


@dataclass(slots=True)
class _LastCall:
    form: AnswerForm
    recorder: Recorder
    client: StreamingClient
    agent: str
    token: CancellationToken
    messages: list[LLMMessage] = field(default_factory=list)

    async def make(self, conversation: Sequence[LLMMessage]) -> None:
        ways = self._ways()
        for way in ways:
            self.messages = [*conversation, UserMessage(content=way.request, source="user")]
            try:
                await self._try(way)
                return
            except ModelFailed as failure:
                # A provider that does not take a schema, or not this one, says so; any other failure is one.
                is_refused = type(failure) is ModelFailed and _REFUSES.search(str(failure))
                if way is ways[-1] or not is_refused or self.recorder.has_begun_answer:
                    raise
                _log.warning("answer_form_refused", model=self.client.label.name)
                if way.response_format is not None and _KNOWS_NONE.search(str(failure)):
                    self.client.refuses_schemas()

    async def _try(self, way: _Way) -> None:
        from aiostream_server.runs.formed_answer import Formed

        reason = ""
        for _ in range(1 if way.is_streamed else _ATTEMPTS):
            result = await self._ask(way)
            fitting = await asyncio.to_thread(self._compared, result)
            if isinstance(fitting, Formed):
                if not way.is_streamed:
                    self.recorder.answer_in_form(self.agent, fitting.text, fitting.tool)
                return
            if way.is_streamed and self.recorder.ended in ("length", "refusal", "content_filter"):
                return  # the client is told how it ended
            if result.finish_reason == "length":
                self._cut_short(result)
                return
            reason = fitting.reason
            self.messages.append(AssistantMessage(content=_text_of(result) or "…", source="assistant"))
            self.messages.append(UserMessage(content=f"That does not fit: {reason}. {way.request}", source="user"))
        raise SchemaNotMet(f"the model's answer does not fit what the request asks for: {reason}")

    async def _ask(self, way: _Way) -> CreateResult:
        options: dict[str, Any] = {} if way.response_format is None else {"response_format": way.response_format}
        if way.is_streamed:
            self.recorder.begin_last_call(self.agent)
            return await self.client.create(self.messages, extra_create_args=options, cancellation_token=self.token)
        with _unheard(self.recorder):
            return await self.client.create(
                self.messages,
                tools=way.tools,
                tool_choice="required" if way.tools else "auto",
                json_output=way.json_output,
                extra_create_args={**self.recorder.options, **options},
                cancellation_token=self.token,
            )

    def _compared(self, result: CreateResult) -> Any:
        from aiostream_server.runs import formed_answer

        match self.form, result.content:
            case JsonForm(schema=schema), str() as text:
                return formed_answer.fitted(text, schema, is_amid_words=True)
            case ToolForm(tools=tools), str() as text:
                return formed_answer.fitted_choice(text, tools)
            case ToolForm(tools=tools), calls:
                return formed_answer.fitted_call(cast("Sequence[FunctionCall]", calls), tools)
        return formed_answer.Misfit("it is a call of a tool, and not JSON")

    def _cut_short(self, result: CreateResult) -> None:
        """As with OpenAI: half an answer, which says that it is one."""
        call = result.content[0] if not isinstance(result.content, str) and result.content else None
        text = without_remark(_text_of(result))
        self.recorder.answer_in_form(self.agent, text, "" if call is None else call.name, end="length")

    def _ways(self) -> list[_Way]:
        """The best first."""
        info = self.client.model_info
        match self.form:
            case ToolForm(tools=tools) as form:
                schemas = [_tool_schema(tool.name, tool.description, tool.parameters.schema) for tool in tools]
                names = " or ".join(f"`{tool.name}`" for tool in tools)
                calling = [_Way(f"Call the tool {names} with what this answer says.", tools=schemas)]
                told = [_Way(_told_tools(form), json_output=info["json_output"])]
                return [*(calling if info["function_calling"] else ()), *told]
            case JsonForm() as form:
                schema, request = form.schema, _told_schema(form)
                told = [_Way(request, json_output=info["json_output"] and schema.is_of_objects)]
                if not self.client.takes_schemas:
                    return told
                is_sure = schema.is_strict or not form.name
                return [_Way(request, is_streamed=is_sure, response_format=_response_format(form)), *told]


def _told_schema(form: JsonForm) -> str:
    if not form.name:
        return f"Give this answer as one JSON object, in the form that was asked for above if one was. {_ALONE}"
    described = f" ({form.description})" if form.description else ""
    return f"Give this answer as JSON that fits this JSON schema{described}:\n\n{form.schema.text}\n\n{_ALONE}"


def _told_tools(form: ToolForm) -> str:
    tools = "\n\n".join(f"{tool.name}: {tool.description}\n{tool.parameters.text}" for tool in form.tools)
    if len(form.tools) == 1:
        return (
            f"Give this answer as the arguments of this function, as JSON that fits its schema:\n\n{tools}\n\n{_ALONE}"
        )
    wanted = '{"tool": the name, "arguments": {...}}'
    return f"Give this answer as a call of one of these functions, as {wanted}:\n\n{tools}\n\n{_ALONE}"


def _response_format(form: JsonForm) -> Mapping[str, Any]:
    if not form.name:
        return {"type": "json_object"}
    name = _NOT_IN_A_NAME.sub("_", form.name)[:_MAX_NAME_CHARS]
    spec = {"name": name, "strict": form.schema.is_strict, "schema": form.schema.schema}
    if form.description:
        spec["description"] = form.description
    return {"type": "json_schema", "json_schema": spec}


def _tool_schema(name: str, description: str, parameters: Mapping[str, Any]) -> ToolSchema:
    return cast("ToolSchema", {"name": name, "description": description, "parameters": parameters})


def _text_of(result: CreateResult) -> str:
    if isinstance(result.content, str):
        return result.content
    return "\n".join(call.arguments for call in result.content)


@contextmanager
def _unheard(recorder: Recorder) -> Iterator[None]:
    """Model calls are counted meanwhile, and not shown."""
    previous = current_sink.set(_Unheard(recorder))
    try:
        yield
    finally:
        current_sink.reset(previous)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _Unheard:
    """A `TokenSink` of calls that are not shown."""

    recorder: Recorder

    options: Mapping[str, Any] = field(default_factory=dict)
    is_full: bool = False

    def hears(self, speaker: str | None) -> bool:
        return False

    def may_call(self, speaker: str | None) -> bool:
        return True

    def allowed(self, speaker: str | None, calls: list[FunctionCall]) -> list[FunctionCall]:
        return calls

    def alive(self) -> None:
        self.recorder.alive()

    async def room(self) -> None:
        return

    def calling(self, speaker: str | None, model: str) -> None:
        self.recorder.calling(speaker, model)

    def retrying(self, reason: str, delay_s: float) -> None:
        self.recorder.retrying(reason, delay_s)

    def say(self, speaker: str | None, deltas: Sequence[TextDelta | ThoughtDelta]) -> bool:
        return True

    def write_call(self, speaker: str | None, piece: CallPiece) -> None:
        return

    async def returned(self, speaker: str | None, results: Sequence[FunctionExecutionResult]) -> None:
        return

    async def said(
        self,
        speaker: str | None,
        *,
        text: str,
        thought: str,
        calls: Sequence[FunctionCall],
        end: End,
    ) -> None:
        return

    def failed(self, error: ModelFailed) -> None:
        self.recorder.failed(error)

    async def spent(self, speaker: str | None, usage: RequestUsage, facts: CallFacts) -> None:
        await self.recorder.spent(speaker, usage, facts)
