"""API keys: shown once, stored as a hash, found in constant time, changed by one process at a time."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.errors import ConfigError
from aiostream_server.intake.key_file import add_key, remove_key
from aiostream_server.intake.keys import Key, KeyRing, new_key

KEY, TEXT = new_key("alice", models=["data"])
RING = KeyRing([KEY, new_key("bob")[0]])


class TestFinding:
    def test_presented_key_is_found(self) -> None:
        assert RING.find(TEXT.get_secret_value()) is KEY

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text[:-1],
            lambda text: text + "A",
            lambda text: text + "\n",
            lambda text: text.upper(),
            lambda text: text.replace("aio-", "aio_"),
            lambda text: text[:13] + "A" * 43,
            lambda text: f"aio-{'0' * 8}-{text[13:]}",
            lambda text: "",
        ],
    )
    def test_any_other_text_is_not(self, change: type[str]) -> None:
        assert RING.find(change(TEXT.get_secret_value())) is None

    @given(st.text(alphabet=st.characters(), max_size=80) | st.from_regex(r"aio-[a-z0-9]{8}-[\w-]{43}", fullmatch=True))
    def test_no_text_is_a_key_or_makes_the_search_stumble(self, text: str) -> None:
        """Not even lone surrogates, which stand for bytes of a header that are no text."""
        assert RING.find(text) is None
        assert RING.find(f"aio-{KEY.id}-{text}") is None

    def test_empty_ring_finds_nothing_and_counts_as_none(self) -> None:
        assert not KeyRing()
        assert KeyRing().find(TEXT.get_secret_value()) is None

    def test_ring_lists_its_keys(self) -> None:
        assert [key.name for key in RING] == ["alice", "bob"]
        assert len(RING) == 2


class TestNewKey:
    def test_is_an_id_and_256_bits(self) -> None:
        text = TEXT.get_secret_value()
        assert re.fullmatch(rf"aio-{KEY.id}-[A-Za-z0-9_-]{{43}}", text)
        assert new_key("alice")[1].get_secret_value() != text

    def test_shows_its_secret_in_no_repr(self) -> None:
        shown = f"{KEY!r} {TEXT!r} {RING!r}"
        assert TEXT.get_secret_value()[13:] not in shown
        assert KEY.sha256 not in shown


class TestFile:
    def test_round_trip(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        trusted, text = new_key("webui", trust_user_headers=True, client="open-webui")
        add_key(path, KEY)
        add_key(path, trusted)
        ring = KeyRing.load(path)
        assert list(ring) == [KEY, trusted]
        assert ring.find(text.get_secret_value()) == trusted

    def test_holds_hashes_for_nobody_else_to_read(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        add_key(path, KEY)
        assert path.stat().st_mode & 0o777 == 0o600
        assert TEXT.get_secret_value()[13:] not in path.read_text()

    def test_what_a_key_does_not_use_is_not_written(self, tmp_path: Path) -> None:
        """So an older server, to which an upgrade is rolled back, reads what it can know."""
        path = tmp_path / "keys.json"
        add_key(path, new_key("plain")[0])
        add_key(path, new_key("full", models=["data"], trust_user_headers=True, client="open-webui")[0])
        add_key(path, new_key("prometheus", scope="metrics")[0])
        plain, full, metrics = json.loads(path.read_text())
        assert plain.keys() == {"id", "name", "sha256", "created"}
        assert full.keys() == {*plain, "models", "trust_user_headers", "client"}
        assert metrics.keys() == {*plain, "scope"}

    def test_keeps_the_mode_that_an_administrator_gave_it(self, tmp_path: Path) -> None:
        """The service's user may have to read what root writes."""
        path = tmp_path / "keys.json"
        path.write_text("[]")
        path.chmod(0o644)
        add_key(path, KEY)
        assert path.stat().st_mode & 0o777 == 0o644

    def test_change_leaves_nothing_but_the_file_and_its_lock(self, tmp_path: Path) -> None:
        add_key(tmp_path / "keys.json", KEY)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.json", "keys.json.lock"]

    def test_link_stays_a_link(self, tmp_path: Path) -> None:
        link, target = tmp_path / "keys.json", tmp_path / "real.json"
        link.symlink_to(target)
        add_key(link, KEY)
        assert link.is_symlink()
        assert list(KeyRing.load(target)) == [KEY]

    def test_two_at_once_lose_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        code = (
            "import sys, pathlib\n"
            "from aiostream_server.intake.key_file import add_key\n"
            "from aiostream_server.intake.keys import new_key\n"
            "for _ in range(20): add_key(pathlib.Path(sys.argv[1]), new_key('n')[0])\n"
        )
        started = [subprocess.Popen([sys.executable, "-c", code, path]) for _ in range(3)]
        assert [process.wait(timeout=30) for process in started] == [0, 0, 0]
        assert len(KeyRing.load(path)) == 60

    def test_removed_key_is_gone(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        other, _ = new_key("bob")
        add_key(path, KEY)
        add_key(path, other)
        assert remove_key(path, KEY.id) == (KEY, 1)
        assert list(KeyRing.load(path)) == [other]
        with pytest.raises(ConfigError, match=r"keys\.json: no key has this id"):
            remove_key(path, KEY.id)

    def test_id_that_is_taken_is_refused(self, tmp_path: Path) -> None:
        add_key(tmp_path / "keys.json", KEY)
        with pytest.raises(ConfigError, match=f"the id {KEY.id} is taken"):
            add_key(tmp_path / "keys.json", KEY)

    def test_no_file_named_is_an_empty_ring(self) -> None:
        assert not KeyRing.load(None)

    def test_named_file_that_is_missing_is_a_mistake(self, tmp_path: Path) -> None:
        """A server that lost its keys must not serve without them."""
        with pytest.raises(ConfigError, match=r"there is no such keys file; `aiostream-server keys create NAME"):
            KeyRing.load(tmp_path / "keys.json")

    def test_unreadable_file_is_a_mistake(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"cannot be read: is a directory$"):
            KeyRing.load(tmp_path)

    def test_folder_that_is_missing_is_a_mistake(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"cannot be written: no such file or directory$"):
            add_key(tmp_path / "none" / "keys.json", KEY)

    def test_change_that_fails_leaves_the_file_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        add_key(path, KEY)
        with pytest.raises(ValueError, match="surrogates not allowed"):
            add_key(path, new_key("\udcff")[0])
        assert list(KeyRing.load(path)) == [KEY]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.json", "keys.json.lock"]

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            ("", "not a keys file: expected a JSON list of records"),
            ("{}", "not a keys file: expected a JSON list of records"),
            ("[1]", "not a keys file: record 1"),
            ('[{"id": "abcdefgh"}]', "not a keys file: record 1, name: field required"),
            ('[{"id": "x"}]', "not a keys file: record 1, id: string should match"),
        ],
    )
    def test_broken_file_is_one_line(self, tmp_path: Path, content: str, what: str) -> None:
        path = tmp_path / "keys.json"
        path.write_text(content)
        with pytest.raises(ConfigError) as caught:
            KeyRing.load(path)
        assert str(caught.value).startswith(f"{path}: {what}")
        assert "\n" not in str(caught.value)

    def test_records_of_an_earlier_version_are_read_and_kept(self, tmp_path: Path) -> None:
        """Those know nothing of clients."""
        path = tmp_path / "keys.json"
        add_key(path, KEY)
        record = json.loads(path.read_text())[0]
        assert "client" not in record
        path.write_text(json.dumps([record]))
        assert list(KeyRing.load(path)) == [KEY]
        other, _ = new_key("webui", client="open-webui")
        add_key(path, other)
        assert [key.client for key in KeyRing.load(path)] == [None, "open-webui"]

    def test_client_that_is_not_known_is_a_mistake(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        add_key(path, KEY)
        path.write_text(json.dumps([{**json.loads(path.read_text())[0], "client": "lynx"}]))
        with pytest.raises(ConfigError, match="record 1, client"):
            KeyRing.load(path)

    def test_two_records_with_one_id_are_a_mistake(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        add_key(path, KEY)
        path.write_text(json.dumps(json.loads(path.read_text()) * 2))
        with pytest.raises(ConfigError, match=f"more than one record has the id {KEY.id}$"):
            KeyRing.load(path)

    def test_unknown_field_is_a_mistake(self, tmp_path: Path) -> None:
        """A newer server's restriction must not be dropped silently."""
        path = tmp_path / "keys.json"
        add_key(path, KEY)
        path.write_text(json.dumps([{**json.loads(path.read_text())[0], "expires": "2030-01-01"}]))
        with pytest.raises(ConfigError, match="record 1, expires"):
            KeyRing.load(path)


def test_key_is_a_value() -> None:
    assert Key("abcdefgh", "n", "0" * 64, KEY.created) == Key("abcdefgh", "n", "0" * 64, KEY.created)
