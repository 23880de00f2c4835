"""The sign of each kind of event, the same wherever a person reads a run."""

from typing import Final

from aiostream_server.events.model import SpeechKind

SPEECH_SIGNS: Final[dict[SpeechKind, str]] = {
    "thinking": "🤔",
    "validation": "🛡",
    "analysis": "📊",
    "message": "💬",
    "final": "✅",
}
ROUTING_SIGN: Final = "🎯"
INPUT_SIGN: Final = "🙋"
ERROR_SIGN: Final = "❌"
BREAK: Final = "\u200b"
"""A zero-width space, set into text so that a page that would take it for markup shows it as text. See `breaks`."""
