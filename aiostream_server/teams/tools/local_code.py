"""Python that a model writes, run as the server's own user: with a time limit, with none of the server's environment,
and killed with all that it started (on Linux; elsewhere, what has left its process group stays); but with no walls.

AutoGen's executor for this hands the server's whole environment on, reads output of any size, and ends the program
only, not what that has started.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from pydantic import BaseModel

from aiostream_server.teams.tools.process import running

TIMED_OUT: Final = 124  # as the program `timeout` says it

_SCRIPT: Final = "script.py"
_CHUNK_BYTES: Final = 64 * 1024


class FromFile(BaseModel):
    """What AutoGen would write out; the configuration is the server's own file."""


class LocalPython(CodeExecutor):
    """Runs Python with this interpreter, without the server's environment."""

    component_config_schema = FromFile

    def __init__(self, folder: Path, *, timeout_s: float, byte_limit: int) -> None:
        self._folder: Final = folder
        self._timeout_s: Final = timeout_s
        self._byte_limit: Final = byte_limit

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        output = ""
        for block in code_blocks:
            if block.language.lower() not in ("python", "py"):
                return CodeResult(exit_code=1, output=f"{block.language} cannot be run, only Python")
            (self._folder / _SCRIPT).write_text(block.code, "utf-8")
            status, said = await self._run([sys.executable, "-u", _SCRIPT])
            output += said
            if status != 0:
                return CodeResult(exit_code=status, output=output)
        return CodeResult(exit_code=0, output=output)

    async def start(self) -> None:
        """Every piece of code is a process of its own."""

    async def stop(self) -> None:
        """Likewise."""

    async def restart(self) -> None:
        """Likewise."""

    async def _run(self, command: Sequence[str]) -> tuple[int, str]:
        async with running(
            command,
            env=_environment(self._folder),
            folder=self._folder,
            takes_input=False,
            is_asked_to_leave=False,
            is_warded=True,
        ) as script:
            reading = [
                asyncio.create_task(_read(stream, self._byte_limit)) for stream in (script.stderr, script.stdout)
            ]
            try:
                async with asyncio.timeout(self._timeout_s):
                    status = await script.process.wait()
                    texts = await asyncio.gather(*reading)
            except TimeoutError:
                return TIMED_OUT, f"it took longer than {self._timeout_s:g} s and was stopped"
            finally:
                for task in reading:
                    task.cancel()
        return status, "".join(texts)


async def _read(stream: asyncio.StreamReader, byte_limit: int) -> str:
    """To the end; what exceeds the limit is thrown away, and said."""
    content, left_out = bytearray(), 0
    while piece := await stream.read(_CHUNK_BYTES):
        kept = piece[: max(0, byte_limit - len(content))]
        content += kept
        left_out += len(piece) - len(kept)
    text = content.decode("utf-8", "replace")
    return f"{text}\n… ({left_out} more bytes left out)" if left_out else text


def _environment(folder: Path) -> Mapping[str, str]:
    path = [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    return {"PATH": ":".join(path), "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8", "MPLBACKEND": "Agg"}
