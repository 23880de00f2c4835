"""`scripts/install`, as an administrator uses it without a network: run by scripts/dev/test-install in a booted box.

Plain Python, since the box has nothing else. Its argument is a folder with the source trees `first`, `second` and those
that are broken, and the wheels of each in `TREE-wheels`. One promise after the other, each on what the one before left.
"""

import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TREES: Final = Path(sys.argv[1] if len(sys.argv) > 1 else "/proof")
HOME: Final = Path("/opt/aiostream-server")
SETTINGS: Final = Path("/etc/aiostream-server")
CONFIG: Final = SETTINGS / "server.toml"
STATE: Final = Path("/var/lib/private/aiostream-server")
UNITS: Final = Path("/etc/systemd/system")
CHECK: Final = (
    "systemd-run --quiet --pipe --wait -p LoadCredential=secret:/etc/aiostream-server/credentials -p PrivateTmp=yes"
    " -E STATE_DIRECTORY=/tmp /opt/aiostream-server/current/bin/aiostream-server check"
    " --config /etc/aiostream-server/server.toml"
)
"""As docs/install.md has it."""
SOCKET: Final = Path("/run/aiostream-server-redis/redis.sock")
QUESTION: Final = [{"role": "user", "content": "What is 15% of 850?"}]
LARGE: Final = """
[models.large]
provider = "openai"
model = "gpt-4.1"
api_key_file = "$CREDENTIALS_DIRECTORY/secret_openai"
"""
_KEY: Final = re.compile(r"^\s+(aio-\S+)$", re.MULTILINE)
_CLIENTS: Final = 8


def install(tree: str, *arguments: str, status: int = 0, wheels: bool = True) -> str:
    """What `scripts/install` of that tree said."""
    where = ["--wheels", str(TREES / f"{tree}-wheels")] if wheels else []
    began = time.monotonic()
    done = subprocess.run(
        [str(TREES / tree / "scripts" / "install"), *arguments, *where],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd="/",
    )
    print(f"    {' '.join(['scripts/install', *arguments])}: {time.monotonic() - began:.1f} s", flush=True)
    assert done.returncode == status, f"status {done.returncode}:\n{done.stdout}"
    return done.stdout


def systemctl(*arguments: str) -> str:
    return subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False).stdout.strip()


def pid() -> str:
    return systemctl("show", "--property=MainPID", "--value", "aiostream-server.service")


def version() -> str:
    program = HOME / "current" / "bin" / "aiostream-server"
    return subprocess.run([program, "version"], capture_output=True, text=True, check=True, cwd="/").stdout.strip()


def answer(key: str | None) -> tuple[int, str]:
    """To one streamed question, read to its end."""
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=60)
    try:
        body = {"model": "auto", "stream": True, "messages": QUESTION}
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def is_whole(reply: tuple[int, str]) -> bool:
    status, text = reply
    return status == 200 and "127.5" in text and text.endswith("data: [DONE]\n\n")


@contextmanager
def load(key: str) -> Iterator["Counter[str]"]:
    """Clients that ask one question after the other, for as long as the block takes; how their replies were."""
    seen: Counter[str] = Counter()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            before = os.path.realpath(HOME / "current")
            try:
                reply = answer(key)
                is_across = os.path.realpath(HOME / "current") != before
                whole = "whole, across the switch" if is_across else "whole"
                seen[whole if is_whole(reply) else f"broken: {reply[0]} {reply[1][-200:]}"] += 1
            except (OSError, http.client.HTTPException) as exc:
                seen[f"broken: {type(exc).__name__}: {exc}"] += 1

    clients = [threading.Thread(target=ask) for _ in range(_CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield seen
        time.sleep(1)
    finally:
        stop.set()
        for client in clients:
            client.join()


def everything() -> dict[str, str]:
    """All that was installed: a path's content, mode and time."""
    found: dict[str, str] = {}
    for top in (HOME, SETTINGS, UNITS):
        for path in sorted(top.rglob("*")):
            about = path.lstat()
            content = str(path.readlink()) if path.is_symlink() else ""
            if path.is_file() and not path.is_symlink() and top != HOME:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            if "__pycache__" not in path.parts:
                found[str(path)] = f"{about.st_mode:o} {about.st_mtime_ns if not path.is_dir() else ''} {content}"
    return found


def a_dry_run_changes_nothing() -> None:
    before = everything()
    said = install("first", "--dry-run")
    assert "would: making /opt/aiostream-server/venvs/0.1.0-1" in said, said
    assert everything() == before


def a_wheel_that_is_not_the_locked_one_is_refused_and_nothing_is_left() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for wheel in (TREES / "first-wheels").iterdir():
            Path(folder, wheel.name).symlink_to(wheel)
        (changed,) = Path(folder).glob("idna-*.whl")
        content = changed.read_bytes()
        changed.unlink()
        changed.write_bytes(content + b"\0")
        said = install("first", "--wheels", folder, status=1, wheels=False)
    assert "DO NOT MATCH THE HASHES" in said, said
    assert list((HOME / "venvs").iterdir()) == []
    assert not SETTINGS.exists()


def a_port_that_is_taken_is_told_and_the_first_key_is_not_lost() -> None:
    with socket.create_server(("127.0.0.1", 8000)):
        said = install("first", status=1)
    assert "aiostream-server.socket does not start" in said, said
    assert "Address already in use" in said, said
    assert "Traceback" not in said, said
    found = _KEY.search(said)
    assert found, said
    keys.append(found[1])


def a_machine_without_a_network_gets_a_server_that_answers_with_the_first_key() -> None:
    said = install("first")
    assert "ready at http://127.0.0.1:8000/v1" in said, said
    assert not _KEY.search(said), said
    assert venvs() == ["0.1.0-1"]
    assert is_whole(answer(keys[0]))
    assert answer(None)[0] == 401
    assert not extras()
    told = [path.rstrip(".,:") for path in re.findall(r"(?<![\w$])/(?:etc|opt|var)/[^\s,:]+", CONFIG.read_text())]
    assert len(told) >= 4
    missing = {path for path in told if not Path(path).exists()}
    assert missing <= {"/etc/aiostream-server/credentials/openai"}  # which it tells to make
    assert systemctl("is-enabled", "aiostream-server.socket", "aiostream-server.service").split() == ["enabled"] * 2
    assert (SETTINGS / "credentials").stat().st_mode & 0o777 == 0o700
    assert keys[0] not in (SETTINGS / "private/keys/keys.json").read_text()


def installing_again_changes_nothing_and_shows_no_key() -> None:
    before, running = everything(), pid()
    said = install("first")
    assert not _KEY.search(said), said
    assert everything() == before, sorted(set(everything().items()) ^ set(before.items()))
    assert pid() == running


def the_installed_program_needs_nothing_of_the_source_tree() -> None:
    program = str(HOME / "current" / "bin" / "aiostream-server")
    with tempfile.TemporaryDirectory() as empty:
        bare = {"HOME": empty, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        checked = subprocess.run([program, "check"], capture_output=True, text=True, check=True, cwd=empty, env=bare)
        asked = subprocess.run(
            [program, "ask", "Which region had the highest total sales?", "--key", keys[0]],
            capture_output=True,
            text=True,
            check=True,
            cwd=empty,
            env=bare,
        )
    assert checked.stdout.endswith("ok\n"), checked.stdout
    assert "East" in asked.stdout, asked.stdout


def roots_commands_leave_no_compiled_modules_in_etc() -> None:
    """A team's module beside the configuration, imported by root's `check` and `keys`, and by the service."""
    sound = CONFIG.read_text()
    module = SETTINGS / "my_team.py"
    module.write_text("from aiostream_server.teams.general import build\n")
    CONFIG.write_text(sound + '\n[[teams]]\nid = "general"\nfactory = "my_team:build"\n')
    program = str(HOME / "current" / "bin" / "aiostream-server")
    for command in ("check", "teams list"):
        subprocess.run([program, *command.split(), "--config", str(CONFIG)], check=True, capture_output=True)
    CONFIG.write_text(sound)
    module.unlink()
    assert list(SETTINGS.rglob("__pycache__")) == []


def extras_are_installed_from_the_lock_and_check_names_the_way() -> None:
    """An upgrade keeps them, and so does an installation that is run again."""
    sound = CONFIG.read_text()
    CONFIG.write_text(sound + '\n[tools.files]\nkind = "mcp"\ncommand = "true"\n')
    program = str(HOME / "current" / "bin" / "aiostream-server")
    checked = subprocess.run([program, "check", "--config", str(CONFIG)], capture_output=True, text=True, check=False)
    CONFIG.write_text(sound)
    assert "scripts/install --upgrade --with mcp" in checked.stderr, checked
    install("first", "--upgrade", "--with", "mcp")
    assert extras() == "mcp"
    subprocess.run([HOME / "current/bin/python", "-I", "-c", "import mcp"], check=True)
    said = install("first", "--upgrade", "--with", "nonsense", status=1)
    assert "there is no extra 'nonsense'; there are: charts, " in said, said
    install("first")
    assert extras() == "mcp"
    install("first", "--rollback", wheels=False)
    assert not extras()


def redis_is_wanted_where_there_is_none() -> None:
    before = everything()
    said = install("first", "--upgrade", "--redis", status=1)
    assert "apt-get install redis-server" in said, said
    assert everything() == before


def with_redis_all_cores_serve_as_one() -> None:
    """From here on. It is a Redis of the server's own, closed to all others; what was configured stays."""
    bring_redis()
    before = CONFIG.read_text()
    install("first", "--upgrade", "--with", "mcp", "--redis")
    assert extras() == "mcp redis"
    workers = max(2, os.cpu_count() or 1)
    text = CONFIG.read_text()
    assert set(before.splitlines()) < set(text.splitlines())
    CONFIG.write_text(text.replace(f"workers = {os.cpu_count()} ", f"workers = {workers} "))
    subprocess.run(["systemctl", "start", "aiostream-server-restart"], check=True)
    assert systemctl("is-active", "aiostream-server-redis") == "active"
    assert SOCKET.stat().st_mode & 0o777 == 0o600
    assert SOCKET.parent.stat().st_mode & 0o777 == 0o700
    checked = subprocess.run(CHECK.split(), capture_output=True, text=True, check=False)
    assert checked.stdout.endswith("ok\n"), checked
    run = asked("POST", "/v1/runs", {"model": "auto", "background": True, "messages": QUESTION})
    seen = [asked("GET", f"/v1/runs/{run['id']}")["id"] for _ in range(4 * workers)]  # by any worker
    assert seen == [run["id"]] * 4 * workers
    runs = asked("GET", "/readyz")
    assert runs["shared_runs"] == "ok", runs

    subprocess.run(["systemctl", "kill", "--signal=KILL", "aiostream-server-redis"], check=True)
    deadline = time.monotonic() + 30
    while systemctl("is-active", "aiostream-server-redis") != "active" or not is_whole(answer(keys[0])):
        assert time.monotonic() < deadline, "the Redis comes back"
        time.sleep(0.1)
    before_again = everything()
    install("first", "--redis")
    assert everything() == before_again


def bring_redis() -> None:
    """As Debian's package has it; its libraries where the box has none."""
    libraries = Path("/usr/lib") / f"{os.uname().machine}-linux-gnu"
    for path in (TREES / "redis").iterdir():
        target = Path("/usr/bin/redis-server") if path.name == "redis-server" else libraries / path.name
        if not target.exists():
            target.write_bytes(path.read_bytes())
            target.chmod(0o755)


def asked(method: str, path: str, body: object = None) -> "dict[str, str]":
    """The JSON of an answer, by a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=60)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {keys[0]}"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        assert response.status in (200, 202), text
        found: dict[str, str] = json.loads(text)
        return found
    finally:
        connection.close()


def extras() -> str:
    return (HOME / "current" / "EXTRAS").read_text()


def another_version_is_not_installed_over_it() -> None:
    before = everything()
    said = install("second", status=1)
    assert "another version is installed: 0.1.0-1" in said, said
    assert "--upgrade" in said
    assert everything() == before


def an_upgrade_under_load_breaks_no_reply_and_keeps_what_the_administrator_wrote() -> None:
    mine = CONFIG.read_text().replace('provider = "demo"\n', 'provider = "demo"\ntokens_per_s = 8 # mine\n', 1)
    (SETTINGS / "credentials" / "openai").write_text("sk-secret")
    (SETTINGS / "credentials" / "openai").chmod(0o600)
    mine += LARGE
    CONFIG.write_text(mine)
    checked = subprocess.run(CHECK.split(), capture_output=True, text=True, check=False)
    assert "model     large: openai gpt-4.1" in checked.stdout, checked
    assert systemctl("start", "aiostream-server-restart") == ""
    with load(keys[0]) as seen:
        time.sleep(1)
        with tempfile.TemporaryDirectory() as wheels:
            add_a_package_of_my_own(Path(wheels), TREES / "second-wheels")
            said = install("second", "--upgrade", "--wheels", wheels, wheels=False)
    (SETTINGS / "requirements.txt").unlink()
    print(f"    {dict(seen)}", flush=True)
    assert set(seen) == {"whole", "whole, across the switch"}, seen
    assert seen["whole"] > _CLIENTS
    assert seen["whole, across the switch"] >= _CLIENTS // 2, seen
    assert version() == "0.1.1", said
    assert extras() == "mcp redis"
    assert asked("GET", "/readyz")["shared_runs"] == "ok"
    subprocess.run([HOME / "current/bin/python", "-I", "-c", "import my_tools"], check=True)
    assert is_whole(answer(keys[0]))
    assert CONFIG.read_text() == mine
    assert "# newer" in (SETTINGS / "server.toml.new").read_text()
    assert len(venvs()) == 2
    assert len(json.loads((SETTINGS / "private/keys/keys.json").read_text())) == 1


def add_a_package_of_my_own(folder: Path, wheels: Path) -> None:
    """As teams need them: named in requirements.txt, with its wheel beside the others."""
    for wheel in wheels.iterdir():
        Path(folder, wheel.name).symlink_to(wheel)
    about = "my_tools-1.0.dist-info"
    with zipfile.ZipFile(folder / "my_tools-1.0-py3-none-any.whl", "w") as mine:
        mine.writestr("my_tools.py", "")
        mine.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: my-tools\nVersion: 1.0\nRequires-Dist: idna\n")
        mine.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: me\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        mine.writestr(f"{about}/RECORD", f"my_tools.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    (SETTINGS / "requirements.txt").write_text("my-tools==1.0\n")


def one_that_does_not_start_is_taken_back_while_the_old_one_serves_on() -> None:
    before, running = everything(), pid()
    with load(keys[0]) as seen:
        said = install("no-start", "--upgrade", status=1)
    print(f"    {dict(seen)}", flush=True)
    assert set(seen) <= {"whole", "whole, across the switch"}, seen
    assert "this version cannot start" in said, said
    assert "it was taken back: 0.1.1-" in said, said
    assert pid() == running
    assert_as_before(before)


def one_that_starts_and_answers_nothing_is_taken_back() -> None:
    before = everything()
    said = install("no-answer", "--upgrade", status=1)
    assert "a question gets no answer" in said, said
    assert "it was taken back: 0.1.1-" in said, said
    assert is_whole(answer(keys[0]))
    assert_as_before(before)


def a_rollback_brings_the_earlier_version_back() -> None:
    with load(keys[0]) as seen:
        install("second", "--rollback", wheels=False)
    assert set(seen) == {"whole", "whole, across the switch"}, seen
    assert version() == "0.1.0"
    assert is_whole(answer(keys[0]))


def an_uninstalled_server_leaves_configuration_keys_and_state() -> None:
    before = databases()
    assert before
    install("first", "--uninstall", wheels=False)
    assert not HOME.exists()
    assert not list(UNITS.glob("aiostream-server*"))
    for unit in ("aiostream-server.socket", "aiostream-server-redis"):
        assert systemctl("is-active", unit) == "inactive", unit
    assert databases() == before
    assert "# mine" in CONFIG.read_text()
    assert (SETTINGS / "private/keys/keys.json").exists()


def purged_nothing_is_left() -> None:
    said = install("first", "--uninstall", "--purge", wheels=False)
    assert said.endswith("nothing is left\n"), said
    left = [path for path in (HOME, SETTINGS, STATE, Path("/var/lib/aiostream-server")) if os.path.lexists(path)]
    assert left == []
    install("first", "--uninstall", "--purge", wheels=False)


def databases() -> set[str]:
    """What the server keeps, but for what SQLite has only while a file is open."""
    return {path.name for path in STATE.iterdir() if not path.name.endswith(("-wal", "-shm"))}


def venvs() -> list[str]:
    return sorted(path.name for path in (HOME / "venvs").iterdir())


def assert_as_before(before: dict[str, str]) -> None:
    """But for the times of what was written again as it was."""

    def without_times(files: dict[str, str]) -> dict[str, list[str]]:
        return {
            path: [part for part in about.split(" ") if len(part) < 15 or len(part) > 25]
            for path, about in files.items()
        }

    after, expected = without_times(everything()), without_times(before)
    keys_file = str(SETTINGS / "private/keys/keys.json")
    after.pop(keys_file), expected.pop(keys_file)
    assert after == expected, sorted(path for path in after.keys() | expected if after.get(path) != expected.get(path))


keys: list[str] = []
PROMISES: Final[list[Callable[[], None]]] = [
    a_dry_run_changes_nothing,
    a_wheel_that_is_not_the_locked_one_is_refused_and_nothing_is_left,
    a_port_that_is_taken_is_told_and_the_first_key_is_not_lost,
    a_machine_without_a_network_gets_a_server_that_answers_with_the_first_key,
    installing_again_changes_nothing_and_shows_no_key,
    the_installed_program_needs_nothing_of_the_source_tree,
    roots_commands_leave_no_compiled_modules_in_etc,
    another_version_is_not_installed_over_it,
    extras_are_installed_from_the_lock_and_check_names_the_way,
    redis_is_wanted_where_there_is_none,
    with_redis_all_cores_serve_as_one,
    an_upgrade_under_load_breaks_no_reply_and_keeps_what_the_administrator_wrote,
    one_that_does_not_start_is_taken_back_while_the_old_one_serves_on,
    one_that_starts_and_answers_nothing_is_taken_back,
    a_rollback_brings_the_earlier_version_back,
    an_uninstalled_server_leaves_configuration_keys_and_state,
    purged_nothing_is_left,
]


def main() -> int:
    for number, promise in enumerate(PROMISES):
        began = time.monotonic()
        try:
            promise()
        except BaseException:
            print(f"FAILED {promise.__name__}", flush=True)
            subprocess.run(
                ["journalctl", "--no-pager", "-n", "60", "-o", "cat", "-u", "aiostream-server*"], check=False
            )
            print(f"{number} passed, 1 failed", flush=True)
            raise
        print(f"ok {promise.__name__.replace('_', ' ')} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"{len(PROMISES)} passed, 0 failed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
