"""Several turns of one conversation."""

from typing import Final

from tests.e2e import provider
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps.seen import DATA, asked_with, check_text, last_asked

_CODE_LINE: Final = ".cm-line"


async def _follow_up(stage: Stage) -> None:
    """A question that means nothing without the one before, to the same team."""
    await stage.chat.open("auto")
    await stage.ask("Total sales by region")
    looks = await stage.ask("And by month?")
    await stage.picture("follow-up")
    check_text(looks)
    assert "AnalysisAgent" in looks[-1].text, f"not the data team: {looks[-1].text[:200]}"
    assert "2024" in looks[-1].text, f"no months: {looks[-1].text[-300:]}"
    assert "schema" not in looks[-1].text, "the schema was read again: the team's state was not taken up"


async def _memory(stage: Stage) -> None:
    """The team knows what was said before: once, and nothing of the transcript's signs."""
    await stage.chat.open("scripted")
    await stage.ask(provider.FIRST)
    looks = await stage.ask(provider.RECALL)
    asked = provider.user_texts(last_asked(stage, provider.RECALL))
    assert asked == [provider.FIRST, provider.RECALL], asked
    assert "4711" in looks[-1].text


async def _approval(stage: Stage) -> None:
    """The team asks before it runs its query, which can be read in lines, and runs it after a yes."""
    await stage.chat.open("careful")
    looks = await stage.ask(DATA)
    check_text(looks)
    lines = await stage.chat.answers.last.locator(_CODE_LINE).all_inner_texts()
    assert any(line.startswith("FROM ") for line in lines), f"the query is not in lines: {lines}"
    assert any(line.startswith("ORDER BY") for line in lines), f"the query is not whole: {lines}"
    assert "Reply yes" in looks[-1].text, looks[-1].text
    assert "East" not in looks[-1].text, "it did not wait"
    looks = await stage.ask("yes")
    await stage.picture("approval")
    assert "East" in looks[-1].text, looks[-1].text


async def _click(stage: Stage) -> None:
    """The replies that the team asks for are buttons, and one of them runs the query."""
    await stage.chat.open("careful")
    await stage.ask(DATA)
    button = stage.chat.page.locator('[aria-label="yes"], [aria-label="Follow up: yes"]')
    await button.wait_for()
    await stage.picture("click")
    stage.turns += 1
    looks = [look async for look in stage.chat.clicking(button)]
    assert "East" in looks[-1].text, looks[-1].text


async def _continue(stage: Stage) -> None:
    """The page's "Continue response" adds to the text, in its sentence."""
    await stage.chat.open("scripted")
    (first,) = (await stage.ask(provider.FIRST))[-1:]
    stage.turns += 1
    looks = await stage.chat.continue_response()
    await stage.picture("continued")
    assert looks[-1].text.startswith(first.text.rstrip()), looks[-1].text
    assert len(looks[-1].text) > len(first.text), "nothing was added"
    assert looks[-1].text.count("Scripted") <= 1, f"a heading in the middle: {looks[-1].text}"


async def _regenerate(stage: Stage) -> None:
    await stage.chat.open("scripted")
    await stage.ask(provider.FIRST)
    before = len(asked_with(stage, provider.FIRST))
    looks = await stage.regenerate()
    asked = asked_with(stage, provider.FIRST)[before:]
    assert len(asked) == 1, f"{len(asked)} model calls for one answer"
    assert provider.user_texts(asked[0]) == [provider.FIRST], "the answer that was thrown away is remembered"
    assert "4711" in looks[-1].text


STEPS: Final = (
    Step("follow-up", _follow_up),
    Step("memory", _memory),
    Step("approval", _approval),
    Step("click", _click),
    Step("continue", _continue),
    Step("regenerate", _regenerate),
)
