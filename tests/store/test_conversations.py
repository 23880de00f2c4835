"""What teams remember, on the real SQLite and the real PostgreSQL."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from structlog.testing import capture_logs

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.conversations import Address, Conversations, TeamMemory, open_conversations
from aiostream_server.store.database import ConversationsUnavailable
from aiostream_server.store.schema import escape, memories, unescape
from tests.store.conftest import OpenStore, execute

CHAT = Address("key1", "user1", "chat1")
ODD_NAMES = (
    "日本語 🙂 ñ",
    "n\u0303",
    "'; DROP TABLE aiostream_memories; --",
    '"%_\\\\u0000\\',
    "\0",
    "a\0b",
    "\udc80\ud83d",
    "\n\t\x1b[2J\u2028",
    "語" * 500,
    "x" * 100_000,
)


def memory(fingerprint: str = "f1", *, team: str = "general", answers: Sequence[str] = ("a1", "a2")) -> TeamMemory:
    return TeamMemory(team, fingerprint, tuple(answers), b'{"state": "\xc3\xa4"}', b"[]")


def chat(name: str) -> Address:
    return CHAT._replace(conversation=name)


async def fingerprints(store: Conversations, address: Address = CHAT) -> list[str]:
    return [found.fingerprint for found in await store.recall(address)]


async def test_what_was_kept_is_recalled_as_it_was(store: Conversations) -> None:
    kept = replace(memory(), waits_for="Asker", updated_at=1.0)
    before = time.time()
    await store.keep(CHAT, kept)
    (found,) = await store.recall(CHAT)
    assert before <= found.updated_at <= time.time()
    assert replace(found, updated_at=1.0) == kept


async def test_only_of_what_is_wanted_are_state_and_turns_read(store: Conversations, store_url: str) -> None:
    for name in ("old", "wanted", "damaged"):
        await store.keep(CHAT, memory(name))
    await execute(store_url, update(memories).where(memories.c.fingerprint == "damaged").values(state=b"no zlib"))
    with capture_logs() as logs:
        found = await store.recall(CHAT, lambda heading: heading.fingerprint == "wanted")
    assert not logs
    assert [(each.fingerprint, each.state, each.turns) for each in found] == [
        ("damaged", b"", b""),
        ("wanted", memory().state, memory().turns),
        ("old", b"", b""),
    ]


async def test_the_latest_is_the_first_that_would_be_recalled(store: Conversations, store_url: str) -> None:
    assert await store.latest(CHAT) is None
    for name in ("old", "new", "damaged"):
        await store.keep(CHAT, memory(name))
    await execute(store_url, update(memories).where(memories.c.fingerprint == "damaged").values(turns=b"no zlib"))
    assert await store.latest(CHAT) == (await store.recall(CHAT))[0]
    assert (await store.recall(CHAT))[0].fingerprint == "new"


async def test_nothing_kept_is_nothing_recalled(store: Conversations) -> None:
    assert await store.recall(CHAT) == ()
    assert await store.summaries() == []
    assert await store.delete(key_id="key1") == 0
    assert await store.delete_expired() == 0


async def test_of_simultaneous_spends_one_succeeds_and_the_turns_stay(open_store: OpenStore) -> None:
    async with open_store() as store, open_store() as other:
        kept = replace(memory(), waits_for="Asker", turns=b'[["user", "hi"]]')
        await store.keep(CHAT, kept)
        spent = await asyncio.gather(*(each.spend(CHAT, kept) for each in (store, other, store, other)))
        assert sorted(spent) == [False, False, False, True]
        (found,) = await store.recall(CHAT)
        assert (found.waits_for, found.state, found.turns) == (None, b"", kept.turns)
        assert not await store.spend(chat("other"), kept)
        assert not await store.spend(CHAT, memory("never kept"))


async def test_it_is_there_when_the_store_is_opened_again(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.keep(CHAT, memory())
    async with open_store() as store:
        assert await fingerprints(store) == ["f1"]


async def test_only_the_three_newest_of_a_conversation_stay_and_the_newest_comes_first(store: Conversations) -> None:
    for number in range(5):
        await store.keep(CHAT, memory(f"f{number}", team=f"team{number}"))
    assert await fingerprints(store) == ["f4", "f3", "f2"]
    assert (await store.summaries())[0].states == 3


async def test_the_same_answer_replaces_the_former(store: Conversations) -> None:
    for number in range(3):
        await store.keep(CHAT, memory(f"f{number}"))
    again = replace(memory("f0"), state=b"again", waits_for="Asker")
    await store.keep(CHAT, again)
    assert await fingerprints(store) == ["f0", "f2", "f1"]
    assert replace((await store.recall(CHAT))[0], updated_at=0.0) == again


async def test_another_team_question_or_answer_is_another_memory(store: Conversations) -> None:
    answers: tuple[list[str], ...] = (["a1"], ["a1a2"], ["a2", "a1"], [])
    others = [memory(team="data"), memory("f2"), *(memory(answers=other) for other in answers)]
    for number, other in enumerate(others):
        await store.keep(chat(str(number)), memory())
        await store.keep(chat(str(number)), other)
        assert len(await store.recall(chat(str(number)))) == 2


async def test_a_clock_that_is_set_back_does_not_make_the_newest_the_oldest(open_store: OpenStore) -> None:
    hours = iter(range(10, 0, -1))
    async with open_store(expiry_s=1e6, clock=lambda: 3600.0 * next(hours)) as store:
        for number in range(4):
            await store.keep(CHAT, memory(f"f{number}"))
        assert await fingerprints(store) == ["f3", "f2", "f1"]


async def test_only_the_own_conversation_is_found(store: Conversations) -> None:
    addresses = [
        CHAT,
        Address("key2", "user1", "chat1"),
        Address("key1", "user2", "chat1"),
        Address("key1", "", "chat1"),
        Address("", "user1", "chat1"),
        Address("key1", "user1", "chat2"),
        Address("key1", "user1", "CHAT1"),
        Address("key1", "user1", "chat1 "),
        Address("key1user1", "", "chat1"),
        Address("key1", "user1chat1", ""),
    ]
    for number, address in enumerate(addresses):
        assert await store.recall(address) == ()
        await store.keep(address, memory(f"f{number}"))
    for number, (key_id, user_id, conversation) in enumerate(addresses):
        assert await fingerprints(store, addresses[number]) == [f"f{number}"]
        assert await store.delete(key_id=key_id, user_id=user_id, conversation=conversation) == 1
        assert await store.recall(addresses[number]) == ()
        assert len(await store.summaries()) == len(addresses) - number - 1


async def test_every_name_is_kept_as_it_is(store: Conversations) -> None:
    """Of any length, and with what PostgreSQL has no place for: NUL, and halves of surrogate pairs."""
    for name in ODD_NAMES:
        address = Address(name, name, name)
        kept = TeamMemory(name, name, (name, name), b"", b"", waits_for=name)
        await store.keep(address, kept)
        assert [replace(found, updated_at=0.0) for found in await store.recall(address)] == [kept]
        (summary,) = await store.summaries(key_id=name, user_id=name)
        assert (summary.address, summary.team) == (address, name)
    for name in ODD_NAMES:
        assert await store.delete(conversation=name) == 1
    assert await store.summaries() == []


@settings(max_examples=200)
@given(st.text(st.characters(codec=None) | st.sampled_from("\\u0d\0"), max_size=30))
def test_escaping_loses_nothing_and_leaves_what_every_database_keeps(text: str) -> None:
    escaped = escape(text)
    assert unescape(escaped) == text
    assert "\0" not in escaped
    escaped.encode()  # raises for half a surrogate pair


def test_the_store_is_like_a_list(tmp_path: Path) -> None:
    """Whatever is kept and deleted in whatever order, it holds what a plain list of each conversation would."""
    asks = st.tuples(st.sampled_from("ab"), st.integers(0, 4), st.sampled_from("xy"))
    steps = st.lists(asks | st.sampled_from("ab"), max_size=12)

    with asyncio.Runner() as runner:
        opened = open_conversations(ConversationsConfig(), tmp_path)
        store = runner.run(opened.__aenter__())

        @settings(max_examples=25, deadline=None)
        @given(steps)
        def run(steps: list[tuple[str, int, str] | str]) -> None:
            runner.run(_follow(store, steps))

        run()
        runner.run(opened.__aexit__(None, None, None))


async def _follow(store: Conversations, steps: list[tuple[str, int, str] | str]) -> None:
    model: dict[str, list[tuple[str, str]]] = {"a": [], "b": []}
    for step in steps:
        if isinstance(step, str):
            assert await store.delete(conversation=step) == bool(model[step])
            model[step] = []
        else:
            name, number, team = step
            await store.keep(chat(name), memory(f"f{number}", team=team))
            rest = [kept for kept in model[name] if kept != (f"f{number}", team)]
            model[name] = [(f"f{number}", team), *rest][:3]
    for name, kept in model.items():
        assert [(found.fingerprint, found.team) for found in await store.recall(chat(name))] == kept
        await store.delete(conversation=name)


async def test_summaries_name_every_conversation_once_the_one_used_last_first(store: Conversations) -> None:
    other = Address("key2", "user1", "chat1")
    await store.keep(CHAT, memory("f1"))
    await store.keep(other, memory())
    await store.keep(CHAT, memory("f2", team="data"))
    first, second = await store.summaries()
    assert (first.address, first.team, first.states) == (CHAT, "data", 2)
    assert first.updated_at == (await store.recall(CHAT))[0].updated_at
    assert (second.address, second.states) == (other, 1)
    assert first.size_bytes == 2 * second.size_bytes > 0
    assert await store.summaries(key_id="key1") == [first]
    assert await store.summaries(user_id="user1") == [first, second]
    assert await store.summaries(key_id="key2", user_id="unknown") == []


async def test_size_is_what_is_stored(store: Conversations) -> None:
    await store.keep(CHAT, replace(memory(), state=b"a" * 4 * 1024**2))
    (summary,) = await store.summaries()
    assert 0 < summary.size_bytes < 20_000
    assert len((await store.recall(CHAT))[0].state) == 4 * 1024**2


async def test_delete_counts_conversations_and_leaves_the_others(store: Conversations) -> None:
    for key, user, chat in [("k1", "u1", "a"), ("k1", "u1", "b"), ("k1", "u2", "a"), ("k2", "", "a")]:
        for number in range(2):
            await store.keep(Address(key, user, chat), memory(f"f{number}"))
    assert await store.delete(key_id="k1", user_id="u1", conversation="b") == 1
    assert await store.delete(user_id="") == 1
    assert await store.delete(conversation="a", key_id="unknown") == 0
    assert await store.delete(key_id="k1") == 2
    assert await store.summaries() == []


async def test_delete_wants_to_know_which(store: Conversations) -> None:
    with pytest.raises(ValueError, match="which conversations"):
        await store.delete()


async def test_many_are_deleted_in_several_transactions(store: Conversations, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversation with rows in two of them counts once."""
    monkeypatch.setattr("aiostream_server.store.conversations._BATCH", 2)
    for number in range(9):
        await store.keep(Address("k", "", str(number % 4)), memory(f"f{number}"))
    await store.keep(CHAT, memory())
    assert await store.delete(key_id="k") == 4
    assert [summary.address for summary in await store.summaries()] == [CHAT]


async def test_what_has_expired_is_not_recalled_and_can_be_deleted(open_store: OpenStore) -> None:
    now = [1000.0]
    other = chat("other")
    async with open_store(expiry_s=10, clock=lambda: now[0]) as store:
        await store.keep(CHAT, memory("old"))
        await store.keep(other, memory("old"))
        now[0] = 1005.0
        await store.keep(CHAT, memory("new"))
        now[0] = 1009.9
        assert await fingerprints(store) == ["new", "old"]
        now[0] = 1010.0
        assert await fingerprints(store) == ["new"]
        assert await fingerprints(store, other) == []
        assert len(await store.summaries()) == 2
        assert await store.delete_expired() == 1
        assert [(found.address, found.states) for found in await store.summaries()] == [(CHAT, 1)]
        assert await store.delete_expired() == 0
        now[0] = 1015.0
        assert await store.delete_expired() == 1
        assert await store.summaries() == []


async def test_a_damaged_row_is_skipped_and_reported(store: Conversations, store_url: str) -> None:
    damages: list[dict[str, object]] = [
        {"state": b"no zlib"},
        {"turns": b""},
        {"state": b"x\x9c\x03"},
        {"answers": "["},
        {"answers": "{}"},
        {"answers": "[1]"},
        {"answers": "[" * 100_000},
    ]
    for damage in damages:
        for name in ("sound", "damaged"):
            await store.keep(CHAT, memory(name))
        await execute(store_url, update(memories).where(memories.c.fingerprint == "damaged").values(damage))
        with capture_logs() as logs:
            assert await fingerprints(store) == ["sound"]
        assert [(line["event"], line["log_level"]) for line in logs] == [("memory_unreadable", "warning")]
        await store.keep(CHAT, memory("damaged"))
        assert await fingerprints(store) == ["damaged", "sound"]


async def test_many_at_once_are_all_kept(store: Conversations) -> None:
    """More than there are connections; of one conversation, too."""
    await asyncio.gather(*(store.keep(chat(str(number % 8)), memory(f"f{number}")) for number in range(40)))
    assert [len(await store.recall(chat(str(number)))) for number in range(8)] == [3] * 8
    assert {found.states for found in await store.summaries()} == {3}


async def test_the_same_answer_kept_at_once_is_one_memory(store: Conversations) -> None:
    await asyncio.gather(*(store.keep(CHAT, memory()) for _ in range(8)))
    assert await fingerprints(store) == ["f1"]


async def test_a_cancelled_caller_leaves_the_store_usable(store: Conversations) -> None:
    """At whatever moment: nothing stays locked, and nothing is half kept."""
    whole = memory("f", answers=["a"])
    for delay_s in (0.0, 0.0005, 0.001, 0.002, 0.003, 0.005):
        tasks = [asyncio.create_task(store.keep(chat(str(number)), whole)) for number in range(6)]
        await asyncio.sleep(delay_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await store.keep(CHAT, memory())
    assert await fingerprints(store) == ["f1"]
    for number in range(6):
        assert all(replace(found, updated_at=0.0) == whole for found in await store.recall(chat(str(number))))


async def test_a_database_that_fails_is_one_error_without_values(store: Conversations, store_url: str) -> None:
    await execute(store_url, "ALTER TABLE aiostream_memories RENAME TO away")
    for asked in (store.recall(CHAT), store.keep(CHAT, memory()), store.summaries(), store.delete(key_id="key1")):
        with pytest.raises(ConversationsUnavailable, match="aiostream_memories") as caught:
            await asked
        assert "\n" not in str(caught.value)
        assert "SELECT" not in str(caught.value)
        assert "chat1" not in str(caught.value)
    await execute(store_url, "ALTER TABLE away RENAME TO aiostream_memories")
    await store.keep(CHAT, memory())
