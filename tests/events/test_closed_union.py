"""A new kind of event, written in `events/model.py` alone: every consumer shows it, or mypy names the consumer.

`Plan` is a new kind of whole message; `Paused` is an event of another sort. Both are added to a copy of the package.
"""

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAN = '''
@dataclass(frozen=True, slots=True)
class Plan(Speech):
    """What an agent is going to do."""

    type: ClassVar[Literal["plan"]] = "plan"
    sign: ClassVar[str] = "🗺"
    colour: ClassVar[str] = "green"
    doing: ClassVar[str] = "planning"
    did: ClassVar[str] = "planned"
    agent: str
    content: str
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Paused(BaseEvent):
    """The run waits for a free model."""

    type: ClassVar[Literal["paused"]] = "paused"
    for_s: float


Said: TypeAlias ='''


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with both kinds, and with what mypy knows of it already."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "aiostream_server", copy / "aiostream_server", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", copy)
    if (ROOT / ".mypy_cache").is_dir():
        with suppress(shutil.Error):  # another mypy replaces files meanwhile
            shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache")
    edit(copy / "aiostream_server/events/model.py", 'Literal["thinking",', 'Literal["plan", "thinking",')
    edit(copy / "aiostream_server/events/model.py", "\nSaid: TypeAlias =", f"{PLAN} Plan |")
    edit(copy / "aiostream_server/events/model.py", "base import ", "base import BaseEvent, ")
    edit(
        copy / "aiostream_server/events/model.py",
        "    RunStarted\n    | Waiting",
        "    RunStarted | Plan | Paused | Waiting",
    )
    return copy


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), "utf-8")


def knows_events(file: Path) -> bool:
    return file.parent.name == "events" or (
        re.search(r"aiostream_server\.events|import events|present\.parts|assert_never", file.read_text("utf-8"))
        is not None
    )


def test_a_new_whole_message_is_shown_everywhere(package: Path) -> None:
    """Streamed and not; nothing but `events/model.py` was changed for it."""
    env = {**os.environ, "PYTHONPATH": str(package)}
    script = [sys.executable, str(Path(__file__).parent / "new_kind.py")]
    done = subprocess.run(script, env=env, cwd=package, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(package / "aiostream_server" / "__init__.py")]


def test_mypy_names_every_place_that_must_know_another_kind(package: Path) -> None:
    """`Paused` also becomes a part: then every view of parts is named. `Plan` needs no other place."""
    edit(package / "aiostream_server/present/parts.py", "EventPart: TypeAlias = ", "EventPart: TypeAlias = Paused | ")
    edit(package / "aiostream_server/present/parts.py", "    Answer,\n", "    Answer,\n    Paused,\n")
    edit(
        package / "aiostream_server/events/__init__.py",
        "    Answer,\n    Entry",
        "    Paused as Paused,\n    Answer,\n    Entry",
    )
    files = [str(path.relative_to(package)) for path in package.glob("aiostream_server/**/*.py") if knows_events(path)]
    # What else there is cannot name a kind, and checking it takes ten times as long.
    command = [sys.executable, "-m", "mypy", "--follow-imports=skip", *files]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
    errors = [line for line in done.stdout.splitlines() if re.search(r": error: .*(assert_never|Paused|Plan\b)", line)]
    assert all('Argument 1 to "assert_never" has incompatible type "Paused"' in error for error in errors), done.stdout
    named = {re.sub(r":\d+: error:.*", "", error) for error in errors}
    assert {"responses", "ag_ui", "ai_sdk", "a2a"} <= {Path(file).parent.name for file in named}, (
        "protocols of typed parts"
    )
    assert {file for file in named if "/protocols/" not in file} == {
        "aiostream_server/present/parts.py",
        "aiostream_server/present/escaped_view.py",
        "aiostream_server/present/status.py",
        "aiostream_server/present/transcript.py",
        "aiostream_server/service/tracing/run_spans.py",
    }
