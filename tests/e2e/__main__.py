"""`scripts/dev/e2e-openwebui`: every step by itself, one line each; status 1 where one failed."""

import asyncio
import re
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import click

from tests.e2e.embeddings import embeddings
from tests.e2e.page import chat_page
from tests.e2e.programs import Programs
from tests.e2e.provider import new_replies
from tests.e2e.relay import bare_relay
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps import STEPS
from tests.e2e.voice import LOUDSPEAKER, silence
from tests.kit.scripted_provider import ScriptedProvider

_ALL_S: Final = 1_800.0


@click.command()
@click.argument("version")
@click.option("--venv", type=click.Path(path_type=Path, exists=True), required=True, help="With Open WebUI installed.")
@click.option("--output", type=click.Path(path_type=Path), help="For screenshots and logs; else build/e2e/VERSION.")
@click.option("--only", type=click.Choice([step.name for step in STEPS]), multiple=True, help="These steps; else all.")
def main(version: str, venv: Path, output: Path | None, only: tuple[str, ...]) -> None:
    """Drive Open WebUI VERSION, installed in a venv, through what a person does with it."""
    steps = [step for step in STEPS if not only or step.name in only]
    output = output or Path("build/e2e") / version
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = _run(version, Programs(venv, Path(folder), output), steps)
        try:
            failed = asyncio.run(_until_terminated(work))
        except (AssertionError, RuntimeError) as exc:  # a program that did not come up
            sys.exit(f"{exc}")
    sys.exit(1 if failed else 0)


async def _until_terminated(work: Coroutine[Any, Any, int]) -> int:
    """SIGTERM ends the programs, too, as Ctrl-C does."""
    task = asyncio.create_task(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        sys.exit("terminated")


async def _run(version: str, programs: Programs, steps: list[Step]) -> int:
    """How many steps failed."""
    started_at = time.monotonic()
    async with asyncio.timeout(_ALL_S), ScriptedProvider() as provider:
        provider.script(new_replies())
        async with (
            bare_relay(provider.base_url) as relay_url,
            programs.server(provider.base_url) as server,
            embeddings() as embeddings_url,
            programs.open_webui(f"{server.url}/v1", relay_url, embeddings_url=embeddings_url) as url,
            chat_page(url, silence(programs.folder / "silence.wav"), LOUDSPEAKER) as chat,
        ):
            print(f"Open WebUI {version} is up after {time.monotonic() - started_at:.0f} s", flush=True)
            stage = Stage(_numbers(version), programs, server, provider, chat)
            failed = [step.name for step in steps if not await _passed(step, stage)]
    seconds = time.monotonic() - started_at
    verdict = f"{len(failed)} of {len(steps)} failed: {', '.join(failed)}" if failed else f"all {len(steps)} are ok"
    print(f"Open WebUI {version}: {verdict}; {seconds:.0f} s; screenshots and logs in {programs.output}")
    return len(failed)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


async def _passed(step: Step, stage: Stage) -> bool:
    started_at, problem, figure = time.monotonic(), "", None
    try:
        async with asyncio.timeout(step.limit_s):
            figure = await step.run(stage)
    except Exception as exc:  # whatever it was: the next step may still pass
        problem = " ".join(f"{type(exc).__name__}: {exc}".split())[:400]
        await _keep_evidence(step, stage)
    seconds = time.monotonic() - started_at
    print(
        f"{'FAILED' if problem else 'ok    '} {step.name:<18}{seconds:6.1f} s  {problem or figure or ''}".rstrip(),
        flush=True,
    )
    return not problem


async def _keep_evidence(step: Step, stage: Stage) -> None:
    await stage.chat.page.screenshot(path=stage.output / f"failed-{step.name}.png")
    (stage.output / f"failed-{step.name}.html").write_text(await stage.chat.page.content(), "utf-8")


if __name__ == "__main__":
    main()
