"""What a person does with Open WebUI, one step each: a step opens its own conversation and needs no other step."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Any, Final

from tests.e2e import provider
from tests.e2e.page import Look
from tests.e2e.programs import logged_at
from tests.e2e.stage import Stage
from tests.kit.scripted_provider import Exchange
from tests.kit.waiting import wait_for

GENERAL: Final = "What is 15% of 850?"
DATA: Final = "Which region had the highest total sales?"
_RAW_TAG: Final = re.compile(r"</?(?:details|summary)\b", re.IGNORECASE)
_END_WITHIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    run: Callable[[Stage], Awaitable[None]]


async def _model_list(stage: Stage) -> None:
    await stage.chat.open("auto")
    names = await stage.chat.model_names()
    await stage.picture("models")
    assert names[:3] == ["Auto", "General assistant", "Data analysis"], names


async def _general(stage: Stage) -> None:
    await stage.chat.open("auto")
    looks = await stage.ask(GENERAL)
    await stage.picture("general")
    _check_text(looks)
    assert "127.5" in looks[-1].text, looks[-1].text
    assert "General assistant" in looks[-1].text, "no word of the routing"


async def _data(stage: Stage) -> None:
    await stage.chat.open("auto")
    looks: list[Look] = []
    async for look in stage.asking(DATA):
        looks.append(look)
        if "ValidationAgent" in look.text and len(looks) > 1 and "ValidationAgent" not in looks[-2].text:
            await stage.picture("data-live", spare=110)
    await stage.picture("data")
    _check_text(looks)
    _check_growth(looks)
    assert "East" in looks[-1].text, looks[-1].text


async def _folding(stage: Stage) -> None:
    """Every tool call and result is a titled block that unfolds."""
    await stage.chat.open("data")
    await stage.ask(DATA)
    titles = await stage.chat.folded.all_inner_texts()
    assert len(titles) >= 3, titles
    assert all(title.strip() for title in titles), f"a block without a title: {titles}"
    tables = stage.chat.answers.last.locator("table")
    assert await tables.count() == 0, "a table is not folded away"
    for title in ("rows", "query"):  # from below, so that nothing moves away from the pointer
        await stage.chat.unfold(title)
    assert await tables.locator("tr").count() == 5, "a heading and four regions"
    await wait_for(partial(_has_text, stage, "SELECT"), "the query's text", within_s=5)
    await stage.picture("data-unfolded")


async def _status(stage: Stage) -> None:
    await stage.chat.open("data")
    looks = await stage.ask(DATA)
    seen = list(dict.fromkeys(look.status for look in looks if look.status and look.running))
    assert len(seen) >= 2, f"statuses seen while it ran: {seen}"
    assert looks[-1].status, "no last status"
    assert "shimmer" not in await stage.chat.answers.last.locator(".status-description").last.inner_html(), "not done"


async def _follow_up(stage: Stage) -> None:
    """A question that means nothing without the one before, to the same team."""
    await stage.chat.open("auto")
    await stage.ask("Total sales by region")
    looks = await stage.ask("And by month?")
    await stage.picture("follow-up")
    _check_text(looks)
    assert "AnalysisAgent" in looks[-1].text, f"not the data team: {looks[-1].text[:200]}"
    assert "2024" in looks[-1].text, f"no months: {looks[-1].text[-300:]}"
    assert "schema" not in looks[-1].text, "the schema was read again: the team's state was not taken up"


async def _memory(stage: Stage) -> None:
    """The team knows what was said before: once, and nothing of the transcript's signs."""
    await stage.chat.open("scripted")
    await stage.ask(provider.FIRST)
    looks = await stage.ask(provider.RECALL)
    asked = provider.user_texts(_last_asked(stage, provider.RECALL))
    assert asked == [provider.FIRST, provider.RECALL], asked
    assert "4711" in looks[-1].text


async def _approval(stage: Stage) -> None:
    """The team asks before it runs its query, and runs it after a yes."""
    await stage.chat.open("careful")
    looks = await stage.ask(DATA)
    _check_text(looks)
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


async def _reasoning(stage: Stage) -> None:
    """The work is folded away before the answer; what it rests on is below."""
    await stage.chat.open("quiet")
    looks = await stage.ask(DATA)
    await stage.picture("reasoning")
    _check_text(looks)
    text = looks[-1].text
    assert "East" in text, text
    assert "Thought for" in text, f"no folded work: {text}"
    assert "ValidationAgent" not in text, "the work is not folded away"
    assert "1 Source" in await stage.chat.answers.last.inner_text(), "no source"


async def _regenerate(stage: Stage) -> None:
    await stage.chat.open("scripted")
    await stage.ask(provider.FIRST)
    before = len(_asked(stage, provider.FIRST))
    looks = await stage.regenerate()
    asked = _asked(stage, provider.FIRST)[before:]
    assert len(asked) == 1, f"{len(asked)} model calls for one answer"
    assert provider.user_texts(asked[0]) == [provider.FIRST], "the answer that was thrown away is remembered"
    assert "4711" in looks[-1].text


async def _stop(stage: Stage) -> None:
    """Stop ends the run and the model's request, and keeps the text so far."""
    await stage.chat.open("scripted")
    await _stop_when(stage, provider.LONG, lambda look: len(look.text) > 60)
    stopped = await stage.chat.look()
    await asyncio.sleep(0.5)
    await stage.picture("stopped")
    assert not await stage.chat.answers.last.locator(".shimmer").count(), "the status line still shimmers"
    assert "1 2 3" in stopped.text, stopped.text[:200]
    assert (await stage.chat.look()).text == stopped.text, "the text still grows"


async def _stop_in_silence(stage: Stage) -> None:
    await stage.chat.open("scripted")
    await _stop_when(stage, provider.SILENT, lambda look: look.running)


async def _failure(stage: Stage) -> None:
    await stage.chat.open("scripted")
    last = (await stage.ask(provider.FAILING))[-1]
    await stage.picture("failure")
    assert provider.FAILING_TEXT in last.text, f"lost what was said before it: {last.text[:200]}"
    assert provider.FAILURE in last.error, f"no word of the failure: {last.error!r}"
    assert last.text.count(provider.FAILURE) == 1, f"the failure is told twice: {last.text}"


async def _usage(stage: Stage) -> None:
    await stage.chat.open("scripted")
    await stage.ask(provider.FIRST)
    told = await stage.chat.usage()
    assert "11" in told, told
    assert "completion_tokens" in told, told


async def _hostile(stage: Stage) -> None:
    """An agent's markup stays text: nothing is loaded, run, folded, or taken for a thought."""
    await stage.chat.open("scripted")
    foreign = len(stage.chat.foreign)
    looks = await stage.ask(provider.HOSTILE)
    await asyncio.sleep(0.5)
    await stage.picture("hostile")
    answer, page = stage.chat.answers.last, stage.chat.page
    found = [tag for tag in ("img", "iframe", "video", "script", "svg[onload]") if await _content(stage, tag)]
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


STEPS: Final = (
    Step("model-list", _model_list),
    Step("general", _general),
    Step("data", _data),
    Step("folding", _folding),
    Step("status", _status),
    Step("follow-up", _follow_up),
    Step("memory", _memory),
    Step("approval", _approval),
    Step("click", _click),
    Step("continue", _continue),
    Step("reasoning", _reasoning),
    Step("regenerate", _regenerate),
    Step("stop", _stop),
    Step("stop-in-silence", _stop_in_silence),
    Step("failure", _failure),
    Step("usage", _usage),
    Step("hostile", _hostile),
    Step("title", _title),
    Step("no-extra-runs", _no_extra_runs),
    Step("nothing-foreign", _nothing_foreign),
)


def _check_text(looks: Sequence[Look]) -> None:
    """Never raw HTML, not even for a moment; no error."""
    raw = [found[0] for look in looks if (found := _RAW_TAG.search(look.text))]
    assert not raw, f"raw HTML in {len(raw)} of {len(looks)} looks: {raw[0]}"
    assert not looks[-1].error, looks[-1].error


def _check_growth(looks: Sequence[Look]) -> None:
    lengths = list(dict.fromkeys(len(look.text) for look in looks if look.running))
    steps = sum(after > before for before, after in pairwise(lengths))
    assert steps >= 8, f"the text grew {steps} times while it ran: {lengths}"


async def _stop_when(stage: Stage, question: str, is_time: Callable[[Look], bool]) -> None:
    """Ask, press Stop when it is time; the run is cancelled and the provider left, within a second."""
    before = len(stage.server.lines("run_finished"))
    async with aclosing(stage.asking(question)) as looks:  # type: ignore[type-var]
        async for look in looks:
            if is_time(look):
                break
    exchange = await wait_for(partial(_exchange, stage, question), "the model's request", within_s=5)
    pressed_at = datetime.now(UTC)
    await stage.chat.stop()
    line = await wait_for(partial(_cancelled, stage, before), "a cancelled run in the log", within_s=5)
    took_s = (logged_at(line) - pressed_at).total_seconds()
    assert took_s < _END_WITHIN_S, f"the run ended after {took_s:.2f} s"
    async with asyncio.timeout(_END_WITHIN_S):  # TimeoutError: the provider still answers
        await exchange.closed.wait()
    await stage.chat.until_running(is_so=False)


async def _has_text(stage: Stage, text: str) -> bool | None:
    return text in (await stage.chat.look()).text or None


async def _cancelled(stage: Stage, before: int) -> dict[str, Any] | None:
    """Its line; `before` lines were there before it."""
    lines = stage.server.lines("run_finished")[before:]
    return next((line for line in lines if line["outcome"] == "cancelled"), None)


async def _exchange(stage: Stage, question: str) -> Exchange | None:
    """The model's last request that ends with this question."""
    found = (one for one in reversed(stage.provider.exchanges) if provider.user_texts(one.body)[-1] == question)
    return next(found, None)


async def _given_title(stage: Stage) -> str | None:
    """The sidebar's first entry, once it is more than what it was at first."""
    return None if (title := await stage.chat.title()) == "New Chat" else title


def _asked(stage: Stage, question: str) -> list[dict[str, object]]:
    """The model's requests that end with this question."""
    bodies = (exchange.body for exchange in stage.provider.exchanges)
    return [body for body in bodies if (texts := provider.user_texts(body)) and texts[-1] == question]


def _last_asked(stage: Stage, question: str) -> dict[str, object]:
    found = _asked(stage, question)
    assert found, f"no model was asked: {question}"
    return found[-1]


async def _content(stage: Stage, tag: str) -> int:
    number: int = await stage.chat.answers.last.locator(f"#response-content-container {tag}").count()
    return number
