"""`/openapi.json` is true: what it allows is answered, what it forbids is refused, and answers look as it says."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from pydantic import ValidationError
from schemathesis import Case, HookContext, engine, hooks
from schemathesis.engine import Status, events

from aiostream_server.config.load import load_config
from aiostream_server.errors import ServerError
from aiostream_server.protocols.chat.answer_form import ResponseFormat
from aiostream_server.protocols.chat.request import ChatRequest
from aiostream_server.web.openapi import document
from tests.kit.doc_tables import heeded
from tests.kit.serving import Server, get_json, serving

EXAMPLES = 4
BY_RPC = r"^/(a2a/\{model\}|mcp)$"
"""JSON-RPC tells what is wrong with a call with status 200."""
PARTS = (r"^/v1/chat/", r"^/v1/responses", r"^/v1/(ai-sdk|ag-ui)/", r"^/(?!v1/(chat|responses|ai-sdk|ag-ui))")
"""Each path is in one of them. A part takes seconds of CPU time, all together would take minutes of a busy machine."""
PAGE = re.compile(r"/(?:$|runs|page/)")
WORDS = "What is 15% of 850?"
INTEGERS = ("n", "seed", "max_tokens", "max_completion_tokens")


def within_reach(body: Any) -> Any:
    """The same without what the descriptions forbid in words: a blank question, a tool's message without its call,
    `1.0`, bytes that are not a picture, an answer to a question that no run asked, a reference to another item."""
    if not isinstance(body, dict):
        return body
    body = {
        name: int(value) if name in INTEGERS and isinstance(value, float) else value for name, value in body.items()
    }
    body.pop("resume", None)
    if "input" in body:
        return input_within_reach(body)
    if isinstance(body.get("message"), dict):
        body["message"] = said(body["message"])
    if isinstance(body.get("messages"), list):
        body["messages"] = [said(each) for each in body["messages"] if not is_about_tools(each)]
    return body


def input_within_reach(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("background"):
        body.pop("store", None)
    if body.get("conversation") is not None:
        body.pop("previous_response_id", None)
    if isinstance(body["input"], list):
        items = [said(item, "input_text") for item in body["input"] if "role" in item and not is_about_tools(item)]
        body["input"] = [*items, {"role": "user", "content": WORDS}]
    elif is_blank(body["input"]):
        body["input"] = WORDS
    return body


def is_about_tools(message: dict[str, Any]) -> bool:
    """Or about another item."""
    return message.get("role") == "tool" or message.get("type", "message") != "message"


def said(message: dict[str, Any], kind: str = "text") -> dict[str, Any]:
    """With words where there are none, and in the place of what is no text."""
    field = "parts" if "parts" in message else "content"
    content = message.get(field)
    if isinstance(content, list):
        words = {"type": kind, "text": WORDS}
        return {**message, field: [part if is_words(part) else words for part in content] or [words]}
    return {**message, field: WORDS} if is_blank(content) else message


def is_words(part: Any) -> bool:
    is_text = isinstance(part, dict) and isinstance(part.get("text"), str)
    return is_text and not is_blank(part["text"]) and "text" in part.get("type", "")


def is_blank(content: Any) -> bool:
    return isinstance(content, str) and not content.strip()


def without_forms(body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    body = dict(body)
    match body.get("tool_choice"):
        case "required" | {}:
            del body["tool_choice"]
    match body.get("response_format"):
        case {"type": "json_object" | "json_schema"} as form if is_right(form):
            del body["response_format"]
    return body


def is_right(form: dict[str, Any]) -> bool:
    try:
        ResponseFormat.model_validate(form)
    except ValidationError:
        return False
    return True


def do_the_cursors_agree(case: Case[Any]) -> bool:
    headers: dict[str, object] = dict(case.headers or {})
    queries: dict[str, object] = dict(case.query or {})
    header, query = headers.get("Last-Event-ID"), queries.get("starting_after")
    return header is None or query is None or str(header) == str(query)


def fuzz(url: str, part: str) -> Iterator[events.EngineEvent]:
    """Every phase (examples, boundary values, random data right and wrong, sequences) with every check."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")

    @schema.hook
    def filter_case(_: HookContext, case: Case[Any]) -> bool:
        return do_the_cursors_agree(case)

    schema.config.generation.max_examples = EXAMPLES
    schema.config.generation.deterministic = True
    schema.config.request_timeout = 60  # a busy machine may need that
    with right_cases_mended():
        yield from engine.from_schema(schema.include(path_regex=part).exclude(path_regex=BY_RPC)).execute()


@contextmanager
def right_cases_mended() -> Iterator[None]:
    """Right cases share few values of `Idempotency-Key`: the second use of one would be a conflict (409). The demo
    model fills few of the forms that chance makes. And they are brought `within_reach` instead of filtered: which
    cases chance makes depends on the package's constants, and where it filtered too many, nothing was tried."""
    used: set[object] = set()

    @schemathesis.hook
    def before_call(_: HookContext, case: Case[Any], __: dict[str, Any]) -> None:
        headers = case.headers
        if case.meta is None or case.meta.generation.mode.is_negative:
            return
        case.body = within_reach(without_forms(case.body))
        if not headers or "Idempotency-Key" not in headers:
            return
        key = headers["Idempotency-Key"]
        if key in used:
            headers.pop("Idempotency-Key")
        used.add(key)

    try:
        yield
    finally:
        hooks.unregister(before_call)


def failures(finished: events.ScenarioFinished) -> Iterator[str]:
    for case_id, checks in finished.recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                answered = finished.recorder.interactions[case_id].response
                body = answered.content[:300] if answered is not None else b""
                yield f"{check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample[:2000]}\n{body!r}"


@pytest.mark.parametrize("part", PARTS)
async def test_schemathesis_finds_nothing(tmp_path: Path, part: str) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        told = await asyncio.to_thread(lambda: list(fuzz(server.url, part)))
    broken = [event for event in told if isinstance(event, events.NonFatalError | events.FatalError)]
    scenarios = [event for event in told if isinstance(event, events.ScenarioFinished)]
    assert not broken, broken
    assert not [failure for scenario in scenarios for failure in failures(scenario)]
    assert scenarios
    assert all(scenario.status in (Status.SUCCESS, Status.SKIP) for scenario in scenarios)
    for label in {"POST /v1/chat/completions", "POST /v1/runs"} & {scenario.label for scenario in scenarios}:
        statuses = Counter(
            interaction.response.status_code
            for scenario in scenarios
            if scenario.label == label
            for interaction in scenario.recorder.interactions.values()
            if interaction.response is not None
        )
        assert statuses[200] + statuses[202] > 50, f"{label}: hardly anything was answered"
        assert statuses[400] > 100, f"{label}: hardly anything was refused"


@pytest.fixture
async def described(tmp_path: Path) -> AsyncIterator[tuple[Server, Any]]:
    async with serving(load_config(None, {}), tmp_path) as server:
        yield server, await get_json(f"{server.url}/openapi.json")


def test_each_path_is_in_one_part() -> None:
    assert all(sum(re.search(part, path) is not None for part in PARTS) == 1 for path in document()["paths"])


async def test_every_route_is_described_and_the_other_way_round(described: tuple[Server, dict[str, Any]]) -> None:
    """But for the document itself, for second paths to the same (`/api`, `/openai`, and a double slash), for the page,
    and for the HTTP+JSON binding of A2A, which its specification describes."""
    server, told = described
    app = server.runner.app
    served = {
        (route.resource.canonical, route.method.lower())
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD" and not PAGE.match(route.resource.canonical)
    }
    first = {
        (path, method) for path, method in served if not path.startswith(("/api", "/openai/")) and "//" not in path
    }
    operations = {(path, method) for path, method in first if re.match(r"/a2a/\{model\}/(?!\.)", path)}
    assert {(path, method) for path, item in told["paths"].items() for method in item} == first - operations - {
        ("/openapi.json", "get")
    }
    assert {(f"/api{path}", method) for path, method in first} <= served


def test_every_field_that_is_heeded_is_described() -> None:
    properties = set(document()["components"]["schemas"]["ChatRequest"]["properties"])
    assert properties == set(ChatRequest.model_fields)
    assert properties == heeded("openai-api.md")


def test_every_error_status_is_described() -> None:
    """But for 405, which belongs to no operation."""

    def leaves(error: type[ServerError]) -> Iterator[type[ServerError]]:
        yield error
        for each in error.__subclasses__():
            yield from leaves(each)

    statuses = {str(error.status) for error in leaves(ServerError)} - {"405"}
    operations = [operation for path in document()["paths"].values() for operation in path.values()]
    described = {status for operation in operations for status in operation["responses"]}
    assert described == statuses | {"200", "202", "204", "304"}
