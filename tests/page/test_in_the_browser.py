"""The page as people use it, in a real browser, against a real server."""

import json
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import expect

from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig, TeamConfig
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from tests.kit.needs import CLIENTS, needs
from tests.kit.scripted_provider import ScriptedAnswer, Stall
from tests.kit.serving import get_json, serving
from tests.kit.tls import make_files
from tests.page.browsing import Window, browser, demo, scripted, window
from tests.proxies.front import NAME, proxying

pytestmark = [needs("browser"), pytest.mark.timeout(120)]


async def test_a_run_is_watched_reloaded_and_replayed(tmp_path: Path) -> None:
    """From an example to the answer: graph, lanes and transcript; the same again from the log, and in a second tab."""
    async with demo(tmp_path) as (server, shown):
        page = shown.page
        await page.get_by_role("button", name="Which region had the highest total sales?").click()
        await shown.until("stop")
        said = await shown.transcript()
        assert "ValidationAgent approved" in said
        assert said.count("highest total sales: 169,168.25") == 1, "an answer is shown once"
        lanes = await page.locator(".lane-name b").all_inner_texts()
        assert lanes[:2] == ["SQLAgent", "ValidationAgent"]
        assert await page.locator(".graph .node.heard").count() >= 3
        await page.locator("summary", has_text="query").click()
        assert await page.locator(".sql-keyword", has_text="SELECT").count() >= 1
        assert await page.locator(".call table td").count() >= 4, "rows are drawn as a table"
        await page.locator(".bar.model").first.focus()
        await page.keyboard.press("Enter")
        assert "tokens written" in await page.inner_text(".details")

        await page.reload()
        await shown.until("stop")
        assert await shown.transcript() == said
        second = await window(page.context, server.url, page.url.removeprefix(server.url))
        await second.until("stop")
        assert await second.transcript() == said

        await page.select_option(".replay select", "1")
        await page.click(".replay button")
        await page.wait_for_selector('.replay button:has-text("Pause")')
        await page.wait_for_selector('.replay button:has-text("Replay")')
        await page.wait_for_function("said => document.querySelector('.transcript-pane').innerText === said", arg=said)


async def test_words_are_shown_as_they_come_and_stop_stops(tmp_path: Path) -> None:
    async with scripted(tmp_path, "solo") as (provider, server, shown):
        provider.script(ScriptedAnswer("One ", "**two** ", Stall()))
        await shown.ask("Count", team="solo")
        await shown.page.wait_for_selector(".message.open strong")
        assert "One two" in await shown.transcript()
        await expect(shown.page.locator(".node.speaking")).to_have_count(1)
        await shown.page.click(".controls .stop")
        await shown.until("cancelled")
        assert [run["reason"] for run in (await get_json(f"{server.url}/v1/runs"))["data"]] == ["cancelled"]
        assert shown.errors == []


async def test_a_question_of_the_team_is_answered_in_place(tmp_path: Path) -> None:
    """The data-analysis team, which asks before it runs a query."""
    team = TeamConfig(id="careful", factory="aiostream_server.teams.data:build", settings={"ask_first": True})
    config = load_config(None, {}).model_copy(update={"teams": (team,)})
    async with serving(config, tmp_path) as server, browser() as opened:
        shown = await window(opened, server.url)
        await shown.ask("Which region had the highest total sales?", team="careful")
        await shown.page.wait_for_selector('.controls .state.asks:has-text("waits for your reply")')
        await shown.page.get_by_role("button", name="yes").click()
        await shown.page.wait_for_selector("h2.question")
        await shown.page.wait_for_selector(".call table td", state="attached")
        await shown.until("stop")
        said = await shown.transcript()
        assert "waits for your reply" in said, "the words before the reply stay"
        assert "169,168.25" in said
        runs = (await get_json(f"{server.url}/v1/runs"))["data"]
        assert [run["question"] for run in runs] == ["yes", "Which region had the highest total sales?"]
        assert shown.errors == []


async def test_runs_are_listed_stopped_saved_and_read_back(tmp_path: Path) -> None:
    async with scripted(tmp_path, "solo") as (provider, server, shown):
        page = shown.page
        provider.script(ScriptedAnswer("A **bold** answer"), ScriptedAnswer("x", Stall()))
        await shown.ask("First", team="solo")
        await shown.until("stop")
        said = await shown.transcript()
        async with page.expect_download() as started:
            await page.get_by_role("button", name="Download events").click()
        saved = tmp_path / "run.jsonl"
        await (await started.value).save_as(saved)
        lines = [json.loads(line) for line in saved.read_text("utf-8").splitlines()]
        assert lines[0]["object"] == "run"
        assert [line["seq"] for line in lines[1:]] == [*range(1, len(lines))]

        await page.click("a.brand")
        await shown.ask("Second", team="solo")
        await page.wait_for_selector(".message.open")
        await page.click('nav a[data-page="runs"]')
        await page.get_by_role("button", name="Stop: Second").click()
        await page.wait_for_selector('tbody .state[data-state="cancelled"]')
        assert await page.locator("tbody tr").count() == 2

        await server.runner.cleanup()
        await page.click("a.brand")
        await page.wait_for_selector('#problem:has-text("does not answer")')
        await page.click('nav a[data-page="runs"]')
        await page.set_input_files('input[type="file"]', saved)
        await shown.until("stop")
        assert await shown.transcript() == said
        assert await page.locator(".transcript strong").inner_text() == "bold"


async def test_with_keys_it_asks_for_one_and_keeps_it_in_the_tab(tmp_path: Path) -> None:
    key, text = new_key("page")
    add_key(tmp_path / "keys.json", key)
    config = load_config(None, {}).model_copy(update={"auth": AuthConfig(keys_file=tmp_path / "keys.json")})
    async with serving(config, tmp_path) as server, browser() as opened:
        shown = await window(opened, server.url)
        page = shown.page
        await page.get_by_role("button", name="Cancel").click()
        await page.wait_for_selector('#problem:has-text("with an API key only")')
        await page.get_by_role("button", name="API key").click()
        await page.fill("#key", "wrong")
        await page.keyboard.press("Enter")
        await page.wait_for_selector('#key-problem:has-text("does not know this key")')
        await page.fill("#key", text.get_secret_value())
        await page.get_by_role("button", name="Use this key").click()
        await page.wait_for_selector(".card")
        await page.reload()
        await page.wait_for_selector(".card")
        kept = await page.evaluate("[localStorage.length, document.cookie, location.href]")
        assert kept == [0, "", f"{server.url}/"]
        other = await window(opened, server.url)
        await other.page.wait_for_selector("#key")


@needs("nginx")
async def test_it_works_behind_nginx_below_a_path(tmp_path: Path) -> None:
    """With a key, over TLS: nginx serves the server below /teams/ and takes the prefix off."""
    key, text = new_key("page")
    add_key(tmp_path / "keys.json", key)
    config = load_config(None, {}).model_copy(update={"auth": AuthConfig(keys_file=tmp_path / "keys.json")})
    below = {
        "    location / {\n        proxy_pass http://aiostream_server;": (
            "    location /teams/ {\n        proxy_pass http://aiostream_server/;"
        )
    }
    async with serving(config, tmp_path) as server, browser() as opened:
        with proxying("nginx", [server.url], tmp_path, make_files(tmp_path, "server", NAME), below) as front:
            context = await opened.new_context(ignore_https_errors=True)
            shown = await window(context, f"{front.url}/teams")
            await shown.page.fill("#key", text.get_secret_value())
            await shown.page.get_by_role("button", name="Use this key").click()
            await shown.ask("What is 15% of 850?")
            await shown.until("stop")
            await shown.page.reload()
            await shown.until("stop")
            assert "127.5" in await shown.transcript()
            assert shown.page.url.startswith(f"{front.url}/teams/runs/run-")
            assert [error for error in shown.errors if "401" not in error] == []
            assert shown.foreign == []


@needs("clients")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
async def test_axe_finds_nothing_wrong(tmp_path: Path, scheme: Literal["light", "dark"], width: int) -> None:
    """Names, roles, contrast, keyboard: on all three pages, wide, and as narrow and as dark as a phone's."""
    axe = (CLIENTS / "axe-core" / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
    async with demo(tmp_path) as (_, shown):
        page = shown.page
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 800})
        await page.click("a.brand")
        await page.wait_for_selector(".card")
        found = {"teams": await _violations(shown, axe)}
        await page.get_by_role("button", name="Which region had the highest total sales?").click()
        await shown.until("stop")
        await page.locator(".bar.call").first.press("Enter")
        found["run"] = await _violations(shown, axe)
        await page.click('nav a[data-page="runs"]')
        await page.wait_for_selector("tbody tr")
        found["runs"] = await _violations(shown, axe)
        assert found == {"teams": [], "run": [], "runs": []}
        overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow == 0, "the page does not scroll sideways"


async def _violations(shown: Window, axe: str) -> list[str]:
    wide = (
        "[...document.querySelectorAll('main *')].filter(each => each.getBoundingClientRect().right > innerWidth + 1)"
    )
    fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    if not await shown.page.evaluate(fits):
        return [f"it scrolls sideways: {await shown.page.evaluate(f'{wide}.map(each => each.className)')}"]
    await shown.page.evaluate(f"{axe}; undefined")
    result = await shown.page.evaluate("axe.run()")
    return [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in result["violations"]]
