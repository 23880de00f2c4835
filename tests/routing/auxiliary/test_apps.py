"""Chat apps other than Open WebUI get their titles, tags and summaries without a team, in their own formats."""

import pytest

from aiostream_server.protocols.chat.request import ChatRequest, read_question
from aiostream_server.routing.auxiliary.kinds import Auxiliary
from aiostream_server.routing.auxiliary.recognise import recognise
from aiostream_server.routing.auxiliary.rules import answer_by_rules
from tests.kit.cpu import takes_less_than
from tests.kit.pictures import png
from tests.routing.auxiliary.app_prompts import CHAT, PROMPTS, QUESTION, Message, Prompt, system, user
from tests.routing.auxiliary.look_alikes import LOOK_ALIKES


def _recognised(messages: list[Message], *, streamed: bool = False) -> Auxiliary | None:
    body = {"model": "auto", "messages": messages, "stream": streamed}
    return recognise(read_question(ChatRequest.model_validate(body)), None, is_streamed=streamed)


@pytest.mark.parametrize("prompt", PROMPTS, ids=[prompt.name for prompt in PROMPTS])
def test_every_apps_prompt_is_answered_in_its_own_format(prompt: Prompt) -> None:
    for streamed in (False, True):
        auxiliary = _recognised(prompt.messages, streamed=streamed)
        assert auxiliary is not None
        assert auxiliary.kind == prompt.kind
        assert answer_by_rules(auxiliary) == prompt.answer


def test_no_look_alike_is_taken_for_one() -> None:
    assert not [messages[-1]["content"] for messages in LOOK_ALIKES if _recognised(messages) is not None]


def test_the_title_is_never_the_teams_name() -> None:
    for prompt in PROMPTS:
        if prompt.kind == "plain_title":
            auxiliary = _recognised(prompt.messages)
            assert auxiliary is not None
            assert "Sales team" not in answer_by_rules(auxiliary, "Sales team")


@pytest.mark.parametrize("question", ["Which film has the title Alien?", "Name the longest conversation."])
def test_a_question_about_titles_is_a_title_itself(question: str) -> None:
    """It is no part of the instruction around it."""
    for messages in (
        [user(f"Reply with a title for the chat that is 3-4 words in length, no additional text.\n\n{question}")],
        [
            system("You are a title generator. You output ONLY a thread title."),
            user("Generate a title for this conversation:\n"),
            user(question),
        ],
        [
            user(question),
            CHAT[1],
            user("And?"),
            CHAT[1],
            user("Give this conversation a title: 4-5 words, no quotes, nothing else."),
        ],
    ):
        auxiliary = _recognised(messages)
        assert auxiliary is not None
        assert answer_by_rules(auxiliary) == question.removesuffix(".")


def test_the_same_instruction_about_nothing_is_a_question() -> None:
    """A person typed it: there is no conversation to write a title for."""
    assert _recognised([user("Please generate a 5-word title for the conversation, without punctuation.")]) is None


def test_a_question_about_an_instruction_is_a_question() -> None:
    for prompt in PROMPTS:
        text = prompt.messages[-1]["content"]
        assert _recognised([user(f"What is wrong with this prompt?\n\n{text}")]) is None, prompt.name
        assert _recognised([*CHAT, user(f"Translate this into Latin:\n\n{text}")]) is None, prompt.name


def test_a_picture_is_never_beside_such_a_prompt() -> None:
    picture = {"type": "image_url", "image_url": {"url": png()}}
    text = {"type": "text", "text": PROMPTS[0].messages[0]["content"]}
    assert _recognised([{"role": "user", "content": [text, picture]}]) is None


def test_the_first_question_of_a_long_conversation_is_its_title() -> None:
    chat = [*CHAT, user("And the lowest?"), {"role": "assistant", "content": "South."}]
    auxiliary = _recognised(
        [*chat, user("Give this conversation a title: 4-5 words, no quotation marks, nothing else.")]
    )
    assert auxiliary is not None
    assert answer_by_rules(auxiliary) == QUESTION


@pytest.mark.parametrize(
    "filler", ["title ", "User: a\nAI: b\n", "```\n", "<chat>\n", "write the name of the ", '"', "{", " 1"]
)
def test_a_megabyte_takes_milliseconds(filler: str) -> None:
    """A quadratic reading would take minutes."""
    text = filler * (1_000_000 // len(filler))
    instruction = "Write a title for this conversation, at most 5 words, nothing else, no quotes."
    with takes_less_than(2):
        for messages in (
            [user(text)],
            [user(f"{instruction}\n\n{text}")],
            [user(f"User: a\nAI: b\n{text}\n{instruction}")],
            [system(text), user("hi")],
            [system(instruction), user(text)],
            [*CHAT, user(text)],
            [user(text), CHAT[1], user(instruction)],
        ):
            if auxiliary := _recognised(messages):
                answer_by_rules(auxiliary)


_COMBINED = {
    "type": "object",
    "properties": {
        "language": {"type": "string", "description": "The detected language of the conversation"},
        "title": {"type": "string", "description": "A concise title for the conversation in 5 words or less"},
    },
    "required": ["language", "title"],
    "additionalProperties": False,
}
_FORMAT = {"type": "json_schema", "json_schema": {"name": "extract", "schema": _COMBINED, "strict": True}}
_TOOL = {"type": "function", "function": {"name": "extract", "description": "", "parameters": _COMBINED}}
_FORCED = {"tools": [_TOOL], "tool_choice": {"type": "function", "function": {"name": "extract"}}}


class TestFormsOfARequest:
    """LibreChat's `titleMethod` structured and functions: `response_format`, or a tool that must be called."""

    @pytest.mark.parametrize(("fields", "tool"), [({"response_format": _FORMAT}, ""), (_FORCED, "extract")])
    @pytest.mark.parametrize("messages", [PROMPTS[0].messages, [user(f"Betitle das.\n\nUser: {QUESTION}\nAI: North.")]])
    def test_are_filled(self, fields: dict[str, object], tool: str, messages: list[Message]) -> None:
        """Also where the user of the app changed the prompt: the schema says what is wanted."""
        body = {"model": "auto", "messages": messages, **fields}
        auxiliary = recognise(read_question(ChatRequest.model_validate(body)), None, is_streamed=False)
        assert auxiliary is not None
        assert answer_by_rules(auxiliary) == f'{{"language": "English", "title": "{QUESTION}"}}'
        assert auxiliary.wrapping.tool == tool

    def test_of_any_object_have_a_title(self) -> None:
        body = {"model": "auto", "messages": PROMPTS[1].messages, "response_format": {"type": "json_object"}}
        auxiliary = recognise(read_question(ChatRequest.model_validate(body)), None, is_streamed=False)
        assert auxiliary is not None
        assert answer_by_rules(auxiliary) == f'{{"title": "{QUESTION}"}}'

    @pytest.mark.parametrize(
        "schema",
        [
            {**_COMBINED, "required": ["language", "title", "sentiment"]},
            {"type": "object", "properties": {"sentiment": {"type": "string"}}, "required": ["sentiment"]},
            {"type": "object", "properties": {"title": {"type": "string", "enum": ["a", "b"]}}, "required": ["title"]},
            {"type": "object", "properties": {"title": {"type": "integer"}}, "required": ["title"]},
            {"type": "array", "items": {"type": "string"}},
        ],
    )
    def test_that_hold_something_else_are_for_a_team(self, schema: dict[str, object]) -> None:
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        body = {"model": "auto", "messages": PROMPTS[0].messages, "response_format": form}
        assert recognise(read_question(ChatRequest.model_validate(body)), None, is_streamed=False) is None

    @pytest.mark.parametrize("messages", [*LOOK_ALIKES[::5]])
    def test_of_programs_are_for_a_team(self, messages: list[Message]) -> None:
        schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
        form = {"type": "json_schema", "json_schema": {"name": "article", "schema": schema}}
        body = {"model": "auto", "messages": messages, "response_format": form}
        assert recognise(read_question(ChatRequest.model_validate(body)), None, is_streamed=False) is None
