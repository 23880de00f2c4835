"""Random runs through each protocol, judged by the protocol's own client."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import structs

from aiostream_server.events import Entry, Error
from aiostream_server.protocols.ag_ui.request import ThreadOptions
from aiostream_server.protocols.ag_ui.stream import ThreadFrames
from aiostream_server.protocols.ai_sdk.request import UIMessageOptions
from aiostream_server.protocols.ai_sdk.stream import UIMessageFrames
from tests.clients.running import PROGRAMS
from tests.kit.needs import CLIENTS, needs
from tests.protocols.telling import CARD, told_runs

BATCHES, RUNS, IN_A_THREAD = 3, 40, 4  # a batch of them all would be too large for hypothesis


def random_runs() -> Sequence[Sequence[Entry]]:
    """They are judged at once, and a failure is not shrunk: each judgement starts programs."""
    drawn: list[Sequence[Entry]] = []

    @settings(
        max_examples=BATCHES,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(told_runs(), min_size=RUNS, max_size=RUNS))
    def draw(told: Sequence[Sequence[Entry]]) -> None:
        drawn.extend(told)

    draw()
    assert len(drawn) == BATCHES * RUNS
    return drawn


def judged(client: str, program: str, streams: Sequence[str]) -> list[dict[str, Any]]:
    """What the program says of each stream."""
    source = PROGRAMS / program
    lines = "".join(f"{json.dumps(stream)}\n" for stream in streams)
    command = ["node", "--input-type=module", "--eval", source.read_text("utf-8")]
    if source.suffix == ".py":
        command = ["bin/python", str(source)]
    told = subprocess.run(command, cwd=CLIENTS / client, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in told.stdout.splitlines()]


@needs("clients")
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
def test_the_ai_sdk_reads_every_run() -> None:
    told, streams = random_runs(), []
    for entries in told:
        shown = UIMessageFrames(CARD, UIMessageOptions())
        streams.append((shown.opening(at_end=False) + shown.encode(entries)).decode("ascii"))
    outcomes = judged("ai-sdk-ui", "verify_ai_sdk.mjs", streams)
    assert len(outcomes) == len(streams)
    for entries, stream, outcome in zip(told, streams, outcomes, strict=True):
        errors = [entry.event.message for entry in entries if isinstance(entry.event, Error)]
        expected = errors[-1] if errors else None
        if '"reason":"interrupted"' in stream:
            expected = outcome["said"]
        assert outcome == {"said": expected, "open": 0}, stream


@needs("clients")
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
def test_ag_uis_client_and_models_read_every_run() -> None:
    """Each alone, and several as a thread that is replayed."""
    streams = []
    for number, entries in enumerate(random_runs()):
        shown = ThreadFrames(structs.replace(CARD, id=f"run-{number}"), ThreadOptions("talk", "mine"))
        streams.append((shown.opening(at_end=False) + shown.encode(entries)).decode("ascii"))
    threads = [streams[first : first + IN_A_THREAD] for first in range(0, len(streams), IN_A_THREAD)]
    by_client = judged("ag-ui", "verify_ag_ui.mjs", [*streams, *map("".join, threads)])
    by_models = judged("ag-ui-protocol", "verify_ag_ui.py", [*streams, *map("".join, threads)])
    assert len(by_client) == len(by_models) == len(streams) + len(threads)
    for runs, seen, read in zip([*([each] for each in streams), *threads], by_client, by_models, strict=True):
        ends = [json.loads(stream.rstrip().rpartition("data: ")[2]) for stream in runs]
        errors = [end["message"] for end in ends if end["type"] == "RUN_ERROR"]
        asked = [end["outcome"].get("interrupts", ()) for end in ends if end["type"] == "RUN_FINISHED"]
        assert seen["said"] == (errors[-1] if errors else None), runs
        assert seen["interrupts"] == len(asked[-1] if asked else ()), runs
        assert read == {"said": None, "first": "RUN_STARTED", "last": ends[-1]["type"]}, runs
