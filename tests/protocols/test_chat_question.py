"""What a request asks: the task, the history with every role kept, and how to answer."""

import json
from typing import Any, get_args

import pytest

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.body import parse_body
from aiostream_server.intake.question import (
    CONTINUE_TASK,
    TOOL_RESULT_TASK,
    ImagePart,
    Question,
    Role,
    ToolCall,
    Turn,
)
from aiostream_server.protocols.chat.request import ChatRequest, read_question
from tests.kit.pictures import png

PNG = png().partition(",")[2]


def question(*messages: dict[str, Any], **fields: Any) -> Question:
    body = {"model": "auto", "messages": messages, **fields}
    return read_question(parse_body(json.dumps(body).encode(), ChatRequest))


def problem(*messages: dict[str, Any]) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequest) as caught:
        question(*messages)
    return caught.value.param, str(caught.value)


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def said(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def system(content: str, role: str = "system") -> dict[str, Any]:
    return {"role": role, "content": content}


def called(*ids: str) -> dict[str, Any]:
    calls = [{"id": each, "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}} for each in ids]
    return said(None, tool_calls=calls)


def result(call_id: str, content: str = "3") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_one_message_is_a_task_without_history() -> None:
    assert question(user("hi")) == Question(Turn("user", "hi"))


@pytest.mark.parametrize("role", get_args(Role)[:3])
def test_a_string_and_a_list_with_one_text_part_are_the_same_whatever_else_is_there(role: Role) -> None:
    forms = ("hi", [{"type": "text", "text": "hi"}])
    messages = [{"role": role, "content": form, **more} for form in forms for more in ({}, {"name": None}, {"id": 7})]
    for message in messages:
        assert question(message, user("go on")) == Question(Turn("user", "go on"), (Turn(role, "hi"),))


def test_the_last_user_message_is_the_task_and_the_rest_history() -> None:
    asked = question(system("be brief"), user("one", name="ann"), said("1"), user("two"))
    assert asked.task == Turn("user", "two")
    assert asked.history == (Turn("system", "be brief"), Turn("user", "one", name="ann"), Turn("assistant", "1"))


def test_system_and_developer_are_the_same_wherever_they_stand() -> None:
    asked = question(system("a", "developer"), user("one"), said("1"), system("b"), user("two"), system("c"))
    assert asked.task == Turn("user", "two")
    assert [turn.text for turn in asked.history if turn.role == "system"] == ["a", "b", "c"]
    assert asked.history[-1] == Turn("system", "c")


def test_a_last_assistant_message_is_to_be_continued() -> None:
    """Open WebUI's "Continue response"."""
    asked = question(user("count"), said("1, 2,"))
    assert asked.task == Turn("user", CONTINUE_TASK)
    assert asked.history == (Turn("user", "count"), Turn("assistant", "1, 2,"))


def test_a_last_tool_message_is_to_be_used() -> None:
    asked = question(user("1+2?"), called("c1"), result("c1"))
    assert asked.task == Turn("user", TOOL_RESULT_TASK)
    assert asked.history[1] == Turn("assistant", "", tool_calls=(ToolCall("c1", "add", '{"a":1}'),))
    assert asked.history[2] == Turn("tool", "3", call_id="c1")


def test_several_tool_results_answer_one_message_and_stay_in_history() -> None:
    asked = question(
        user("?"), called("c1", "c2"), result("c2"), system("careful"), result("c1"), said("done"), user("thanks")
    )
    assert [turn.call_id for turn in asked.history if turn.role == "tool"] == ["c2", "c1"]
    assert asked.task.text == "thanks"


@pytest.mark.parametrize(
    "before",
    [
        [user("?")],
        [user("?"), said("no calls")],
        [user("?"), called("other")],
        [user("?"), called("c1"), user("never mind")],
        [user("?"), called("c1"), said("never mind")],
    ],
)
def test_a_tool_message_that_answers_no_call_is_refused(before: list[dict[str, Any]]) -> None:
    param, message = problem(*before, result("c1"))
    assert param == f"messages[{len(before)}].tool_call_id"
    assert message == f"{param}: no tool call of the assistant message before it has this id"


@pytest.mark.parametrize("messages", [[system("a")], [said("a")], [system("a"), called("c1"), result("c1")]])
def test_without_a_user_message_there_is_no_question(messages: list[dict[str, Any]]) -> None:
    assert problem(*messages) == ("messages", "messages must contain at least one user message")


@pytest.mark.parametrize("content", ["", " \n", [{"type": "text", "text": ""}]])
def test_an_empty_task_is_refused(content: Any) -> None:
    assert problem(user("one"), said("1"), user(content)) == ("messages[2].content", "messages[2].content: is empty")


def test_an_empty_message_earlier_does_not_spoil_the_conversation() -> None:
    assert question(user(""), said(""), user("hi")).history == (Turn("user", ""), Turn("assistant", ""))


@pytest.mark.parametrize("stopped", [["", " \n"], [""]])
def test_an_answer_that_was_stopped_before_its_first_word_is_given_again(stopped: list[str]) -> None:
    """Chat clients keep it as an empty message, which there is nothing to continue of."""
    asked = question(user("one"), said("1"), user("two"), *map(said, stopped), system("careful"))
    assert (asked.task.text, [turn.text for turn in asked.history]) == ("two", ["one", "1", "careful"])
    cut = question(user("one"), said("1 an"), *map(said, stopped))
    assert (cut.task.text, [turn.text for turn in cut.history]) == (CONTINUE_TASK, ["one", "1 an"])


def test_text_parts_are_lines_and_images_follow() -> None:
    picture = {"type": "image_url", "image_url": {"url": png(), "detail": "low"}}
    parts = [{"type": "text", "text": "what"}, picture, {"type": "text", "text": "is this?"}]
    assert question(user(parts)).task == Turn("user", "what\nis this?", (ImagePart("image/png", PNG, "low", 1),))


def test_an_image_alone_is_a_question() -> None:
    picture = {"type": "image_url", "image_url": {"url": png()}}
    assert question(user([picture])).task == Turn("user", "", (ImagePart("image/png", PNG, pixels=1),))


def test_an_image_is_not_printed() -> None:
    assert "AAAA" not in repr(ImagePart("image/png", "AAAA"))


@pytest.mark.parametrize("refusal", [said([{"type": "refusal", "refusal": "I won't"}]), said(None, refusal="I won't")])
def test_a_refusal_is_what_the_assistant_said(refusal: dict[str, Any]) -> None:
    assert question(user("?"), refusal, user("please")).history[1] == Turn("assistant", "I won't")


def test_options_are_what_is_passed_on_and_nothing_else() -> None:
    options = {"temperature": 0.5, "seed": 7, "reasoning_effort": "low", "presence_penalty": 0}
    asked = question(user("hi"), **options, top_p=None, stream=True, user="ann", max_tokens=9)
    assert asked.options == options
    assert asked.max_tokens == 9


def test_what_was_asked_leaves_our_own_sentences_out() -> None:
    """Routing goes by the user's words."""
    turns = (Turn("user", "one"), Turn("assistant", "1"), Turn("user", "two"), Turn("assistant", "2"))
    assert Question(Turn("user", "three"), turns).asked == ["one", "two", "three"]
    assert Question(Turn("user", CONTINUE_TASK), turns).asked == ["one", "two"]
