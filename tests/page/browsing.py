"""The page in Debian's Chromium: every request that leaves the server's address, and every error, is noted."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright

from aiostream_server.config.load import load_config
from tests.kit.scripted_provider import ScriptedProvider
from tests.kit.serving import Server, config_for, sample_team, serving
from tests.kit.waiting import DEADLINE_S

_CHROMIUM: Final = "/usr/bin/chromium"
_ARGUMENTS: Final = ("--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
WAIT_MS: Final = 1_000 * DEADLINE_S


@dataclass(slots=True)
class Window:
    """One tab. `errors` are those of scripts and of the Content-Security-Policy; `foreign` what it asked of others."""

    page: Page
    root: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    async def ask(self, question: str, *, team: str = "auto") -> None:
        await self.page.select_option("#team", team)
        await self.page.fill("#question", question)
        await self.page.click(".ask button")

    async def until(self, state: str) -> None:
        """Wait for this state of the shown run, and for all that was said."""
        await self.page.wait_for_selector(f'.controls .state[data-state="{state}"]')
        await self.page.wait_for_selector(".transcript[aria-busy]", state="detached")

    async def transcript(self) -> str:
        text: str = await self.page.inner_text(".transcript-pane")
        return text


class _Kept:
    """The browser that `keeping_browser` has opened, and what closes it."""

    closing: AsyncExitStack | None = None
    opened: Browser | None = None


@asynccontextmanager
async def keeping_browser() -> AsyncIterator[None]:
    """In this block `browser` opens one, when it is first used, and gives it to all: a start takes seconds."""
    async with AsyncExitStack() as _Kept.closing:
        try:
            yield
        finally:
            _Kept.closing = _Kept.opened = None


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser without profiles. Those that are opened in it end with the block."""
    if _Kept.closing is None:
        async with _launched() as own:
            yield own
        return
    if (opened := _Kept.opened) is None:
        opened = await _Kept.closing.enter_async_context(_launched())
        _Kept.opened = opened
    try:
        yield opened
    finally:
        for context in opened.contexts:
            await context.close()


@asynccontextmanager
async def _launched() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=_CHROMIUM, args=[*_ARGUMENTS])
        try:
            yield opened
        finally:
            await opened.close()


async def window(opened: Browser | BrowserContext, root: str, path: str = "/") -> Window:
    """A tab of its own at `root` and `path`; of a browser, in a profile of its own."""
    context = await opened.new_context() if isinstance(opened, Browser) else opened
    page = await context.new_page()
    page.set_default_timeout(WAIT_MS)
    shown = Window(page, root)

    def note(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and not request.url.startswith(root):
            shown.foreign.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: shown.errors.append(str(error)))
    page.on("console", lambda told: shown.errors.append(told.text) if told.type == "error" else None)
    await page.goto(f"{root}{path}")
    return shown


@asynccontextmanager
async def demo(tmp_path: Path) -> AsyncIterator[tuple[Server, Window]]:
    """The built-in teams with the demo model."""
    async with serving(load_config(None, {}), tmp_path) as server, browser() as opened:
        shown = await window(opened, server.url)
        yield server, shown
        assert shown.errors == []
        assert shown.foreign == []


@asynccontextmanager
async def scripted(tmp_path: Path, *teams: str) -> AsyncIterator[tuple[ScriptedProvider, Server, Window]]:
    async with (
        ScriptedProvider() as provider,
        serving(config_for(provider.base_url, *map(sample_team, teams)), tmp_path) as server,
        browser() as opened,
    ):
        yield provider, server, await window(opened, server.url)
