"""`aiostream-server teams try`: run a team in the terminal, on a server that the command starts and stops itself."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Final, get_args

import click

from aiostream_server.cli.interactive import EXIT_INTERRUPTED, Replies, until_interrupted
from aiostream_server.cli.options import config_option, find_modules_beside
from aiostream_server.cli.printing import without_controls
from aiostream_server.cli.terminal import TerminalTranscript, remark, show_run
from aiostream_server.client import ClientError, StreamClient
from aiostream_server.config.load import load_config
from aiostream_server.config.model import RESERVED_IDS, Config, Presentation
from aiostream_server.errors import ConfigError
from aiostream_server.events import RunFinished
from aiostream_server.present import new_presenter
from aiostream_server.service.logging import configure_logging

_CONVERSATION: Final = "trial"
# Log events that an answer refers to: without --verbose they are shown, and no others.
_REASONS: Final = ("mcp_server_unreachable", "mcp_server_lost", "mcp_tools_not_listed", "file_not_kept")


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
    """Ask the team ID, or `auto`, a QUESTION; - reads the question from stdin.

    No running server is needed. Only pictures are kept, in a folder that is named at the end. A team that asks back
    is answered line by line. Ctrl-C cancels the run, and a second Ctrl-C ends the command at once.
    """
    asked = sys.stdin.read().strip() if question == "-" else question
    if not asked:
        raise click.UsageError("there is no question")
    config = load_config(config_path, os.environ)
    find_modules_beside(config_path)
    if verbose:
        configure_logging("debug", "text")
    else:
        configure_logging("warning", "text", only=_REASONS)
    transcript = TerminalTranscript(full=full)
    replies = None if question == "-" else Replies()
    try:
        trying = _try(config, team, asked, presentation, transcript, replies, has_file=config_path is not None)
        finished = asyncio.run(until_interrupted(trying))
    except ClientError as exc:
        raise click.ClickException(without_controls(str(exc))) from exc
    finally:
        transcript.end()
    if finished is None:  # interrupted before the run's last event
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
    *,
    has_file: bool,
) -> RunFinished | None:
    from aiostream_server.service import trial  # loads the agents' libraries
    from aiostream_server.web.offer import canonical_id

    with tempfile.TemporaryDirectory(prefix="aiostream-trial-", ignore_cleanup_errors=True) as folder:
        try:
            async with (
                trial.trial_server(trial.with_one_team(config, team), Path(folder)) as server,
                StreamClient(server.url, server.key, max_reconnects=0) as client,
            ):
                if canonical_id(team) not in (*server.teams, *RESERVED_IDS):
                    raise ConfigError([trial.unknown_team(team, ["auto", *server.teams], has_file=has_file)])
                said = question
                while True:
                    stream = client.stream(said, model=team, conversation=_CONVERSATION)
                    asked = await show_run(stream, new_presenter(presentation), transcript)
                    was_told = presentation == "transcript"
                    reply = await _reply(asked.agent, transcript, replies, was_told=was_told) if asked else None
                    if reply is None:
                        return stream.finished
                    said = reply
        finally:
            if kept := trial.keep_files(Path(folder)):
                transcript.end()
                names = ", ".join(path.name for path in kept)
                remark(f"links in the answer end with this command; the files are kept in {kept[0].parent}: {names}")


async def _reply(agent: str, transcript: TerminalTranscript, replies: Replies | None, *, was_told: bool) -> str | None:
    """None if there is no reply. `was_told`: the transcript already says which agent waits."""
    transcript.end()
    if replies is None:
        remark(f"{agent} waits for a reply, but stdin was used for the question")
        return None
    click.echo("> " if was_told else f"\n{without_controls(agent)} waits for your reply\n> ", nl=False, err=True)
    said = await replies.next()
    if said is None:
        remark("no reply")
    return said
