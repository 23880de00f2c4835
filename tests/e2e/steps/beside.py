"""What happens beside the answers: titles, foreign addresses, markup of an agent."""

import asyncio
import re
from functools import partial
from typing import Final

from tests.e2e import provider
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps.seen import GENERAL, content
from tests.kit.waiting import wait_for


async def _hostile(stage: Stage) -> None:
    """An agent's markup stays text: nothing is loaded, run, folded, or taken for a thought."""
    await stage.chat.open("scripted")
    foreign = len(stage.chat.foreign)
    looks = await stage.ask(provider.HOSTILE)
    await asyncio.sleep(0.5)
    await stage.picture("hostile")
    answer, page = stage.chat.answers.last, stage.chat.page
    found = [tag for tag in ("img", "iframe", "video", "script", "svg[onload]") if await content(stage, tag)]
    wrong = {
        "elements": found,
        "loaded": stage.chat.foreign[foreign:],
        "folded": await stage.chat.folded.count(),
        "ran": await page.evaluate("window.brokenOut === true"),
        "lost": [
            word for word in ("Begin.", "a thought that is none", "One.", "Two.", "End.") if word not in looks[-1].text
        ],
        "thought": await answer.get_by_text(re.compile("Thought for|Thinking")).count(),
    }
    assert not any(wrong.values()), str({name: value for name, value in wrong.items() if value})


async def _title(stage: Stage) -> None:
    """The conversation is titled by the auxiliary answer, which is shorter than so long a question."""
    await stage.chat.open("general")
    question = f"{GENERAL} And please, in your own words, tell me whether that is a little or a lot of money"
    asked_before = len(stage.server.lines("auxiliary_answered"))
    await stage.ask(question)
    title = await wait_for(partial(_given_title, stage), "a title", within_s=10)
    kinds = {line["kind"] for line in stage.server.lines("auxiliary_answered")[asked_before:]}
    assert any("title" in kind for kind in kinds), f"no title was asked for: {kinds}"
    assert question.startswith(title.rstrip("…. ")), title
    assert len(title) < len(question), f"not shortened: {title}"


async def _no_extra_runs(stage: Stage) -> None:
    """No team ran for a title, tags or follow-up questions: as many runs as questions."""
    await asyncio.sleep(2)
    runs = len(stage.server.lines("run_finished"))
    kinds = sorted({line["kind"] for line in stage.server.lines("auxiliary_answered")})
    assert runs == stage.turns, f"{runs} runs for {stage.turns} questions; auxiliary questions answered: {kinds}"
    assert len(kinds) >= 3, kinds


async def _nothing_foreign(stage: Stage) -> None:
    """In all of the steps before."""
    assert not stage.chat.foreign, stage.chat.foreign


async def _given_title(stage: Stage) -> str | None:
    """The sidebar's first entry, once it is more than what it was at first."""
    return None if (title := await stage.chat.title()) == "New Chat" else title


STEPS: Final = (
    Step("hostile", _hostile),
    Step("title", _title),
)

LAST: Final = (
    Step("no-extra-runs", _no_extra_runs),
    Step("nothing-foreign", _nothing_foreign),
)
"""Of all steps before them."""
