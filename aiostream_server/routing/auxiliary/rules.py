"""Answers by rules, in the exact shapes that chat apps parse; in microseconds.

* A title is the beginning of the user's first question that has words, without markup and greetings.
* Search queries are the user's last question, never an empty list: without a query Open WebUI makes no web search
  (`utils/middleware.py`).
* Follow-ups are replies that were asked for, or examples (`follow_ups`).
* Completions, tool calls and memories need a model: the answer offers none.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, assert_never

from aiostream_server.routing.auxiliary.follow_ups import fixed_replies, follow_ups
from aiostream_server.routing.auxiliary.history import conversation, messages_of, questions, responses
from aiostream_server.routing.auxiliary.kinds import Auxiliary, JsonKind, Said
from aiostream_server.routing.auxiliary.language import language_of
from aiostream_server.routing.auxiliary.quoted_conversation import said_in
from aiostream_server.routing.auxiliary.shapes import json_answer
from aiostream_server.routing.auxiliary.templates import COMPACTED, KEPT, TASK
from aiostream_server.text import one_line, shortened, typed_question
from aiostream_server.tools.chart import can_draw

_UNTITLED: Final = "New Chat"
_GENERAL: Final = "General"
_IMAGE_PROMPT_CHARS: Final = 2_000
_SUMMARY_CHARS: Final = 6_000
_MESSAGE_CHARS: Final = range(160, 801)
_PREVIOUS: Final = "\n### Previous Summary:\n"
_READ_CHARS: Final = 2_000
_TITLE_WORDS: Final = 6
_TITLE_WIDTH: Final = 50
_QUERY_WIDTH: Final = 300

_FENCED: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LINK: Final = re.compile(r"!?\[([^\[\]\n]{0,200})\]\([^()\n]{0,500}\)")
_URL: Final = re.compile(r"https?://(?:www\.)?([^/\s?#]{1,100})\S*")
_LINE_MARK: Final = re.compile(r"^[ \t]*(?:(?:#{1,6}|[-*+>]|\d{1,3}[.)])[ \t]+)+", re.MULTILINE)
_MARKUP: Final = re.compile(r"[*`|\"“”„‟«»‹›「」『』]|~~|(?<!\w)[_'‘’‚]+|[_'‘’]+(?!\w)")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_GREETING: Final = re.compile(
    r"(?:(?:hi|hello|hey|hallo|hola|bonjour|salut|ciao|moin|servus|ol[aá]|guten (?:tag|morgen|abend)|"
    r"good (?:morning|afternoon|evening))(?: there| all| everyone| team| zusammen)?(?:[\s,.!;:–-]+|$))+",
    re.IGNORECASE,
)
_SENTENCE_END: Final = re.compile(r"(?<=\w\w[.?!…])\s+|(?<=[\])%][.?!])\s+|(?<=[。？！])|\n")
_LOOSE_END: Final = " \t.,;:!…–-—(/、，。！；："
_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f")


def answer_by_rules(auxiliary: Auxiliary, team_name: str = "", examples: Sequence[str] = ()) -> str:
    """The content of the answer; never empty. `examples` are questions that the team answers."""
    prompt = auxiliary.prompt
    match kind := auxiliary.kind:
        case "plain_title" | "unknown":
            asked = _questions_of(auxiliary)
            title = next(filter(None, map(title_of, asked)), _UNTITLED)
            return auxiliary.wrapping.around(title, language_of(asked[0] if asked else ""))
        case "plain_tags":
            return auxiliary.wrapping.around(team_name or _GENERAL, language_of(" ".join(_questions_of(auxiliary)[:1])))
        case "emoji_generation":
            return "🤔" if "?" in prompt.rpartition("Message: ```")[2] else "🙂"
        case "moa_response_generation":
            return max(responses(prompt), key=len, default="There is no response to merge.")
        case "context_compaction":
            said = said_in(auxiliary) if not auxiliary.prompt.lstrip().startswith(TASK.strip()) else []
            return auxiliary.wrapping.around(_summary(prompt, said), language_of(""))
        case _:
            return json_answer(kind, _value(kind, prompt, team_name, examples))


def _value(kind: JsonKind, prompt: str, team_name: str, examples: Sequence[str]) -> str | list[str]:
    match kind:
        case "title_generation":
            return _title(prompt, team_name)
        case "tags_generation":
            return [team_name or _GENERAL]
        case "query_generation":
            return [query for query in (query_of(_last_question(prompt)),) if query]
        case "image_prompt_generation":
            return shortened(_last_question(prompt), _IMAGE_PROMPT_CHARS) or team_name
        case "autocomplete_generation":
            return ""
        case "follow_up_generation":
            return fixed_replies(prompt) or follow_ups(prompt, examples, can_draw=can_draw())
        case "function_calling" | "memory_review":
            return []
        case _:
            assert_never(kind)


def _title(prompt: str, team_name: str) -> str:
    titles = (title_of(question) for question in questions(prompt))
    return next((title for title in titles if title), team_name or _UNTITLED)


def _last_question(prompt: str) -> str:
    return next(reversed([*questions(prompt)]), "")


def _questions_of(auxiliary: Auxiliary) -> list[str]:
    """The user's questions, without what a client put around them."""
    asked = (typed_question(said.text).strip() for said in said_in(auxiliary) if said.role == "USER")
    return [question for question in asked if question]


def _summary(prompt: str, said: list[Said]) -> str:
    """The older summary, then the beginning and the end of each message."""
    before, found, after = prompt.partition(COMPACTED)
    messages = said or (messages_of(after.rpartition(KEPT)[0]) if found else conversation(prompt))
    previous = shortened(before.partition(_PREVIOUS)[2].strip(), _SUMMARY_CHARS) if found else ""
    left_out = max(0, len(messages) - _SUMMARY_CHARS // _MESSAGE_CHARS.start)
    share = _SUMMARY_CHARS // max(1, len(messages))
    chars = min(max(share, _MESSAGE_CHARS.start), _MESSAGE_CHARS.stop)
    lines = [f"- {each.role.lower()}: {one_line(shortened(each.text, chars))}" for each in messages[left_out:]]
    omission = f"({left_out} earlier messages are left out.)" if left_out else ""
    return "\n".join(line for line in (previous, omission, *lines) if line) or "Nothing was said before."


def title_of(question: str) -> str:
    """About six words of the question's first sentence; empty where it has no words."""
    text = question[:_READ_CHARS]
    sentence = _first_sentence(plain(_FENCED.sub("\n", text))) or _first_sentence(plain(text))
    words = sentence.split()
    title = clipped(" ".join(words[:_TITLE_WORDS]), _TITLE_WIDTH)
    is_cut = len(title) < len(" ".join(words))
    title = title.strip(_LOOSE_END)
    if not title:
        return ""
    if words[0].islower():
        title = title[0].upper() + title[1:]
    return f"{title}…" if is_cut else title


def query_of(question: str) -> str:
    """The question as one line for a search engine."""
    text = question[:_READ_CHARS]
    words = plain(_FENCED.sub("\n", text)).split() or plain(text).split()
    return clipped(" ".join(words), _QUERY_WIDTH)


def plain(text: str) -> str:
    """The text without Markdown, quotation marks and control characters; lines are kept."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n"))
    text = _LINE_MARK.sub("", _URL.sub(r"\1", _LINK.sub(r"\1", text)))
    return _MARKUP.sub("", text).strip()


def clipped(text: str, width: int) -> str:
    """The text in at most `width` columns (a Chinese character takes two), cut between words where there are any."""
    taken = end = 0
    for end, char in enumerate(text):  # noqa: B007 - read after the loop
        taken += _columns(char)
        if taken > width:
            break
    else:
        return text
    while end and _is_inside_cluster(text, end):
        end -= 1
    space = text.rfind(" ", 0, end + 1)
    return text[: space if space > end // 2 else end].rstrip()


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _is_inside_cluster(text: str, at: int) -> bool:
    char = text[at]
    return char in _JOINERS or unicodedata.combining(char) != 0 or text[at - 1] == "\u200d"


def _first_sentence(text: str) -> str:
    """The first sentence of more than one word, without a greeting before it; the whole text where there is none."""
    greeted = _GREETING.match(text)
    text = (text[greeted.end() :] if greeted else text) or text
    sentences = [sentence.strip() for sentence in _SENTENCE_END.split(text) if sentence.strip(_LOOSE_END)]
    return next((sentence for sentence in sentences if " " in sentence or _columns(sentence) > 12), " ".join(sentences))
