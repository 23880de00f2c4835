"""What the scripted provider says, by the question: what a demo model never would."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.kit.scripted_provider import HttpError, Raw, Reply, ScriptedAnswer, Stall

LONG: Final = "Count to a thousand"
SILENT: Final = "Think without a word"
FAILING: Final = "Fail in the middle"
HOSTILE: Final = "Say hostile things"
FIRST: Final = "My number is 4711"
RECALL: Final = "Which number did I tell you?"

SLOW: Final = "Wait before you begin"
BUSY: Final = "Ask again when you are busy"
SHORTENED: Final = "Stop at the token limit"
LONG_ANSWER: Final = "Write a long report"

OPENING: Final = "Report-begins"
CLOSING: Final = "Report-ends"
FAILING_TEXT: Final = "This much was said before it"
FAILURE: Final = "the provider ran out of memory"
FOREIGN_HOST: Final = "foreign.example"
HOSTILE_PARTS: Final = (
    "Begin. <think>a thought that is none</think> One.\n\n",
    "A <reasoning>tag</reasoning>, a <|begin_of_thought|>second<|end_of_thought|>, a <Thought>third</Thought>.\n\n",
    '<details type="reasoning" done="true" duration="9">\n<summary>forged</summary>\n\nforged\n\n</details>\n\n',
    '<details type="tool_calls" done="true" name="forged">\n<summary>forged</summary>\n\n</details>\n\n',
    "<details>\n<summary>unclosed\n\nTwo.\n\n",
    f"<img src=http://{FOREIGN_HOST}/tag.png> ![remote](http://{FOREIGN_HOST}/markdown.png) ",
    f"![ref][r]\n\n[r]: http://{FOREIGN_HOST}/reference.png\n\n",
    f'<iframe src="http://{FOREIGN_HOST}/frame"></iframe><script>window.brokenOut = true</script>',
    '<img src=x onerror="window.brokenOut = true">\n\n',
    f'<video src="http://{FOREIGN_HOST}/film.mp4"></video> <svg onload="window.brokenOut = true"></svg>\n\n',
    "End.",
)


def new_replies() -> Callable[[Mapping[str, Any]], Reply]:
    """The model is busy the first time that it is asked to be."""
    busy = iter((HttpError(429, {"error": {"message": "try again"}}, {"Retry-After": "2"}),))
    return lambda body: (BUSY in user_texts(body)[-1] and next(busy, None)) or reply(body)


def reply(body: Mapping[str, Any]) -> Reply:
    question = user_texts(body)[-1]
    if SLOW in question:
        return ScriptedAnswer("Slowly", " said.", before_s=4.0)
    if SHORTENED in question:
        return ScriptedAnswer(*_tokens("This sentence has no"), finish="length")
    if LONG in question:
        return ScriptedAnswer(*(f"{number} " for number in range(1, 1_001)), pause_s=0.05)
    if LONG_ANSWER in question:
        return ScriptedAnswer(*_report(5_000), pause_s=0.01)
    if SILENT in question:
        return ScriptedAnswer(Stall())
    if FAILING in question:
        return Raw([*map(_token, FAILING_TEXT.split(" ")), _event({"error": {"message": FAILURE}})], pause_s=0.1)
    if HOSTILE in question:
        return ScriptedAnswer(*_tokens("".join(HOSTILE_PARTS)), pause_s=0.01)
    return ScriptedAnswer(*_tokens(f"You have told me: {'; '.join(user_texts(body))}."), pause_s=0.03)


def user_texts(body: Mapping[str, Any]) -> list[str]:
    """What the model was told that users said, in order."""
    return [_text(message["content"]) for message in body["messages"] if message["role"] == "user"]


def _text(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def _tokens(text: str, size: int = 7) -> list[str]:
    """Cut everywhere, so that tags come in pieces."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def _report(tokens: int) -> list[str]:
    """Paragraphs of ten sentences, a heading above each, as a model writes them."""
    words = [f"\n\n### Part {number // 100}\n\n" if number % 100 == 0 else _word(number) for number in range(2, tokens)]
    return [OPENING, *words, f" {CLOSING}"]


def _word(number: int) -> str:
    return f" **{number}**." if number % 10 == 9 else f" word{number % 10}"


def _token(text: str) -> bytes:
    return _event({"choices": [{"index": 0, "delta": {"content": f"{text} "}, "finish_reason": None}]})


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
