"""Open WebUI's chat page, as a person uses it: what to click in 0.6 and in 0.12, and what can be seen.

Where the two differ: 0.6 names neither its Stop button nor its items of the model list, and folds in other elements.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import Locator, Page, Route, async_playwright

from tests.kit.waiting import wait_for

WIDTH: Final = 1280
_PHONE_WIDTH: Final = 390
_HEIGHT: Final = 860
_LOWEST: Final = 420
_HIGHEST: Final = 1600
_CHROMIUM: Final = "/usr/bin/chromium"
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--use-fake-device-for-media-stream",
)
_WAIT_S: Final = 15.0
_LOOK_EVERY_S: Final = 0.05
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})

_STOP: Final = 'button[aria-label="Stop"], button:has(path[d^="M2.25 12c0-5.385 4.365-9.75 9.75-9.75"])'
_MODEL_BUTTON: Final = "#model-selector-model-button, #model-selector-0-button"
_MODEL_ITEMS: Final = "button[data-value]"
_FOLDED: Final = ", ".join(
    f"#response-content-container {block}"
    for block in (
        ".markdown-prose div.w-full:has(> button[aria-expanded])",
        "div.w-full.space-y-1:has(> .cursor-pointer)",
    )
)
_ERROR: Final = '[class*="border-red-600/10"], #response-content-container div.rounded-2xl:has(> svg)'
_SPINNER: Final = ".spinner_ajPY"
_API: Final = """async ([path, body]) => {
    const headers = {"Content-Type": "application/json", Authorization: `Bearer ${localStorage.token}`};
    const posted = body === null ? {} : {method: "POST", body: JSON.stringify(body)};
    const response = await fetch(path, {headers, ...posted});
    return [response.status, await response.json()];
}"""
_CLOSE_NOTES: Final = """() => {
    const buttons = document.querySelectorAll('[aria-label="Close toast"]');
    buttons.forEach(button => button.click());
    return buttons.length === 0;
}"""
_LOOK: Final = """([stop, error]) => {
    const answers = document.querySelectorAll(".chat-assistant");
    const answer = answers[answers.length - 1];
    const text = answer?.querySelector("#response-content-container") ?? answer;
    return {
        text: text?.innerText ?? "",
        status: [...(answer?.querySelectorAll(".status-description") ?? [])].pop()?.innerText ?? "",
        error: answer?.querySelector(error)?.innerText ?? "",
        running: document.querySelector(stop) !== null,
    };
}"""

_FITTING_HEIGHT: Final = """spare => {
    const messages = document.querySelector("#messages-container");
    const last = [...document.querySelectorAll(".chat-assistant")].pop()?.closest('[id^="message-"]');
    const input = document.querySelector("#chat-input")?.closest("form");
    if (!messages || !last || !input) return null;
    const blank = input.getBoundingClientRect().top - last.getBoundingClientRect().bottom;
    const hidden = messages.scrollHeight - messages.clientHeight;
    return Math.round(window.innerHeight + (hidden > 0 ? hidden : spare - blank));
}"""


@dataclass(frozen=True, slots=True)
class Look:
    """What the last answer looked like at a time (`time.monotonic()`)."""

    at: float
    text: str
    status: str
    error: str
    running: bool


class ChatPage:
    """One browser page. `foreign` are the addresses that it asked for beyond this machine; none was loaded."""

    def __init__(self, page: Page, url: str, foreign: list[str]) -> None:
        self.page = page
        self.foreign = foreign
        self._url = url

    @property
    def answers(self) -> Locator:
        return self.page.locator(".chat-assistant")

    @property
    def folded(self) -> Locator:
        """The blocks of the last answer that can be folded and unfolded."""
        return self.answers.last.locator(_FOLDED)

    async def unfold(self, title: str) -> None:
        block = self.folded.filter(has_text=title).last
        await block.locator("> button, > .cursor-pointer").first.click()

    async def open(self, model: str) -> None:
        """A new conversation with this model."""
        await self.page.goto(f"{self._url}/?models={model}")
        await self.page.wait_for_selector("#chat-input")
        await self.page.wait_for_timeout(500)  # the news come late
        await self._dismiss()

    async def model_names(self) -> list[str]:
        await self.page.click(_MODEL_BUTTON)
        await self.page.wait_for_selector(_MODEL_ITEMS)
        return [text.splitlines()[0] for text in await self.page.locator(_MODEL_ITEMS).all_inner_texts()]

    async def asking(self, question: str) -> AsyncIterator[Look]:
        """Ask, and look at the answer until it is complete."""
        before = await self.answers.count()
        await self.send(question)
        async for look in self._looks(before + 1):
            yield look

    async def send(self, question: str) -> None:
        await self.page.click("#chat-input")
        await self.page.keyboard.insert_text(question)
        await self.page.keyboard.press("Enter")

    async def attach(self, name: str, media_type: str, content: bytes) -> None:
        """Add a file to the next question, and wait until the page has taken it."""
        form = self.page.locator("form:has(#chat-input)")
        chosen = form.locator(f'img, :text("{name}")')
        await self.page.locator('input[type="file"]').first.set_input_files(
            {"name": name, "mimeType": media_type, "buffer": content}
        )

        async def is_taken() -> bool:
            return bool(await chosen.count()) and not await form.locator(_SPINNER).count()

        await wait_for(is_taken, "the file in the question", within_s=_WAIT_S, every_s=0.05)

    async def api(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask Open WebUI's own API, as the page does: GET, or POST with a body."""
        status, answer = await self.page.evaluate(_API, [path, body])
        assert status == 200, f"{path}: {status} {answer}"
        return answer

    async def regenerate(self) -> list[Look]:
        """The same question again; the page's own hidden button does what its menu does."""
        await self.page.locator(".regenerate-response-button").last.dispatch_event("click")
        await self.until_running(is_so=True)
        return [look async for look in self._looks(await self.answers.count())]

    async def clicking(self, button: Locator) -> AsyncIterator[Look]:
        """Click a button that asks something, and look at the answer until it is complete."""
        before = await self.answers.count()
        await button.click()
        async for look in self._looks(before + 1):
            yield look

    async def continue_response(self) -> list[Look]:
        """The page's "Continue response", which adds to the last answer."""
        await self.page.get_by_label("Continue Response").last.click()
        await self.until_running(is_so=True)
        return [look async for look in self._looks(await self.answers.count())]

    async def stop(self) -> None:
        await self.page.click(_STOP)

    async def look(self) -> Look:
        seen: dict[str, Any] = await self.page.evaluate(_LOOK, [_STOP, _ERROR])
        return Look(time.monotonic(), seen["text"], seen["status"], seen["error"], seen["running"])

    async def until_running(self, *, is_so: bool) -> None:
        async def find() -> bool | None:
            return (await self.look()).running is is_so or None

        await wait_for(find, f"the Stop button {'there' if is_so else 'away'}", within_s=_WAIT_S, every_s=0.01)

    async def title(self) -> str:
        """The newest conversation's, in the sidebar."""
        items = self.page.locator('#sidebar a[href^="/c/"]')
        if not await items.count() or not await items.first.is_visible():
            await self.page.locator('button[aria-label="Open Sidebar"]:visible').first.click()
        await items.first.wait_for()
        text: str = await items.first.inner_text()
        return text.strip().partition("\n")[0]  # 0.12 says below it how long ago

    async def copy(self) -> str:
        """What the button below the last answer puts into the clipboard."""
        await self.page.evaluate('navigator.clipboard.writeText("")')
        await self.page.locator(".copy-response-button").last.click()
        await self.page.wait_for_function("navigator.clipboard.readText().then(text => text !== '')")
        text: str = await self.page.evaluate("navigator.clipboard.readText()")
        return text

    async def usage(self) -> str:
        """What the (i) under the last answer tells."""
        await self.page.locator('button[id^="info-"]').last.hover()
        tip = self.page.locator(".tippy-content, [data-tippy-root]").last
        await tip.wait_for()
        told: str = await tip.inner_text()
        return told

    @asynccontextmanager
    async def phone(self) -> AsyncIterator[None]:
        """As wide as a phone, for a while."""
        await self.page.set_viewport_size({"width": _PHONE_WIDTH, "height": _HEIGHT})
        try:
            yield
        finally:
            await self.page.set_viewport_size({"width": WIDTH, "height": _HEIGHT})

    async def picture(self, path: Path, *, spare: int = 40) -> None:
        """The page as it is, without notes that lie over it, and as high as the conversation needs; in pixels, what is
        left below it."""
        await self.page.mouse.move(WIDTH / 2, 4)
        await self._dismiss()
        if (height := await self.page.evaluate(_FITTING_HEIGHT, spare)) is not None:
            await self.page.set_viewport_size({"width": WIDTH, "height": min(max(height, _LOWEST), _HIGHEST)})
            await self.page.locator("#messages-container").evaluate("messages => messages.scrollTo(0, 0)")
        await self.page.screenshot(path=path, animations="disabled")
        await self.page.set_viewport_size({"width": WIDTH, "height": _HEIGHT})

    async def answer_picture(self, path: Path) -> None:
        """The last answer alone, as wide as the page is."""
        await self._dismiss()
        before = self.page.viewport_size or {"width": WIDTH, "height": _HEIGHT}
        await self.page.set_viewport_size({"width": before["width"], "height": 2 * _HIGHEST})
        await self.answers.last.screenshot(path=path, animations="disabled")
        await self.page.set_viewport_size(before)

    async def _looks(self, number: int) -> AsyncIterator[Look]:
        """Looks at the answer `number` (from 1), from its beginning until it no longer runs."""

        async def has_begun() -> bool | None:
            return await self.answers.count() >= number or None

        await wait_for(has_begun, "the answer's beginning", within_s=_WAIT_S)
        idle = 0
        while idle < 3:  # the Stop button is away for a moment when a turn begins
            look = await self.look()
            yield look
            idle = 0 if look.running or not (look.text or look.error) else idle + 1
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _dismiss(self) -> None:
        """The news that a first visit shows, and notes that lie over the page."""
        if await (news := self.page.get_by_role("button", name="Okay, Let's Go!")).count():
            await news.first.click()
            await news.first.wait_for(state="detached")
        await self.page.wait_for_function(_CLOSE_NOTES, polling=100)


@asynccontextmanager
async def chat_page(url: str, microphone: Path, loudspeaker: str) -> AsyncIterator[ChatPage]:
    """A headless Chromium that reaches this machine only. The microphone is a sound file, the loudspeaker a script."""
    foreign: list[str] = []

    async def only_loopback(route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.hostname in _LOOPBACK or address.scheme in ("data", "blob"):
            await route.continue_()
        else:
            foreign.append(route.request.url)
            await route.abort()

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=_CHROMIUM, args=[*_ARGUMENTS, f"--use-file-for-fake-audio-capture={microphone}"]
        )
        context = await browser.new_context(viewport={"width": WIDTH, "height": _HEIGHT}, color_scheme="light")
        context.set_default_timeout(_WAIT_S * 1_000)
        await context.grant_permissions(["microphone", "clipboard-read", "clipboard-write"])
        await context.add_init_script(loudspeaker)
        await context.route(re.compile(".*"), only_loopback)
        try:
            yield ChatPage(await context.new_page(), url, foreign)
        finally:
            await browser.close()
