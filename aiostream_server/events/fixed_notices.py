"""What users are told at the end of an answer: that the server does not remember it as it should, or that it was cut.

In words that no presentation escapes, so that `intake.undecorate` finds them at the end of an answer that is sent back.
"""

from collections.abc import Mapping
from typing import Final

NOT_KEPT_YET: Final = "This turn is not saved yet. The server keeps trying, but a restart before that loses it."
NOT_KEPT: Final = "This turn could not be saved. The next question will be answered without it."
STATE_NOT_KEPT: Final = "The memory of this turn could not be saved. The next question continues from the messages."
"""To a user of a client that sends the earlier messages itself."""
NOT_RECALLED: Final = "The earlier turns could not be read. This answer was given without them."

RESTARTED: Final = "The server that worked on this has failed. The team begins again."
"""Between what was said before and the new beginning."""

GO_ON: Final = '"Continue response" goes on from here.'
"""Behind an answer of which another line has told that it was cut at the token limit."""
CUT_BY_REASON: Final[Mapping[str, str]] = {
    "length": f"The answer was cut at the token limit. {GO_ON}",
    "content_filter": "The answer was cut by the content filter of the model's provider.",
    "interrupted": f"The server was restarted before the answer was complete. {GO_ON}",
}
"""What a chat page says behind an answer that ended so; by finish reason."""
_TIMED_OUT: Final = f"A time limit ended the answer before it was complete. {GO_ON}"
CUT_BY_ERROR: Final[Mapping[str, str]] = dict.fromkeys(("run_timeout", "idle_timeout", "model_timeout"), _TIMED_OUT)
"""The same by error code."""

FIXED_NOTICES: Final = (
    NOT_KEPT_YET,
    NOT_KEPT,
    STATE_NOT_KEPT,
    NOT_RECALLED,
    *CUT_BY_REASON.values(),
    _TIMED_OUT,
    GO_ON,
)
