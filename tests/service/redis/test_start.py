"""The start of a server that shares runs: what ends it, and what it waits for."""

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.process import serving_process, start
from tests.kit.redis import RedisServer, running_redis, running_redis_cluster
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.shared_processes import processes, sharing_toml
from tests.kit.tls import Files, make_files
from tests.kit.waiting import wait_for
from tests.web.watching import call, starting, watch_all

pytestmark = pytest.mark.needs("redis")

_DOCS = Path(__file__).parents[3] / "docs" / "cluster.md"


def _with_variable(provider: ScriptedProvider) -> str:
    return sharing_toml("", provider).replace('redis_url = ""', 'redis_url_env = "URL"')


def _documented_rule() -> list[str]:
    """The words of docs/cluster.md behind the user's password, for the prefix of these tests."""
    found = re.search(r"^ACL SETUSER aiostream on >PASSWORD ([^`]+)", _DOCS.read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return shlex.split(found[1].replace("\\\n", " ").replace("{aiostream}", "{t}"))


async def _said(folder: Path, config: str, url: str, command: str = "serve", *options: str) -> tuple[int | None, str]:
    path = folder / "server.toml"
    path.write_text(config)
    nowhere = asyncio.subprocess.DEVNULL
    process = await start(
        command, "--config", str(path), *options, state_directory=folder, stdout=nowhere, extra={"URL": url}
    )
    _, said = await process.communicate()
    return process.returncode, said.decode()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def guarded(files: Files) -> Iterator[RedisServer]:
    """With a password, TLS with client certificates, and users: those of the documentation, and two with less."""
    with running_redis(password="s3cret word", tls=files) as redis:
        rule = _documented_rule()
        (user,) = re.findall(r"^ +user (agents on >.*)$", _DOCS.read_text("utf-8"), re.MULTILINE)
        assert redis.command("acl", "setuser", *user.replace("aiostream", "t").split()) == "OK"
        for user, less in (("least", ()), ("limited", ("-rpush", "-hset")), ("deaf", ("resetchannels",))):
            assert redis.command("acl", "setuser", user, "on", ">pw", *rule, *less) == "OK"
        yield redis


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://:wrong@127.0.0.1:{port}/0", "Redis refuses the user or the password"),
        ("redis://127.0.0.1:{port}/0", "Redis refuses the user or the password"),
        ("redis://limited:pw@127.0.0.1:{port}/0", "the user of Redis may not: hset, rpush; "),
        ("redis://deaf:pw@127.0.0.1:{port}/0", "the user of Redis may not: publish; "),
        ("rediss://least:pw@127.0.0.1:{tls_port}/0", "TLS with Redis fails: "),
        ("redis+sentinel://:s3cret%20word@127.0.0.1:{port}/mine", "this is no Sentinel"),
    ],
)
async def test_a_redis_that_refuses_ends_the_start(
    tmp_path: Path, provider: ScriptedProvider, guarded: RedisServer, url: str, why: str
) -> None:
    """In one line, without its address, and without the password: waiting would not help."""
    status, said = await _said(
        tmp_path, _with_variable(provider), url.format(port=guarded.port, tls_port=guarded.tls_port)
    )
    assert status == 1
    assert f'[runs] store = "redis": {why}' in said
    assert "wrong" not in said
    assert str(guarded.port) not in said


async def test_a_sentinel_and_a_node_of_a_cluster_are_no_single_redis(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    with running_redis("sentinel announce-port 1") as sentinel:
        _, said = await _said(tmp_path, _with_variable(provider), sentinel.url)
        assert 'store = "redis": this is a Sentinel: write redis+sentinel://' in said
        service = f"redis+sentinel://127.0.0.1:{sentinel.port}/other"
        _, said = await _said(tmp_path, _with_variable(provider), service)
        assert "store = \"redis\": the Sentinels know no service 'other'" in said
    with running_redis_cluster() as nodes:
        _, said = await _said(tmp_path, _with_variable(provider), nodes[0].url)
    assert 'store = "redis": this Redis is a node of a cluster: write redis+cluster://' in said


async def test_the_documented_users_can_do_all_over_tls_a_socket_and_tcp(
    tmp_path: Path, provider: ScriptedProvider, guarded: RedisServer, files: Files
) -> None:
    provider.script(lambda _: ScriptedAnswer("a"))
    certificates = f"ssl_ca_certs={files.authority}&ssl_certfile={files.certificate}&ssl_keyfile={files.key}"
    urls = (
        f"unix://least:pw@{guarded.socket}?db=0",
        f"redis://agents:a-long-password@127.0.0.1:{guarded.port}/0",
        f"rediss://least:pw@localhost:{guarded.tls_port}/0?{certificates}",
    )
    for number, url in enumerate(urls):
        (folder := tmp_path / str(number)).mkdir()
        (folder / "redis.url").write_text(url)
        (folder / "redis.url").chmod(0o600)
        config = sharing_toml("", provider).replace('redis_url = ""', 'redis_url_file = "redis.url"')
        async with serving_process(config, folder) as server, starting(server.url, "hi", model="solo") as view:
            await view.read_all()
            assert len((await call("GET", f"{server.url}/v1/runs"))[1]["data"]) == number + 1
            assert not server.named("redis_unavailable")
        assert guarded.command("exists", f"{{t}}:run:{view.run_id}") == "1"


def test_the_rule_and_the_check_name_the_commands_of_all_scripts() -> None:
    folder = Path(__file__).parents[3] / "aiostream_server" / "log" / "redis" / "scripts"
    called = {
        name.lower()
        for path in folder.rglob("*.lua")
        for name in re.findall(r"redis\.p?call\('(\w+)'", path.read_text("utf-8"))
    }
    checked = set(re.findall(r"\{'([a-z]+)'", (folder / "check.lua").read_text("utf-8")))
    assert checked == called
    allowed = {word.removeprefix("+") for word in _documented_rule() if word.startswith("+")}
    assert allowed == called | {"evalsha", "eval", "subscribe", "unsubscribe", "ping", "select"}


async def test_the_server_starts_while_redis_is_away_and_is_ready_when_it_comes(
    tmp_path: Path, provider: ScriptedProvider, own_redis: RedisServer
) -> None:
    """Until then a load balancer sends it nothing. What it is asked all the same is found everywhere afterwards."""
    provider.script(lambda _: ScriptedAnswer("a"))
    own_redis.kill()
    async with processes(sharing_toml(own_redis.url, provider), tmp_path) as (here, there):
        status, vitals = await call("GET", f"{here.url}/readyz")
        assert (status, vitals["status"], vitals["shared_runs"]) == (503, "waiting_for_redis", "unavailable")
        async with starting(here.url, "hi", model="solo") as view:
            await view.read_all()
        own_redis.start()

        async def are_ready() -> bool:
            return [(await call("GET", f"{each.url}/readyz"))[0] for each in (here, there)] == [200, 200]

        await wait_for(are_ready, "both to be ready")

        async def is_found() -> bool:
            return (await call("GET", f"{there.url}/v1/runs/{view.run_id}"))[0] == 200

        await wait_for(is_found, "the run to be written")
        assert (await watch_all(there.url, view.run_id)).raw == view.raw
        for each in (here, there):
            (line,) = each.named("redis_unavailable")
            assert line["reason"] == "Redis cannot be reached"
            assert len(each.named("redis_available")) == 1


async def test_a_mistake_that_shows_later_is_told_too(
    tmp_path: Path, provider: ScriptedProvider, own_redis: RedisServer
) -> None:
    own_redis.kill()
    own_redis.password = "later"
    async with processes(
        sharing_toml("", provider).replace('redis_url = ""', 'redis_url_env = "URL"'),
        tmp_path,
        1,
        URL=f"redis://127.0.0.1:{own_redis.port}",
    ) as (here,):
        own_redis.start()
        _, line = await here.until_logged("redis_unavailable", 2)
        assert line["reason"] == "Redis refuses the user or the password"
        assert (await call("GET", f"{here.url}/readyz"))[0] == 503


async def test_check_names_a_redis_that_cannot_be_used(tmp_path: Path, provider: ScriptedProvider) -> None:
    config = sharing_toml("redis://127.0.0.1:1/0", provider)
    for options, status in (((), 1), (("--no-tools",), 0)):  # the second is that of a reload, which keeps its Redis
        found, said = await _said(tmp_path, config, "", "check", *options)
        assert found == status
        assert ('[runs] store = "redis": Redis cannot be reached' in said) is bool(status)
