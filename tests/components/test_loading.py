"""From a component file to a team that answers, or to one line that says why not."""

import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent, UserProxyAgent
from autogen_agentchat.conditions import HandoffTermination, MaxMessageTermination, TextMentionTermination
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core.memory import ListMemory
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_ext.models.openai import OpenAIChatCompletionClient
from pydantic import BaseModel, SecretStr

from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config, OpenAIModelConfig, TeamConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import Models, open_models
from aiostream_server.service.config_check import find_problems
from aiostream_server.teams.components.classes import missing_package
from aiostream_server.teams.components.loading import load
from tests.components.making import (
    Json,
    assistant,
    component,
    function_tool,
    openai,
    replay,
    round_robin,
    workbench,
    written,
)
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, serving


def model(base_url: str, name: str = "gpt-4o-mini") -> OpenAIModelConfig:
    return OpenAIModelConfig(provider="openai", model=name, base_url=base_url).with_secret(SecretStr("sk-table"))


class Verdict(BaseModel):
    approved: bool


def _every_kind() -> dict[str, Any]:
    """Teams of AutoGen's own classes, which AutoGen's `dump_component` writes."""
    client = OpenAIChatCompletionClient(model="gpt-4o-mini", api_key="sk-secret", base_url="http://h/v1")

    def agent(name: str, **settings: Any) -> AssistantAgent:
        return AssistantAgent(name, client, **settings)

    ends = TextMentionTermination("DONE") | MaxMessageTermination(3) & HandoffTermination("user")
    graph = DiGraphBuilder()
    a, b = agent("A"), agent("B")
    graph.add_node(a).add_node(b).add_edge(a, b, condition="go")
    inner = RoundRobinGroupChat([agent("Inner")], termination_condition=ends)
    return {
        "agent": agent("Solo", memory=[ListMemory()], model_context=BufferedChatCompletionContext(5)),
        "structured": agent("Judge", output_content_type=Verdict),
        "round robin": RoundRobinGroupChat([agent("X"), UserProxyAgent("Person")], termination_condition=ends),
        "selector": SelectorGroupChat([agent("X"), agent("Y")], client),
        "swarm": Swarm([agent("X", handoffs=["Y"]), agent("Y")]),
        "graph": GraphFlow([a, b], graph.build()),
        "magentic": MagenticOneGroupChat([agent("X")], client),
        "society": RoundRobinGroupChat([SocietyOfMindAgent("Society", inner, client)]),
        "tools": agent("Boss", tools=[AgentTool(agent("Aide")), TeamTool(inner, "inner", "Does it.")]),
    }


@pytest.fixture(scope="module")
def dumped() -> dict[str, Json]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: json.loads(team.dump_component().model_dump_json()) for name, team in _every_kind().items()}


@pytest.mark.parametrize(
    "kind",
    ["agent", "structured", "round robin", "selector", "swarm", "graph", "magentic", "society", "tools"],
)
async def test_components_that_autogen_writes_are_loaded(tmp_path: Path, dumped: dict[str, Json], kind: str) -> None:
    """Without trust and with masked keys. The build of each run makes no model client."""
    assert "**********" in json.dumps(dumped[kind])
    assert "sk-secret" not in json.dumps(dumped[kind])
    path = written(tmp_path / "team.json", dumped[kind])
    async with open_models({"m": model("http://h/v1")}) as models:
        build, sample = load(path, models)
        times, component = [], json.dumps(getattr(build, "component"))  # noqa: B009 - of any factory
        for _ in range(5):
            started = time.process_time()
            again = build(None)
            times.append(time.process_time() - started)
            assert type(again) is type(sample)
            assert again is not sample
        assert min(times) < 0.03, "a build makes model clients: each takes AutoGen 60 ms of CPU time"
        assert json.dumps(getattr(build, "component")) == component  # noqa: B009 - as above


async def test_a_file_of_an_older_studio(tmp_path: Path) -> None:
    """AutoGen 0.5, which comes with AutoGen Studio 0.4, writes one workbench instead of a list."""
    tool = function_tool("def f(x: int) -> int:\n    return x\n")
    agent = assistant("Old", replay("hello"), workbench=workbench(tool))
    path = written(tmp_path / "old.json", round_robin({**agent, "version": 1, "component_version": 1}))
    build, _ = load(path, Models({}), trusted=True)
    team: Any = build(None)
    result = await team.run(task="hi")
    assert result.messages[-1].to_text() == "hello"


async def test_it_answers_with_the_servers_client(tmp_path: Path) -> None:
    """Streamed, with its tool call; the next run answers the same, and both use one connection pool."""
    tool = function_tool("def add(a: int, b: int) -> int:\n    return a + b\n", "add")
    async with ScriptedProvider() as provider:
        client = openai(base_url=provider.base_url, api_key="**********")
        team = round_robin(assistant("Calculator", client, workbench=[workbench(tool)]))
        written(tmp_path / "t.json", team)
        (tmp_path / "server.toml").write_text(
            f'[models.m]\nprovider = "openai"\nmodel = "gpt-4o-mini"\nbase_url = "{provider.base_url}"\n'
            'api_key_env = "KEY"\n[[teams]]\nid = "sums"\ncomponent = "t.json"\ntrusted = true\n'
        )
        config = load_config(tmp_path / "server.toml", {"KEY": "sk-table"})
        async with serving(config, tmp_path) as server:
            for _ in range(2):
                provider.script(ScriptedAnswer(Call("add", {"a": 2, "b": 3})))
                answer = await ask(server.url, "2 + 3?", model="sums")
                assert "**Calculator**" in answer.text
                assert "add" in answer.text
                assert answer.text.rstrip().endswith("5")
        assert {exchange.headers["Authorization"] for exchange in provider.exchanges} == {"Bearer sk-table"}


async def test_check_tells_all_that_is_wrong_by_the_teams_ids(tmp_path: Path) -> None:
    files = {
        "code": round_robin(assistant("Coder", replay("x"), tools=[function_tool("def f(): pass")])),
        "keyless": round_robin(assistant("Writer")),
        "package": round_robin(assistant("A", component("mycompany.Client", "model"))),
        "wrong": round_robin(assistant("A", replay("x"), max_tool_iterations=0)),
        "good": round_robin(assistant("A", replay("x"))),
    }
    teams = [TeamConfig(id=name, component=written(tmp_path / f"{name}.json", made)) for name, made in files.items()]
    problems = await find_problems(Config(models={}, teams=tuple(teams)), state_directory=tmp_path)
    told = {problem.split("(")[1].split(")")[0]: problem for problem in problems}
    assert told.keys() == {"code", "keyless", "package", "wrong"}
    assert 'agent "Coder"' in told["code"]
    assert (
        'agent "Writer", $.config.participants[0].config.model_client: the model "gpt-4o-mini" has no key'
        in (told["keyless"])
    )
    assert "mycompany.Client is not allowed" in told["package"]
    assert 'agent "A", $.config.participants[0] (AssistantAgent): max_tool_iterations: Input should be' in told["wrong"]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (round_robin(), "$ (RoundRobinGroupChat): ValueError: At least one participant is required"),
        (round_robin(assistant("A", replay("x")), assistant("A", replay("x"))), "participant names must be unique"),
        (assistant("not a name", replay("x")), "(AssistantAgent): ValueError: The agent name must be a valid"),
        (component("autogen_agentchat.agents.NoSuchAgent", "agent"), "there is no such class in AutoGen: autogen_"),
        (component("autogen_agentchat.agents.AssistentAgent", "agent"), "AssistentAgent; did you mean AssistantAgent?"),
        (
            component("autogen_agentchat.nowhere.AssistantAgent", "agent"),
            "there is no module autogen_agentchat.nowhere",
        ),
        ({**assistant("A"), "config": {"name": "A", "model_client": {**openai(), "config": 3}}}, "valid dictionary"),
        (component("autogen_agentchat.teams.AssistantAgent", "agent"), "there is no autogen_agentchat.teams."),
        (component("autogen_agentchat.conditions.MaxMessageTermination", "x", max_messages=1), "neither a team nor an"),
        (round_robin(assistant("A", tools=[replay("x")], client=replay("y"))), "(AssistantAgent): TypeError: Expected"),
    ],
)
async def test_what_cannot_be_built(tmp_path: Path, made: Json, words: str) -> None:
    path = written(tmp_path / "t.json", made)
    with pytest.raises(ConfigError) as caught:
        load(path, Models({}))
    (problem,) = caught.value.problems
    assert words in problem
    assert "\n" not in problem


async def test_control_characters_in_names_of_a_file_are_replaced(tmp_path: Path) -> None:
    name = "A\n\x1b[2K\u202eB\u2028"
    for made in (
        round_robin(assistant(name, openai(name))),
        round_robin(assistant(name, replay("x"))),
        round_robin(assistant(name, component("os.system\n\x1b", "model"))),
        {**round_robin(assistant("A", replay("x"))), name: {"provider": "os.system"}},
    ):
        with pytest.raises(ConfigError) as caught:
            load(written(tmp_path / "t.json", made), Models({}))
        assert all(problem.isprintable() for problem in caught.value.problems)


async def test_a_package_that_is_missing_is_named_with_the_agent(tmp_path: Path) -> None:
    imports = [{"module": "no_such_package", "imports": ["x"]}]
    tool = function_tool("def search(q: str) -> str:\n    return q\n", "search", imports)
    team = round_robin(assistant("Researcher", replay("x"), workbench=[workbench(tool)]))
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path / "t.json", team), Models({}), trusted=True)
    (problem,) = caught.value.problems
    assert problem.endswith(
        'agent "Researcher", $.config.participants[0].config.workbench[0].config.tools[0] (FunctionTool): '
        'the Python package "no_such_package" is not installed'
    )


@pytest.mark.parametrize(
    ("missed", "words"),
    [
        ("playwright", 'the Python package "playwright" is not installed: pip install "autogen-ext[web-surfer]"'),
        ("azure.identity", 'the Python package "azure" is not installed: pip install "autogen-ext[azure]"'),
        ("html2text", 'the Python package "html2text" is not installed'),
        ("autogen_ext.nowhere", "there is no module autogen_ext.nowhere"),
    ],
)
def test_a_command_is_told_where_an_extra_of_autogens_brings_it(missed: str, words: str) -> None:
    """For other modules none is suggested: the file could name a malicious package."""
    assert missing_package(ModuleNotFoundError(f"No module named {missed!r}", name=missed)) == words


def test_nothing_is_imported_that_is_not_needed(tmp_path: Path) -> None:
    """Without component teams none of these modules; with them not the package `openai`, as our clients replace its."""
    path = written(tmp_path / "t.json", round_robin(assistant("A", openai(api_key="k"))))
    code = (
        "import sys, aiostream_server.teams.catalogue; from pathlib import Path\n"
        "print('aiostream_server.teams.components' in sys.modules)\n"
        "from aiostream_server.models.registry import Models\n"
        "from aiostream_server.teams.components.loading import load\n"
        f"load(Path({str(path)!r}), Models({{}}))\n"
        "print([name for name in ('openai', 'autogen_ext.models.openai') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert found.stdout.split() == ["False", "[]"]
