"""Random runs through each protocol, judged by the protocol's own client."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiostream_server.events import Entry, Error
from aiostream_server.protocols.ai_sdk.request import UIMessageOptions
from aiostream_server.protocols.ai_sdk.stream import UIMessageFrames
from tests.clients.running import PROGRAMS
from tests.kit.needs import CLIENTS, needs
from tests.protocols.telling import CARD, told_runs

BATCHES, RUNS = 3, 40
batches = settings(
    max_examples=BATCHES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def judged(client: str, program: str, streams: Sequence[str]) -> list[dict[str, Any]]:
    """What the program says of each stream."""
    source = (PROGRAMS / program).read_text("utf-8")
    lines = "".join(f"{json.dumps(stream)}\n" for stream in streams)
    command = ["node", "--input-type=module", "--eval", source]
    told = subprocess.run(command, cwd=CLIENTS / client, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in told.stdout.splitlines()]


@needs("clients")
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@batches
@given(st.lists(told_runs(), min_size=RUNS, max_size=RUNS))
def test_the_ai_sdk_reads_every_run(told: Sequence[Sequence[Entry]]) -> None:
    streams = []
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
