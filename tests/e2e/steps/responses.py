"""A connection of the type Responses, which 0.12 has: what is shown, and what the next question brings back."""

from typing import Final

from tests.e2e import provider
from tests.e2e.programs import RESPONSES
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps.seen import DATA, last_asked

_FIRST_VERSION: Final = (0, 12)


async def _responses(stage: Stage) -> str | None:
    """The work is folded, a call of the team's is drawn and never run by the page, and the status line tells."""
    if stage.version < _FIRST_VERSION:
        return "this version has no such connection"
    await stage.chat.open(f"{RESPONSES}.data")
    looks = await stage.ask(DATA)
    await stage.picture("responses")
    text, statuses = looks[-1].text, {look.status for look in looks if look.status}
    assert not looks[-1].error, looks[-1].error
    assert "East" in text, text
    assert "ValidationAgent" not in text, "the work is not folded away"
    assert len(statuses) >= 2, statuses
    assert "schema, query" in text, f"the calls are not drawn as ones that have ended: {text}"
    return f"{len(statuses)} statuses"


async def _responses_memory(stage: Stage) -> None:
    """The page sends the items of the answer back: the model is told the conversation once."""
    if stage.version < _FIRST_VERSION:
        return
    await stage.chat.open(f"{RESPONSES}.scripted")
    await stage.ask(provider.FIRST)
    looks = await stage.ask(provider.RECALL)
    asked = provider.user_texts(last_asked(stage, provider.RECALL))
    assert asked == [provider.FIRST, provider.RECALL], asked
    assert "4711" in looks[-1].text


STEPS: Final = (Step("responses", _responses), Step("responses-memory", _responses_memory))
