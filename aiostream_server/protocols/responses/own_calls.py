"""How a team's own tool calls are told: in a few words of reasoning, `calculate(15% of 850) = 127.5`.

Most clients run what they are shown as a call of a tool, and fail over a name that they do not know.
"""

from typing import Final

from aiostream_server.events import Action, ToolResult
from aiostream_server.intake.json_text import load
from aiostream_server.text import clipped, printable_line

_ARGUMENTS_CHARS: Final = 300
_VALUE_CHARS: Final = 120
_RESULT_CHARS: Final = 500


def call_text(call: Action) -> str:
    return f"{call.tool}({clipped(_arguments(call.arguments), _ARGUMENTS_CHARS)})"


def result_text(result: ToolResult) -> str:
    """Its summary where it has one, else its text in one line."""
    text = result.summary or printable_line(result.content[: 4 * _RESULT_CHARS])
    told = clipped(text, _RESULT_CHARS) or "nothing"
    return f"failed: {told}" if result.is_error else told


def _arguments(text: str) -> str:
    """The value of a single argument, or `name=value, …`; text that is not an object as it is."""
    try:
        arguments = load(text.encode("utf-8", "replace"))
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        return printable_line(text[: 4 * _ARGUMENTS_CHARS])
    if len(arguments) == 1:
        return _value(*arguments.values(), most_chars=_ARGUMENTS_CHARS)
    return ", ".join(f"{name}={_value(value, most_chars=_VALUE_CHARS)}" for name, value in arguments.items())


def _value(value: object, *, most_chars: int) -> str:
    text = value if isinstance(value, str) else repr(value)
    return clipped(printable_line(text[: 4 * most_chars]), most_chars)
