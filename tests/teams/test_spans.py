"""Without a tracer provider AutoGen opens no spans; `tests/service/tracing` shows that with one it opens them all."""

import sys
from contextlib import nullcontext
from typing import Final

import pytest
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.teams import RoundRobinGroupChat

from aiostream_server.teams.autogen_private import spans
from aiostream_server.teams.autogen_private.spans import skip_unrecorded_spans
from tests.teams.kinds import saying

OWNERS: Final = (BaseChatAgent.__module__, "autogen_agentchat.teams._group_chat._chat_agent_container")

skip_unrecorded_spans()


@pytest.mark.parametrize("owner", OWNERS)
def test_the_turn_of_an_agent_opens_no_span_where_nothing_records_it(owner: str) -> None:
    assert isinstance(sys.modules[owner].trace_invoke_agent_span(agent_name="A"), nullcontext)


@pytest.mark.parametrize("owner", OWNERS)
def test_a_span_is_autogens_own_once_a_provider_is_set(owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider may be set at any time: the tracer of `service.tracing`, or a program's own."""

    class Provider:
        """A provider that a program has set."""

    assert isinstance(sys.modules[owner].trace_invoke_agent_span(agent_name="A"), nullcontext)
    monkeypatch.setattr(spans._otel, "_TRACER_PROVIDER", Provider())
    assert not isinstance(sys.modules[owner].trace_invoke_agent_span(agent_name="A"), nullcontext)


def test_patching_twice_patches_once() -> None:
    before = sys.modules[OWNERS[0]].trace_invoke_agent_span
    skip_unrecorded_spans()
    assert sys.modules[OWNERS[0]].trace_invoke_agent_span is before


async def test_a_team_runs_as_before() -> None:
    result = await RoundRobinGroupChat([AssistantAgent("A", saying("hello"))], max_turns=1).run(task="hi")
    assert result.messages[-1].to_text() == "hello"
