"""Short plain texts out of what a person wrote: a title, a search query."""

import re
import unicodedata
from typing import Final

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


def title_of(question: str) -> str:
    """About six words of the first thing that is asked, in its own words; empty where it has none."""
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
    """The question as one line that a search engine takes."""
    text = question[:_READ_CHARS]
    words = plain(_FENCED.sub("\n", text)).split() or plain(text).split()
    return clipped(" ".join(words), _QUERY_WIDTH)


def plain(text: str) -> str:
    """Without Markdown, quotation marks and control characters; its lines stay."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n"))
    text = _LINE_MARK.sub("", _URL.sub(r"\1", _LINK.sub(r"\1", text)))
    return _MARKUP.sub("", text).strip()


def clipped(text: str, width: int) -> str:
    """At most so many columns (a Chinese character takes two), cut between words where there are any."""
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
    """The first that is more than a word, without a greeting before it; all of it where none is."""
    greeted = _GREETING.match(text)
    text = (text[greeted.end() :] if greeted else text) or text
    sentences = [sentence.strip() for sentence in _SENTENCE_END.split(text) if sentence.strip(_LOOSE_END)]
    return next((sentence for sentence in sentences if " " in sentence or _columns(sentence) > 12), " ".join(sentences))
