"""What people and models wrote, as it stands in spans: nowhere, unless it is asked for; and then cut.

https://github.com/open-telemetry/semantic-conventions/blob/v1.41.0/docs/gen-ai/gen-ai-input-messages.json
"""

import json
from typing import Final

MAX_CHARS: Final = 8_000
"""Of one text. A collector refuses what is too large, and with it the whole batch."""


def cut(text: str) -> str:
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 1]}…"


def as_messages(role: str, *texts: str) -> str:
    """One message that says it all, as JSON."""
    parts = [{"type": "text", "content": cut(text)} for text in texts]
    return json.dumps([{"role": role, "parts": parts}], ensure_ascii=False)
