"""Pictures that a run promised to show, and that no agent put into the answer: they are added to its end.

A model is asked to repeat a picture's link, and may not. An answer that was streamed goes on with it; of any other one
what comes at the end of the run is longer by it.
"""

from dataclasses import replace

from aiostream_server.events import Answer
from aiostream_server.models.provider import TextDelta
from aiostream_server.runs.recorder import Recorder
from aiostream_server.store.run_files import RunFiles


def add_missing(recorder: Recorder, files: RunFiles) -> None:
    """Before the answer is told."""
    recorder.close_all()
    answer = recorder.answer or recorder.last
    if answer is None:
        return
    shown = files.shown if answer.streamed else ()  # of any other answer, what comes at the end is shown again
    before = "".join(f"{file.markdown}\n\n" for file in shown if file.id not in answer.content)
    after = "".join(f"\n\n{file.markdown}" for file in files.missing_in(answer.content))
    if after:
        _tell(recorder, answer, after)
    if before or after:
        whole = replace(answer, content=f"{before}{answer.content}{after}")
        if recorder.answer is None:
            recorder.last = whole
        else:
            recorder.answer = whole


def _tell(recorder: Recorder, answer: Answer, pictures: str) -> None:
    if answer.streamed:
        recorder.chunk(answer.agent, TextDelta(pictures))
        recorder.close_all()
    else:
        recorder.note(answer.agent, pictures)
