"""What Prometheus reads after things have happened, over real sockets."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from aiostream_server.config.model import MetricsConfig
from aiostream_server.events import Action, RunFinished, TokenCount, ToolResult
from aiostream_server.service.metrics.families import BoundedNames, Families
from aiostream_server.service.metrics.observer import MetricsObserver
from tests.kit.scripted_provider import BreakOff, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import ask, asking, config_for, sample_team, until_idle
from tests.service.metrics.counting import Figures, counting, figures_of, read

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def test_runs_are_counted_by_the_protocol_in_which_they_were_asked_for(happened: Figures) -> None:
    assert happened.value("aiostream_runs_asked_total", protocol="chat") == 2
    assert happened.value("aiostream_runs_asked_total", protocol="a2a") is None


def test_runs_are_counted_by_team_and_outcome(happened: Figures) -> None:
    assert happened.value("aiostream_runs_total", team="general", outcome="stop") == 1
    assert happened.value("aiostream_runs_total", team="general", outcome="error") == 1
    assert happened.value("aiostream_runs_total", team="data", outcome="stop") == 0
    assert happened.value("aiostream_run_errors_total", team="general", code="model_failed") == 1
    assert happened.value("aiostream_run_duration_seconds_count", team="general") == 2
    assert happened.value("aiostream_run_time_to_first_token_seconds_count", team="general") == 1
    assert happened.value("aiostream_run_tokens_total", team="general", type="prompt") == 50
    assert happened.value("aiostream_run_tokens_total", team="general", type="completion") == 6


def test_model_calls_are_counted_with_what_went_wrong(happened: Figures) -> None:
    assert happened.value("aiostream_model_calls_total", model="default", outcome="ok") == 2
    assert happened.value("aiostream_model_calls_total", model="default", outcome="error") == 1
    assert happened.value("aiostream_model_answers_total", model="default", reason="stop") == 1
    assert happened.value("aiostream_model_answers_total", model="default", reason="tool_calls") == 1
    assert happened.value("aiostream_model_errors_total", model="default", code="model_failed") == 1
    assert happened.value("aiostream_model_retries_total", model="default", reason="429") == 1
    assert happened.value("aiostream_model_call_duration_seconds_count", model="default") == 3
    assert happened.value("aiostream_model_time_to_first_token_seconds_count", model="default") == 2
    assert happened.value("aiostream_model_tokens_total", model="default", type="prompt") == 50


def test_tools_titles_and_requests_are_counted(happened: Figures) -> None:
    assert happened.value("aiostream_tool_calls_total", tool="calculate", outcome="ok") == 1
    assert happened.value("aiostream_tool_duration_seconds_count", tool="calculate") == 1
    assert happened.value("aiostream_auxiliary_answers_total", kind="title_generation", by="rules") == 1
    chat = {"route": "/v1/chat/completions", "method": "POST"}
    assert happened.value("aiostream_http_requests_total", **chat, status="200") == 3
    assert happened.value("aiostream_http_requests_total", route="unknown", method="GET", status="404") == 1
    assert happened.value("aiostream_http_time_to_first_byte_seconds_count", route=chat["route"]) == 3


async def test_gauges_have_the_current_values(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("a", Stall()))
        config = config_for(provider.base_url, sample_team("solo"), limits={"max_runs": 7, "queue_size": 3})
        async with counting(config, tmp_path) as server:
            async with asking(server.url, "hi", model="solo"):
                await (await provider.request()).sent(1)
                figures = await figures_of(server)
                assert figures.value("aiostream_runs_live") == figures.value("aiostream_viewers") == 1
                assert figures.value("aiostream_runs_limit") == 7
                assert figures.value("aiostream_runs_queue_limit") == 3
                assert figures.value("aiostream_runs_queued") == 0
            await until_idle(server)
            figures = await figures_of(server)
            assert figures.value("aiostream_runs_live") == figures.value("aiostream_viewers") == 0
            assert figures.value("aiostream_runs_total", team="solo", outcome="cancelled") == 1
            assert figures.value("aiostream_model_calls_total", outcome="cancelled") == 1


async def test_a_model_that_breaks_off_is_an_error_with_its_tokens(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("a", "b", BreakOff(), pause_s=0.01))
        async with counting(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            await ask(server.url, "hi", model="solo")
            figures = await figures_of(server)
    assert figures.value("aiostream_model_errors_total", code="model_failed") == 1
    assert figures.value("aiostream_model_tokens_total", type="completion") == 2


def test_no_label_tells_of_a_user_or_a_run(happened: Figures) -> None:
    labels = {label for sample in happened.samples for label in sample.labels}
    values = {value for sample in happened.samples for value in sample.labels.values()}
    assert labels == {
        *("team", "outcome", "code", "type", "model", "reason", "tool", "kind", "by", "route", "method", "status"),
        *("le", "stream", "version", "python_version", "protocol"),
    }
    assert not [value for value in values if value.startswith(("run-", "req-", "aio-"))]


def test_names_follow_the_conventions(happened: Figures) -> None:
    for name, family in happened.families.items():
        assert name.startswith(("aiostream_", "process_")), name
        assert family.documentation, name
        if family.type == "histogram":
            assert name.endswith("_seconds"), name
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples), name


async def test_openmetrics_is_sent_to_clients_that_accept_it(tmp_path: Path) -> None:
    async with counting(config_for("http://127.0.0.1:9/v1"), tmp_path) as server:
        status, content_type, text = await read(f"{server.url}/metrics", Accept=OPEN_METRICS)
        assert (status, content_type.split(";")[0]) == (200, "application/openmetrics-text")
        assert text.endswith("# EOF\n")
        status, content_type, text = await read(f"{server.url}/api/metrics", Accept="*/*")
        assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert "# EOF" not in text
        assert "_created" not in text


async def test_disabled_metrics_have_no_path(tmp_path: Path) -> None:
    config = config_for("http://127.0.0.1:9/v1").model_copy(update={"metrics": MetricsConfig(enabled=False)})
    async with counting(config, tmp_path) as server:
        status, _, text = await read(f"{server.url}/metrics")
    assert status == 404
    assert "there is no /metrics" in text


@pytest.mark.parametrize("method", ["PROPFIND", "MKCOL", "TRACE"])
def test_methods_that_a_client_thinks_of_are_one(method: str) -> None:
    observer = MetricsObserver(Families(registry := CollectorRegistry()))
    with observer.request("req-1", method, "unknown", {}) as watch:
        watch.answered(405, None)
    assert registry.get_sample_value("aiostream_http_requests_total", _request("unknown", "other", "405")) == 1


@pytest.mark.parametrize("route", ["/v1/runs", "/v1//runs", "/api/v1/runs", "/api/v1//runs"])
def test_a_route_is_one_by_all_of_its_names(route: str) -> None:
    observer = MetricsObserver(Families(registry := CollectorRegistry()))
    with observer.request("req-1", "GET", route, {}) as watch:
        watch.answered(200, None)
    assert registry.get_sample_value("aiostream_http_requests_total", _request("/v1/runs", "GET", "200")) == 1


def _request(route: str, method: str, status: str) -> dict[str, str]:
    return {"route": route, "method": method, "status": status}


def test_tools_that_a_model_invents_are_counted_as_one() -> None:
    observer = MetricsObserver(Families(registry := CollectorRegistry()))
    with observer.run("run-1", model="auto", question="?", conversation=None, protocol="chat") as run:
        run.chose("data")
        for number in range(300):
            run.event(Action("A", f"tool_{number}", "{}", str(number)))
            run.event(ToolResult("A", f"tool_{number}", "", str(number), is_error=True))
    tools = registry.get_sample_value
    assert tools("aiostream_tool_calls_total", {"tool": "tool_99", "outcome": "error"}) == 1
    assert tools("aiostream_tool_calls_total", {"tool": "tool_100", "outcome": "error"}) is None
    assert tools("aiostream_tool_calls_total", {"tool": "other", "outcome": "error"}) == 200


def test_a_tool_without_an_answer_is_counted_when_the_run_ends() -> None:
    observer = MetricsObserver(Families(registry := CollectorRegistry()))
    with observer.run("run-1", model="auto", question="?", conversation=None, protocol="chat") as run:
        run.event(Action("A", "query", "{}", "1"))
        run.event(ToolResult("A", "query", "", "another call's"))
        run.event(RunFinished("cancelled", TokenCount(), 1.0))
    value = registry.get_sample_value
    assert value("aiostream_tool_calls_total", {"tool": "query", "outcome": "unanswered"}) == 1
    assert value("aiostream_tool_calls_total", {"tool": "query", "outcome": "ok"}) is None
    assert value("aiostream_runs_total", {"team": "none", "outcome": "cancelled"}) == 1


def test_names_keep_what_they_were_called() -> None:
    """A name that came early is never called "other" later."""
    bounded = BoundedNames()
    names = [f"name {number}" for number in range(101)]
    assert [*map(bounded, names)] == [*names[:100], "other"]
    assert bounded("name 7") == "name 7"
