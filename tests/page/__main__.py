"""`scripts/dev/e2e-page`: what the frames of a long run cost, and screenshots."""

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from playwright.async_api import CDPSession, Page

from aiostream_server.config.load import load_config
from aiostream_server.config.model import TeamConfig
from aiostream_server.teams.context import TeamContext
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.serving import config_for, serving
from tests.page.browsing import browser, window

AGENTS: Final = 12
TOKENS: Final = 5_000
TOKENS_PER_S: Final = 100
_IS_AT_THE_END: Final = """() => {
    const pane = document.querySelector(".transcript-pane");
    return pane.scrollHeight > pane.clientHeight && pane.scrollHeight - pane.scrollTop - pane.clientHeight < 2;
}"""
_FRAMES: Final = """() => {
    const seen = window.frames_seen = [];
    const look = now => { if (window.frames_seen === seen) { seen.push(now); requestAnimationFrame(look); } };
    requestAnimationFrame(look);
}"""


def twelve(context: TeamContext) -> RoundRobinGroupChat:
    """Twelve agents, each speaking once."""
    agents = [AssistantAgent(f"Agent{number}", context.model()) for number in range(1, AGENTS + 1)]
    return RoundRobinGroupChat(list(agents), max_turns=AGENTS)


@dataclass(frozen=True, slots=True)
class Frames:
    """`idle_per_s` were shown while nothing happened. `longest_ms` passed between two. `main_ms` is the CPU time of the
    page's main thread for one frame: it has 16.7."""

    idle_per_s: float
    per_s: float
    longest_ms: float
    main_ms: float


async def frames(tokens: int = TOKENS, per_s: int = TOKENS_PER_S, idle_s: float = 2.0) -> Frames:
    """Those of a run while it is shown, and of the page at rest for `idle_s` before."""
    words = [
        f"**word{n}** " if n % 25 == 0 else "\n\n" if n % 40 == 39 else f"word{n} " for n in range(tokens // AGENTS)
    ]
    async with ScriptedProvider() as provider:
        config = config_for(provider.base_url, TeamConfig(id="twelve", factory="tests.page.__main__:twelve"))
        provider.script(*[ScriptedAnswer(*words, pause_s=1 / per_s)] * AGENTS)
        with tempfile.TemporaryDirectory() as folder:
            async with serving(config, Path(folder)) as server, browser() as opened:
                shown = await window(opened, server.url)
                shown.page.set_default_timeout(600_000)
                await shown.page.wait_for_selector(".card")
                thread = await shown.page.context.new_cdp_session(shown.page)
                await thread.send("Performance.enable", {"timeDomain": "threadTicks"})
                idle_per_s = await _idle(shown.page, idle_s)
                await shown.ask("Speak, all of you", team="twelve")
                await shown.page.wait_for_selector(".message.open")
                await shown.page.evaluate(_FRAMES)
                spent_s = await _spent_s(thread)
                await shown.until("stop")
                spent_s = await _spent_s(thread) - spent_s
                gaps = await _gaps(shown.page)
                said = await shown.page.locator(".transcript .message").count()
                assert shown.errors == []
                assert said == AGENTS
                assert await shown.page.evaluate(_IS_AT_THE_END), "the transcript follows what is said"
    return Frames(idle_per_s, 1_000 * len(gaps) / sum(gaps), max(gaps), 1_000 * spent_s / len(gaps))


async def _spent_s(thread: CDPSession) -> float:
    metrics = (await thread.send("Performance.getMetrics"))["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


async def _idle(page: Page, wait_s: float) -> float:
    await page.evaluate(_FRAMES)
    await asyncio.sleep(wait_s)
    gaps = await _gaps(page)
    return 1_000 * len(gaps) / sum(gaps)


async def _gaps(page: Page) -> list[float]:
    """The milliseconds between frames."""
    times = await page.evaluate("window.frames_seen")
    return [later - earlier for earlier, later in pairwise(times)]


async def screenshots(into: Path) -> None:
    views: list[tuple[str, Literal["light", "dark"], int]] = [
        ("wide", "light", 1360),
        ("dark", "dark", 1360),
        ("phone", "light", 360),
        ("phone-dark", "dark", 360),
    ]
    with tempfile.TemporaryDirectory() as folder:
        async with serving(load_config(None, {}), Path(folder)) as server, browser() as opened:
            for name, scheme, width in views:
                shown = await window(opened, server.url)
                page = shown.page
                await page.emulate_media(color_scheme=scheme)
                await page.set_viewport_size({"width": width, "height": 960})
                await page.wait_for_selector(".card")
                await page.screenshot(path=into / f"teams-{name}.png")
                await shown.ask("How did revenue develop month by month? Draw a chart.", team="data")
                await shown.until("stop")
                await page.wait_for_selector(".transcript img")
                await page.locator(".bar.model").last.click()
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
        f"  {seen.per_s:.1f} frames a second (at rest {seen.idle_per_s:.1f}), "
        f"at most {seen.longest_ms:.0f} ms between two"
    )
    print(f"  {seen.main_ms:.1f} ms of CPU time of the main thread for a frame")


if __name__ == "__main__":
    asyncio.run(main())
