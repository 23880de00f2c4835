"""The events that close a run once its team is done: the answer, or what the team waits for."""

from dataclasses import replace
from typing import Literal

from aiostream_server.events import Answer, InputRequested, Message, Notice
from aiostream_server.models.provider import TextDelta
from aiostream_server.runs import notices
from aiostream_server.runs.conversation_memory import Handover
from aiostream_server.runs.log_writer import capped
from aiostream_server.runs.recorder import Recorder
from aiostream_server.runs.speakers import NAMELESS
from aiostream_server.runs.team_ending import TeamEnding
from aiostream_server.store.run_files import RunFiles


def add_missing_pictures(recorder: Recorder, files: RunFiles) -> None:
    """Append pictures that the run promised to show and no agent put into the answer: models forget to repeat links.

    A streamed answer is continued by them; any other answer gets them when it is told at the end of the run.
    """
    recorder.close_all()
    answer = recorder.answer or recorder.last
    if answer is None:
        return
    shown = files.shown if answer.streamed else ()  # an answer that was not streamed shows them itself at the end
    before = "".join(f"{file.markdown}\n\n" for file in shown if file.id not in answer.content)
    after = "".join(f"\n\n{file.markdown}" for file in files.missing_in(answer.content))
    if after and answer.streamed:
        recorder.say(answer.agent, (TextDelta(after.removeprefix("\n\n")),))  # begins a paragraph of its own
        recorder.close_all()
    elif after and answer.content != recorder.untold:
        recorder.tell(Message(answer.agent, after))
    if before or after:
        whole = replace(answer, content=f"{before}{answer.content}{after}")
        if recorder.answer is None:
            recorder.last = whole
        else:
            recorder.answer = whole


def tell_answer(recorder: Recorder, ending: TeamEnding) -> None:
    """The team is done: tell the answer, else the last message, else why no agent said anything."""
    if (answer := recorder.answer or recorder.last) is None:
        words = ending.without_words(has_acted=bool(recorder.calls.heard))
        agent = recorder.speakers.agent(None)
        recorder.tell(Message(agent, words))  # so that no check mark stands above it
        recorder.tell(Answer(agent, words, streamed=False))
        return
    recorder.tell(answer)
    if recorder.answer is None and (why := ending.unexplained(answer.content)) is not None:
        recorder.tell(notices.of_team(answer.agent, why))


def ask_user(recorder: Recorder, handover: Handover, *, can_reply: bool) -> None:
    """The team waits for the user: the last message is the question, and the answer of this turn."""
    recorder.asks_user = True
    if not can_reply:
        recorder.tell(Message(handover.asker, notices.NO_REPLY))
    last = recorder.last
    if last is not None and (recorder.answer is None or recorder.answer.content != last.content):
        recorder.answer = last
    if recorder.answer is not None:
        # Where the answer has to be JSON, this one is not shown as the answer: the run fails with it.
        is_hidden = recorder.speakers.awaits_form
        recorder.tell(replace(recorder.answer, streamed=True) if is_hidden else recorder.answer)
    question = "" if last is None else capped(last.content)
    recorder.tell(InputRequested(handover.asker, question, handover.is_approval and can_reply))


def request_calls(recorder: Recorder, handover: Handover) -> None:
    """The team waits for the results of calls of the client's tools: they are the last that is told."""
    recorder.has_called_client = True
    for requested in recorder.calls.requested(handover.stopped, handover.call_ids):
        recorder.tell(requested)


def tell_memory_failure(recorder: Recorder, reason: Literal["not_kept", "not_recalled"], words: str) -> None:
    """The server does not remember the conversation as it should."""
    answer = recorder.answer or recorder.last
    recorder.tell(Notice(NAMELESS if answer is None else answer.agent, words, reason))
