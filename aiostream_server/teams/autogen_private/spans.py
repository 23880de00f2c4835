"""Skips AutoGen's spans of agents where nothing records spans.

AutoGen opens a span of OpenTelemetry for each agent that is made and for each turn of one, also where no tracer
provider is set: two per cent of the CPU of a small run, for spans that are not recorded.
"""

import functools
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeAlias

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.teams import BaseGroupChat
from autogen_core import trace_create_agent_span

_Span: TypeAlias = Callable[..., AbstractContextManager[Any]]

_SPANS: Final = ("trace_create_agent_span", "trace_invoke_agent_span")
_OF_TURNS: Final = f"{BaseGroupChat.__module__.rpartition('.')[0]}._chat_agent_container"
_PROVIDER: Final = "_TRACER_PROVIDER"
"""Where OpenTelemetry keeps it: None where there is none. Its function reads the environment each time."""
_NO_SPAN: Final = nullcontext()
_MARK: Final = "__aiostream_spans__"
_NOT_RECORDING: Final = "ProxyTracerProvider"
"""The class of OpenTelemetry's provider as long as a program has set none."""
_otel: Final[Any] = getattr(sys.modules[trace_create_agent_span.__module__], "trace", None)


def skip_unrecorded_spans() -> None:
    """Patch AutoGen's agents, once for the whole process."""
    if _otel is None:
        return
    for owner in (BaseChatAgent.__module__, _OF_TURNS):
        module = sys.modules.get(owner)
        for name in _SPANS:
            span = getattr(module, name, None)
            if span is not None and not hasattr(span, _MARK):
                setattr(module, name, _unless_unrecorded(span))


def _unless_unrecorded(span: _Span) -> _Span:
    has_asked = False

    @functools.wraps(span)
    def recorded(*args: Any, **named: Any) -> AbstractContextManager[Any]:
        """AutoGen does not use the span itself: an agent's code that does asks OpenTelemetry for the current one."""
        nonlocal has_asked
        if has_asked and getattr(_otel, _PROVIDER, _otel) is None:
            return _NO_SPAN
        has_asked = True  # this sets the provider that the environment names, if it names one
        if type(_otel.get_tracer_provider()).__name__ == _NOT_RECORDING:
            return _NO_SPAN
        return span(*args, **named)

    setattr(recorded, _MARK, True)
    return recorded
