"""A provider that wants back what came beside its answers gets it: in the run, in the next turn, after a restart."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.config.model import Config
from tests.kit.scripted_provider import HttpError, Raw, Reply, ScriptedProvider
from tests.kit.serving import ask, config_for, sample_team, serving

TALK = {"X-Conversation-Id": "talk-1"}
SIGNED: Mapping[str, Any] = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
REASONING = {"reasoning_content": "Let me see."}


def chunks(*deltas: Mapping[str, Any], finish: str = "stop") -> Raw:
    ends: list[tuple[Mapping[str, Any], str | None]] = [(delta, None) for delta in deltas] + [({}, finish)]
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in ends]
    return Raw([b"data: " + json.dumps(event).encode() + b"\n\n" for event in events] + [b"data: [DONE]\n\n"])


def call(call_id: str = "call_0", **extra: Any) -> dict[str, Any]:
    arguments = json.dumps({"city": "Rome"})
    return {"index": 0, "id": call_id, "function": {"name": "weather", "arguments": arguments}, **extra}


def strict(wanted: Mapping[str, Any], **beside: Any) -> Any:
    """A provider that calls the tool once a turn, with a field of its own, and refuses calls that come back without."""

    def reply(body: Mapping[str, Any]) -> Reply:
        messages: Sequence[Mapping[str, Any]] = body["messages"]
        for message in messages:
            for made in message.get("tool_calls") or ():
                if any({**message, **made}.get(name) != value for name, value in wanted.items()):
                    return HttpError(400, {"error": {"message": f"{next(iter(wanted))} is missing"}})
        if messages[-1]["role"] == "tool":
            return chunks({"content": f"{messages[-1]['content']}."})
        return chunks({"content": None, **beside}, {"tool_calls": [call(**(SIGNED if not beside else {}))]})

    return reply


@pytest.mark.parametrize(("wanted", "beside"), [(SIGNED, {}), (REASONING, REASONING)], ids=["signature", "reasoning"])
async def test_in_the_run_in_the_next_turn_and_after_a_restart(
    tmp_path: Path, wanted: Mapping[str, Any], beside: Mapping[str, Any]
) -> None:
    """The second turn calls with the id of the first."""
    async with ScriptedProvider() as provider:
        provider.script(strict(wanted, **beside))
        config = config_for(provider.base_url, sample_team("with_tool"))
        async with serving(config, tmp_path) as server:
            for text in ("Rome?", "And now?"):
                answer = await ask(server.url, text, model="with-tool", headers=TALK)
                assert not answer.errors
                assert answer.text.rstrip().endswith("rain in Rome.")
        async with serving(config, tmp_path) as server:
            answer = await ask(server.url, "And later?", model="with-tool", headers=TALK)
        assert not answer.errors
        calls = [message for message in provider.exchanges[-1].body["messages"] if message.get("tool_calls")]
        assert len(calls) == 3
        assert all(message["content"] is None for message in calls), "the thought is not said as text, too"


async def test_another_model_does_not_get_them(tmp_path: Path) -> None:
    """The conversation goes on with the model that is configured now."""

    def configured(model: str) -> Config:
        config = config_for(provider.base_url, sample_team("with_tool"))
        tables = {name: table.model_copy(update={"model": model}) for name, table in config.models.items()}
        return config.model_copy(update={"models": tables})

    async with ScriptedProvider() as provider:
        provider.script(strict(SIGNED))
        async with serving(configured("old"), tmp_path) as server:
            assert not (await ask(server.url, "Rome?", model="with-tool", headers=TALK)).errors
        async with serving(configured("new"), tmp_path) as server:
            await ask(server.url, "And now?", model="with-tool", headers=TALK)
        (made,) = [m for m in provider.exchanges[-1].body["messages"] if m.get("tool_calls")]
        assert "extra_content" not in made["tool_calls"][0]


async def test_text_beside_calls_stays_and_reasoning_does_not_become_text(tmp_path: Path) -> None:
    """Also where reasoning comes as `<think>` in the text, and no field wants it back."""
    async with ScriptedProvider() as provider:
        provider.script(
            chunks({"content": "<think>Hm.</think>I look."}, {"tool_calls": [call()]}, finish="tool_calls"),
            chunks({"content": "Sunny."}),
        )
        async with serving(config_for(provider.base_url, sample_team("with_tool")), tmp_path) as server:
            assert not (await ask(server.url, "Rome?", model="with-tool")).errors
        (made,) = [message for message in provider.exchanges[-1].body["messages"] if message.get("tool_calls")]
        assert made["content"] == "I look."
        assert set(made) == {"role", "content", "tool_calls"}
