"""What answers look like: in light and in dark, on a desk and on a phone."""

from typing import Final

from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps.seen import DATA, content
from tests.kit.waiting import wait_for

_SIDEWAYS: Final = "document.documentElement.scrollWidth - window.innerWidth"


async def _looks(stage: Stage) -> None:
    """A table that is unfolded, and a chart that is drawn."""
    await stage.chat.open("data")
    await stage.ask(DATA)
    await stage.chat.unfold("rows")
    await stage.ask("Plot it")

    async def is_drawn() -> bool | None:
        return await content(stage, "img") == 1 or None

    await wait_for(is_drawn, "a chart", within_s=10)
    for scheme in ("light", "dark"):
        await stage.chat.page.emulate_media(color_scheme=scheme)
        await stage.picture(f"looks-{scheme}")
        await stage.answer_picture(f"chart-{scheme}")
        async with stage.chat.phone():
            await stage.answer_picture(f"chart-{scheme}-phone")
    await stage.chat.page.emulate_media(color_scheme="light")


async def _phone(stage: Stage) -> None:
    """Nothing is wider than a phone; a person begins there, too, with the cards of the empty page."""
    async with stage.chat.phone():
        await stage.chat.open("auto")
        await stage.chat.page.screenshot(path=stage.output / "phone-empty.png")
        await stage.ask(DATA)
        await stage.chat.unfold("query")
        await stage.answer_picture("phone")
        sideways = await stage.chat.page.evaluate(_SIDEWAYS)
    assert sideways <= 0, f"{sideways} pixels beyond the edge"


STEPS: Final = (
    Step("looks", _looks),
    Step("phone", _phone),
)
