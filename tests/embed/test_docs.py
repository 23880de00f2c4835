"""The programs in docs/embedding.md run as they stand, but for their port."""

import asyncio
import re
import signal
from collections.abc import Callable
from pathlib import Path

import aiohttp

from tests.kit.forkserver import fork
from tests.kit.process import environment
from tests.kit.serving import ask
from tests.kit.waiting import DEADLINE_S

ROOT = Path(__file__).parents[2]
PROGRAMS = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "docs/embedding.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
)


async def answer_of(number: int, port: int, folder: Path, model: str, below: str = "") -> str:
    """The program's answer to "hi". Ends it with SIGINT: its status is 0, or that of an unhandled signal."""
    assert ", 8000)" in PROGRAMS[number] or "port=8000" in PROGRAMS[number]
    path = folder / f"program_{number}.py"
    path.write_text(PROGRAMS[number].replace("8000", str(port)), "utf-8")
    env = environment(folder, PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1")
    pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await fork((str(path),), env, stdout=pipe, stderr=nowhere)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_S):
            assert await process.stdout.readline()
            answer = await ask(f"http://127.0.0.1:{port}{below}", "hi", model=model)
            if below:
                async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as page:
                    assert await page.text() == "the program's own page"
            process.send_signal(signal.SIGINT)
            await process.stdout.read()
            assert await process.wait() in (0, -signal.SIGINT)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert answer.done
    return answer.text


async def test_the_programs_answer(tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> None:
    port = unused_tcp_port_factory
    greeter, own, beside = await asyncio.gather(
        answer_of(0, port(), tmp_path, "greeter"),
        answer_of(1, port(), tmp_path, "parrot"),
        answer_of(2, port(), tmp_path, "general", "/ai"),
    )
    assert greeter.startswith("✅ **Greeter**")
    assert own.endswith("Hello from your own client.")
    assert "**Assistant**" in beside
    assert len(PROGRAMS) == 3
