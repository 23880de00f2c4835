"""What steps look for in an answer, and in what the model was asked."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from tests.e2e import provider
from tests.e2e.page import Look
from tests.e2e.stage import Stage
from tests.kit.scripted_provider import Exchange

DATA: Final = "Which region had the highest total sales?"
GENERAL: Final = "What is 15% of 850?"
_RAW_TAG: Final = re.compile(r"</?(?:details|summary)\b", re.IGNORECASE)


def check_text(looks: Sequence[Look]) -> None:
    """Never raw HTML, not even for a moment; no error."""
    raw = [found[0] for look in looks if (found := _RAW_TAG.search(look.text))]
    assert not raw, f"raw HTML in {len(raw)} of {len(looks)} looks: {raw[0]}"
    assert not looks[-1].error, looks[-1].error


def check_growth(looks: Sequence[Look]) -> None:
    lengths = list(dict.fromkeys(len(look.text) for look in looks if look.running))
    steps = sum(after > before for before, after in pairwise(lengths))
    assert steps >= 8, f"the text grew {steps} times while it ran: {lengths}"


async def has_text(stage: Stage, text: str) -> bool | None:
    return text in (await stage.chat.look()).text or None


async def content(stage: Stage, tag: str) -> int:
    number: int = await stage.chat.answers.last.locator(f"#response-content-container {tag}").count()
    return number


async def find_exchange(stage: Stage, question: str) -> Exchange | None:
    """The model's last request that ends with this question."""
    found = (one for one in reversed(stage.provider.exchanges) if _ends_with(one.body, question))
    return next(found, None)


def asked_with(stage: Stage, question: str) -> list[dict[str, object]]:
    """The model's requests that end with this question."""
    bodies = (exchange.body for exchange in stage.provider.exchanges)
    return [body for body in bodies if _ends_with(body, question)]


def last_asked(stage: Stage, question: str) -> dict[str, object]:
    found = asked_with(stage, question)
    assert found, f"no model was asked: {question}"
    return found[-1]


def _ends_with(body: Mapping[str, Any], question: str) -> bool:
    texts = provider.user_texts(body)
    return bool(texts) and texts[-1].rstrip().endswith(question)
