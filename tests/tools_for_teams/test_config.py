"""`[tools.*]` in the configuration: one line for each mistake, where secrets come from, and what `check` says."""

import asyncio
import sys
from pathlib import Path

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import McpToolConfig
from aiostream_server.errors import ConfigError
from tests.config.writing import written
from tests.kit.process import start, until_gone
from tests.tools_for_teams.servers import HERE, pids


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(written(folder, text), {"SET": "hunter2"})
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'kind = "magic"',
            'kind: expected "chart", "code", "http", "langchain", "mcp", "python" or "sql", got "magic"',
        ),
        ("", 'kind: needed, but missing; expected "chart", "code", "http", "langchain", "mcp", "python" or "sql"'),
        ('kind = "mcp"', 'url: exactly one of command = "..." and url = "https://..." is needed'),
        (
            'kind = "mcp"\ncommand = "a"\nurl = "http://b"',
            'url: exactly one of command = "..." and url = "https://..." is needed',
        ),
        ('kind = "mcp"\ncommand = "a"\ntransport = "sse"', "transport is for a server with a url"),
        ('kind = "mcp"\nurl = "http://b"\nargs = ["x"]', "args is for a server with a command"),
        ('kind = "mcp"\ncommand = "a"\nscope = "team"', 'scope: expected "shared" or "run", got "team"'),
        ('kind = "mcp"\ncommand = "a"\nprefix = "a b"', 'prefix: expected letters, digits, "_" and "-", got "a b"'),
        (
            'kind = "mcp"\ncommand = "a"\nenv_from = { TOKEN = "UNSET" }',
            "env_from.TOKEN: the environment variable UNSET is not set",
        ),
        (
            'kind = "mcp"\ncommand = "a"\nenv_files = { TOKEN = "nowhere" }',
            "env_files.TOKEN: the file it names cannot be read: no such file or directory (paths start at {folder})",
        ),
        ('kind = "mcp"\ncommand = "a"\nenv = {A = "1"}\nenv_from = {A = "SET"}', "A is given more than once"),
        (
            'kind = "http"\ndescription = ""\nurl = "https://{host}/x"\nparameters = {host = {type = "string"}}',
            "url: {arguments} stand in the path of the URL only; others go into its query by themselves",
        ),
        (
            'kind = "http"\ndescription = ""\nurl = "https://user:hunter2@host/x"',
            "url: a user or a password does not belong into the URL: header_env names a header's secret",
        ),
        ('kind = "http"\ndescription = ""\nurl = "https://h/{city}"', '"city" is none of the parameters'),
        (
            'kind = "http"\ndescription = ""\nurl = "http://h/{c}"\nparameters = {c = {}}\noptional = ["c"]',
            '"c" stands in the URL: it cannot be optional',
        ),
        ('kind = "code"', 'executor: needed, but missing; expected "docker" or "local"'),
        ('kind = "sql"\ndatabase = "shop"', "database: there is no [database.shop]; there is none"),
        ('kind = "python"\nfactory = "nonsense"', 'factory: expected "module:function", got "nonsense"'),
    ],
)
def test_one_mistake_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    where, found = "[tools.it] ", problems(tmp_path, f"[tools.it]\n{text}")
    expected = line.replace("{folder}", str(tmp_path))
    assert found in ([f"{where}{expected}"], [f"[tools.it]: {expected}"])


def test_names_of_tools_are_checked_in_every_table(tmp_path: Path) -> None:
    text = (
        '[tools.files]\nkind = "code"\nexecutor = "docker"\n'
        '[[teams]]\nid = "a"\nfactory = "a:b"\ntools = ["fils"]\n'
        '[[team_folders]]\npath = "x"\ntools = ["files", "search"]\n'
    )
    assert problems(tmp_path, text) == [
        "[[team_folders]] #1 tools #2: there is no [tools.search]; known: files",
        "[[teams]] #1 (a) tools #1: there is no [tools.fils]; did you mean files?",
    ]
    component = '[[teams]]\nid = "a"\ncomponent = "a.json"\ntools = ["files"]'
    assert problems(tmp_path, f'[tools.files]\nkind = "code"\nexecutor = "docker"\n{component}') == [
        "[[teams]] #1 (a) tools: a component brings its own tools: these are for teams with a factory"
    ]
    assert problems(tmp_path, '[tools."über"]\nkind = "code"\nexecutor = "docker"\n') == [
        '[tools]: "über" is no name for a tool: at most 40 letters, digits, "_" and "-"'
    ]


def test_secrets_are_read_by_their_names_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("Basic abc\n")
    (tmp_path / "key").chmod(0o600)
    text = (
        '[tools.it]\nkind = "mcp"\nurl = "https://h/mcp"\nheaders = {X-Team = "sales"}\n'
        'header_env = {Authorization = "SET", X-Key = "SET"}\n'
        '[tools.that]\nkind = "mcp"\nurl = "https://h/mcp"\nheader_files = {Authorization = "key"}\n'
    )
    config = load_config(written(tmp_path, text), {"SET": "hunter2"})
    it, that = config.tools["it"], config.tools["that"]
    assert isinstance(it, McpToolConfig)
    assert isinstance(that, McpToolConfig)
    assert it.all_headers == {"X-Team": "sales", "Authorization": "Bearer hunter2", "X-Key": "hunter2"}
    assert that.all_headers == {"Authorization": "Basic abc"}
    assert "hunter2" not in repr(config)
    assert "abc" not in repr(config)


def test_code_without_a_sandbox_gives_a_note(tmp_path: Path) -> None:
    for executor, notes in (("docker", 0), ("local", 1)):
        config = load_config(written(tmp_path, f'[tools.it]\nkind = "code"\nexecutor = "{executor}"'), {})
        assert sum("code that a model writes" in note for note in config.notes) == notes


async def test_check_names_the_problem_of_each_tool_and_leaves_no_process(tmp_path: Path) -> None:
    program = f'kind = "mcp"\ncommand = "{sys.executable}"\nargs = ["-S", "{HERE / "plain_program.py"}"'
    path = written(
        tmp_path,
        f'[tools.sound]\n{program}, "works", "{tmp_path}/pids"]\n'
        f'[tools.dead]\n{program}, "dies", "{tmp_path}/pids"]\nenv_from = {{ TOKEN = "MCP_TOKEN" }}\n'
        f'[tools.other]\n{program}, "works", "{tmp_path}/pids"]\nonly = ["delete"]\nscope = "run"\n'
        '[tools.lost]\nkind = "python"\nfactory = "no_such_module:f"\n',
    )
    process = await start("check", "--config", str(path), state_directory=tmp_path, extra={"MCP_TOKEN": "hunter2"})
    stdout, stderr = await asyncio.wait_for(process.communicate(), 120)
    told = stderr.decode()
    assert not stdout, "a problem is printed once, and nothing is logged"
    assert process.returncode == 1
    assert "[tools.dead] the MCP server cannot be used: " in told
    assert "it ended with status 1; its last words: cannot read the token ***: no such file" in told
    assert "[tools.other] only: the MCP server has no tool 'delete'; it has echo, list.files" in told
    assert '[tools.lost] factory: "no_such_module:f" cannot be imported: ModuleNotFoundError' in told
    assert "[tools.sound]" not in told
    assert "hunter2" not in told
    assert len(pids(tmp_path / "pids")) == 3
    await until_gone(*pids(tmp_path / "pids"))
