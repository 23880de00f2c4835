"""A component file imports nothing and runs nothing, unless the configuration allows it."""

import ast
import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import autogen_agentchat
import autogen_core
import autogen_ext
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import Models, open_models
from aiostream_server.teams.components.classes import EFFECTS, HARMLESS, RUNS_CODE, effect_of, is_autogens
from aiostream_server.teams.components.loading import check, load
from aiostream_server.teams.components.places import components
from aiostream_server.teams.components.policy import find_problems, import_classes
from tests.components.making import (
    SAY_PWNED,
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
from tests.components.watching import watched

HOSTILE: Final = ("os.system", "builtins.eval", "subprocess.Popen", "evil.Agent", "evil", "", "...", "a.b c", "é.é")
NOT_OURS: Final = ("aiostream_server.cli.serve.serve", "aiostream_server.teams.components.clients.HandedClient")


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Writes a module that makes a file when it is imported; returns the path of that file."""
    (tmp_path / "evil.py").write_text(SAY_PWNED.format(path=str(tmp_path / "pwned")))
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("evil", None)
    yield tmp_path / "pwned"
    sys.modules.pop("evil", None)  # the test may have imported it


def team_with(provider: object, place: str) -> Json:
    """A valid team with a provider in an unusual place."""
    bad = {"provider": provider, "config": {"name": "x", "model_client": replay("hi"), "command": "sh"}}
    team = round_robin(assistant("Helper", replay("hi")))
    agent = team["config"]["participants"][0]
    target, change = {
        "root": (team, {"provider": provider}),
        "participant": (team["config"], {"participants": [agent, bad]}),
        "agent": (agent, {"provider": provider}),
        "model": (agent["config"], {"model_client": bad}),
        "tool": (agent["config"], {"workbench": [workbench(bad)]}),
        "termination": (team["config"], {"termination_condition": bad}),
        "metadata": (agent["config"], {"metadata": {"provider": provider}}),
        "unknown key": (team["config"], {"x": [[[{"y": bad}]]]}),
        "beside": (team, {"z": {"q": bad}}),
        "in a client": (agent["config"], {"model_client": openai(api_key="k", azure_ad_token_provider=bad)}),
    }[place]
    target.update(change)
    return team


PLACES: Final = (
    "root", "participant", "agent", "model", "tool", "termination", "metadata", "unknown key", "beside", "in a client",
)  # fmt: skip


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("place", PLACES)
async def test_a_hostile_provider_is_refused_at_any_place(
    tmp_path: Path, evil: Path, place: str, trusted: bool
) -> None:
    """`trusted` allows code in the file, but no other packages. Nothing is imported, run or written."""
    async with open_models({}) as models:
        for provider in (*HOSTILE, *NOT_OURS, 7, None, True, ["os.system"]):
            path = written(tmp_path / "team.json", team_with(provider, place))
            with watched() as done, pytest.raises(ConfigError) as caught:
                load(path, models, trusted=trusted)
            assert not done
            assert all("\n" not in problem for problem in caught.value.problems)
    assert not evil.exists()  # noqa: ASYNC240 - a file of the test
    assert "evil" not in sys.modules


def test_the_refusal_says_what_where_and_how_to_allow_it(tmp_path: Path) -> None:
    path = written(tmp_path / "team.json", team_with("mycompany.tools.Search", "tool"))
    with pytest.raises(ConfigError) as caught:
        check(path)
    (problem,) = caught.value.problems
    assert problem == (
        f'{path}: agent "Helper", $.config.participants[0].config.workbench[0].config.tools[0]: the provider '
        "mycompany.tools.Search is not allowed: it is of the package mycompany; if you trust that package, add "
        'providers = ["mycompany"] to [components]'
    )


@pytest.mark.parametrize(
    ("providers", "allowed"),
    [
        (["mycompany"], True),
        (["mycompany.tools"], True),
        (["mycompany.tools.Search"], True),
        (["mycompany.tool"], False),
        (["mycomp"], False),
        (["mycompany.agents"], False),
        ([""], False),
        ([], False),
    ],
)
def test_packages_are_allowed_by_whole_names(providers: list[str], allowed: bool) -> None:
    problems = find_problems(team_with("mycompany.tools.Search", "tool"), providers=providers)
    assert (problems == []) is allowed


@pytest.mark.parametrize(
    "provider",
    ["autogen_core", "autogen_corex.Agent", "autogen_core.__main__.X", "autogen_core..X", ".autogen_core.X",
     "autogen_core.tools.FunctionTool ", "autogen_core.tools:FunctionTool", "autogen_core\n.X", "x" * 10_000 + ".Y"],
)  # fmt: skip
def test_names_that_resemble_autogens_are_refused(provider: str) -> None:
    problems = find_problems(team_with(provider, "tool"), trusted=True)
    assert problems
    assert all(len(problem) < 700 for problem in problems)


def test_autogens_short_names_count_as_the_full_ones() -> None:
    assert find_problems(assistant(client={"provider": "OpenAIChatCompletionClient", "config": {"model": "m"}})) == []


CODE: Final = {
    "autogen_core.tools.FunctionTool": {},
    "autogen_core.tools._function_tool.FunctionTool": {},
    "autogen_agentchat.agents._assistant_agent.FunctionTool": {},
    "autogen_ext.code_executors.local.LocalCommandLineCodeExecutor": {},
    "autogen_ext.tools.code_execution.PythonCodeExecutionTool": {},
    "autogen_agentchat.agents.CodeExecutorAgent": {},
    "autogen_ext.agents.file_surfer.FileSurfer": {},
    "autogen_ext.auth.azure.AzureTokenProvider": {},
    "autogen_ext.cache_store.diskcache.DiskCacheStore": {},
    "autogen_ext.tools.mcp.StdioMcpToolAdapter": {},
    "autogen_ext.tools.mcp.McpWorkbench": {"server_params": {"type": "StdioServerParams", "command": "sh"}},
    "autogen_ext.tools.mcp._workbench.McpWorkbench": {"server_params": {"command": "sh"}},
    "autogen_ext.models.anthropic.AnthropicChatCompletionClient": {"model": "m", "base_url": "http://thief.example"},
    "autogen_ext.agents.web_surfer.PlaywrightController": {},
    "autogen_ext.models.anthropic._anthropic_client.AnthropicChatCompletionClient": {
        "model": "m",
        "base_url": "http://thief.example",
        "api_key": "k",
    },
    "autogen_ext.models.ollama.OllamaChatCompletionClient": {"model": "m", "host": "https://thief.example"},
    "autogen_ext.models.openai._openai_client.AzureOpenAIChatCompletionClient": {"azure_ad_token_provider": {"x": 1}},
    "mycompany.tools.FunctionTool": {},
}


@pytest.mark.parametrize(("provider", "config"), CODE.items(), ids=CODE)
def test_classes_that_run_code_need_trust(provider: str, config: Json) -> None:
    team = round_robin(assistant("Coder", tools=[{"provider": provider, "config": config}]))
    (problem,) = find_problems(team, providers=["mycompany"])
    assert f'agent "Coder", $.config.participants[0].config.tools[0]: {provider} ' in problem
    assert "set trusted = true in its [[teams]] table (`teams add --trust`)" in problem
    assert find_problems(team, providers=["mycompany"], trusted=True) == []


def test_mcp_servers_with_a_url_need_no_trust() -> None:
    for kind in ("SseServerParams", "StreamableHttpServerParams"):
        server = {"type": kind, "url": "https://mcp.example/x"}
        bench = component("autogen_ext.tools.mcp.McpWorkbench", "workbench", server_params=server)
        assert find_problems(assistant(workbench=[bench])) == []
    for wrong in (None, "StdioServerParams", {"type": ["SseServerParams"]}, {"type": "sseserverparams"}):
        bench = component("autogen_ext.tools.mcp.McpWorkbench", "workbench", server_params=wrong)
        assert find_problems(assistant(workbench=[bench]))


async def test_code_does_not_run_before_it_is_trusted(tmp_path: Path) -> None:
    """With trust it runs, which shows that the test can see it."""
    mark = tmp_path / "pwned"
    source = SAY_PWNED.format(path=str(mark)) + "def f(x: int) -> int:\n    return x\n"
    for tool in (function_tool(source), function_tool("def f(x: int) -> int:\n    return x\n", imports=["evil"])):
        team = round_robin(assistant("Coder", replay("hi"), workbench=[workbench(tool)]))
        path = written(tmp_path / "team.json", team)
        async with open_models({}) as models:
            with watched() as done, pytest.raises(ConfigError, match="runs the Python code in its source_code"):
                load(path, models)
            assert not done
            assert not mark.exists()
            if tool["config"]["global_imports"]:
                with pytest.raises(ConfigError, match='the Python package "evil" is not installed'):
                    load(path, models, trusted=True)
            else:
                load(path, models, trusted=True)
                assert mark.exists()
                mark.unlink()


@pytest.mark.parametrize("key", ["$defs", "definitions"])
async def test_names_in_a_schema_are_not_evaluated(tmp_path: Path, key: str) -> None:
    """pydantic evaluates the names of recursive definitions as Python expressions."""
    name = f"__import__('pathlib').Path({str(tmp_path / 'pwned')!r}).touch()"
    inner = {"type": "object", "properties": {"n": {"$ref": f"#/{key}/{name}"}}}
    schema = {"type": "object", "properties": {"a": {"$ref": f"#/{key}/{name}"}}, key: {name: inner}}
    factory = component(
        "autogen_agentchat.messages.StructuredMessageFactory",
        "structured_message",
        json_schema=schema,
        content_model_name="X",
    )
    path = written(tmp_path / "t.json", round_robin(assistant("A", replay("{}"), structured_message_factory=factory)))
    async with open_models({}) as models:
        with watched() as done, pytest.raises(ConfigError, match="AutoGen would evaluate it as Python"):
            load(path, models, trusted=True)
    assert not done
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"f()": {}}},
        {"definitions": {"a.b": {}}},
        {"$ref": "#/$defs/f()"},
        {"items": [{"$ref": "f()"}]},
        {"$ref": ""},
    ],
)
def test_both_ends_of_a_reference_are_checked(schema: Json) -> None:
    (problem,) = find_problems(assistant(metadata={"deeper": [schema]}), trusted=True)
    assert "AutoGen would evaluate it as Python" in problem


def test_plain_names_in_a_schema_are_fine() -> None:
    schema = {"$defs": {"Line_Item-2": {"properties": {"next": {"$ref": "#/$defs/Line_Item-2"}}}}}
    assert find_problems(assistant(metadata=schema)) == []


@pytest.mark.parametrize(
    "path",
    [
        "autogen_ext.models.openai.{}",
        "autogen_ext.models.openai._openai_client.{}",
        "autogen_ext.models.azure.{}",
        "autogen_agentchat.agents.{}",
    ],
)
@pytest.mark.parametrize("name", ["OpenAIChatCompletionClient", "AzureOpenAIChatCompletionClient"])
async def test_no_path_leads_to_a_client_that_reads_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, name: str
) -> None:
    """A private module has the same class. Our client replaces it, and gets no key for the file's base URL."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "sk-environment")
    thief = {"base_url": "http://thief.example/v1"}
    azure = {"azure_endpoint": "http://thief.example", "api_version": "v1"}
    client = component(path.format(name), "model", model="m", **(azure if name.startswith("Azure") else thief))
    async with open_models({}, for_components=True) as models:
        with pytest.raises(ConfigError, match='the model "m" has no key'):
            load(written(tmp_path / "t.json", round_robin(assistant("A", client))), models)


def test_ollama_on_this_machine_needs_no_trust() -> None:
    for host in (None, "", "http://localhost:11434", "127.0.0.1", "https://[::1]:1/", "LOCALHOST:11434"):
        client = component("autogen_ext.models.ollama.OllamaChatCompletionClient", "model", model="m", host=host)
        assert find_problems(assistant(client=client)) == []
    for host in ("http://127.0.0.1@thief.example", "127.0.0.1.thief.example", "localhost:1/x", "http://10.0.0.1"):
        client = component("autogen_ext.models.ollama.OllamaChatCompletionClient", "model", model="m", host=host)
        (problem,) = find_problems(assistant(client=client))
        assert "sends this machine's OLLAMA_API_KEY to its host" in problem


HTTP_TOOL: Final = {"name": "t", "host": "h", "port": 1, "json_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("template", "words", "when_trusted"),
    [
        ("{result:>500000000}", "tool_call_summary_format formats {result} by :>500000000, which takes trust", True),
        ("{result:>{result}}", "formats {result} by :>{result}, which takes trust", True),
        ("{result:.\u0669\u0669\u0669\u0669}", "formats {result} by", True),
        ("{result.__class__}", "reaches into what is filled in, {result.__class__}, which takes trust", True),
        ("{arguments[0]}", "reaches into what is filled in", True),
        ("{" + "\x1b" * 5000 + ".x}", "reaches into", True),
        ("{result}" * 101, "has more than 100 fields", True),
        ("{result", "is no template: expected '}' before end of string", False),
        ("a } b", "is no template: Single '}'", False),
        ("{}", "has a field without a name", False),
        ("{0}", "has a field without a name", False),
        ("{result!x}", "converts a field by !x", False),
    ],
)
def test_templates_have_plain_names_only(template: str, words: str, when_trusted: bool) -> None:
    """AutoGen fills them in with `str.format`, in which a width can take any amount of memory."""
    agent = assistant()
    agent["config"]["tool_call_summary_format"] = template
    (problem,) = find_problems(agent)
    assert words in problem
    assert problem.isprintable()
    assert len(problem) < 500
    assert (find_problems(agent, trusted=True) == []) is when_trusted


@pytest.mark.parametrize(
    ("holder", "key"),
    [
        (component("autogen_agentchat.teams.SelectorGroupChat", "team"), "selector_prompt"),
        (component("autogen_agentchat.teams.MagenticOneGroupChat", "team"), "final_answer_prompt"),
        (component("autogen_agentchat.agents.AssistantAgent", "agent"), "tool_call_summary_format"),
        (component("autogen_agentchat.messages.StructuredMessageFactory", "structured_message"), "format_string"),
        (component("autogen_ext.tools.http.HttpTool", "tool", **HTTP_TOOL), "path"),
    ],
)
def test_every_template_of_autogen_is_checked(holder: Json, key: str) -> None:
    for template, faults in (("{a} {b!r} {{x}} {c:>12} {d:.2f}", 0), ("/{a:9999}", 1), ("{a", 1)):
        holder["config"][key] = template
        assert len(find_problems(holder)) == faults


def test_the_standard_library_is_never_suggested_as_a_provider() -> None:
    for provider in ("os.system", "subprocess.Popen", "builtins.eval"):
        (problem,) = find_problems(component(provider, "agent"))
        assert (
            problem
            == f"$: the provider {provider} is not allowed: it is of Python's own library, which no team is made of"
        )


def test_keys_with_two_underscores_are_refused() -> None:
    (problem,) = find_problems(assistant(metadata={"__class__": "x"}))
    assert 'agent "Helper", $.config.metadata: the key __class__ is Python\'s own' in problem


def test_a_parameter_may_be_called_provider() -> None:
    """It is no component: its `provider` is an object, not a class name."""
    schema: Json = {"type": "object", "properties": {"provider": {"type": "string"}}}
    tool = component("autogen_ext.tools.http.HttpTool", "tool", name="t", host="h", port=1, json_schema=schema)
    assert find_problems(assistant(tools=[tool])) == []
    schema["properties"]["provider"] = {"provider": "os.system", "config": {}}
    assert find_problems(assistant(tools=[tool]))


def test_a_class_of_an_allowed_package_that_runs_code_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "allowed_package.py").write_text("from autogen_core.tools import FunctionTool as Harmless\nN = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    team = assistant(tools=[component("allowed_package.Harmless", "tool")])
    assert find_problems(team, providers=["allowed_package"]) == []
    (problem,) = import_classes(team)
    assert "allowed_package.Harmless runs code" in problem
    assert import_classes(team, trusted=True) == []
    (problem,) = import_classes(assistant(tools=[component("allowed_package.N", "tool")]))
    assert "allowed_package.N is no class" in problem


@pytest.mark.parametrize(
    ("source", "config", "effect"),
    [
        (
            "from autogen_ext.tools.mcp import McpWorkbench as Found",
            {"server_params": {"type": "StdioServerParams", "command": "sh"}},
            "starts the program that its command names",
        ),
        (
            "from autogen_ext.models.openai import OpenAIChatCompletionClient as Found",
            {"model": "m", "base_url": "http://thief.example"},
            "sends this machine's OPENAI_API_KEY, or AZURE_OPENAI_API_KEY, to where it says",
        ),
        (
            "import autogen_ext.models.openai as ext\nclass Found(ext.OpenAIChatCompletionClient):\n    pass\n",
            {"model": "m"},
            "sends this machine's OPENAI_API_KEY",
        ),
    ],
)
def test_a_class_that_another_package_imports_from_autogen_needs_the_same_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, config: Json, effect: str
) -> None:
    (tmp_path / "importing_package.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "importing_package", raising=False)
    team = assistant(tools=[component("importing_package.Found", "tool", **config)])
    assert find_problems(team, providers=["importing_package"]) == []
    (problem,) = import_classes(team)
    assert f"importing_package.Found {effect}" in problem
    assert "`teams add --trust`" in problem
    assert import_classes(team, trusted=True) == []


def test_an_http_server_of_another_package_needs_no_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "asking_package.py").write_text("from autogen_ext.tools.mcp import McpWorkbench as Found\n")
    monkeypatch.syspath_prepend(tmp_path)
    server = {"type": "SseServerParams", "url": "http://mcp.example"}
    assert import_classes(assistant(tools=[component("asking_package.Found", "tool", server_params=server)])) == []


def _component_classes() -> Iterator[str]:
    """Every class that `load_component` can load, found in AutoGen's source, so that no extra need be installed."""
    for package in (autogen_core, autogen_agentchat, autogen_ext):
        for file in Path(package.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef) and any(
                    isinstance(base, ast.Subscript) and ast.unparse(base.value) == "Component" for base in node.bases
                ):
                    yield node.name


def test_every_component_of_autogen_is_known() -> None:
    """A class of a new version is reviewed before it is allowed."""
    classes = set(_component_classes()) - {"MyComponent"}
    assert len(classes) > 40
    assert classes <= HARMLESS | EFFECTS.keys()
    assert not HARMLESS & EFFECTS.keys()
    assert RUNS_CODE - {"CodeExecutor"} <= EFFECTS.keys()


_KEYS: Final = st.sampled_from(["provider", "config", "name", "component_type", "tools", "x", "$ref", "$defs", "__x"])
_NAMES: Final = st.sampled_from(
    [*HOSTILE, *NOT_OURS, *CODE, "autogen_agentchat.agents.AssistantAgent", "OpenAIChatCompletionClient", "mycompany.X"]
)
_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | _NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(document=_JSON, providers=st.sampled_from([(), ("mycompany",)]))
def test_components_that_pass_name_allowed_classes_only(document: object, providers: tuple[str, ...]) -> None:
    """Checked independently, on each text with the key `provider` at any depth."""
    team: Json = {"provider": "autogen_agentchat.agents.AssistantAgent", "config": {"name": "A", "anything": document}}
    before = copy.deepcopy(team)
    with watched() as done:
        problems = find_problems(team, providers=providers)
    assert not done
    assert team == before
    named = [value for key, value in _pairs(document) if key == "provider" and isinstance(value, str)]
    bad = [name for name in named if not _may_load(name, providers)]
    if bad:
        assert problems
    if not problems:
        assert all(effect_of(place.provider, place.config) is None for place in components(team))


def _may_load(name: str, providers: tuple[str, ...]) -> bool:
    if name == "OpenAIChatCompletionClient":
        return True
    return (is_autogens(name) and name.rpartition(".")[2] in HARMLESS) or name.split(".")[0] in providers


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, item
            yield from _pairs(item)
    elif isinstance(value, list):
        for item in value:
            yield from _pairs(item)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(document=_JSON)
def test_any_json_loads_or_is_refused_in_lines(tmp_path: Path, document: object) -> None:
    for whole in (document, round_robin(assistant("A", replay("x"))) | {"config": document}):
        path = tmp_path / "any.json"
        path.write_text(json.dumps(whole), "utf-8")
        problems: tuple[str, ...] = ("nothing is wrong",)
        try:
            load(path, Models({}))
        except ConfigError as exc:
            problems = tuple(exc.problems)
        assert problems
        assert all("\n" not in problem for problem in problems)
