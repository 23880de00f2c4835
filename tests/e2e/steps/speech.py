"""What leaves the page as text: copied, read aloud, spoken in a voice call."""

import re
from functools import partial
from typing import Final

from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps.seen import DATA
from tests.e2e.voice import read_aloud, spoken, start_call
from tests.kit.waiting import wait_for

_MARKUP: Final = re.compile(r"</?\w+[^>]*>|&#?\w+;|SELECT \w+\.")


async def _copy(stage: Stage) -> None:
    """Copy gives what the agents said, without the folds."""
    await stage.chat.open("data")
    await stage.ask(DATA)
    copied = await stage.chat.copy()
    (stage.output / "copied.txt").write_text(copied, "utf-8")
    assert "East" in copied, copied
    assert "ValidationAgent" in copied, copied
    assert not (found := _MARKUP.search(copied)), f"{found[0]!r} in what was copied: {copied}"


async def _read_aloud(stage: Stage) -> str:
    """The variant that folds the work away speaks the answer alone. Of a transcript 0.6 leaves the folds out."""
    await stage.chat.open("data:reasoning")
    await stage.ask(DATA)
    await stage.picture("variant")
    told = await read_aloud(stage.chat)
    (stage.output / "read-aloud.txt").write_text(told, "utf-8")
    _check_speech(told)
    await stage.chat.open("data")
    await stage.ask(DATA)
    told = await read_aloud(stage.chat)
    (stage.output / "read-aloud-transcript.txt").write_text(told, "utf-8")
    has_folds = "<details" in told
    assert not (has_folds and stage.version < (0, 12)), told
    return f"of a transcript the folds are {'spoken' if has_folds else 'left out'}"


async def _call(stage: Stage) -> None:
    """In a voice call, too; 0.12 says that it is one, and the team's transcript is folded away."""
    await stage.chat.open("data" if stage.version >= (0, 12) else "data:reasoning")
    await start_call(stage.chat)
    await stage.ask(DATA)
    told = await wait_for(partial(_spoken_all, stage), "the answer's last words", within_s=15, every_s=0.1)
    (stage.output / "call.txt").write_text(told, "utf-8")
    await stage.chat.page.screenshot(path=stage.output / "call.png")
    _check_speech(told)


async def _spoken_all(stage: Stage) -> str | None:
    told = await spoken(stage.chat)
    return told if "lowest" in told else None


def _check_speech(told: str) -> None:
    assert "East" in told, told
    assert "Agent" not in told, f"the team's work was spoken: {told}"
    assert not (found := _MARKUP.search(told)), f"{found[0]!r} was spoken: {told}"


STEPS: Final = (
    Step("copy", _copy),
    Step("read-aloud", _read_aloud),
    Step("call", _call),
)
