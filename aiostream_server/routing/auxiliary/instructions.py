"""Tells whether a text instructs a model to write a title, tags or a summary of the conversation beside it.

Chat apps word this differently, but alike: a verb ("generate"), what is wanted ("a title"), of what ("this
conversation"), and how the answer must look: a number of words, nothing else, no quotation marks, JSON. People also ask
for titles, mostly of something else ("for my blog post") and with fewer conditions. So the object must be a
conversation, and conditions are counted: more are needed where a person could have typed the text.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from aiostream_server.routing.auxiliary import vocabulary as words

Wanted: TypeAlias = Literal["title", "tags", "summary"]

_START_CHARS: Final = 260
_FORM_CHARS: Final = 800
_NEAR_CHARS: Final = 120
_NOWHERE: Final = 1_000_000
_VERB: Final = (
    r"\b(?:generat\w+|creat\w+|writ(?:e|es|ing)|provid\w+|produc\w+|craft\w*|suggest\w*|giv(?:e|es|ing)|mak(?:e|es|"
    r"ing)|summari[sz]\w+|extract\w*|comes? up with|outputs?|find|propos\w+|returns?|repl(?:y|ies)|responds?|"
    r"compos\w+|deriv\w+|determin\w+|assign\w*|choos\w+|devis\w+|nam(?:e|es|ing)|titl(?:e|es|ing)|label|specializ\w+|"
    r"design\w+|tells?)\b"
)
_NAME: Final = r"\b(?:titles?|name|headings?|label)\b"
_USERS: Final = (
    r"(?:users?(?:'s?|’s?)?|human(?:'s?|’s?)?|person(?:'s|’s))\s+(?:first\s+|initial\s+|opening\s+|original\s+|"
    r"input\s+)?(?:messages?|query|queries|requests?|questions?|prompts?|input)"
)
_MESSAGE: Final = re.compile(_USERS, re.IGNORECASE)
_CONVERSATION: Final = re.compile(r"\b(?:conversation|chat|thread|session|dialog(?:ue)?|discussion)", re.IGNORECASE)
_NAMED: Final = re.compile(r"\A(?!.*\btitle).*\bnames?\b", re.IGNORECASE | re.DOTALL)
_THING: Final = (
    r"(?:app|apps|application|bot|bots|client|feature|function|group|room|server|service|software|system|tool|widget|"
    r"window|page|site|website|product|company|startup|show|podcast|class|course|book|scene|partner|variable|table|"
    r"column|button|agent|model)\b"
)
_CHAT: Final = (
    rf"(?:\b(?:{_USERS}|(?:first|initial|opening)\s+(?:user\s+)?(?:message|query|question)|here is the message|"
    rf"following\s+message|(?:following|above|given|these|the|initial)\s+messages|(?:conversation|chat|thread|session|"
    rf"dialog(?:ue)?|discussion|exchange|interaction)s?)\b(?!\s+{_THING}|'s\s+{_THING}|\s+between\s+(?!an?\s+|the\s+|"
    rf"users?|human|assistant|me)))"
)
_OTHER: Final = re.compile(
    r"\b(?:variable|function|class|method|database|blog|post|article|essay|story|novel|song|poem|videos?|film|movie|"
    r"podcast|playlist|presentation|slides?|report|paper|thesis|e-?mail|newsletter|brand|startup|product|"
    r"(?<!\d[ -])characters?|recipe|chapter|column|chart|diagram|game|group|channel|room|business|course|event|"
    r"meeting|play|scene|exercise|drill|lesson|unit test)\b|文章|小说|视频|变量|公司|产品|论文|ブログ|記事|"
    r"\b(?:artikel|aufsatz|buch|firma|produkt|roman|artículo|libro|статьи|книги)\b",
    re.IGNORECASE,
)
_GAP: Final = r"(?:[^.!?\n]|(?<=max)\.)"
_TITLE_FORMS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        (
            rf"{_VERB}{_GAP}{{0,90}}?\b(?:conversation|chat|thread|session|dialog(?:ue)?|discussion|"
            rf"topic)s?[ -](?:titles?|names?|headings?|label|topic)\b(?!\s+{_THING})"
        ),
        rf"{_VERB}{_GAP}{{0,90}}?{_NAME}{_GAP}{{0,90}}?{_CHAT}",
        rf"\b(?:name|title|label)\s+(?:the|this|our|my|following|above|current)\s+(?:\w+\s+)?{_CHAT}",
        rf"\bgives?\s+(?:\w+\s+){{1,3}}?{_CHAT}\s+(?:a|an|one)\s+(?:[\w,-]+\s+){{0,5}}?{_NAME}",
        (
            rf"{_VERB}{_GAP}{{0,80}}?{_CHAT}{_GAP}{{0,60}}?\b(?:into|in|as|with|to|under)\s+(?:a|an|"
            rf"one)?{_GAP}{{0,50}}?{_NAME}"
        ),
        (
            rf"\b(?:analy[sz]e|read|review|look at|given|based on|consider|identify|detect|"
            rf"from)\b{_GAP}{{0,60}}?{_CHAT}[^?]{{0,220}}?\b(?:title|name)\b"
        ),
        (
            rf"\b(?:titles?|topics?|naming|names)[ -]?(?:generat|assist|writ|creat|expert|maker|"
            rf"bot)\w*[\s\S]{{0,400}}?{_CHAT}"
        ),
        rf"{_CHAT}[\s-](?:titles?|topics?|naming)[ -]?(?:generat|assist|writ|creat|expert)\w*",
        rf"\b(?:expert|specialist|skilled) (?:in|at|on){_GAP}{{0,40}}?{_CHAT} titles?\b",
        (
            rf"\b\d{{1,2}}(?:\s?[-–]\s?\d{{1,2}})?[ -]words?(?: or (?:less|fewer))? (?:summary|description|phrase|"
            rf"label|overview){_GAP}{{0,60}}?{_CHAT}"
        ),
        (
            rf"\b(?:summari[sz]\w*|extract\w*|identif\w+|name|state|return){_GAP}{{0,60}}?\b(?:topic|"
            rf"subject){_GAP}{{0,30}}?{_CHAT}"
        ),
        (
            rf"\bsummari[sz]\w*{_GAP}{{0,60}}?{_CHAT}{_GAP}{{0,60}}?\b(?:[2-9]|10|two|three|four|five|six|seven|eight|ten)"
            r"[ -](?:\w+ ){0,2}?words?\b"
        ),
        rf"\bused as (?:an? |the )?{_NAME}{_GAP}{{0,40}}?{_CHAT}",
        rf"\byou (?:name|title|label) {_GAP}{{0,30}}?{_CHAT}",
        r"\ASummari[sz]e in an? \d{1,2}-word title\. Give the title only\.",
    )
)
_ROLE: Final = re.compile(
    rf"\byou are (?:an?|the) (?:[\w-]+ ){{0,4}}?{_CHAT}[\s-](?:titles?|naming)\b|\byou are (?:an?|"
    rf"the) (?:[\w-]+ ){{0,3}}?titles?[ -](?:generat|writ|creat)\w*[\s\S]{{0,200}}?{_CHAT}",
    re.IGNORECASE,
)
_ROLE_BESIDE: Final = re.compile(
    rf"\byou are an? {_GAP}{{0,60}}?\b(?:naming|titles?)\b{_GAP}{{0,40}}?{_CHAT}", re.IGNORECASE
)
_QUOTED: Final = re.compile(r"\"[^\"]{0,600}\"|“[^“”]{0,600}”|「[^「」]{0,600}」")
_TAG_FORM: Final = re.compile(
    rf"(?:{_VERB}|\breturn\b){_GAP}{{0,90}}?\btags\b{_GAP}{{0,120}}?{_CHAT}|{_CHAT}[^?]{{0,200}}?\btags\b",
    re.IGNORECASE,
)
_COMPOUND: Final = re.compile(r"\b(?:conversation|chat|thread|session)s?[ -](?:title|name|topic)s?\b", re.IGNORECASE)
_SUMMARY_FORM: Final = re.compile(
    rf"\bsummar\w+{_GAP}{{0,160}}?{_CHAT}|{_CHAT}{_GAP}{{0,120}}?\bsummar\w+", re.IGNORECASE
)
_CONTINUATION: Final = re.compile(
    r"\b(?:prompt|summary|overview|recap)\b[^.!?\n]{0,60}\bfor continuing our conversation", re.IGNORECASE
)
# What comes before the instruction shows that a person asks about it, or asks for something else.
_TALKED_ABOUT: Final = re.compile(
    r"[?？`]|### Task|\b(?:translat\w+|explain\w*|rewrit\w+|rephras\w+|improv\w+|prompts?\b(?! engineer)|why|wrong|"
    r"fix|correct|debug|python|javascript|code that|shorten|template|proofread|convert|critique|compare|regex|sql|"
    r"script|what|how (?:do|can|should|would)|is this|i have|i'm|i am|we have|implement|endpoint|api)\b|为什么|怎么|"
    r"翻译|\b(?:übersetz\w+|warum|wie kann|wieso|pourquoi|traduis\w*|traduce\w*|почему|переведи\w*)\b",
    re.IGNORECASE,
)
_FIRST_PERSON: Final = re.compile(
    r"\b(?:I|I'm|I'd|my|me|mine|ich|mir|mein\w*|je|moi|mon|yo|mi|мне|мой|мою)\b|我的?(?!们)|私の?|나의|저의"
)


def wanted_by(text: str, *, least: int, by_system: bool = False) -> Wanted | None:
    """What the text instructs to write, beginning near its start, with at least `least` conditions on the answer.

    `by_system`: no person typed it, so it is not talk about an instruction.
    """
    head = text[:_FORM_CHARS]
    if not may_instruct(head):
        return None
    if by_system and is_role(head):
        return "title"
    title, tags = (min(starts(head), default=_NOWHERE) for starts in (_title_starts, _tag_starts))
    start = min(title, tags)
    if start > _START_CHARS or conditions(text) < least or (not by_system and _is_talked_about(text, start)):
        return None
    return "title" if title <= tags else "tags"


def may_instruct(text: str) -> bool:
    """Whether it has a word for what is asked for, and one for a conversation. Takes microseconds."""
    if not text:
        return False
    asked, about = (words.ASCII_ASKED, words.ASCII_ABOUT) if text.isascii() else (words.ASKED, words.ABOUT)
    is_said = text.lower().__contains__  # mapped, as a generator takes three times as long
    return any(map(is_said, asked)) and any(map(is_said, about))


def wants_summary(text: str) -> bool:
    """Whether it asks for a summary to continue the conversation with. One for a reader is an ordinary question."""
    if not may_instruct(text):
        return False
    if (found := _CONTINUATION.search(text)) is not None:
        return not _is_talked_about(text, found.start())
    found = _SUMMARY_FORM.search(text) or (words.SUMMARY.search(text) if words.CHAT.search(text) else None)
    if found is None or found.start() > _START_CHARS or _is_talked_about(text, found.start()):
        return False
    return words.CONTEXT.search(text) is not None and (len(text) > 110 or words.BOUND.search(text) is not None)


def is_first_person(text: str) -> bool:
    """Whether a person speaks of themselves: an app has nothing of its own."""
    return _FIRST_PERSON.search(text) is not None


def is_about_one_message(text: str) -> bool:
    """Whether the instruction is about one message of a user: then the other messages are examples."""
    return _MESSAGE.search(text) is not None and _CONVERSATION.search(text) is None


def conditions(text: str) -> int:
    """How many kinds of conditions on its answer a text has."""
    kinds = (words.BOUND, words.MARKS, words.LANGUAGE, words.CUE, words.KEY, _COMPOUND, _ROLE_BESIDE)
    insistence = min(2, len({*words.ONLY.findall(text)}))
    return insistence + sum(kind.search(text) is not None for kind in kinds)


def is_role(text: str) -> bool:
    """Whether it makes a model write titles of conversations, and do nothing else."""
    role = _ROLE.search(text[:_START_CHARS])
    return role is not None and _OTHER.search(role[0]) is None


def _is_talked_about(text: str, start: int) -> bool:
    return _TALKED_ABOUT.search(_QUOTED.sub("", text[:start])) is not None


def _title_starts(text: str) -> Iterator[int]:
    for form in _TITLE_FORMS:
        found = form.search(text)
        if found is not None and _OTHER.search(found[0]) is None and not _names_a_person(found[0]):
            yield found.start()
    yield from _near(text, words.TITLE)


def _names_a_person(text: str) -> bool:
    """A message may hold a name; only a conversation is given one."""
    return _MESSAGE.search(text) is not None and _NAMED.search(text) is not None


def _tag_starts(text: str) -> Iterator[int]:
    found = _TAG_FORM.search(text)
    if found is not None and _OTHER.search(found[0]) is None:
        yield found.start()
    yield from _near(text, words.TAGS)


def _near(text: str, name: re.Pattern[str]) -> Iterator[int]:
    """Where a word for what is wanted and one for the conversation stand near each other, in any language."""
    chats = [found.start() for found in words.CHAT.finditer(text)]
    for found in name.finditer(text):
        near = [chat for chat in chats if abs(chat - found.start()) <= _NEAR_CHARS]
        if near:
            between = text[min(*near, found.start()) : max(*near, found.end())]
            if _OTHER.search(between) is None:
                yield min(*near, found.start())
