"""`aiostream-server ask`: one question, watched live. Ctrl-C cancels the run, on the server, too."""

import asyncio

import click
from rich.console import Console

from aiostream_server.cli.terminal import TerminalTranscript
from aiostream_server.client import AnswerFailed, ChatClient, ClientError

_EXIT_INTERRUPTED = 130


@click.command()
@click.argument("question")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The server.")
@click.option("--model", default="auto", show_default=True, help="A team's id, or auto.")
@click.option("--key", envvar="AIOSTREAM_API_KEY", help="API key; also from AIOSTREAM_API_KEY.")
@click.option("--full", is_flag=True, help="Show long tool calls and results to their last line.")
def ask(question: str, url: str, model: str, key: str | None, full: bool) -> None:
    """Ask a running server QUESTION and watch every agent's words as they come."""
    try:
        asyncio.run(_ask(question, url, model, key, full))
    except AnswerFailed as exc:
        raise SystemExit(1) from exc  # the transcript has said why
    except ClientError as exc:
        raise click.ClickException(str(exc)) from exc
    except KeyboardInterrupt:
        click.echo("\ncancelled", err=True)
        raise SystemExit(_EXIT_INTERRUPTED) from None


async def _ask(question: str, url: str, model: str, key: str | None, full: bool) -> None:
    transcript = TerminalTranscript(Console(highlight=False, markup=False, emoji=False), full=full)
    try:
        async with ChatClient(url, key) as client:
            async for piece in client.ask(question, model=model):
                transcript.show(piece)
    finally:
        transcript.end()
