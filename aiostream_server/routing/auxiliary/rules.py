"""Answers without a model, in the exact shapes that Open WebUI parses; microseconds each.

* Search queries are the user's last question, never an empty list: a document search does the same by itself
  (`utils/middleware.py`), but a web search, which asks with the same prompt, would not be made.
* Follow-ups, completions, tool calls and memories need understanding: none are offered.
"""

from typing import Final, assert_never

from aiostream_server.routing.auxiliary.history import conversation, messages_of, questions, responses
from aiostream_server.routing.auxiliary.kinds import Auxiliary, JsonKind
from aiostream_server.routing.auxiliary.shapes import json_answer
from aiostream_server.routing.auxiliary.words import query_of, title_of
from aiostream_server.routing.question import shortened

_UNTITLED: Final = "New Chat"
_IMAGE_PROMPT_CHARS: Final = 2_000
_SUMMARY_CHARS: Final = 6_000
_MESSAGE_CHARS: Final = range(160, 801)
_PREVIOUS: Final = "\n### Previous Summary:\n"
_COMPACTED: Final = "\n### Messages Being Compacted:\n"
_KEPT: Final = "\n### Recent Messages Kept In Context:"


def answer_by_rules(auxiliary: Auxiliary, team_name: str = "") -> str:
    """The content of the answer; never empty."""
    prompt = auxiliary.prompt
    match kind := auxiliary.kind:
        case "plain_title" | "unknown":
            return _title(prompt, team_name)
        case "emoji_generation":
            return "🤔" if "?" in prompt.rpartition("Message: ```")[2] else "🙂"
        case "moa_response_generation":
            return max(responses(prompt), key=len, default="There is no response to merge.")
        case "context_compaction":
            return _summary(prompt)
        case _:
            return json_answer(kind, _value(kind, prompt, team_name))


def _value(kind: JsonKind, prompt: str, team_name: str) -> str | list[str]:
    match kind:
        case "title_generation":
            return _title(prompt, team_name)
        case "tags_generation":
            return [team_name or "General"]
        case "query_generation":
            return [query for query in (query_of(_last_question(prompt)),) if query]
        case "image_prompt_generation":
            return shortened(_last_question(prompt), _IMAGE_PROMPT_CHARS) or team_name
        case "autocomplete_generation":
            return ""
        case "follow_up_generation" | "function_calling" | "memory_review":
            return []
        case _:
            assert_never(kind)


def _title(prompt: str, team_name: str) -> str:
    titles = (title_of(question) for question in questions(prompt))
    return next((title for title in titles if title), team_name or _UNTITLED)


def _last_question(prompt: str) -> str:
    return next(reversed([*questions(prompt)]), "")


def _summary(prompt: str) -> str:
    """What was said, in its own words: the beginning and the end of each message, the older summary before it."""
    before, found, after = prompt.partition(_COMPACTED)
    messages = messages_of(after.rpartition(_KEPT)[0]) if found else conversation(prompt)
    previous = shortened(before.partition(_PREVIOUS)[2].strip(), _SUMMARY_CHARS) if found else ""
    left_out = max(0, len(messages) - _SUMMARY_CHARS // _MESSAGE_CHARS.start)
    share = _SUMMARY_CHARS // max(1, len(messages))
    chars = min(max(share, _MESSAGE_CHARS.start), _MESSAGE_CHARS.stop)
    said = [f"- {each.role.lower()}: {_one_line(shortened(each.text, chars))}" for each in messages[left_out:]]
    omission = f"({left_out} earlier messages are left out.)" if left_out else ""
    return "\n".join(line for line in (previous, omission, *said) if line) or "Nothing was said before."


def _one_line(text: str) -> str:
    return " ".join(text.split())
