"""`scripts/dev/e2e-page`: frames a second of a long run, and screenshots."""

import asyncio
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from playwright.async_api import Page

from aiostream_server.config.load import load_config
from aiostream_server.config.model import TeamConfig
from aiostream_server.teams.context import TeamContext
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.serving import config_for, serving
from tests.page.browsing import browser, window

AGENTS: Final = 12
TOKENS: Final = 5_000
TOKENS_PER_S: Final = 100
_FRAMES: Final = """() => {
    const seen = window.frames_seen = [];
    const look = now => { if (window.frames_seen === seen) { seen.push(now); requestAnimationFrame(look); } };
    requestAnimationFrame(look);
}"""


def twelve(context: TeamContext) -> RoundRobinGroupChat:
    """Twelve agents, each speaking once."""
    agents = [AssistantAgent(f"Agent{number}", context.model()) for number in range(1, AGENTS + 1)]
    return RoundRobinGroupChat(list(agents), max_turns=AGENTS)


async def frames(tokens: int = TOKENS) -> dict[str, float]:
    """Frames a second while the page is idle, and while the run is shown; the longest time between two, in ms."""
    words = [
        f"**word{n}** " if n % 25 == 0 else "\n\n" if n % 40 == 39 else f"word{n} " for n in range(tokens // AGENTS)
    ]
    async with ScriptedProvider() as provider:
        config = config_for(provider.base_url, TeamConfig(id="twelve", factory="tests.page.__main__:twelve"))
        provider.script(*[ScriptedAnswer(*words, pause_s=1 / TOKENS_PER_S)] * AGENTS)
        with tempfile.TemporaryDirectory() as folder:
            async with serving(config, Path(folder)) as server, browser() as opened:
                shown = await window(opened, server.url)
                shown.page.set_default_timeout(600_000)
                await shown.page.wait_for_selector(".card")
                idle = await _rate(shown.page, 2.0)
                await shown.ask("Speak, all of you", team="twelve")
                await shown.page.wait_for_selector(".message.open")
                await shown.page.evaluate(_FRAMES)
                await shown.until("stop")
                busy, longest = await _seen(shown.page)
                said = await shown.page.locator(".transcript .message").count()
                assert shown.errors == []
                assert said == AGENTS
    return {"idle": idle, "busy": busy, "longest_ms": longest}


async def _rate(page: Page, wait_s: float) -> float:
    await page.evaluate(_FRAMES)
    await asyncio.sleep(wait_s)
    return (await _seen(page))[0]


async def _seen(page: Page) -> tuple[float, float]:
    times = await page.evaluate("window.frames_seen")
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return 1_000 * len(gaps) / (times[-1] - times[0]), max(gaps)


async def screenshots(into: Path) -> None:
    views: list[tuple[str, Literal["light", "dark"], int]] = [
        ("wide", "light", 1360),
        ("dark", "dark", 1360),
        ("phone", "light", 390),
    ]
    with tempfile.TemporaryDirectory() as folder:
        async with serving(load_config(None, {}), Path(folder)) as server, browser() as opened:
            for name, scheme, width in views:
                shown = await window(opened, server.url)
                page = shown.page
                await page.emulate_media(color_scheme=scheme)
                await page.set_viewport_size({"width": width, "height": 860})
                await page.wait_for_selector(".card")
                await page.screenshot(path=into / f"teams-{name}.png")
                await page.get_by_role("button", name="Which region had the highest total sales?").click()
                await shown.until("stop")
                await page.locator(".bar.call").last.click()
                await page.screenshot(path=into / f"run-{name}.png", full_page=width < 500)
                await page.click('nav a[data-page="runs"]')
                await page.wait_for_selector("tbody tr")
                await page.screenshot(path=into / f"runs-{name}.png")


async def main() -> None:
    into = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="aiostream-page-"))
    await screenshots(into)
    print(f"screenshots: {into}")
    seen = await frames()
    print(f"{AGENTS} agents, {TOKENS} tokens at {TOKENS_PER_S} a second:")
    print(
        f"  {seen['busy']:.1f} frames a second (idle: {seen['idle']:.1f}), "
        f"at most {seen['longest_ms']:.0f} ms between two"
    )


if __name__ == "__main__":
    asyncio.run(main())
