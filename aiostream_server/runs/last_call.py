"""Puts a team's answer into the form that a request asks for: one more call of the answering agent's model.

An answer that fits already is taken as it is. Where the provider constrains its output to the schema, the JSON is
streamed as it comes. Otherwise the model is told the schema, and is asked once more where its answer does not fit.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from aiostream_server.errors import ConfigError, ModelFailed, SchemaNotMet
from aiostream_server.intake.answer_form import AnswerForm, JsonForm, ToolForm
from aiostream_server.intake.question import Question
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.ending import without_remark
from aiostream_server.models.provider import ModelLabel
from aiostream_server.runs.recorder import Recorder
from aiostream_server.runs.unheard_calls import unheard
from aiostream_server.runs.ways_to_ask import Way, ways_to_ask
from aiostream_server.teams.autogen_private.team_facts import client_of_agent
from aiostream_server.teams.catalogue import TeamSpec

_ATTEMPTS: Final = 2
_MAX_TEXT_CHARS: Final = 100_000
_REFUSES: Final = re.compile(
    r"response.?format|schema|grammar|structured|tool_choice|json.?(mode|object)|mime type", re.IGNORECASE
)
_KNOWS_NONE: Final = re.compile(
    r"not support|unsupported|not available|unavailable|unknown|unrecogni[sz]ed", re.IGNORECASE
)
_TASK: Final = "You put an answer that is given to you into JSON. You add nothing to what it says."

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


@dataclass(slots=True)
class _LastCall:
    form: AnswerForm
    recorder: Recorder
    client: StreamingClient
    agent: str
    token: CancellationToken
    messages: list[LLMMessage] = field(default_factory=list)

    async def make(self, conversation: Sequence[LLMMessage]) -> None:
        ways = ways_to_ask(self.form, self.client)
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

    async def _try(self, way: Way) -> None:
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

    async def _ask(self, way: Way) -> CreateResult:
        options: dict[str, Any] = {} if way.response_format is None else {"response_format": way.response_format}
        if way.is_streamed:
            self.recorder.begin_last_call(self.agent)
            return await self.client.create(self.messages, extra_create_args=options, cancellation_token=self.token)
        with unheard(self.recorder):
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


def _text_of(result: CreateResult) -> str:
    if isinstance(result.content, str):
        return result.content
    return "\n".join(call.arguments for call in result.content)
