"""Draws a terminal picture of one question: a real server on the demo model, asked by the real command-line client.

`python -m scripts.devtools.recording FILE.svg`
"""

import asyncio
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from aiostream_server.cli.terminal import TerminalTranscript
from aiostream_server.client import StreamClient
from aiostream_server.config.load import load_config
from aiostream_server.present import new_presenter
from aiostream_server.service.server import serve

_CONFIG: Final = Path(__file__).parents[2] / "configs" / "demo.toml"
_QUESTION: Final = "Which region had the highest total sales?"


async def record(picture: Path) -> None:
    config = load_config(_CONFIG, {**os.environ, "AIOSTREAM_SERVER__PORT": "0"})
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with tempfile.TemporaryDirectory() as state:
        server = asyncio.create_task(serve(config, state_directory=Path(state), on_ready=ready.set_result))
        await asyncio.wait((server, ready), return_when=asyncio.FIRST_COMPLETED)
        if server.done():
            raise RuntimeError("the server ended before it was ready") from server.exception()
        _draw(await _terminal_output(ready.result()), picture)
        server.cancel()
        await asyncio.wait((server,))


async def _terminal_output(url: str) -> str:
    """What `aiostream-server ask` writes to a terminal, colours included."""
    seen = io.StringIO()
    transcript = TerminalTranscript(Console(file=seen, force_terminal=True, highlight=False, markup=False, emoji=False))
    presenter = new_presenter("transcript")
    async with StreamClient(url) as client:
        async for event in client.stream(_QUESTION):
            for shown in presenter.show(event):
                transcript.show(shown.text)
    return seen.getvalue()


def _draw(output: str, picture: Path) -> None:
    console = Console(record=True, file=io.StringIO(), width=100, color_system="truecolor", force_terminal=True)
    console.print(f'$ aiostream-server ask "{_QUESTION}"\n', highlight=False, markup=False)
    console.print(Text.from_ansi(output))
    console.save_svg(str(picture), title="aiostream-server ask")


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
