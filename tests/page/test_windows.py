"""Windows on runs that go on: none loses an event, whatever becomes of it, of its connection or of its node."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.client.chaos import chaos
from tests.kit.cluster import cluster, shared_in
from tests.kit.needs import needs
from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import Gate, ScriptedAnswer, Stall
from tests.kit.serving import get_json
from tests.kit.waiting import wait_for
from tests.page.browsing import browser, scripted, window

pytestmark = [needs("browser"), pytest.mark.timeout(120)]
CONNECTIONS = 6
"""As many as Chromium opens to one server over HTTP/1.1."""
VISIBLE = """isVisible => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => !isVisible });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


async def width(page: Page) -> float:
    found: float = await page.locator(".bar.model.open").evaluate("bar => Number(bar.getAttribute('width'))")
    return found


async def test_a_model_call_is_drawn_from_its_beginning(tmp_path: Path) -> None:
    """Before the model says anything, its bar grows; a call that was cancelled is told as such."""
    gate = Gate()
    async with scripted(tmp_path, "solo") as (provider, _, shown):
        page = shown.page
        provider.script(ScriptedAnswer(gate, "Here."), ScriptedAnswer(Stall()))
        await shown.ask("Think", team="solo")
        bar = page.locator(".bar.model")
        await bar.wait_for()
        before = await width(page)
        await page.wait_for_function(
            "before => Number(document.querySelector('.bar.model.open').getAttribute('width')) > before + 0.2",
            arg=before,
        )
        await bar.click()
        assert "it goes on" in await page.inner_text(".details")
        gate.open()
        await shown.until("stop")
        await expect(page.locator(".bar.model.open")).to_have_count(0)
        await bar.click()
        assert "tokens written" in await page.inner_text(".details")

        await page.click("a.brand")
        await shown.ask("Think again", team="solo")
        await page.locator(".bar.model.open").wait_for()
        await page.click(".controls .stop")
        await shown.until("cancelled")
        await bar.click()
        assert "cancelled" in await page.inner_text(".details")
        assert shown.errors == []


async def test_reloads_second_windows_and_lost_connections_leave_no_gap(tmp_path: Path) -> None:
    gates = [Gate() for _ in range(3)]
    async with scripted(tmp_path, "solo") as (provider, server, first), chaos(server.url) as proxy:
        provider.script(ScriptedAnswer("one ", gates[0], "two ", gates[1], "three ", gates[2], "four"))
        await first.ask("Count", team="solo")
        await first.page.wait_for_selector('.message:has-text("one")')
        second = await window(first.page.context, proxy.url, first.page.url.removeprefix(server.url))
        await second.page.wait_for_selector('.message:has-text("one")')
        await first.page.reload()
        gates[0].open()
        for shown in (first, second):
            await shown.page.wait_for_selector('.message:has-text("one two")')
        proxy.break_all()
        await second.until("lost")
        gates[1].open()
        await second.page.wait_for_selector('.message:has-text("one two three")')
        assert await second.page.locator('.state[data-state="lost"]').count() == 0
        gates[2].open()
        for shown in (first, second):
            await shown.until("stop")
        assert await first.transcript() == await second.transcript()
        assert "one two three four" in await first.transcript()


async def test_hidden_windows_leave_the_connections_to_others(tmp_path: Path) -> None:
    gate = Gate()
    async with scripted(tmp_path, "solo") as (provider, server, shown):
        provider.script(ScriptedAnswer("one ", gate, "two"))
        await shown.ask("Count", team="solo")
        await shown.page.wait_for_selector(".message.open")
        path = shown.page.url.removeprefix(server.url)
        windows = [shown]
        for _ in range(CONNECTIONS - 1):
            windows.append(await window(shown.page.context, server.url, path))
            await windows[-1].page.wait_for_selector(".message.open")
        for each in windows:
            await each.page.evaluate(VISIBLE, arg=False)
        last = await window(shown.page.context, server.url, path)
        await last.page.wait_for_selector(".message.open")
        gate.open()
        await last.until("stop")
        await shown.page.evaluate(VISIBLE, arg=True)
        await shown.until("stop")
        assert await shown.transcript() == await last.transcript()
        assert shown.errors == []


async def test_several_runs_go_on_at_once_and_each_is_stopped_alone(tmp_path: Path) -> None:
    async with scripted(tmp_path, "solo") as (provider, server, shown):
        page = shown.page
        provider.script(*[ScriptedAnswer("x", Stall())] * 3)
        for number in range(3):
            await page.click("a.brand")
            await shown.ask(f"Number {number}", team="solo")
            await page.wait_for_selector(".message.open")
        await page.click('nav a[data-page="runs"]')
        await expect(page.locator('tbody .state[data-state="running"]')).to_have_count(3)
        await page.get_by_role("button", name="Stop: Number 1").click()
        await page.wait_for_selector('tbody .state[data-state="cancelled"]')
        runs = (await get_json(f"{server.url}/v1/runs"))["data"]
        assert {run["question"]: run["reason"] for run in runs} == {
            "Number 0": None,
            "Number 1": "cancelled",
            "Number 2": None,
        }


@needs("redis")
async def test_a_run_of_another_node_is_watched_and_stopped(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str
) -> None:
    answer = ScriptedAnswer("one ", Stall())
    async with (
        cluster(shared_in(shared_redis.url, redis_prefix), tmp_path, answer) as (first, second),
        browser() as opened,
    ):
        here = await window(opened, first.url)
        await here.ask("Count", team="solo")
        await here.page.wait_for_selector(".message.open")
        there = await window(opened, second.url, here.page.url.removeprefix(first.url))
        await there.page.wait_for_selector('.message.open:has-text("one")')
        await there.page.click(".controls .stop")
        for each in (here, there):
            await each.until("cancelled")
        await wait_for(lambda: not len(first.state.registry), "the node that drives it has ended it")
