"""One question and its answer."""

from functools import partial
from typing import Final

from tests.e2e import provider
from tests.e2e.page import Look
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps.seen import DATA, GENERAL, check_growth, check_text, has_text
from tests.kit.waiting import wait_for

_BLANK_S: Final = 1.5


async def _model_list(stage: Stage) -> None:
    await stage.chat.open("auto")
    names = await stage.chat.model_names()
    await stage.picture("models")
    assert names[:3] == ["Auto", "General assistant", "Data analysis"], names


async def _general(stage: Stage) -> None:
    await stage.chat.open("auto")
    looks = await stage.ask(GENERAL)
    await stage.picture("general")
    check_text(looks)
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
    check_text(looks)
    check_growth(looks)
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
    await wait_for(partial(has_text, stage, "SELECT"), "the query's text", within_s=5)
    await stage.picture("data-unfolded")


async def _status(stage: Stage) -> None:
    await stage.chat.open("data")
    looks = await stage.ask(DATA)
    seen = list(dict.fromkeys(look.status for look in looks if look.status and look.running))
    assert len(seen) >= 2, f"statuses seen while it ran: {seen}"
    assert looks[-1].status, "no last status"
    assert "shimmer" not in await stage.chat.answers.last.locator(".status-description").last.inner_html(), "not done"


async def _waiting(stage: Stage) -> str:
    """The page is never blank: it names the team from the beginning, and says that the model is busy."""
    await stage.chat.open("scripted")
    looks = await stage.ask(provider.SLOW)
    first = next(look for look in looks if look.status)
    assert "Scripted provider" in first.status, first
    assert first.at - looks[0].at < _BLANK_S, f"blank for {first.at - looks[0].at:.1f} s"
    looks = await stage.ask(provider.BUSY)
    seen = list(dict.fromkeys(look.status for look in looks))
    assert any("busy" in status for status in seen), seen
    assert not looks[-1].error, looks[-1].error
    return "; ".join(seen)


async def _reasoning(stage: Stage) -> None:
    """The work is folded away before the answer; what it rests on is below."""
    await stage.chat.open("quiet")
    looks = await stage.ask(DATA)
    await stage.picture("reasoning")
    check_text(looks)
    text = looks[-1].text
    assert "East" in text, text
    assert "Thought for" in text, f"no folded work: {text}"
    assert "ValidationAgent" not in text, "the work is not folded away"
    assert "1 Source" in await stage.chat.answers.last.inner_text(), "no source"


async def _usage(stage: Stage) -> None:
    await stage.chat.open("scripted")
    await stage.ask(provider.FIRST)
    told = await stage.chat.usage()
    assert "11" in told, told
    assert "completion_tokens" in told, told


STEPS: Final = (
    Step("model-list", _model_list),
    Step("general", _general),
    Step("data", _data),
    Step("folding", _folding),
    Step("status", _status),
    Step("waiting", _waiting),
    Step("reasoning", _reasoning),
    Step("usage", _usage),
)
