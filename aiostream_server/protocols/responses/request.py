"""OpenAI's Responses request, as far as this server reads it, and the question it asks.

`docs/responses.md` says what becomes of every field; ignored ones are not even looked at.
https://platform.openai.com/docs/api-reference/responses/create
"""

from dataclasses import replace
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.answer_form import AnswerForm
from aiostream_server.intake.body import Shape
from aiostream_server.intake.client_tools import ToolChoice
from aiostream_server.intake.conversation import ConversationName
from aiostream_server.intake.question import Question, Turn, question_of
from aiostream_server.protocols.chat.answer_form import ResponseFormat, SchemaSpec, Tools, read_form
from aiostream_server.protocols.chat.answer_form import ToolChoice as AnyToolChoice
from aiostream_server.protocols.chat.client_tools import read_client_tools, read_tool_choice
from aiostream_server.protocols.chat.request import ReasoningEffort, TokenBound, Verbosity
from aiostream_server.protocols.json_schema import ref
from aiostream_server.protocols.responses.input import INPUT_SHAPES, Items
from aiostream_server.protocols.responses.input_turns import referred_run, turns_of

_OBJECT: Final = {"type": "object"}
_FORMATS: Final = ("text", "json_object", "json_schema")


class TextFormat(Shape):
    """`text.format`. `strict` makes no difference: an answer is always compared with the schema."""

    type: Annotated[str, WithJsonSchema({"enum": [*_FORMATS]})] = "text"
    name: str = "answer"
    description: str = ""
    form: Annotated[dict[str, Any] | None, Field(alias="schema"), WithJsonSchema(_OBJECT)] = None
    strict: bool = False


class TextOptions(Shape):
    format: TextFormat = TextFormat()
    verbosity: Verbosity = None


class ReasoningOptions(Shape):
    effort: ReasoningEffort = None


class ConversationReference(Shape):
    id: ConversationName


_NAME: Final = TypeAdapter(ConversationName).json_schema()


def _as_items(value: object) -> object:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


def _as_reference(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


_ITEMS_SCHEMA: Final = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "minItems": 1, "items": {"anyOf": [ref(shape.__name__) for shape in INPUT_SHAPES]}},
    ],
    "description": "A question; or messages, calls of the client's tools with their outputs, and references to items.",
    "examples": ["What is 15% of 850?"],
}
_Input: TypeAlias = Annotated[Items, BeforeValidator(_as_items), WithJsonSchema(_ITEMS_SCHEMA)]
_Conversation: TypeAlias = Annotated[
    ConversationReference,
    BeforeValidator(_as_reference),
    WithJsonSchema({"anyOf": [_NAME, {"type": "object", "required": ["id"], "properties": {"id": _NAME}}]}),
]


class ResponsesRequest(Shape):
    """A request that can be answered."""

    model_config = ConfigDict(json_schema_extra={"description": "Fields that are not listed are ignored."})

    model: Annotated[str, Field(min_length=1, description="A team's id, or `auto`.", examples=["auto"])]
    input: _Input
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: _Conversation | None = None
    stream: bool = False
    store: bool = True
    background: bool = False
    max_output_tokens: TokenBound = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    text: TextOptions = TextOptions()
    reasoning: ReasoningOptions = ReasoningOptions()
    tools: Tools = None
    tool_choice: AnyToolChoice = None
    parallel_tool_calls: bool = True
    metadata: dict[str, str] | None = None
    truncation: Literal["auto", "disabled"] = "disabled"
    max_tool_calls: Annotated[int, Field(ge=0)] | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    prompt: Annotated[object, WithJsonSchema({"type": "null"})] = None

    @property
    def nested_tools(self) -> Any:
        """The tools in the form of chat completions, where a function is an object of its own."""
        return [_nested(tool) for tool in self.tools] if isinstance(self.tools, list) else self.tools

    @property
    def choice(self) -> ToolChoice:
        return replace(read_tool_choice(_nested_choice(self.tool_choice)), is_parallel=self.parallel_tool_calls)


def read_question(request: ResponsesRequest) -> tuple[Question, str | None]:
    """The question, and the run that its references continue. Raises `InvalidRequest`."""
    _check(request)
    referred, items = referred_run(request.input)
    is_chained = referred is not None or request.previous_response_id is not None or request.conversation is not None
    turns = turns_of(items, is_chained=is_chained)
    if request.instructions:
        turns = (Turn("system", request.instructions), *turns)
    try:
        tools, choice = read_client_tools(request.nested_tools), request.choice
        form = _form(request, choice)
    except InvalidRequest as exc:
        raise _renamed(exc) from exc
    bound = request.max_output_tokens
    question = question_of(turns, _options(request), bound, form, field="input", is_chained=is_chained)
    question = replace(question, client_tools=tools, tool_choice=choice, max_own_calls=request.max_tool_calls)
    return question, referred


def _check(request: ResponsesRequest) -> None:
    if request.prompt is not None:
        raise _wrong("prompt", "no prompts are stored here: send `instructions` and `input`")
    if request.previous_response_id is not None and request.conversation is not None:
        raise _wrong("conversation", "send either this or previous_response_id")
    if request.background and not request.store:
        raise _wrong("background", "needs `store`: a response that is not stored cannot be read later")


def _options(request: ResponsesRequest) -> dict[str, object]:
    options = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "reasoning_effort": request.reasoning.effort,
        "verbosity": request.text.verbosity,
    }
    return {name: value for name, value in options.items() if value is not None}


def _form(request: ResponsesRequest, choice: ToolChoice) -> AnswerForm | None:
    wanted = request.text.format
    spec = SchemaSpec(name=wanted.name, description=wanted.description, schema=wanted.form, strict=wanted.strict)
    return read_form(ResponseFormat(type=wanted.type, json_schema=spec), request.nested_tools, choice, None)


def _renamed(error: InvalidRequest) -> InvalidRequest:
    """Chat completions name the field otherwise."""
    message, param = str(error), error.param or ""
    for theirs, ours in (("response_format.json_schema", "text.format"), ("response_format", "text.format")):
        message, param = message.replace(theirs, ours), param.replace(theirs, ours)
    return InvalidRequest(message.replace("].function.", "]."), param=param.replace("].function.", "]."))


def _nested(tool: Any) -> Any:
    match tool:
        case {"type": "function", "name": str()}:
            return {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}
    return tool


def _nested_choice(choice: Any) -> Any:
    match choice:
        case {"type": "function", "name": str() as name}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools", "mode": mode, "tools": list() as tools}:
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [*map(_nested, tools)]}}
    return choice


def _wrong(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {problem}", param=field)
