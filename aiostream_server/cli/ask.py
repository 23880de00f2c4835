"""`aiostream-server ask`: ask one question and watch the run. Ctrl-C cancels the run on the server, too."""

import asyncio

import click

from aiostream_server.cli.printing import without_controls
from aiostream_server.cli.terminal import TerminalTranscript, remark, show_run
from aiostream_server.client import ClientError, StreamClient
from aiostream_server.events import RunFinished
from aiostream_server.present import new_presenter

_EXIT_INTERRUPTED = 130


@click.command()
@click.argument("question")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The server.")
@click.option("--model", default="auto", show_default=True, help="A team's id, or auto.")
@click.option("--key", envvar="AIOSTREAM_API_KEY", help="API key; also from AIOSTREAM_API_KEY.")
@click.option("--conversation", help="A name of your choice: the team remembers earlier questions of the same name.")
@click.option("--full", is_flag=True, help="Show long tool calls and results to their last line.")
def ask(question: str, url: str, model: str, key: str | None, conversation: str | None, full: bool) -> None:
    """Ask a running server QUESTION and watch every agent's words as they come."""
    try:
        finished = asyncio.run(_ask(question, url, model, key, conversation, full))
    except ClientError as exc:
        raise click.ClickException(without_controls(str(exc))) from exc
    except KeyboardInterrupt:
        click.echo("\ncancelled", err=True)
        raise SystemExit(_EXIT_INTERRUPTED) from None
    if finished is not None and finished.reason == "error":
        raise SystemExit(1)  # the transcript already shows why
    if finished is not None and finished.reason in ("cancelled", "interrupted"):
        raise click.ClickException(f"the run was {finished.reason} on the server")


async def _ask(
    question: str, url: str, model: str, key: str | None, conversation: str | None, full: bool
) -> RunFinished | None:
    transcript = TerminalTranscript(full=full)
    presenter = new_presenter("transcript")
    try:
        async with StreamClient(url, key, on_reconnect=_tell_reconnect) as client:
            stream = client.stream(question, model=model, conversation=conversation)
            await show_run(stream, presenter, transcript)
            return stream.finished
    finally:
        transcript.end()


def _tell_reconnect(error: ClientError) -> None:
    remark(f"{error}; trying again")
