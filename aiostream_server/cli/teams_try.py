"""`aiostream-server teams try`: a team at work in the terminal, without a server that has to be started."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Final, get_args

import click
from rich.console import Console

from aiostream_server.cli.answering import remark, show_run
from aiostream_server.cli.interrupts import EXIT_INTERRUPTED, until_interrupted
from aiostream_server.cli.options import config_option, find_modules_beside
from aiostream_server.cli.replies import Replies
from aiostream_server.cli.terminal import TerminalTranscript, harmless
from aiostream_server.client import ClientError, StreamClient
from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config, Presentation
from aiostream_server.events import RunFinished
from aiostream_server.present import new_presenter
from aiostream_server.service.logging import configure_logging

_CONVERSATION: Final = "trial"


@click.command("try")
@click.argument("team", metavar="ID")
@click.argument("question")
@config_option
@click.option("--presentation", type=click.Choice(get_args(Presentation)), default="transcript", show_default=True)
@click.option("--full", is_flag=True, help="Show long tool calls and results to their last line.")
@click.option("--verbose", is_flag=True, help="Also the log, with the traceback of a team that fails.")
def try_team(
    team: str, question: str, config_path: Path | None, presentation: Presentation, full: bool, verbose: bool
) -> None:
    """Ask the team ID a QUESTION, or `auto`, here and now; - reads the question from stdin.

    Nothing is kept, and no server is needed. A team that asks back is answered line by line. Ctrl-C cancels the run, a
    second one does not wait for that.
    """
    asked = sys.stdin.read().strip() if question == "-" else question
    if not asked:
        raise click.UsageError("there is no question")
    config = load_config(config_path, os.environ)
    find_modules_beside(config_path)
    configure_logging("debug" if verbose else "critical", "text")
    transcript = TerminalTranscript(Console(highlight=False, markup=False, emoji=False), full=full)
    replies = None if question == "-" else Replies()
    try:
        finished = asyncio.run(until_interrupted(_try(config, team, asked, presentation, transcript, replies)))
    except ClientError as exc:
        raise click.ClickException(harmless(str(exc))) from exc
    finally:
        transcript.end()
    if finished is None:  # not even its last event
        click.echo("\ncancelled", err=True)
        raise SystemExit(EXIT_INTERRUPTED)
    if finished.reason not in ("stop", "length"):
        raise SystemExit(1)  # the transcript has said why


async def _try(
    config: Config,
    team: str,
    question: str,
    presentation: Presentation,
    transcript: TerminalTranscript,
    replies: Replies | None,
) -> RunFinished | None:
    from aiostream_server.service.trial import only, trial_server  # loads the agents' libraries

    with tempfile.TemporaryDirectory(prefix="aiostream-trial-", ignore_cleanup_errors=True) as folder:
        async with (
            trial_server(only(config, team), Path(folder)) as server,
            StreamClient(server.url, server.key, max_reconnects=0) as client,
        ):
            said = question
            while True:
                stream = client.stream(said, model=team, conversation=_CONVERSATION)
                asked = await show_run(stream, new_presenter(presentation), transcript)
                reply = await _reply(asked.agent, transcript, replies) if asked else None
                if reply is None:
                    return stream.finished
                said = reply


async def _reply(agent: str, transcript: TerminalTranscript, replies: Replies | None) -> str | None:
    """None where nobody replies."""
    transcript.end()
    if replies is None:
        remark(f"{agent} waits for a reply; the question came from stdin, so nobody is asked")
        return None
    click.echo(f"\n{harmless(agent)} waits for your reply\n> ", nl=False, err=True)
    said = await replies.next()
    if said is None:
        remark("no reply")
    return said
