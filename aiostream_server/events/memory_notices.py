"""What users are told about a conversation that the server does not remember as it should.

In words that no presentation escapes, so that `intake.undecorate` finds them at the end of an answer that is sent back.
"""

from typing import Final

NOT_KEPT_YET: Final = "This turn is not saved yet. The server keeps trying, but a restart before that loses it."
NOT_KEPT: Final = "This turn could not be saved. The next question will be answered without it."
STATE_NOT_KEPT: Final = "The memory of this turn could not be saved. The next question continues from the messages."
"""To a user of a client that sends the earlier messages itself."""
NOT_RECALLED: Final = "The earlier turns could not be read. This answer was given without them."

MEMORY_NOTICES: Final = (NOT_KEPT_YET, NOT_KEPT, STATE_NOT_KEPT, NOT_RECALLED)
