"""From any file: its team, or one line that says why it has none."""

import json
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.errors import ConfigError
from aiostream_server.teams.components.reading import MAX_BYTES, MAX_DEPTH, read_component
from tests.components.making import assistant, function_tool, openai, round_robin, selector, workbench, written

TEAM = round_robin(assistant("Helper"))
ROW = {"id": 3, "user_id": "guest@example.com", "version": "0.0.1", "component": TEAM}


def labelled(component: dict[str, Any], label: str) -> dict[str, Any]:
    return {**component, "label": label}


GALLERY: dict[str, Any] = {
    "id": "gallery_default",
    "name": "Mine",
    "metadata": {"author": "me"},
    "components": {
        "agents": [labelled(assistant("solo"), "Same"), labelled(assistant("other"), "Same")],
        "models": [],
        "tools": [],
        "terminations": [],
        "teams": [labelled(TEAM, "First"), labelled(selector(assistant("A"), assistant("B")), "Second Team")],
    },
}


@pytest.mark.parametrize(
    "document",
    [
        TEAM,
        ROW,
        {"status": True, "data": ROW},
        {"status": True, "data": [ROW]},
        [TEAM],
        {"components": {"teams": [TEAM]}},
        {"id": 1, "config": {"components": {"teams": [ROW]}}},
        {"id": "g", "name": "Old", "items": {"teams": [TEAM], "components": {"agents": [], "models": []}}},
        {"id": 1, "config": {"id": "g", "items": {"teams": [ROW], "components": {}}}},
        {"items": {"components": {"teams": [TEAM]}}},
    ],
)
def test_a_file_with_one_team(tmp_path: Path, document: object) -> None:
    assert read_component(written(tmp_path / "t.json", document)) == TEAM


def test_the_only_team_of_a_gallery_needs_no_choice(tmp_path: Path) -> None:
    """The agents of a gallery are parts for teams; a choice finds them."""
    team = {**TEAM, "component_type": "team"}
    gallery = {"items": {"teams": [team], "components": {"agents": [assistant("solo"), assistant("other")]}}}
    path = written(tmp_path / "g.json", gallery)
    assert read_component(path) == team
    assert read_component(path, "solo") == assistant("solo")


def test_a_file_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(TEAM, indent=2).replace("\n", "\r\n").encode())
    assert read_component(path) == TEAM


EARLY_GALLERY = {
    "id": "g",
    "name": "Early",
    "url": None,
    "metadata": {"author": "me"},
    "items": {
        "teams": GALLERY["components"]["teams"],
        "components": {kind: listed for kind, listed in GALLERY["components"].items() if kind != "teams"},
    },
}


@pytest.mark.parametrize(
    "document",
    [GALLERY, {"id": 1, "user_id": "me", "config": GALLERY}, EARLY_GALLERY, {"id": 1, "config": EARLY_GALLERY}],
)
@pytest.mark.parametrize(
    ("name", "provider", "found"),
    [
        ("First", "RoundRobinGroupChat", None),
        ("second team", "SelectorGroupChat", None),
        ("solo", "AssistantAgent", "solo"),
    ],
)
def test_one_of_a_gallery(tmp_path: Path, document: object, name: str, provider: str, found: str | None) -> None:
    """By its label, else by its name; case does not matter."""
    chosen = read_component(written(tmp_path / "g.json", document), name)
    assert chosen["provider"].endswith(provider)
    assert chosen["config"].get("name") == found


@pytest.mark.parametrize(
    ("choose", "words"),
    [
        (
            None,
            "holds 4 teams and agents: choose one with `teams add --choose`: {}".format(
                '"First", "Second Team", 3 ("Same"), 4 ("Same")'
            ),
        ),
        ("third", 'nothing in it is called "third": there is "First", "Second Team", 3 ("Same"), 4 ("Same")'),
        ("5", 'nothing in it is called "5": there is "First", "Second Team", 3 ("Same"), 4 ("Same")'),
        ("0", 'nothing in it is called "0": there is "First", "Second Team", 3 ("Same"), 4 ("Same")'),
        ("same", '2 of its teams and agents are called "same": choose one by its number, 3 or 4'),
    ],
)
def test_a_gallery_and_no_good_choice(tmp_path: Path, choose: str | None, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_component(written(tmp_path / "g.json", GALLERY), choose)
    assert caught.value.problems == (f"{tmp_path / 'g.json'}: {words}",)


def test_teams_with_the_same_label_are_chosen_by_number(tmp_path: Path) -> None:
    """A team with a number as its name takes precedence."""
    path = written(tmp_path / "g.json", GALLERY)
    assert [read_component(path, number)["config"].get("name") for number in ("3", "4")] == ["solo", "other"]
    named = [labelled(TEAM, "2"), labelled(selector(assistant("A"), assistant("B")), "x")]
    assert read_component(written(tmp_path / "n.json", named), "2")["provider"] == TEAM["provider"]


def test_a_label_that_repeats_the_class_does_not_count(tmp_path: Path) -> None:
    """`dump_component()` writes such labels. The name counts, or the class of a component without one."""
    agents = [labelled(assistant(name), "AssistantAgent") for name in ("writer", "critic")]
    path = written(tmp_path / "g.json", [*agents, TEAM, labelled(assistant("critic"), "Another")])
    with pytest.raises(
        ConfigError, match='choose one with `teams add --choose`: "writer", "critic", "RoundRobinGroupChat", "Another"'
    ):
        read_component(path)
    assert read_component(path, "roundrobingroupchat") == TEAM
    assert read_component(path, "critic") == agents[1]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (openai(), "holds a model, not a team"),
        ({**openai(), "component_type": "x"}, "holds a model, not a team"),
        (workbench(), "holds a workbench, not a team"),
        (function_tool("def f(): pass"), "holds a tool, not a team"),
        ({"id": 2, "component": openai()}, "holds a model, not a team"),
    ],
)
def test_a_part_of_a_team_is_none(tmp_path: Path, document: object, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_component(written(tmp_path / "part.json", document))
    assert caught.value.problems == (f"{tmp_path / 'part.json'}: {words}",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON: Expecting property name"),
        (b"\xff\xfe{", "is not UTF-8 text (byte 0)"),
        (b"\x80", "is not UTF-8 text"),
        (b"[" * 100_000, "nested more than 100 deep"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested more than 100 deep"),
        (b'{"provider": "a.B", "provider": "c.D", "config": {}}', 'says "provider" twice in the same object'),
        (b'{"provider": "a.B", "config": {"x": {"k": 1, "k": 1}}}', 'says "k" twice'),
        (b'{"provider": "a.B", "config": {"x": NaN}}', "NaN is no number of JSON"),
        (b'{"provider": "a.B", "config": {"x": -Infinity}}', "-Infinity is no number"),
        (b'{"x": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[" + b"0," * 100_000 + b"0]", "holds more than 100,000 values"),
        (b"null", "null is no component"),
        (b"true", "true or false is no component"),
        (b"3", "a number is no component"),
        (b'"autogen"', "a text is no component"),
        (b"[]", "holds neither a team nor an agent"),
        (b"[[]]", "a list is no component"),
        (b"{}", "an object with the keys nothing is no component"),
        (b'{"a": 1, "b\\n": 2}', 'an object with the keys "a", "b\\n" is no component'),
        (b'{"provider": 3, "config": {}}', "is no component"),
        (b'{"provider": "a.B"}', '"a.B" has no "config" object'),
        (b'{"provider": "a.B", "config": []}', '"a.B" has no "config" object'),
        (b'{"component": {"component": {}}}', "is no component"),
        (b'{"components": {"teams": {}}}', 'the "teams" and "agents" of a gallery are lists'),
        (b'{"items": {"teams": {}}}', 'the "teams" and "agents" of a gallery are lists'),
        (b'{"items": {"teams": []}}', "holds neither a team nor an agent"),
        (b'{"components": {"models": []}}', "holds neither a team nor an agent"),
        (b'{"id": "g", "name": "n", "url": null, "metadata": {}}', "looks like a gallery of AutoGen Studio"),
        (b'{"name": "n", "team_type": "RoundRobinGroupChat", "participants": []}', "before January 2025"),
        (b'{"id": 1, "config": {"team_type": "RoundRobinGroupChat"}}', "before January 2025"),
        (b'[{"agent_type": "AssistantAgent"}]', "before January 2025"),
        (b'{"items": {"teams": [{"team_type": "SelectorGroupChat"}]}}', "before January 2025"),
        (b'{"name": "w", "type": "twoagents", "sender": {}, "receiver": {}}', "for AutoGen 0.2"),
        (b'{"components": {}}', "holds neither a team nor an agent"),
        (b'{"components": {"teams": [7]}}', "a number is no component"),
        (b'{"components": [], "config": {"components": 3}}', "is no component"),
        (b'{"status": true, "data": null}', "null is no component"),
    ],
)
def test_what_is_no_team(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_component(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}: ")
    assert words in problem
    assert "\n" not in problem
    assert len(problem) < 400


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "missing.json", "no such file"), (tmp_path, "is a directory")):
        with pytest.raises(ConfigError, match=words):
            read_component(path)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # sparse
    with pytest.raises(ConfigError, match="is larger than 8 MiB"):
        read_component(path)
