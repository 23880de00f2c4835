"""Nothing that an agent, a tool, a database or a file says runs, loads, navigates, deceives or stops the page."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.tools import FunctionTool

from aiostream_server.config.model import TeamConfig
from aiostream_server.events import EVENTS
from aiostream_server.teams.context import TeamContext
from tests.e2e.provider import HOSTILE_PARTS
from tests.kit.needs import needs
from tests.kit.scripted_provider import ScriptedAnswer
from tests.kit.serving import config_for, serving
from tests.page.browsing import Window, browser, demo, scripted, window

FOREIGN = "http://foreign.example"
ATTACKS = (
    "[a](javascript:window.brokenOut=true) [b](data:text/html,<script>window.brokenOut=true</script>)\n\n",
    "[c](//foreign.example/x 'title') ![d](//foreign.example/y.png) ",
    "<a href='javascript:window.brokenOut=true'>e</a>\n\n",
    f'<form action="{FOREIGN}"><button>go</button></form><meta http-equiv="refresh" content="0;url={FOREIGN}">\n\n',
    "| <script>window.brokenOut=true</script> | b |\n|---|---|\n| <img src=x onerror=window.brokenOut=true> | c |\n\n",
    "```html\n<script>window.brokenOut = true</script>\n```\n\n" + "> " * 200 + "deep\n\n",
    "&#106;avascript:x [f](&#106;avascript:window.brokenOut=true) [g](java\nscript:window.brokenOut=true)\n\n",
)

pytestmark = [needs("browser"), pytest.mark.timeout(120)]
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90" onload="top.brokenOut = true">'
    f'<script>top.brokenOut = true</script><image href="{FOREIGN}/x.png"/>'
    f'<style>@import "{FOREIGN}/x.css"</style></svg>'
)
PICTURE = {
    "object": "file",
    "id": f"file-{'a' * 24}",
    "media_type": "image/svg+xml",
    "base64": base64.b64encode(SVG.encode()).decode(),
}
MANY, MANY_AGENTS = 1_000, 60
STAMP = "2026-01-05T10:00:00.000+00:00"
TURNED = "\u202egnp.exe\u202c"
LONGEST_FRAME = """() => {
    let before = performance.now();
    window.longest_ms = 0;
    const look = now => { longest_ms = Math.max(longest_ms, now - before); before = now; requestAnimationFrame(look); };
    requestAnimationFrame(look);
}"""


def run_file(tmp_path: Path, *events: Mapping[str, Any], **run: str) -> Path:
    """A downloaded run."""
    kinds = [*events, {"type": "run_finished", "reason": "stop", "usage": {}, "duration_s": 1.0}]
    lines: Sequence[Mapping[str, Any]] = [
        {"object": "run", "id": "run-1", "question": "q", "model": "m", **run},
        *({"run_id": "run-1", "timestamp": STAMP, "seq": seq, **each} for seq, each in enumerate(kinds, 1)),
    ]
    file = tmp_path / "run.jsonl"
    file.write_text("".join(f"{json.dumps(each)}\n" for each in lines), "utf-8")
    return file


async def open_file(shown: Window, file: Path) -> None:
    await shown.page.click('nav a[data-page="runs"]')
    await shown.page.set_input_files('input[type="file"]', file)


async def test_nothing_that_an_agent_says_runs_loads_or_navigates(tmp_path: Path) -> None:
    async with scripted(tmp_path, "solo") as (provider, _, shown):
        provider.script(ScriptedAnswer(*"".join((*HOSTILE_PARTS, *ATTACKS)).split(" "), pause_s=0.001))
        await shown.ask("Attack", team="solo")
        await shown.until("stop")
        page = shown.page
        assert await page.evaluate("window.brokenOut") is None
        await page.evaluate("document.querySelectorAll('.transcript a').forEach(link => { link.target = '_self' })")
        allowed = ("http://", "https://")
        links = await page.locator(".transcript a").evaluate_all("links => links.map(link => link.href)")
        assert all(link.startswith(allowed) for link in links), links
        kinds = await page.locator(".transcript *").evaluate_all("all => [...new Set(all.map(each => each.localName))]")
        assert not {*kinds} & {"script", "iframe", "object", "embed", "form", "video", "svg", "img", "meta", "style"}, (
            kinds
        )
        assert shown.foreign == []
        assert shown.errors == []


async def test_nothing_in_a_file_runs_loads_or_navigates(tmp_path: Path) -> None:
    """Every text of every kind of event is an attack: names, tools, arguments, results, errors."""
    attack = "".join((*HOSTILE_PARTS, *ATTACKS))
    texts = dict.fromkeys(("agent", "content", "tool", "arguments", "summary", "team_name", "model", "message"), attack)
    rest = {
        "streamed": False,
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "confidence": 0.5,
        "team": "x",
        "call_id": "c",
    }
    stamp = {"kind": "message", "first": 1, "reason": "other"}
    events = [{**texts, **rest, **stamp, "type": kind} for kind in EVENTS if kind != "run_finished"]
    address = f"http://127.0.0.1/v1/files/{PICTURE['id']}"
    events.append({"type": "message", "agent": "A", "content": f"![drawn]({address}?expires=1&signature=x)"})
    file = run_file(tmp_path, PICTURE, *events, id=attack, question=attack, model=attack, team=attack)
    async with demo(tmp_path) as (_, shown):
        page = shown.page
        await open_file(shown, file)
        await shown.until("stop")
        for bar in await page.locator(".bar").all():
            await bar.press("Enter")
        for fold in await page.locator("summary").all():
            await fold.click()
        await page.wait_for_selector(".transcript img", state="attached")
        assert await page.evaluate("window.brokenOut") is None
        found = await page.locator("main *").evaluate_all("all => [...new Set(all.map(each => each.localName))]")
        assert not {*found} & {
            "script",
            "iframe",
            "object",
            "embed",
            "video",
            "meta",
            "style",
            "base",
            "link",
        }, found
        assert page.url == f"{shown.root}/runs"


async def test_names_and_kinds_that_nobody_expects(tmp_path: Path) -> None:
    """Characters that turn text around are seen as such; names of JavaScript's own things are names like others."""
    events: list[dict[str, Any]] = []
    for name in (TURNED, "Z" + "\u0301" * 80, "W" * 400, " ", "__proto__", "constructor", "<b>x</b>"):
        call = {"agent": name, "call_id": name}
        events += [
            {"type": "model_called", "agent": name},
            {"type": "message", "agent": name, "content": f"{TURNED} {'long' * 500}"},
            {"type": "action", **call, "tool": name, "arguments": json.dumps({"sql": "select 1", "__proto__": 1})},
            {"type": "tool_result", **call, "tool": name, "content": "x" * 3000, "summary": name * 3},
            {"type": "validation", "agent": name, "content": "ok", "approved": True},
            *({"type": kind, "agent": name, "content": "x"} for kind in ("constructor", "__proto__", "of tomorrow")),
        ]
    events += [{"type": "dropped", "first": 3}, {"type": "error", "code": "x", "message": "e" * 900}]
    async with demo(tmp_path) as (_, shown):
        page = shown.page
        await page.set_viewport_size({"width": 360, "height": 740})
        await open_file(shown, run_file(tmp_path, *events, question=f"{TURNED} {'q' * 5000}", reason="constructor"))
        await shown.until("stop")
        lanes = await page.locator(".lane-name b").all_text_contents()
        assert lanes == [
            "\ufffdgnp.exe\ufffd",
            "Z" + "\u0301" * 3,
            "W" * 400,
            "(no name)",
            "__proto__",
            "constructor",
            "<b>x</b>",
        ]
        said = await shown.transcript()
        assert said.count("calls") == len(lanes)
        assert "no longer keeps the events 3 to" in said
        heights = await page.locator(".lane-name").evaluate_all("all => all.map(each => each.offsetHeight)")
        assert {*heights} == {34}, "a name takes one line"
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(over) == 0


async def test_huge_runs_are_shown_in_part_and_at_once(tmp_path: Path) -> None:
    """A table of 100,000 rows, words without an end, deep nesting, 200 agents."""
    table = "| id | name |\n|---:|---|\n" + "".join(f"| {n} | *name* |\n" for n in range(100_000))
    code = "```sql\n" + "select 1 from t;\n" * 1_000 + "```\n\nbehind"
    texts = (table, code, "word " * 3_000, "W" * 9_000, "> " * 9_000, "a_" * 9_000, "1. " * 3_000)
    agents = [f"Agent {n} of many" for n in range(200)]
    speakers = [{"type": "message", "agent": agent, "content": "hello"} for agent in agents]
    long = [{"type": "message", "agent": agents[0], "content": text} for text in texts]
    async with demo(tmp_path) as (_, shown):
        page = shown.page
        await page.evaluate(LONGEST_FRAME)
        await open_file(shown, run_file(tmp_path, *speakers, *long))
        await shown.until("stop")
        await page.wait_for_selector(".cut")
        await page.wait_for_function("() => document.querySelectorAll('.transcript > li').length === 207")
        await page.wait_for_function(
            "() => document.querySelector('.transcript > li:last-child .text').textContent.length > 8000"
        )
        rows = await page.locator(".transcript td:first-child").all_text_contents()
        assert rows == [str(n) for n in range(len(rows))], "one table, without a gap"
        assert 1_000 < len(rows) < 10_000
        shown_code = await page.locator(".transcript pre").first.text_content()
        assert shown_code == ("select 1 from t;\n" * 1_000).rstrip()
        messages = page.locator(".transcript .message .text")
        words = messages.nth(len(agents) + 2).locator("p")
        assert [len((await words.first.inner_text()).split()), await words.count()] == [3_000, 1], "one paragraph"
        assert await page.locator(".graph .node").count() == len(agents)
        assert await page.evaluate("longest_ms") < 5_000


async def test_a_file_that_was_edited_by_hand_is_refused_with_its_line(tmp_path: Path) -> None:
    start = '{"type": "run_started", "seq": 1, "timestamp": "2026-01-05T10:00:00Z", "model": "m"}\n'
    token = '{"type": "token", "seq": 2, "timestamp": "2026-01-05T10:00:00Z", "agent": "A", "content": %s}\n'
    wrong = {
        "": "no events",
        "\n\n{": "Line 3 of this file is not JSON",
        f"{start}[1]": "Line 2 of this file is no JSON object",
        f'{start}{{"type": "token", "seq": 2}}': "Line 2 of this file is no event of a run",
        f"{start}{token % 3}": "Line 2 of this file: the content of a token is no string",
        '{"object": "file", "id": "x", "base64": "%"}': "Line 1 of this file is no picture",
    }
    file = tmp_path / "edited.jsonl"
    async with demo(tmp_path) as (_, shown):
        page = shown.page
        await page.click('nav a[data-page="runs"]')
        for text, told in wrong.items():
            file.write_text(text, "utf-8")
            await page.set_input_files('input[type="file"]', file)
            await page.wait_for_selector(f"#problem:has-text({json.dumps(told)})")
        file.write_text(f"\ufeff{start}{token % json.dumps('said')}", "utf-8")
        await page.set_input_files('input[type="file"]', file)
        await page.wait_for_selector('.message:has-text("said")')
        assert await page.locator("#problem").is_hidden(), "a file of an older server, without an end, is shown"


async def test_a_team_of_many_tools_and_endless_words_fits_a_phone(tmp_path: Path) -> None:
    team = TeamConfig(
        id="many",
        factory="tests.page.test_hostile_runs:many",
        name="N" * 300,
        description="D" * 3_000,
        examples=("e" * 1_500,),
    )
    async with serving(config_for("http://127.0.0.1:9/v1", team), tmp_path) as server, browser() as opened:
        shown = await window(opened, server.url)
        page = shown.page
        await page.set_viewport_size({"width": 360, "height": 740})
        await page.click("summary")
        assert (await page.inner_text("td:last-child")).endswith(f"and {MANY - 40:,} others")
        assert await page.locator(".picture.many .node").count() == MANY_AGENTS
        assert await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def many(context: TeamContext) -> RoundRobinGroupChat:
    """Agents, of which the first has many tools."""

    async def act() -> str:
        return ""

    tools = [FunctionTool(act, name=f"tool_{number}", description="Acts.") for number in range(MANY)]
    model = context.model()
    agents = [AssistantAgent(f"A{n}", model, tools=[*tools] if n == 0 else []) for n in range(MANY_AGENTS)]
    return RoundRobinGroupChat([*agents], max_turns=1)
