"""Files of runs: kept for a while and within bounds, for the server's user only, shared by processes, signed for."""

import asyncio
import hashlib
import multiprocessing
import os
import resource
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.config.server import FilesConfig
from aiostream_server.errors import ConfigError
from aiostream_server.store.files import Files, open_files
from aiostream_server.store.links import SignedLinks, is_file_id, read_secret
from aiostream_server.store.run_files import LinkedFile, RunFiles, plain_title
from aiostream_server.store.stored_file import FileRefused, StoredFile

OWNER = ("key", "alice")
BASE = "https://agents.example.com"
NOW = 1_800_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def files(tmp_path: Path, clock: Clock) -> AsyncIterator[Files]:
    async with open_files(FilesConfig(expiry_s=100.0), tmp_path, clock=clock) as opened:
        yield opened


async def kept(files: Files, content: bytes = b"content", media_type: str = "image/png") -> StoredFile:
    file = files.describe(content, media_type, "A name", OWNER)
    await files.keep(file, content)
    return file


def modes_in(state: Path) -> dict[Path, int]:
    return {path: stat.S_IMODE(path.stat().st_mode) for path in state.rglob("*")}


def in_folder(state: Path) -> set[str]:
    return {path.name for path in (state / "files").iterdir()}


async def test_a_file_is_found_again_by_the_next_process(tmp_path: Path, files: Files, clock: Clock) -> None:
    """With its owner, and its link still holds."""
    file = await kept(files)
    link = files.links.link(BASE, file.id, file.expires_at)
    async with open_files(FilesConfig(), tmp_path, clock=clock) as others:
        assert await others.find(file.id) == file
        assert await others.read(file) == b"content"
        assert others.links.is_own(link, BASE)
    assert file.owner == OWNER


async def test_only_the_servers_user_can_read_any_of_it(tmp_path: Path, files: Files) -> None:
    await kept(files)
    modes = modes_in(tmp_path)
    assert len(modes) == 4
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert modes[tmp_path / "files"] == 0o700


async def test_an_expired_file_is_gone(tmp_path: Path, files: Files, clock: Clock) -> None:
    file = await kept(files)
    clock.now += 101
    assert await files.find(file.id) is None
    assert not files.links.is_own(files.links.link(BASE, file.id, file.expires_at), BASE)
    assert in_folder(tmp_path), "it stays on the disk until it is swept"
    assert await files.delete_expired() == 1
    assert not in_folder(tmp_path)


async def test_the_oldest_make_room(tmp_path: Path, clock: Clock) -> None:
    config = FilesConfig(max_bytes=5_000, max_file_bytes=2_000, expiry_s=100.0)
    async with open_files(config, tmp_path, clock=clock) as files:
        made = []
        for _ in range(5):
            clock.now += 1
            made.append(await kept(files, b"x" * 1_000))
        there = [await files.find(file.id) is not None for file in made]
        assert there == [False, True, True, True, True] or there == [False, False, True, True, True]
        with pytest.raises(FileRefused, match="2001 bytes"):
            await kept(files, b"x" * 2_001)
        with pytest.raises(FileRefused, match="empty"):
            await kept(files, b"")
        files.limit(FilesConfig(max_bytes=900))
        with pytest.raises(FileRefused, match="lets one have 900"):
            await kept(files, b"x" * 1_000)
    assert sum(path.stat().st_size for path in (tmp_path / "files").iterdir()) <= 5_000 + 400


async def test_abandoned_files_are_deleted(tmp_path: Path, files: Files) -> None:
    half, going_on = tmp_path / "files" / ".new-abc", tmp_path / "files" / ".new-def"
    half.write_bytes(b"half")
    os.utime(half, (1, 1))
    going_on.write_bytes(b"half")
    orphan = tmp_path / "files" / f"file-{'a' * 24}.png"
    orphan.write_bytes(b"content without a name")
    os.utime(orphan, (NOW - 1, NOW - 1))
    assert await files.find(f"file-{'a' * 24}") is None
    await files.delete_expired()
    assert in_folder(tmp_path) == {going_on.name}


@pytest.mark.parametrize(
    "file_id", ["", "file-", "../conversations.db", "file-../../etc/passwd", f"file-{'a' * 23}/", f"file-{'ä' * 24}"]
)
async def test_nothing_but_an_id_is_ever_a_path(files: Files, file_id: str) -> None:
    assert not is_file_id(file_id)
    assert await files.find(file_id) is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"id": 1}', b"\xff"])
async def test_a_damaged_file_does_not_exist(tmp_path: Path, files: Files, damage: bytes) -> None:
    file = await kept(files)
    (tmp_path / "files" / f"{file.id}.json").write_bytes(damage)
    assert await files.find(file.id) is None


async def test_a_name_is_one_line_and_an_unknown_type_is_no_type(files: Files) -> None:
    file = files.describe(b"x", "text/html", "a\r\nSet-Cookie: b\u202e" + "c" * 900, OWNER)
    assert file.media_type == "application/octet-stream"
    assert file.name.startswith("a Set-Cookie: b c")
    assert len(file.name) == 120


async def test_a_full_disk_is_one_line(files: Files, tmp_path: Path) -> None:
    (tmp_path / "files").rmdir()
    with pytest.raises(FileRefused, match="cannot be written: no such file"):
        await kept(files)


async def test_a_state_directory_that_is_none_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"\[files\] .* cannot be opened"):
        async with open_files(FilesConfig(), tmp_path / "file"):
            raise AssertionError("it opened")
    (tmp_path / "files.secret").write_bytes(b"short")
    with pytest.raises(ConfigError, match="damaged"):
        async with open_files(FilesConfig(), tmp_path):
            raise AssertionError("it opened")


def test_processes_that_start_at_once_have_one_secret(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        secrets = set(pool.map(read_secret, [tmp_path / "secret"] * 8, chunksize=1))
    assert len(secrets) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


LINKS = SignedLinks(b"s" * 32, lambda: NOW)
FILE_ID = f"file-{'a' * 24}"
LINK = LINKS.link(BASE, FILE_ID, int(NOW) + 60)


@pytest.mark.parametrize(
    "url",
    [
        LINK.replace("agents", "evil"),
        LINK.replace(BASE, f"{BASE}.evil.com"),
        LINK.replace(BASE, "https://evil.com/?x=" + BASE),
        LINK.replace("https", "http"),
        LINK.replace("aaaa", "aaab", 1),
        LINK.replace("expires=1", "expires=2"),
        LINK[:-1],
        LINK + "A",
        LINK + "&x=1",
        LINK + "#x",
        LINK + ")![x](https://evil.com/",
        SignedLinks(b"t" * 32, lambda: NOW).link(BASE, FILE_ID, int(NOW) + 60),
        LINKS.link(BASE, FILE_ID, int(NOW)),
        LINK.partition("?")[0],
        "",
    ],
)
def test_a_forged_link_is_not_ours(url: str) -> None:
    assert LINKS.is_own(LINK, BASE)
    assert not LINKS.is_own(url, BASE)
    assert not LINKS.is_own(LINK, "")


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_a_signature_cannot_be_guessed(file_id: str, expires: str, signature: str) -> None:
    assert not LINKS.is_signed(file_id, expires, signature)
    assert not LINKS.is_signed(FILE_ID, str(int(NOW) + 60), signature)


async def test_a_link_may_be_had_before_the_file_is_written(files: Files) -> None:
    run = RunFiles(files, OWNER, BASE)
    soon = run.add_soon(b"content", "image/png", "Soon")
    await run.settle()
    found = await files.find(soon.id)
    assert found is not None
    assert await files.read(found) == b"content"
    assert soon.markdown == f"![Soon]({soon.url})"
    assert files.links.is_own(soon.url, BASE)
    other = await run.add(b"a,b", "text/csv", "Rows")
    assert other.markdown.startswith("[Rows](")


async def test_what_was_promised_and_not_shown_is_missing(files: Files) -> None:
    run = RunFiles(files, OWNER, BASE)
    first, second, third = [await run.add(b"x", "image/png", name, in_answer=True) for name in ("a", "b", "c")]
    await run.add(b"x", "image/png", "d")
    run.was_shown(second)
    assert run.missing_in(f"See {first.markdown}") == [third]
    assert run.shown == [second]


@given(st.text(max_size=300))
def test_a_title_is_never_markup(text: str) -> None:
    title = plain_title(text)
    assert 0 < len(title) <= 100
    assert not set(title) & set('[]()<>`*_\\$!|"#&~\n\r')
    assert LinkedFile("id", "image/png", title, "u").markdown == f"![{title}](u)"


async def test_many_at_once_are_all_kept(files: Files) -> None:
    made = await asyncio.gather(*(kept(files, bytes([n]) * 99) for n in range(20)))
    assert [await files.read(file) for file in made] == [bytes([n]) * 99 for n in range(20)]


async def test_a_file_that_grows_is_kept_with_its_beginning(tmp_path: Path, files: Files) -> None:
    async with files.growing() as growing:
        for piece in (b"a,b\r\n", b"1,2\r\n" * 50_000):
            await files.grow(growing, piece)
        kept_file = await files.keep_grown(growing, "text/csv", "sales.csv", OWNER, b"\xef\xbb\xbf")
    whole = b"\xef\xbb\xbfa,b\r\n" + b"1,2\r\n" * 50_000
    assert await files.read(kept_file) == whole
    assert (kept_file.size, kept_file.digest) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert (kept_file.file_name, kept_file.owner) == ("sales.csv", OWNER)
    assert await files.find(kept_file.id) == kept_file
    assert {mode for path, mode in modes_in(tmp_path).items() if path.is_file()} == {0o600}
    assert in_folder(tmp_path) == {kept_file.content_name, f"{kept_file.id}.json"}


async def test_a_file_that_grew_and_was_not_kept_is_gone(tmp_path: Path, files: Files) -> None:
    async def fail() -> None:
        async with files.growing() as growing:
            await files.grow(growing, b"x" * 100)
            assert len(in_folder(tmp_path)) == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert not in_folder(tmp_path)


async def test_a_file_that_grew_too_large_is_refused_and_gone(tmp_path: Path, clock: Clock) -> None:
    async with open_files(FilesConfig(max_file_bytes=1_000), tmp_path, clock=clock) as files:
        async with files.growing() as growing:
            await files.grow(growing, b"x" * 1_001)
            with pytest.raises(FileRefused, match="1001 bytes"):
                await files.keep_grown(growing, "text/csv", "sales.csv", OWNER)
        async with files.growing() as growing:
            with pytest.raises(FileRefused, match="empty"):
                await files.keep_grown(growing, "text/csv", "sales.csv", OWNER)
        assert not in_folder(tmp_path)


async def test_where_the_disk_is_full_a_growing_file_is_refused(tmp_path: Path, files: Files) -> None:
    """A limit of the kernel's stands for the disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        async with files.growing() as growing:
            with pytest.raises(FileRefused, match="cannot be written: file too large"):
                await files.grow(growing, b"x" * 300_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not in_folder(tmp_path)


async def test_only_the_last_results_are_promised(files: Files) -> None:
    run = RunFiles(files, OWNER, BASE)
    made = []
    for n in range(5):
        async with run.growing() as growing:
            await growing.write(b"n\r\n%d\r\n" % n)
            made.append(await growing.keep("text/csv", f"{n}.csv", remark=f"({n} rows)"))
        run.promise_result(made[-1])
    assert run.missing_in(f"see {made[3].markdown}") == [made[2], made[4]]
    assert made[4].markdown.startswith("[4.csv](https://agents.example.com/v1/files/file-")
    assert made[4].markdown.endswith(") (4 rows)")
