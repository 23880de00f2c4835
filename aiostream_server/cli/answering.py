"""A run, shown in the terminal as it goes on."""

import click

from aiostream_server.cli.terminal import TerminalTranscript, harmless
from aiostream_server.client import RunStream
from aiostream_server.events import Dropped, InputRequested
from aiostream_server.present import Presenter
from aiostream_server.present.shown import Channel


async def show_run(stream: RunStream, presenter: Presenter, transcript: TerminalTranscript) -> InputRequested | None:
    """To its end. Returns what the team waits for, if it does. Raises `ClientError`."""
    asked: InputRequested | None = None
    channel: Channel | None = None
    async for event in stream:
        for shown in presenter.show(event):
            if channel not in (None, shown.channel):
                transcript.show("\n\n")  # a chat page shows them in places of their own
            channel = shown.channel
            transcript.show(shown.text, is_aside=channel == "reasoning")
        if isinstance(event, Dropped):
            remark("a part of the run is missing: the server keeps it no longer")
        elif isinstance(event, InputRequested):
            asked = event
    return asked


def remark(text: str) -> None:
    """Apart from the answer, which may be in the middle of a line."""
    click.echo(f"\n[{harmless(text)}]", err=True)
