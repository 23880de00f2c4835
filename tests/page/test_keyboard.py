"""The page without a mouse."""

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.kit.needs import needs
from tests.page.browsing import demo

pytestmark = [needs("browser"), pytest.mark.timeout(120)]


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control with this name has the focus."""
    named = "(each => each.getAttribute('aria-label') || each.labels?.[0]?.textContent || each.textContent)"
    for _ in range(60):
        await page.keyboard.press("Tab")
        if (await page.evaluate(f"{named}(document.activeElement)")).strip().startswith(name):
            return
    raise AssertionError(f"{name} cannot be reached")


async def focused(page: Page) -> str:
    text: str = await page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.id")
    return text


async def test_a_question_is_asked_and_its_run_is_looked_at(tmp_path: Path) -> None:
    async with demo(tmp_path) as (_, shown):
        page = shown.page
        await page.wait_for_selector(".card")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        assert await focused(page) == "main", "the first link skips the header"
        assert page.url == f"{shown.root}/"

        await tab_to(page, "Question")
        await page.keyboard.type("Which region had the highest total sales?")
        await page.keyboard.press("Enter")
        await shown.until("stop")

        await tab_to(page, "SQLAgent: ")
        first = await focused(page)
        await page.keyboard.press("ArrowRight")
        assert await focused(page) != first
        await page.keyboard.press("End")
        last = await focused(page)
        assert last.startswith("AnalysisAgent: ")
        await page.keyboard.press("Enter")
        assert await focused(page) == "Details"
        await page.keyboard.press("Escape")
        assert await focused(page) == last, "the focus goes back to the bar"
        await page.keyboard.press("Tab")
        assert await focused(page) == "Transcript", "the timeline is one stop of the tabulator"

        await tab_to(page, "Your next question")
        await page.keyboard.type("And what is 15% of 850?")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("h2.question")
        await shown.until("stop")

        await page.keyboard.press("Shift+Tab")
        await tab_to(page, "▶ Replay")
        await page.keyboard.press("Enter")
        await page.wait_for_selector('.replay button:has-text("Pause")')
        await tab_to(page, "Place in the run")
        await page.keyboard.press("Home")
        assert (await page.locator(".replay input").get_attribute("aria-valuetext") or "").endswith(("ms", " s"))


async def test_the_focus_stays_in_a_list_that_is_renewed(tmp_path: Path) -> None:
    async with demo(tmp_path) as (_, shown):
        page = shown.page
        await shown.ask("What is 15% of 850?")
        await shown.until("stop")
        await page.click('nav a[data-page="runs"]')
        await tab_to(page, "What is 15%")
        await page.evaluate(
            "fetch('v1/runs', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: "
            "JSON.stringify({model: 'auto', background: true, messages: [{role: 'user', content: 'Hello'}]})})"
        )
        await page.wait_for_selector('tbody tr:has-text("Hello")')
        assert await page.evaluate("document.activeElement.textContent") == "What is 15% of 850?"
