"""What a person does with Open WebUI, one step each."""

from typing import Final

from tests.e2e.step import Step
from tests.e2e.steps import additions, answers, beside, endings, looks, pace, responses, restart, speech, turns

STEPS: Final[tuple[Step, ...]] = (
    *answers.STEPS,
    *turns.STEPS,
    *endings.STEPS,
    *additions.STEPS,
    *responses.STEPS,
    *restart.STEPS,
    *looks.STEPS,
    *speech.STEPS,
    *pace.STEPS,
    *beside.STEPS,
    *beside.LAST,
)
