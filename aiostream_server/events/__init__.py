"""The events of a run: the vocabulary that teams, logs, presentations, protocols and clients share.

A closed union (`Event`), with every fact about a kind of event beside it. Public: users import their events from here.
"""

from aiostream_server.events.base import BaseEvent, FinishReason, FromAgent, OfModelCall, Speech, TokenCount
from aiostream_server.events.model import (
    EVENTS,
    SPEECHES,
    Analysis,
    Answer,
    Entry,
    Event,
    InputRequested,
    Message,
    ModelCalled,
    Notice,
    Routing,
    Said,
    SpeechKind,
    Thinking,
    Token,
    Usage,
    Validation,
)
from aiostream_server.events.run_events import Dropped, Error, Restarted, RunFinished, RunStarted, Waiting, WaitReason
from aiostream_server.events.tool_events import Action, ActionToken, ToolRequested, ToolResult

__all__ = [
    "EVENTS",
    "SPEECHES",
    "Action",
    "ActionToken",
    "Analysis",
    "Answer",
    "BaseEvent",
    "Dropped",
    "Entry",
    "Error",
    "Event",
    "FinishReason",
    "FromAgent",
    "InputRequested",
    "Message",
    "ModelCalled",
    "Notice",
    "OfModelCall",
    "Restarted",
    "Routing",
    "RunFinished",
    "RunStarted",
    "Said",
    "Speech",
    "SpeechKind",
    "Thinking",
    "Token",
    "TokenCount",
    "ToolRequested",
    "ToolResult",
    "Usage",
    "Validation",
    "WaitReason",
    "Waiting",
]
