"""Mistakes in a user's factory are reported in one line, with the place in the user's own code."""

import functools
import importlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.teams import RoundRobinGroupChat

from aiostream_server.config.model import DemoModelConfig, TeamConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import open_models
from aiostream_server.service.config_check import find_problems
from aiostream_server.teams.catalogue import load_team
from aiostream_server.teams.context import TeamContext
from aiostream_server.teams.databases import open_databases
from aiostream_server.teams.factories import blamed_in, factory_problem, import_factory, method_problem, place_of
from aiostream_server.teams.registration import TeamKeys, name_and_description, registration_of, team, team_id_of
from aiostream_server.teams.served import ServedTeam
from tests.config.writing import loaded


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "mycompany"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    return folder


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "mycompany"]:
        del sys.modules[name]


def problem(path: str) -> str:
    with pytest.raises(ConfigError) as caught:
        import_factory(path)
    (line,) = caught.value.problems
    assert "\n" not in line
    return line


class TestImporting:
    def test_the_line_is_that_of_the_users_own_code(self, package: Path) -> None:
        """Not the line of a library that it calls; also if another module of the user's has the mistake."""
        (package / "teams.py").write_text("from mycompany import words\n")
        (package / "words.py").write_text("import json\n\n\ndef read():\n    return json.loads('{')\n\n\nread()\n")
        assert problem("mycompany.teams:build").endswith(f"(char 1) ({package}/words.py:5)")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("build = (\n", "SyntaxError: '(' was never closed ({}:1)"),
            ("x = 1\n  y = 2\n", "IndentationError: unexpected indent ({}:2)"),
            ("import nowhere\n", "ModuleNotFoundError: No module named 'nowhere' ({}:1)"),
            ("\nraise SystemExit(2)\n", "SystemExit: it ends the process when it is imported ({}:2)"),
            ("raise ValueError\n", "ValueError ({}:1)"),
        ],
    )
    def test_any_error_of_an_import_is_reported(self, package: Path, text: str, said: str) -> None:
        (package / "teams.py").write_text(text)
        said = said.format(package / "teams.py")
        assert problem("mycompany.teams:build") == f'factory: "mycompany.teams:build" cannot be imported: {said}'

    def test_a_missing_module_or_function_has_no_line(self, package: Path) -> None:
        assert problem("mycompany.nowhere:build").endswith("ModuleNotFoundError: No module named 'mycompany.nowhere'")
        assert problem("mycompany:build").endswith("AttributeError: module 'mycompany' has no attribute 'build'")

    def test_an_installed_package_is_the_users_where_the_factory_is_in_it(
        self, package: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("aiostream_server.teams.factories._libraries", lambda: (package.parent,))
        (package / "teams.py").write_text("from mycompany.inner import x\n")
        (package / "inner.py").write_text("\nundefined\n")
        assert problem("mycompany.teams:build").endswith(f"({package}/inner.py:2)")

    def test_a_method_of_a_class_is_a_function(self, package: Path) -> None:
        (package / "teams.py").write_text("class Teams:\n    @staticmethod\n    def sales(context): return 5\n")
        assert import_factory("mycompany.teams:Teams.sales")(None) == 5  # type: ignore[arg-type]  # no context


class TestCalling:
    def test_the_signature_is_checked_before_the_call(self) -> None:
        def none() -> None: ...

        def two(context: object, other: object) -> None: ...

        def keyword(context: object, *, depth: int) -> None: ...

        def fine(context: object, depth: int = 3, *rest: object, **more: object) -> None: ...

        class Fine:
            def __init__(self, context: object) -> None: ...

        class Called:
            def __call__(self, context: object) -> None: ...

        place = f"({__file__}:{none.__code__.co_firstlineno})"
        assert factory_problem(none) == f"takes no argument: expected a function of one argument, the context {place}"
        assert (factory_problem(two) or "").startswith("needs 2 arguments (context, other): ")
        assert (factory_problem(keyword) or "").startswith("needs 2 arguments (context, depth): ")
        for right in (fine, Fine, Called(), functools.partial(two, 1), lambda context: context, len):
            assert factory_problem(right) is None, right

    def test_where_a_factory_is(self) -> None:
        def one(context: object) -> None: ...

        place = f"{__file__}:{one.__code__.co_firstlineno}"

        @functools.wraps(one)
        def around(context: object) -> None: ...

        assert place_of(one) == place_of(around) == place
        assert place_of(len) is place_of(object()) is None

    def test_without_a_line_of_the_users_it_is_where_the_factory_begins(self) -> None:
        def one(context: object) -> None: ...

        place = f"({__file__}:{one.__code__.co_firstlineno})"
        assert blamed_in(one, TypeError("no team\nat all")) == f"TypeError: no team at all {place}"
        assert blamed_in(len, TypeError()) == "TypeError"

    async def test_an_unknown_database_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "db.sqlite").touch()
        text = 'database.sales.url = "sqlite:///db.sqlite"\nteams = [{ id = "a", factory = "FACTORY" }]'
        config = loaded(tmp_path, text.replace("FACTORY", "tests.teams.factories:with_a_database"))
        (line,) = await find_problems(config, state_directory=tmp_path)
        where = f"({Path(__file__).with_name('factories.py')}:"
        said = "[[teams]] #1 (a) the team cannot be built: there is no database 'sale': the team has [database.sales]"
        assert line.startswith(f"{said} {where}")


class TestContext:
    async def test_a_database_is_taken_by_name_or_as_the_only_one(self, tmp_path: Path) -> None:
        for name in ("sales", "stock"):
            (tmp_path / f"{name}.db").touch()
        urls = "".join(f'database.{name}.url = "sqlite:///{name}.db"\n' for name in ("sales", "stock"))
        config = loaded(tmp_path, urls)
        async with (
            open_models({"default": DemoModelConfig(provider="demo")}) as models,
            open_databases(config, tmp_path) as databases,
        ):

            def context(*names: str) -> TeamContext:
                made = TeamConfig(id="t", factory="tests.teams.factories:sync", databases=names)
                return load_team(ServedTeam(made, "t"), models, databases).context

            assert context("stock").database() is context().database("stock") is databases["stock"]
            with pytest.raises(ConfigError, match=r"^name the database: the team has \[database.sales\], \[d"):
                context().database()
            with pytest.raises(ConfigError, match=r"^there is no database 'sales': the team has \[database.stock\]$"):
                context("stock").database("sales")


class TestMarking:
    def test_a_mark_returns_the_function_itself(self) -> None:
        def one(context: object) -> None: ...

        assert team(one) is one
        assert team(id="a")(one) is one
        assert getattr(registration_of(one), "id", None) == "a"
        assert registration_of(importlib) is registration_of(5) is None

    def test_a_class_is_not_marked_by_its_base(self) -> None:
        @team
        class Base:
            def __init__(self, context: object) -> None: ...

        class Other(Base): ...

        assert registration_of(Base) is not None
        assert registration_of(Other) is None

    @pytest.mark.parametrize(
        ("name", "team_id"),
        [
            ("sales_report", "sales-report"),
            ("_X", "x"),
            ("v1.2", "v1.2"),
            ("Über uns", "uber-uns"),
            ("отчёт", "отчет"),
            ("__", ""),
        ],
    )
    def test_ids(self, name: str, team_id: str) -> None:
        assert team_id_of(name) == team_id

    @pytest.mark.parametrize(
        ("docstring", "told"),
        [
            (None, ("", "")),
            ("  ", ("", "")),
            ("One line.", ("", "One line.")),
            ("One\n    over two.", ("", "One over two.")),
            ("Sales.\n\n    Looks at\n    orders.\n\n    And more.", ("Sales", "Looks at orders.")),
        ],
    )
    def test_docstrings(self, docstring: str | None, told: tuple[str, str]) -> None:
        assert name_and_description(docstring) == told


class Plain:
    def run(self, *, task: object) -> object: ...


class Counting:
    async def run(self, *, task: object) -> object:
        yield task


class Waiting:
    async def run_stream(self, *, task: object) -> object: ...


class Generating:
    def run_stream(self, *, task: object) -> object:
        yield task


class Handing:
    def run(self, *, task: object) -> Awaitable[TaskResult]: ...  # type: ignore[empty-body]  # never called


class Decorated:
    @functools.wraps(Plain.run)
    def run(self, *, task: object) -> object: ...


class TestWhatATeamCanGive:
    @pytest.mark.parametrize(
        ("team", "said"),
        [
            (Plain, "Plain.run is a function without async: expected async def, with return: a TaskResult"),
            (
                Counting,
                "Counting.run is a generator, with async def and yield: expected async def, with return",
            ),
            (Waiting, "Waiting.run_stream is a coroutine function, without yield: expected async def, with yield"),
            (Generating, "Generating.run_stream is a generator, without async: expected async def, with yield"),
        ],
    )
    def test_a_def_of_the_wrong_kind_is_reported(self, team: Callable[[], Any], said: str) -> None:
        problem = method_problem(team(), team) or ""
        method = getattr(team, said.split(" is ")[0].split(".")[1])
        assert problem.startswith(said)
        assert problem.endswith(f"({__file__}:{method.__code__.co_firstlineno})")

    @pytest.mark.parametrize("team", [Handing, Decorated])
    def test_a_def_that_may_be_right_is_left_to_the_run(self, team: Callable[[], Any]) -> None:
        assert method_problem(team(), team) is None

    async def test_check_refuses_it(self, tmp_path: Path) -> None:
        config = loaded(tmp_path, 'teams = [{ id = "a", factory = "tests.teams.test_factories:plain" }]')
        (line,) = await find_problems(config, state_directory=tmp_path)
        assert line.startswith("[[teams]] #1 (a) Plain.run is a function without async: ")


def plain(context: TeamContext) -> Plain:
    return Plain()


class TestTogether:
    async def test_a_broken_tool_hides_the_teams_that_use_it_and_no_others(self, tmp_path: Path) -> None:
        text = """
            [tools.wrong]
            kind = "python"
            factory = "nowhere:tool"
            [[teams]]
            id = "uses"
            factory = "tests.teams.test_factories:plain"
            tools = ["wrong"]
            [[teams]]
            id = "other"
            factory = "tests.teams.test_factories:plain"
        """
        problems = await find_problems(loaded(tmp_path, text), state_directory=tmp_path)
        assert [line.split(" Plain")[0].split(" factory")[0] for line in problems] == [
            "[[teams]] #2 (other)",
            "[tools.wrong]",
        ]

    async def test_unknown_agents_are_noted_if_the_names_of_all_agents_are_known(self, tmp_path: Path) -> None:
        text = """
            [[teams]]
            id = "known"
            factory = "aiostream_server.teams.general:build"
            answer_from = ["Assistant", "Ghost"]
            roles = { Assistent = "thinking" }
            [[teams]]
            id = "unknown"
            factory = "tests.kit.sample_teams:only_runs"
            answer_from = ["Anything"]
        """
        notes: list[str] = []
        assert await find_problems(loaded(tmp_path, text), state_directory=tmp_path, notes=notes) == []
        assert notes == [
            "[[teams]] #1 (known) answer_from: no agent is called Ghost; there are: Assistant",
            "[[teams]] #1 (known) roles: no agent is called Assistent; there are: Assistant",
        ]


async def test_a_team_whose_agents_cannot_call_the_clients_tools_is_noted(tmp_path: Path) -> None:
    text = """
        models.default.provider = "demo"

        [[teams]]
        id = "nested"
        factory = "tests.kit.sample_teams:only_runs"
        client_tools = true

        [[teams]]
        id = "plain"
        kind = "assistant"
    """
    notes: list[str] = []
    assert await find_problems(loaded(tmp_path, text), state_directory=tmp_path, notes=notes) == []
    assert notes == ["[[teams]] #1 (nested) client_tools: none of its agents can call the client's tools"]


def endless(context: TeamContext) -> RoundRobinGroupChat:
    return RoundRobinGroupChat([AssistantAgent("A", context.model()), AssistantAgent("B", context.model())])


async def test_a_team_that_never_ends_is_noted(tmp_path: Path) -> None:
    text = """
        [[teams]]
        id = "talk"
        factory = "tests.teams.test_factories:endless"
        [[teams]]
        id = "pair"
        factory = "tests.kit.sample_teams:pair"
        [[teams]]
        id = "lone"
        factory = "tests.kit.sample_teams:solo"
    """
    notes: list[str] = []
    assert await find_problems(loaded(tmp_path, text), state_directory=tmp_path, notes=notes) == []
    assert notes == [
        "[[teams]] #1 (talk) never ends by itself: give the RoundRobinGroupChat a termination_condition or max_turns"
    ]


def test_the_decorator_takes_every_key_of_a_team() -> None:
    """But for those that say where a team comes from: a decorated function is its own source."""
    sources = {"kind", "system_message", "factory", "component", "trusted"}
    assert {*TeamKeys.__annotations__, "id"} == {*TeamConfig.model_fields} - sources
