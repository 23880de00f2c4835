"""Number words as digits: "twenty five times three" is "25 times 3"."""

import re
from typing import Final

from aiostream_server.models.demo.word_list import word_list

_ONES: Final = {
    word: value
    for value, word in enumerate(
        word_list("""
            zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
            seventeen eighteen nineteen
        """)
    )
}
_TENS: Final = {
    word: 10 * value
    for value, word in enumerate(word_list("twenty thirty forty fifty sixty seventy eighty ninety"), start=2)
}
_SCALES: Final = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_WORD: Final = rf"(?:{'|'.join([*_ONES, *_TENS])})"
_NUMBER: Final = re.compile(
    rf"\b(?P<words>{_WORD}(?:[ -]{_WORD})?)(?P<scale>(?: (?:{'|'.join(_SCALES)}))?)\b|"
    rf"\b(?P<digits>\d+(?:\.\d+)?) (?P<digit_scale>thousand|million)\b"
)


def digits_for_words(text: str) -> str:
    """Expects lower case. What is not a number stays as it is."""
    return _NUMBER.sub(_digits, text)


def _digits(found: re.Match[str]) -> str:
    if found["digits"]:
        return (
            f"{found['digits']}{'0' * (3 if found['digit_scale'] == 'thousand' else 6)}"
            if ("." not in found["digits"])
            else found[0]
        )
    words = re.split(r"[ -]", found["words"])
    scale = _SCALES.get(found["scale"].strip(), 1)
    if len(words) == 2 and not (words[0] in _TENS and 0 < _ONES.get(words[1], 0) < 10):
        return found[0]  # "five six" is no number
    return str(sum(_TENS.get(word, 0) + _ONES.get(word, 0) for word in words) * scale)
