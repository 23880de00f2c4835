"""Processes with traces: their logs, their shutdown, their imports."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import get_tracer_provider
from structlog.testing import capture_logs

from aiostream_server.config.model import Config, DemoModelConfig
from aiostream_server.config.server import TracingConfig
from aiostream_server.errors import ConfigError
from aiostream_server.observe.observer import fan_out
from aiostream_server.service.config_check import find_problems
from aiostream_server.service.server import serve
from aiostream_server.service.tracing import Traces
from aiostream_server.service.tracing.export import _endpoint, _resource
from tests.kit.process import environment, serving_process
from tests.kit.serving import ask, asking, serving
from tests.kit.waiting import DEADLINE_S
from tests.service.tracing.collector import Collector
from tests.service.tracing.traced import CALLER, TRACE_ID

_SERVER = """
[server]
port = 0
log_format = "json"
drain_s = 30.0
[models.default]
provider = "demo"
tokens_per_s = 0
"""


_DEMO = Config(models={"default": DemoModelConfig(provider="demo", tokens_per_s=0)})


async def test_the_environment_configures_the_exporter_and_log_lines_name_the_span(tmp_path: Path) -> None:
    """OpenTelemetry's variables apply where the file sets nothing."""
    async with Collector() as collector:
        said = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_SERVICE_NAME": "chat",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        }
        async with serving_process(f"{_SERVER}\n[tracing]\nenabled = true\n", tmp_path, **said) as server:
            async with asking(server.url, "hello", model="general", headers=CALLER) as answer:
                await answer.read_all()
            server.process.send_signal(signal.SIGTERM)
            assert await server.end() == 0
        spans = await collector.until(4)
    (resource,) = collector.resources
    assert resource["service.name"] == "chat"
    assert resource["deployment.environment.name"] == "test"
    (line,) = server.named("run_finished")
    run = next(span for span in spans if span.name.startswith("invoke_workflow"))
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID, run.span_id)
    assert "trace_id" not in server.named("server_ready")[0]


async def test_a_hanging_collector_delays_neither_answers_nor_the_shutdown(tmp_path: Path) -> None:
    async with Collector(hangs=True) as collector:
        tracing = f'[tracing]\nenabled = true\nendpoint = "{collector.endpoint}"\n'
        async with serving_process(f"{_SERVER}\n{tracing}", tmp_path, OTEL_BSP_SCHEDULE_DELAY="50") as server:
            for _ in range(2):
                assert (await ask(server.url, "What are the total sales by region?")).done
                await collector.asked.wait()
            server.process.send_signal(signal.SIGTERM)
            signalled_at = time.monotonic()
            assert await server.end() == 0
        assert time.monotonic() - signalled_at < 20  # OpenTelemetry alone would wait 30 s
    assert len(server.named("last_traces_lost")) == 1


async def test_an_absent_collector_delays_neither(tmp_path: Path) -> None:
    traces = Traces.of(TracingConfig(enabled=True, endpoint="http://127.0.0.1:9"))
    with capture_logs() as lines:
        async with asyncio.timeout(60), traces.sending:
            async with serving(_DEMO, tmp_path, fan_out(*traces.observers)) as server:
                assert (await ask(server.url, "hello", model="general")).done
            ends_at = time.monotonic()
    assert time.monotonic() - ends_at < 15
    assert [line["log_level"] for line in lines if line["event"] == "last_traces_lost"] == ["warning"]


def _python(script: str, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env={**environment(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
    )


async def test_without_the_extra_the_error_names_the_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In `serve` and in `check`, among other errors."""
    monkeypatch.delitem(sys.modules, "aiostream_server.service.tracing.export", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)  # not there
    config = Config(models=_DEMO.models, tracing=TracingConfig(enabled=True))
    with pytest.raises(ConfigError) as caught:
        await serve(config, state_directory=tmp_path, on_ready=print)
    (problem,) = caught.value.problems
    assert "OpenTelemetry is not installed: pip install '.[tracing]'" in problem
    assert await find_problems(config, state_directory=tmp_path) == [problem]


async def test_a_missing_module_of_the_package_is_not_reported_as_the_missing_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "aiostream_server.service.tracing.export", None)
    with pytest.raises(ModuleNotFoundError):
        Traces.of(TracingConfig(enabled=True))


async def test_malformed_variables_are_config_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    traces = Traces.of(TracingConfig(enabled=True))
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")
    with pytest.raises(ConfigError, match="max_queue_size"):
        await traces.sending.__aenter__()


@pytest.mark.parametrize("endpoint", ["http://h:1", "http://h:1/", "http://h:1/v1/traces"])
def test_an_endpoint_may_have_the_path_or_not(endpoint: str) -> None:
    assert _endpoint(TracingConfig(enabled=True, endpoint=endpoint)) == "http://h:1/v1/traces"


@pytest.mark.parametrize(
    ("file", "environ", "told"),
    [(None, None, "aiostream-server"), (None, "chat", "chat"), ("mine", "chat", "mine"), ("mine", None, "mine")],
)
def test_the_service_name_comes_from_the_file_and_else_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, file: str | None, environ: str | None, told: str
) -> None:
    if environ is not None:
        monkeypatch.setenv("OTEL_SERVICE_NAME", environ)
    config = TracingConfig(enabled=True) if file is None else TracingConfig(enabled=True, service_name=file)
    assert _resource(config).attributes["service.name"] == told


def test_autogen_makes_no_spans() -> None:
    """Its runtime would make a span of every message."""
    assert Traces.of(TracingConfig(enabled=True)).observers
    assert not isinstance(get_tracer_provider(), TracerProvider)
