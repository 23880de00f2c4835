"""The items of a Responses request as turns of a conversation."""

from collections.abc import Sequence
from dataclasses import replace

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.question import ImagePart, ToolCall, Turn
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.protocols.responses.ids import OWN_CALL, run_of_item
from aiostream_server.protocols.responses.input import (
    InputCall,
    InputCallOutput,
    InputImage,
    InputItem,
    InputMessage,
    InputPart,
    InputText,
    ItemReference,
)


def referred_run(items: Sequence[InputItem]) -> tuple[str | None, Sequence[InputItem]]:
    """The run that the last reference names, and the items behind it. Raises `InvalidRequest` for another reference."""
    for place in range(len(items) - 1, -1, -1):
        if isinstance(item := items[place], ItemReference):
            if (run_id := run_of_item(item.id)) is None:
                param = f"input[{place}].id"
                raise InvalidRequest(f"{param}: there is no such item: send the item itself", param=param)
            return run_id, items[place + 1 :]
    return None, items


def turns_of(items: Sequence[InputItem], *, is_chained: bool) -> tuple[Turn, ...]:
    """`is_chained`: an earlier response may have made the calls. Raises `InvalidRequest` for the output of no call."""
    turns: list[Turn] = []
    called: set[str] = set()
    for place, item in enumerate(items):
        match item:
            case InputMessage(role="assistant"):
                _add_answer(turns, undecorate(_text(item.content)))
            case InputMessage(role="user"):
                turns.append(Turn("user", _text(item.content), _images(item.content)))
            case InputMessage():
                turns.append(Turn("system", _text(item.content)))
            case InputCall() if not item.call_id.startswith(OWN_CALL):
                called.add(item.call_id)
                _add_call(turns, ToolCall(item.call_id, item.name, item.arguments))
            case InputCallOutput() if not item.call_id.startswith(OWN_CALL):
                if item.call_id not in called and not is_chained:
                    param = f"input[{place}].call_id"
                    raise InvalidRequest(f"{param}: no function_call before it has this id", param=param)
                turns.append(Turn("tool", _text(item.output), call_id=item.call_id))
    return tuple(turns)


def _add_answer(turns: list[Turn], text: str) -> None:
    """Messages of one answer, between which the team worked, are one turn."""
    if turns and turns[-1].role == "assistant" and not turns[-1].tool_calls:
        turns[-1] = turns[-1]._replace(text=f"{turns[-1].text}\n\n{text.lstrip()}")
    else:
        turns.append(Turn("assistant", text))


def _add_call(turns: list[Turn], call: ToolCall) -> None:
    if turns and turns[-1].role == "assistant":
        turns[-1] = turns[-1]._replace(tool_calls=(*turns[-1].tool_calls, call))
    else:
        turns.append(Turn("assistant", "", tool_calls=(call,)))


def _text(content: Sequence[InputPart]) -> str:
    return "\n".join(
        part.text if isinstance(part, InputText) else part.refusal
        for part in content
        if not isinstance(part, InputImage)
    )


def _images(content: Sequence[InputPart]) -> tuple[ImagePart, ...]:
    return tuple(replace(part.image_url, detail=part.detail) for part in content if isinstance(part, InputImage))
