"""`[[team_folders]]`: files become teams, mistakes are lines with their places, and a load leaves nothing behind."""

import gc
import inspect
import json
import os
import pickle
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aiostream_server.cli.commands import cli
from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config, DemoModelConfig, TeamConfig, TeamFolderConfig
from aiostream_server.errors import ConfigError
from aiostream_server.intake.keys import KeyRing
from aiostream_server.models.registry import open_models
from aiostream_server.service.composition import GENERATIONS
from aiostream_server.teams.autogen_private.team_facts import agent_names
from aiostream_server.teams.catalogue import Catalogue, load_catalogue
from aiostream_server.teams.folders import FolderTeam, load_folder
from aiostream_server.teams.served import served_teams
from tests.kit.process import start
from tests.kit.serving import ask, asking, serving, until_idle
from tests.kit.waiting import wait_for

AGENT = """
from autogen_agentchat.agents import AssistantAgent


def build(context):
    return AssistantAgent("{name}", context.model())
"""
NOT_JSON = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
DEMO = DemoModelConfig(provider="demo")


def folder_of(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return folder


def teams_of(folder: Path) -> dict[str, FolderTeam]:
    teams, problems = load_folder(folder)
    assert not problems
    return {team.id: team for team in teams}


def config_of(*folders: Path, teams: tuple[TeamConfig, ...] = (), **keys: Any) -> Config:
    shown = tuple(TeamFolderConfig(path=folder, **keys) for folder in folders)
    return Config(models={"default": DEMO, "large": DEMO}, team_folders=shown, teams=teams)


async def catalogue_of(config: Config) -> Catalogue:
    async with open_models(config.models) as models:
        return load_catalogue(config, models, {})


def modules_left() -> list[str]:
    gc.collect()
    return [name for name in sys.modules if name.startswith("aiostream_team_folder_")]


class TestWhatIsATeam:
    async def test_build_makes_a_file_a_team_and_its_docstring_describes_it(self, tmp_path: Path) -> None:
        one_line = '"""Writes reports on what was sold."""\n'
        two = '"""Sales report.\n\nWrites reports\non what was sold.\n\nMore for readers.\n"""\n'
        folder = folder_of(
            tmp_path,
            {
                "sales_report.py": two + AGENT.format(name="Reporter"),
                "greeter.py": one_line + AGENT.format(name="Greeter"),
                "_helpers.py": "raise RuntimeError('not imported')",
                "notes.txt": "no Python",
                ".hidden.py": "nor this",
            },
        )
        catalogue = await catalogue_of(config_of(folder))
        greeter, report = catalogue
        assert (greeter.id, greeter.name) == ("greeter", "greeter")
        assert greeter.config.description == "Writes reports on what was sold."
        assert (report.id, report.name) == ("sales-report", "Sales report")
        assert report.config.description == "Writes reports on what was sold."
        assert agent_names(await report.build()) == {"Reporter"}
        assert await report.build() is not await report.build()

    async def test_marked_functions_are_teams_and_an_unmarked_build_is_not(self, tmp_path: Path) -> None:
        marked = """
from autogen_agentchat.agents import AssistantAgent
from aiostream_server.embed import team


@team(id="hello", name="Hi", description="Greets.", examples=["Hello!"], answer_from=["Greeter"],
      roles={"Greeter": "analysis"}, presentation="answer", on_disconnect="continue", model="large",
      settings={"depth": 2})
def greeter(context):
    '''Not told: it has a description.'''
    return AssistantAgent("Greeter", context.model())


@team
async def second_one(context):
    '''Comes second.'''
    return AssistantAgent(f"Depth{context.settings['depth']}", context.model())


alias = second_one
build = None
"""
        importing = (
            "from aiostream_server.embed import team\nfrom .a import greeter\n\n@team()\ndef build(context): ...\n"
        )
        folder = folder_of(tmp_path, {"a.py": marked, "b_c.py": importing})
        catalogue = await catalogue_of(config_of(folder, settings={"depth": 1, "width": 3}))
        assert [spec.id for spec in catalogue] == ["hello", "second-one", "b-c"]
        hello, second = catalogue["hello"].config, catalogue["second-one"].config
        assert hello.model_dump(exclude={"factory", "tools"}) == TeamConfig(
            id="hello", name="Hi", description="Greets.", examples=("Hello!",), answer_from=("Greeter",),
            roles={"Greeter": "analysis"}, presentation="answer", on_disconnect="continue", model="large",
            settings={"depth": 2, "width": 3}, factory="x:y",
        ).model_dump(exclude={"factory", "tools"})  # fmt: skip
        assert (second.description, second.model, second.settings["depth"]) == ("Comes second.", "default", 1)
        assert agent_names(await catalogue["second-one"].build()) == {"Depth1"}

    def test_files_find_each_other_by_relative_imports(self, tmp_path: Path) -> None:
        folder = folder_of(
            tmp_path,
            {
                "_words.py": "GREETING = 'hi'",
                "shared/__init__.py": "from .deep import DEPTH",
                "shared/deep.py": "DEPTH = 3",
                "plain/inner.py": "WIDTH = 4",
                "json.py": "from ._words import GREETING\nfrom .shared import DEPTH\nfrom .plain.inner import WIDTH\n"
                "def build(context):\n    from . import _words\n    return _words.GREETING, DEPTH, WIDTH\n",
            },
        )
        team = teams_of(folder)["json"]
        assert team.factory(None) == ("hi", 3, 4)  # type: ignore[arg-type]  # it looks at no context
        assert "loads" in vars(sys.modules["json"])

    def test_the_folders_init_runs_first(self, tmp_path: Path) -> None:
        folder = folder_of(tmp_path, {"__init__.py": "N = 5", "a.py": "from . import N\ndef build(context): return N"})
        assert teams_of(folder)["a"].factory(None) == 5  # type: ignore[arg-type]  # it looks at no context

    def test_without_teams_of_the_config_those_of_the_folder_are_all(self, tmp_path: Path) -> None:
        folder = folder_of(tmp_path, {"a.py": "def build(context): ..."})
        alone, _ = served_teams(config_of(folder))
        beside, _ = served_teams(config_of(folder, teams=(TeamConfig(id="b", factory="x:y"),)))
        assert [team.config.id for team in alone] == ["a"]
        assert [team.config.id for team in beside] == ["b", "a"]
        assert alone[0].source == f"{folder / 'a.py'}:1"
        assert alone[0].config.factory == "a.py:build"


class TestCommands:
    """A file of the folder imports a module beside the configuration."""

    @pytest.fixture
    def config(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        monkeypatch.setattr(sys, "path", [*sys.path])
        beside = "from words_beside import WORDS\n"
        folder_of(tmp_path, {"teams/sales.py": beside + AGENT.format(name="A"), "words_beside.py": "WORDS = 1\n"})
        path = tmp_path / "server.toml"
        path.write_text('[[team_folders]]\npath = "teams"\n', "utf-8")
        yield path
        sys.modules.pop("words_beside", None)

    def test_teams_list_shows_them(self, config: Path) -> None:
        result = CliRunner().invoke(cli, ["teams", "list", "--json", "--config", str(config)], catch_exceptions=False)
        (sales,) = json.loads(result.stdout)
        assert (sales["id"], sales["model"], sales["source"]) == ("sales", "default", "sales.py:build")

    def test_teams_list_says_what_is_wrong(self, config: Path) -> None:
        folder_of(config.parent, {"teams/torn.py": "1 / 0"})
        result = CliRunner().invoke(cli, ["teams", "list", "--config", str(config)], catch_exceptions=False)
        assert (result.exit_code, [line.split()[0] for line in result.stdout.splitlines()]) == (1, ["ID", "sales"])
        assert "torn.py: cannot be imported: ZeroDivisionError" in result.stderr

    def test_a_module_that_is_not_in_the_folder_is_named_as_the_file_names_it(self, tmp_path: Path) -> None:
        folder = folder_of(tmp_path / "own", {"a.py": "from .nope import x\n", "b.py": "from . import nope\n"})
        first, second = load_folder(folder)[1]
        assert first == f"a.py: cannot be imported: ModuleNotFoundError: No module named '.nope' ({folder}/a.py:1)"
        assert second.startswith("b.py: cannot be imported: ImportError: cannot import name 'nope' from '.'")

    def test_check_names_each_and_where_it_is(self, config: Path) -> None:
        environ = {"STATE_DIRECTORY": str(config.parent)}
        result = CliRunner().invoke(cli, ["check", "--config", str(config)], env=environ, catch_exceptions=False)
        assert f"team      sales: {config.parent}/teams/sales.py:6" in result.stdout.splitlines()
        assert "built-in" not in result.stdout


class TestWhatIsWrong:
    def lines(self, *folders: Path, teams: tuple[TeamConfig, ...] = ()) -> list[str]:
        return list(served_teams(config_of(*folders, teams=teams)).problems)

    def test_each_file_is_a_line_with_its_place_and_hides_no_other(self, tmp_path: Path) -> None:
        folder = folder_of(
            tmp_path,
            {
                "a_name.py": "x = 1\nundefined\n",
                "b_syntax.py": "def build(context):\n    return (\n",
                "c_exit.py": "import sys\nsys.exit(3)\n",
                "d_deep.py": "from . import _broken\n",
                "_broken.py": "def fail():\n    raise ValueError('two\\nlines')\n\nfail()\n",
                "e_library.py": "import json\njson.loads('{')\n",
                "f_none.py": "X = 1\n",
                "g_signature.py": "def build(): ...\n",
                "h_two.py": "def build(context, other): ...\n",
                "i_number.py": "build = 7\n",
                "j_beside.py": "import k_good\n",
                "k_good.py": "def build(context): ...\n",
                "l_missing.py": "import nowhere.at_all\n",
                "m_bytes.py": "x = '\0'\n",
                "n_made.py": "class Done:\n    def run(self, task): ...\n\nbuild = Done()\n",
            },
        )
        wants_one = "expected a function of one argument"
        hint = "; for the k_good.py beside it: from .k_good import ..."
        finished = "expected a function that makes one, since a team runs only once"
        expected = [
            ("a_name.py", "NameError: name 'undefined' is not defined (a_name.py:2)"),
            ("b_syntax.py", "SyntaxError: '(' was never closed (b_syntax.py:2)"),
            ("c_exit.py", "SystemExit: it ends the process when it is imported (c_exit.py:2)"),
            ("d_deep.py", "ValueError: two lines (_broken.py:2)"),
            ("e_library.py", f"JSONDecodeError: {NOT_JSON} (e_library.py:2)"),
            ("f_none.py", None),
            ("g_signature.py", f"build takes no argument: {wants_one}, the context (g_signature.py:1)"),
            ("h_two.py", f"build needs 2 arguments (context, other): {wants_one}, the context (h_two.py:1)"),
            ("i_number.py", f"build is a int: {wants_one}"),
            ("j_beside.py", f"ModuleNotFoundError: No module named 'k_good' (j_beside.py:1){hint}"),
            ("l_missing.py", "ModuleNotFoundError: No module named 'nowhere' (l_missing.py:1)"),
            ("m_bytes.py", None),
            ("n_made.py", f"build is a finished Done: {finished}"),
        ]  # fmt: skip
        lines = self.lines(folder)
        assert len(lines) == len(expected)
        for line, (file, words) in zip(lines, expected, strict=True):
            assert line.startswith(f"[[team_folders]] #1 {file}: ")
            assert "\n" not in line
            if words is not None:
                said = line.replace(f"({folder}/", "(").removeprefix(f"[[team_folders]] #1 {file}: ")
                assert said.removeprefix("cannot be imported: ") == words
        assert [team.config.id for team in served_teams(config_of(folder)).teams] == ["k-good"]

    def test_folders_that_are_not_there_or_hold_none(self, tmp_path: Path) -> None:
        empty = folder_of(tmp_path / "empty", {"_only.py": "", "readme.md": ""})
        file = tmp_path / "file.py"
        file.write_text("")
        broken = folder_of(tmp_path / "broken", {"__init__.py": "\n1 / 0", "a.py": ""})
        why = f"division by zero ({broken}"
        assert self.lines(tmp_path / "no", empty, file, broken) == [
            f"[[team_folders]] #1 path: {tmp_path / 'no'} cannot be read: no such file or directory",
            f'[[team_folders]] #2 path: there is no team in {empty}: no *.py file whose name does not begin with "_"',
            f"[[team_folders]] #3 path: {file} cannot be read: not a directory",
            f"[[team_folders]] #4 __init__.py: cannot be imported: ZeroDivisionError: {why}/__init__.py:2)",
        ]

    def test_ids_are_checked_and_served_once(self, tmp_path: Path) -> None:
        marked = """
from aiostream_server.embed import team

@team(id="auto")
def a(context): ...

@team(id="Big One", examples="one")
def b(context): ...

@team(id="sales")
def c(context): ...

@team(id="sales", presentation="loud")
def d(context): ...
"""
        first = folder_of(tmp_path / "1", {"a.py": marked, "über_alles.py": "def build(context): ..."})
        second = folder_of(tmp_path / "2", {"sales.py": "def build(context): ...", "b.py": "def build(context): ..."})
        listed = (TeamConfig(id="b", factory="x:y"),)
        expected = 'expected a name of at most 64 lower-case letters, digits, ".", "_" and "-"'
        shown = '"transcript", "reasoning" or "answer"'
        assert self.lines(first, second, teams=listed) == [
            f'[[team_folders]] #1 a.py (auto) id: "auto" is the server\'s own model id ({first}/a.py:4)',
            f'[[team_folders]] #1 a.py (Big One) id: {expected}, got "Big One" ({first}/a.py:7)',
            f'[[team_folders]] #1 a.py (Big One) examples: expected a list of strings, got "one" ({first}/a.py:7)',
            f'[[team_folders]] #1 a.py (sales) presentation: expected {shown}, got "loud" ({first}/a.py:13)',
            '[[team_folders]] #2 b.py (b) id: [[teams]] #1 (b) has the id "b", too',
            '[[team_folders]] #2 sales.py (sales) id: [[team_folders]] #1 a.py (sales) has the id "sales", too',
        ]

    async def test_unknown_models_and_databases_are_refused(self, tmp_path: Path) -> None:
        marked = "from aiostream_server.embed import team\n@team(model='larg')\ndef a(context): ...\n"
        folder = folder_of(tmp_path, {"a.py": marked + "@team(databases=['sales'])\ndef b(context): ...\n"})
        has = "the configuration has [models.default], [models.large]"
        with pytest.raises(ConfigError) as caught:
            await catalogue_of(config_of(folder))
        assert caught.value.problems == (
            f"[[team_folders]] #1 a.py (a) there is no model 'larg': {has}",
            "[[team_folders]] #1 a.py (b) databases: there is no [database.sales]; there is none",
        )

    def test_the_fallback_may_be_one_of_them(self, tmp_path: Path) -> None:
        folder_of(tmp_path / "teams", {"sales.py": "def build(context): ..."})
        path = tmp_path / "server.toml"
        path.write_text('routing.fallback = "sales"\nteam_folders = [{ path = "teams" }]', "utf-8")
        assert served_teams(load_config(path, {})).problems == []
        path.write_text('routing.fallback = "sale"\nteam_folders = [{ path = "teams" }]', "utf-8")
        assert served_teams(load_config(path, {})).problems == [
            '[routing] fallback: no team has the id "sale"; did you mean sales?'
        ]

    def test_keys_of_the_table_are_named_as_the_file_has_them(self, tmp_path: Path) -> None:
        path = tmp_path / "server.toml"
        path.write_text('team_folders = [{ path = 5 }, { model = "x" }]', "utf-8")
        with pytest.raises(ConfigError) as caught:
            load_config(path, {"AIOSTREAM_TEAM_FOLDERS__PATH": "x"})
        assert caught.value.problems == (
            "AIOSTREAM_TEAM_FOLDERS__PATH: [[team_folders]] can only be set in the file, being a list",
            "[[team_folders]] #1 path: expected a string, got 5",
            "[[team_folders]] #2 path: needed, but missing; expected a string",
            "[[team_folders]] #2 model: there is no [models.x]; known: default",
        )

    async def test_check_says_all_of_it_at_once_and_where_a_factory_failed(self, tmp_path: Path) -> None:
        """The whole command, with mistakes in a folder and in a module beside the configuration."""
        folder_of(
            tmp_path,
            {
                "teams/good.py": AGENT.format(name="Good"),
                "teams/late.py": "\n\nasync def build(context):\n    import json\n    json.loads('{')\n",
                "teams/wrong.py": "from autogen_agentchat.agents import AssistantAgent\n\n"
                "def build(context):\n    return AssistantAgent\n",
                "teams/forgot.py": "def build(context):\n    context.model()\n",
                "teams/unasked.py": "class Team:\n    async def run(self, question): ...\n\n"
                "def build(context):\n    return Team()\n",
                "teams/torn.py": "def build(context:\n",
                "beside.py": "def helper(context):\n    return context.nothing\n\n\ndef build(context):\n"
                "    return helper(context)\n",
                "server.toml": '[[teams]]\nid = "a"\nfactory = "beside:build"\n[[team_folders]]\npath = "teams"\n',
            },
        )
        process = await start("check", "--config", str(tmp_path / "server.toml"), state_directory=tmp_path)
        _, errors = await process.communicate()
        returned, wants = "TypeError: the factory returned", "expected an AutoGen team, an agent, or anything with"
        expected = [
            ("[[team_folders]] #1 torn.py: cannot be imported:", "SyntaxError: '(' was never closed (teams/torn.py:1)"),
            ("[[teams]] #1 (a)", "AttributeError: 'TeamContext' object has no attribute 'nothing' (beside.py:2)"),
            ("[[team_folders]] #1 forgot.py (forgot)",
             f"{returned} None: {wants} run_stream or run (teams/forgot.py:1)"),
            ("[[team_folders]] #1 late.py (late)", f"JSONDecodeError: {NOT_JSON} (teams/late.py:5)"),
            ("[[team_folders]] #1 unasked.py (unasked) the factory returned Team, whose run",
             "cannot be called as run(task=...) (teams/unasked.py:4)"),
            ("[[team_folders]] #1 wrong.py (wrong)",
             f"{returned} the class AssistantAgent itself: {wants} run_stream or run (teams/wrong.py:3)"),
        ]  # fmt: skip
        told = errors.decode().replace(f"({tmp_path}/", "(").replace(" the team cannot be built:", "").splitlines()
        assert told == [f"{where} {words}" for where, words in expected]


@pytest.mark.usefixtures("earlier_tests_are_frozen")
class TestLoadingAgain:
    MODEL = """
from __future__ import annotations
from dataclasses import dataclass
from pydantic import BaseModel

VERSION = {version}

class Outer(BaseModel):
    inner: Inner

class Inner(BaseModel):
    depth: int

@dataclass
class Point:
    x: int

def build(context):
    return VERSION, Outer(inner=Inner(depth=1)), Point(VERSION)
"""

    def test_each_load_has_its_own_modules_and_leaves_none_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also if the file changes within a second and keeps its length."""
        monkeypatch.setattr(sys, "dont_write_bytecode", False)
        before = modules_left()
        folder = folder_of(tmp_path, {"a.py": self.MODEL.format(version=1)})
        times = (folder / "a.py").stat()
        old = teams_of(folder)["a"]
        folder_of(tmp_path, {"a.py": self.MODEL.format(version=2)})
        os.utime(folder / "a.py", ns=(times.st_atime_ns, times.st_mtime_ns))
        new = teams_of(folder)["a"]
        gc.collect()
        made: list[Any] = [team.factory(None) for team in (old, new)]  # type: ignore[arg-type]  # they look at no context
        (was, _, old_point), (now, outer, new_point) = made
        assert (was, now) == (1, 2)
        assert type(old_point) is not type(new_point)
        assert pickle.loads(pickle.dumps(old_point)) == old_point  # noqa: S301 - our own
        assert "VERSION = 2" in inspect.getsource(sys.modules[type(new_point).__module__])
        assert outer.model_validate({"inner": {"depth": 2}}).inner.depth == 2
        assert len(modules_left()) == len(before) + 4
        assert not (folder / "__pycache__").exists()
        del old, old_point, made
        assert len(modules_left()) == len(before) + 2
        del new, new_point, outer
        assert modules_left() == before

    def test_a_failed_load_leaves_no_modules_behind(self, tmp_path: Path) -> None:
        before = modules_left()
        folder = folder_of(tmp_path, {"a.py": "from . import b\n1 / 0", "b.py": "def build(context): ..."})
        assert len(load_folder(folder)[1]) == 1
        assert modules_left() == before

    def test_two_folders_and_an_installed_module_do_not_clash(self, tmp_path: Path) -> None:
        for number in (1, 2):
            text = f"from . import _shared\ndef build(context): return _shared.N\n# {number}"
            folder_of(tmp_path / str(number), {"json.py": text, "_shared.py": f"N = {number}"})
        one, two = teams_of(tmp_path / "1"), teams_of(tmp_path / "2")
        assert [team["json"].factory(None) for team in (one, two)] == [1, 2]  # type: ignore[arg-type]  # no context

    async def test_a_reload_takes_the_new_file_and_a_run_goes_on_with_the_old(self, tmp_path: Path) -> None:
        before = len(modules_left())
        folder_of(tmp_path, {"teams/greeter.py": AGENT.format(name="Old")})
        path = tmp_path / "server.toml"
        model = 'limits.retention_s = 0.0\nmodels.default = { provider = "demo", tokens_per_s = 50 }\n'
        path.write_text(model + 'team_folders = [{ path = "teams" }]', "utf-8")
        async with serving(load_config(path, {}), tmp_path) as server:
            generations = server.runner.app[GENERATIONS]
            async with asking(server.url, "Hello! Who are you?", model="greeter") as old:
                pieces = old.pieces()
                await anext(pieces)
                folder_of(tmp_path, {"teams/greeter.py": AGENT.format(name="New")})
                await generations.renew(load_config(path, {}), KeyRing(), tmp_path)
                assert "New" in (await ask(server.url, "Hello!", model="greeter")).text
                assert "Old" in (await old.read_all()).text
            await until_idle(server)
            await wait_for(lambda: len(modules_left()) <= before + 2, "the old modules are gone")
