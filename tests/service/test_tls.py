"""`[server] tls_certificate` and `tls_key`: what is wrong with them is one line, and they change without a restart."""

import asyncio
import datetime
import signal
import ssl
from collections.abc import Callable
from datetime import UTC, timedelta
from pathlib import Path

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from aiostream_server.errors import ConfigError
from aiostream_server.service.tls.certificate import Certificate
from tests.kit.process import serving_process, start
from tests.kit.scripted_provider import Pause, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import asking, config_for, sample_team
from tests.kit.tls import Files, make_files, serving_tls
from tests.service.stopping import stoppable


def _now() -> datetime.datetime:
    return datetime.datetime.now(UTC)


def _valid(files: Files, until: timedelta, since: timedelta = timedelta(days=-9)) -> None:
    made = trustme.CA().issue_cert("localhost", not_before=_now() + since, not_after=_now() + until)
    files.certificate.write_bytes(made.cert_chain_pems[0].bytes())
    files.key.write_bytes(made.private_key_pem.bytes())


def _expired(files: Files) -> None:
    _valid(files, timedelta(days=-1))


def _not_yet(files: Files) -> None:
    _valid(files, timedelta(days=9), since=timedelta(days=1))


def _another_key(files: Files) -> None:
    files.key.write_bytes(trustme.CA().issue_cert("localhost").private_key_pem.bytes())


def _encrypted(files: Files) -> None:
    key = load_pem_private_key(files.key.read_bytes(), None)
    encryption = BestAvailableEncryption(b"secret")
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def _swapped(files: Files) -> None:
    certificate, key = files.certificate.read_bytes(), files.key.read_bytes()
    files.certificate.write_bytes(key)
    files.key.write_bytes(certificate)


def _broken(files: Files) -> None:
    lines = files.certificate.read_text().splitlines()
    files.certificate.write_text("\n".join([lines[0], "AAAA", *lines[2:]]))


def _missing(files: Files) -> None:
    files.certificate.unlink()


def _folder(files: Files) -> None:
    files.key.unlink()
    files.key.mkdir()


def _empty(files: Files) -> None:
    files.key.write_bytes(b"")


def _binary(files: Files) -> None:
    files.certificate.write_bytes(bytes(range(256)))


WRONG: dict[Callable[[Files], None], str] = {
    _expired: r"tls_certificate: \S+server\.pem has expired",
    _not_yet: r"tls_certificate: \S+server\.pem is not valid yet",
    _another_key: r"tls_certificate: \S+server\.key is not the key of \S+server\.pem",
    _encrypted: r"tls_key: \S+server\.key is encrypted, and the server asks for no passphrase",
    _swapped: r"tls_certificate: \S+server\.pem holds no certificate in PEM",
    _broken: r"tls_certificate: \S+server\.pem and \S+server\.key cannot be used: ",
    _missing: r"tls_certificate: \S+server\.pem cannot be read: no such file or directory",
    _folder: r"tls_key: \S+server\.key cannot be read: is a directory",
    _empty: r"tls_key: \S+server\.key holds no private key in PEM",
    _binary: r"tls_certificate: \S+server\.pem holds no certificate in PEM",
}


@pytest.mark.parametrize("spoil", WRONG, ids=lambda spoil: spoil.__name__.strip("_"))
def test_an_unusable_certificate_is_one_line_and_a_reload_of_it_changes_nothing(
    tmp_path: Path, spoil: Callable[[Files], None]
) -> None:
    files = make_files(tmp_path)
    certificate = Certificate(files.certificate, files.key)
    former = certificate.context, certificate.expires_at
    spoil(files)
    with pytest.raises(ConfigError, match=WRONG[spoil]) as wrong:
        Certificate(files.certificate, files.key)
    (line,) = wrong.value.problems
    assert line.startswith("[server] tls_")
    assert "\n" not in line
    with pytest.raises(ConfigError, match=r"the former certificate stays in use$"):
        certificate.reload()
    assert (certificate.context, certificate.expires_at) == former


def test_a_certificate_that_expires_soon_is_noted(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    _valid(files, timedelta(days=20))
    certificate = Certificate(files.certificate, files.key)
    assert certificate.expiry_note(_now()) is None
    note = certificate.expiry_note(_now() + timedelta(days=12))
    assert note
    assert note.startswith("[server] tls_certificate expires on 20")
    assert note.endswith("in 7 days")


async def test_a_renewed_certificate_is_used_for_new_connections_only(
    tmp_path: Path,
) -> None:
    files = make_files(tmp_path)
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("a", Pause(0.3), "b"))
        config = config_for(provider.base_url, sample_team("solo"))
        async with (
            serving_tls(config, tmp_path, files) as server,
            asking(server.url, "hi", model="solo", trusting=files.trusting) as answer,
        ):
            await anext(answer.pieces())
            renewed = make_files(tmp_path)  # by another authority, into the same files
            server.certificate.reload()
            await _check_is_trusted(server.url, renewed.trusting)
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await _check_is_trusted(server.url, files.trusting)
            await answer.read_all()
    assert answer.text.endswith("ab")
    assert answer.done


async def _check_is_trusted(url: str, trusting: ssl.SSLContext) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz", ssl=trusting) as response:
        assert response.status == 200


@pytest.mark.parametrize("workers", [1, 2])
async def test_serve_says_https_and_a_signal_ends_its_streams_properly(tmp_path: Path, workers: int) -> None:
    files = make_files(tmp_path)
    async with ScriptedProvider() as provider:
        provider.script(lambda _: ScriptedAnswer("a ", Pause(0.5), "b"))
        paths = {"tls_certificate": f'"{files.certificate}"', "tls_key": f'"{files.key}"'}
        async with stoppable(tmp_path, provider, workers=workers, drain_s=5, **paths) as server:
            assert server.url.startswith("https://127.0.0.1:")
            asked = [asyncio.create_task(_ask(server.url, files.trusting)) for _ in range(6)]
            await provider.request(6)
            server.process.terminate()
            assert await asyncio.gather(*asked) == [True] * 6
            assert await server.end() == 0
    assert not server.named("certificate_expires_soon")


async def _ask(url: str, trusting: ssl.SSLContext) -> bool:
    async with asking(url, "hi", model="solo", trusting=trusting) as answer:
        await answer.read_all()
    return answer.done and "a b" in answer.text


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_sighup_reads_the_certificate_again(tmp_path: Path, workers: int) -> None:
    """Wrong ones are told of, and change nothing."""
    files = make_files(tmp_path)
    text = '[server]\nport = 0\nlog_format = "json"\ntls_certificate = "server.pem"\ntls_key = "server.key"\n'
    async with serving_process(f"{text}workers = {workers}\n", tmp_path) as server:
        await _check_is_trusted(server.url, files.trusting)
        renewed = make_files(tmp_path)
        server.process.send_signal(signal.SIGHUP)
        await server.until_logged("config_reloaded", workers)
        for _ in range(4):
            await _check_is_trusted(server.url, renewed.trusting)
        _another_key(renewed)
        server.process.send_signal(signal.SIGHUP)
        await server.until_logged("config_not_reloaded", workers)
        for _ in range(4):
            await _check_is_trusted(server.url, renewed.trusting)
    assert all("stays in use" in line["problem"] for line in server.named("config_not_reloaded"))


@pytest.mark.parametrize("command", ["check", "serve"])
async def test_an_expired_certificate_is_one_line(tmp_path: Path, command: str) -> None:
    files = make_files(tmp_path)
    _expired(files)
    config = tmp_path / "server.toml"
    config.write_text('[server]\nport = 0\ntls_certificate = "server.pem"\ntls_key = "server.key"\n')
    process = await start(command, "--config", str(config), state_directory=tmp_path)
    _, errors = await process.communicate()
    assert process.returncode == 1
    last = errors.decode().strip().splitlines()[-1]
    assert last == f"[server] tls_certificate: {files.certificate} has expired"
    assert b"Traceback" not in errors


async def test_check_tells_until_when_it_is_valid_and_serve_warns_where_that_is_soon(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    _valid(files, timedelta(days=5, hours=1))
    text = '[server]\nport = 0\nlog_format = "json"\ntls_certificate = "server.pem"\ntls_key = "server.key"\n'
    async with serving_process(text, tmp_path) as server:
        (warning,) = server.named("certificate_expires_soon")
        assert warning["note"].endswith("in 5 days")
        process = await start("check", "--config", str(tmp_path / "server.toml"), state_directory=tmp_path)
        output, _ = await process.communicate()
    until = (_now() + timedelta(days=5, hours=1)).date()
    assert f"tls       {files.certificate}, until {until}" in output.decode()
    assert "note      [server] tls_certificate expires on" in output.decode()
