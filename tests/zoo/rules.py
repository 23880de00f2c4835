"""What vendors demand of a request, one function a rule. `Broken` says what is wrong, in the vendor's words.

The rules are written anew from the documentation, validators and chat templates that each vendor's class names.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

Message: TypeAlias = Mapping[str, Any]
Messages: TypeAlias = Sequence[Message]

PARTS: Final = frozenset({"text", "image_url"})
NAME: Final = r"[a-zA-Z0-9_-]{1,64}"


IN_STREAM: Final = 200  # the status of a refusal that comes as an event of the stream


class Broken(Exception):
    """A rule is broken; `status` is the vendor's."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def text_of(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content if isinstance(content, str) else ""


def calls_of(message: Message) -> Sequence[Message]:
    return message.get("tool_calls") or ()


def only_known(what: str, found: Collection[str], known: Collection[str], *, status: int = 400) -> None:
    for name in found:
        if name not in known:
            raise Broken(f"Unknown parameter: '{what}{name}'.", status)


def well_formed(messages: Messages) -> None:
    """Types only: what any JSON decoder of an OpenAI-compatible server needs."""
    if not messages:
        raise Broken("[] is too short - 'messages'")
    for at, message in enumerate(messages):
        if message.get("role") not in ("system", "user", "assistant", "tool"):
            raise Broken(f"Invalid value: '{message.get('role')}' at messages[{at}].role")
        if "tool_calls" in message and not calls_of(message):
            raise Broken(f"Invalid 'messages[{at}].tool_calls': empty array")
        _content_is_well_formed(at, message)
        for call in calls_of(message):
            _call_is_well_formed(at, call)


def _content_is_well_formed(at: int, message: Message) -> None:
    content = message.get("content")
    if content is None and not (message["role"] == "assistant" and calls_of(message)):
        raise Broken(f"Invalid value for 'content': expected a string, got null. messages[{at}]")
    if not isinstance(content, str | list | None):
        raise Broken(f"Invalid type for 'messages[{at}].content'")
    for part in content if isinstance(content, list) else ():
        if part.get("type") not in PARTS:
            raise Broken(f"Invalid value: '{part.get('type')}' at messages[{at}].content")


def _call_is_well_formed(at: int, call: Message) -> None:
    function = call.get("function") or {}
    has_id = isinstance(call.get("id"), str) and call["id"] and call.get("type") == "function"
    if not has_id or not isinstance(function.get("arguments"), str):
        raise Broken(f"Invalid 'messages[{at}].tool_calls'")
    if not re.fullmatch(NAME, function.get("name") or ""):
        raise Broken(f"Invalid 'messages[{at}].tool_calls[0].function.name': string does not match pattern")


def calls_are_answered(messages: Messages) -> None:
    """Each call by one result, right behind the message that made it; no result without its call."""
    open_calls: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise Broken("messages with role 'tool' must be a response to a preceding message with 'tool_calls'.")
            open_calls.discard(message["tool_call_id"])
            continue
        if open_calls:
            break
        open_calls = {call["id"] for call in calls_of(message)}
        if len(open_calls) < len(calls_of(message)):
            raise Broken("Duplicate tool_call ids in one message")
    if open_calls:
        raise Broken(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_calls)}"
        )


def nothing_is_empty(messages: Messages, text: str = "messages.{at}: text content blocks must be non-empty") -> None:
    for at, message in enumerate(messages):
        if not calls_of(message) and message["role"] != "tool" and not text_of(message).strip():
            raise Broken(text.format(at=at))


def system_comes_first(messages: Messages, text: str = "System message must be at the beginning.") -> None:
    if any(message["role"] == "system" for message in messages[1:]):
        raise Broken(text)


def roles_alternate(messages: Messages, text: str, *, with_tools: bool) -> None:
    """User and assistant in turns, behind the optional system message.

    `with_tools`: calls and their results stand outside of the order, as Mistral's templates have it. Else calls are an
    assistant's words and results a user's, as in templates that know no tools.
    """
    turns = [message for message in messages if message["role"] != "system"]
    if with_tools:
        turns = [message for message in turns if message["role"] != "tool" and not calls_of(message)]
    roles = ["assistant" if message["role"] == "assistant" else "user" for message in _joined_results(turns)]
    if any((role == "user") != (at % 2 == 0) for at, role in enumerate(roles)):
        raise Broken(text)


def _joined_results(messages: Messages) -> Iterator[Message]:
    """Several results in a row count as one."""
    before = ""
    for message in messages:
        if not (message["role"] == "tool" == before):
            yield message
        before = message["role"]


def ends_with_a_question(messages: Messages, text: str) -> None:
    if messages[-1]["role"] not in ("user", "tool"):
        raise Broken(text.format(role=messages[-1]["role"]))


def has_a_question(messages: Messages, text: str = "No user query found in messages.") -> None:
    if all(message["role"] != "user" for message in messages):
        raise Broken(text)


def names_tools_again(body: Mapping[str, Any], text: str) -> None:
    if not body.get("tools") and any(calls_of(message) for message in body["messages"]):
        raise Broken(text)


def json_is_named(body: Mapping[str, Any]) -> None:
    """`json_object` is refused where no message says JSON: a model could write white space for ever."""
    asked = (body.get("response_format") or {}).get("type") == "json_object"
    if asked and not any("json" in text_of(message).lower() for message in body["messages"]):
        raise Broken(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        )


def tools_are_valid(
    body: Mapping[str, Any], *, name: str = NAME, refused: Collection[str] = (), with_strict: bool = True
) -> None:
    """Unique names and complete schemas; `refused` are JSON Schema's words that the vendor does not know."""
    tools = body.get("tools")
    if tools == []:
        raise Broken("Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array.")
    for option in ("tool_choice", "parallel_tool_calls"):
        if not tools and option in body:
            raise Broken(f"'{option}' is only allowed when 'tools' are specified.")
    names: set[str] = set()
    for at, tool in enumerate(tools or ()):
        function = tool.get("function") or {}
        if tool.get("type") != "function" or not re.fullmatch(name, function.get("name") or ""):
            raise Broken(f"Invalid 'tools[{at}].function.name': string does not match pattern '^{name}$'.")
        if function["name"] in names:
            raise Broken(f"Tool names must be unique: {function['name']}")
        if "strict" in function and not with_strict:
            raise Broken(f"Unknown parameter: 'tools[{at}].function.strict'.")
        names.add(function["name"])
        schema = function.get("parameters") or {}
        if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
            raise Broken(f"Invalid schema for function '{function['name']}': schema must be an object with properties.")
        _schema_is_complete(function["name"], schema, refused)
    chosen = body.get("tool_choice")
    if isinstance(chosen, dict) and chosen["function"]["name"] not in names:
        raise Broken("Invalid 'tool_choice': no such tool")


def _schema_is_complete(tool: str, node: Any, refused: Collection[str]) -> None:
    if not isinstance(node, dict):
        raise Broken(f"Invalid schema for function '{tool}': {node!r} is not a schema.")
    for word in refused:
        if word in node:
            raise Broken(f"Invalid JSON payload received. Unknown name \"{word}\" at 'tools': Cannot find field.")
    if node.get("type") == "array" and "items" not in node:
        raise Broken(f"Invalid schema for function '{tool}': array schema missing items.")
    children = [*node.get("properties", {}).values(), *node.get("anyOf", ())]
    for child in [*children, *([node["items"]] if "items" in node else ())]:
        _schema_is_complete(tool, child, refused)


def output_schema_is_strict(body: Mapping[str, Any]) -> None:
    """https://platform.openai.com/docs/guides/structured-outputs: all properties required, no others allowed."""
    asked = body.get("response_format") or {"type": "text"}
    if asked["type"] not in ("text", "json_object", "json_schema"):
        raise Broken(f"Invalid value: '{asked['type']}' for response_format.type")
    if asked["type"] == "json_schema":
        named = asked["json_schema"]
        if not re.fullmatch(NAME, named["name"]):
            raise Broken("Invalid 'response_format.json_schema.name'")
        if named.get("strict"):
            _node_is_strict(named["schema"])


def _node_is_strict(node: Any) -> None:
    if isinstance(node, list):
        for item in node:
            _node_is_strict(item)
    if not isinstance(node, dict):
        return
    if "properties" in node:
        complete = list(node["properties"]) == list(node.get("required", ()))
        if node.get("additionalProperties") is not False or not complete:
            raise Broken(
                "Invalid schema for response_format: 'additionalProperties' is required to be supplied and to be "
                "false, 'required' to be an array including every key in properties."
            )
    if "$ref" in node and len(node) > 1:
        raise Broken("Invalid schema for response_format: $ref cannot have keywords beside it.")
    for value in node.values():
        _node_is_strict(value)
