"""The private names of AutoGen that the package uses exist in the pinned version, and stand in one folder.

`PRIVATE` lists them, each with what breaks when it is gone. A scan of `teams/autogen_private` checks that the list is
complete; a scan of all other files checks that none of them uses a private name of another library, but for `ALLOWED`.
"""

import ast
import re
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from inspect import isawaitable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from aiohttp import web
from autogen_agentchat.agents import (
    AssistantAgent,
    CodeExecutorAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import MessageFactory
from autogen_agentchat.teams import (
    BaseGroupChat,
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_agentchat.tools import AgentTool
from autogen_core import MessageHandlerContext, RoutedAgent, SingleThreadedAgentRuntime
from autogen_core.tools import FunctionTool, StaticWorkbench
from autogen_ext.code_executors.docker import DockerCommandLineCodeExecutor
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.tools.code_execution import PythonCodeExecutionTool
from autogen_ext.tools.langchain import LangChainToolAdapter
from autogen_ext.tools.mcp import McpSessionActor, McpWorkbench, StdioServerParams
from langchain_core.tools import StructuredTool
from opentelemetry import trace
from opentelemetry.trace import ProxyTracer

from tests.kit.modules import PACKAGE, modules
from tests.teams.kinds import saying

FOLDER: Final = "teams/autogen_private"
AIOHTTP_PRIVATE: Final = "aiohttp_private.py"  # `tests/test_aiohttp_private.py` shows what its names are for


def _agent(name: str = "A", **settings: Any) -> AssistantAgent:
    return AssistantAgent(name, saying("a"), **settings)


def _tool() -> FunctionTool:
    def look() -> str:
        return ""

    return FunctionTool(look, name="look", description="looks")


def _group() -> RoundRobinGroupChat:
    return RoundRobinGroupChat([_agent()], max_turns=1)


def _selector() -> SelectorGroupChat:
    return SelectorGroupChat([_agent("A"), _agent("B")], saying("A"))


def _graph() -> GraphFlow:
    agent = _agent()
    return GraphFlow([agent], DiGraphBuilder().add_node(agent).build())


def _filter() -> MessageFilterAgent:
    return MessageFilterAgent("F", _agent(), MessageFilterConfig(per_source=[]))


def _executor() -> LocalCommandLineCodeExecutor:
    return LocalCommandLineCodeExecutor()


def _mcp() -> McpWorkbench:
    return McpWorkbench(StdioServerParams(command="true"))


def _society() -> SocietyOfMindAgent:
    return SocietyOfMindAgent("S", _group(), saying("a"))


def _magentic() -> MagenticOneGroupChat:
    return MagenticOneGroupChat([_agent()], saying("a"))


def _person() -> UserProxyAgent:
    return UserProxyAgent("U")


async def _manager(team: BaseGroupChat | None = None) -> object:
    """The group chat manager of a team on AutoGen's runtime."""
    team = team or _group()
    await team.save_state()
    return next(
        agent for agent in vars(team._runtime)["_instantiated_agents"].values() if hasattr(agent, "_message_thread")
    )


async def _manager_of_selector() -> object:
    return await _manager(_selector())


async def _manager_of_swarm() -> object:
    return await _manager(Swarm([_agent()]))


async def _orchestrator() -> object:
    return await _manager(_magentic())


async def _manager_of_graph() -> object:
    return await _manager(_graph())


async def _fifo_lock() -> object:
    return vars(await _manager())["_fifo_lock"]


async def _run_context() -> object:
    runtime = SingleThreadedAgentRuntime()
    runtime.start()
    context = vars(runtime)["_run_context"]
    await runtime.stop()
    return context


def _langchain_tool() -> StructuredTool:
    def look() -> str:
        """Looks."""
        return ""

    return StructuredTool.from_function(look)


class Private(NamedTuple):
    """`owner` makes the object or class that has the name; `breaks` completes "without it, ..."."""

    owner: Callable[[], object | Awaitable[object]]
    breaks: str


_GOES_NOT_ON: Final = "a group chat does not go on with the results of the client's tools"

PRIVATE: Final[dict[str, Private]] = {
    # The structure of teams and agents
    "_participants": Private(_group, "a group chat looks like a lone agent, so its speakers are not found"),
    "_team": Private(_society, "agents in a society are not named, and Stop does not end them"),
    "_wrapped_agent": Private(_filter, "agents in a MessageFilterAgent are not named"),
    "_model_client": Private(_agent, "agents speak under no name or a wrong one"),
    "_workbench": Private(_agent, "tools, agents in tools and MCP workbenches are not found"),
    "_tools": Private(lambda: StaticWorkbench([_tool()]), "tools, and agents in tools, are not found"),
    "_task_runner": Private(lambda: AgentTool(_agent()), "agents in tools are not named"),
    "_func": Private(_tool, "a run cannot list the tools that AutoGen runs in threads, and fails"),
    "_handoffs": Private(_agent, "`teams show` lists no handoffs"),
    "_termination_condition": Private(_group, "`teams show` does not say when the team ends"),
    "_conditions": Private(
        lambda: MaxMessageTermination(1) | MaxMessageTermination(2), "`teams show` does not say when the team ends"
    ),
    "_max_turns": Private(_group, "`teams show` does not say when the team ends"),
    "_graph": Private(_graph, "`teams show` lists no edges of a GraphFlow"),
    "_selector_func": Private(_selector, "`teams show` names a model as selector where a function selects"),
    "_final_answer_prompt": Private(_magentic, "Magentic-One teams cannot be built"),
    "_is_async": Private(_person, "a UserProxyAgent blocks the event loop and reads standard input"),
    # What a run needs of the runtime
    "_runtime": Private(_group, "teams keep AutoGen's runtime, and Stop does not end their tasks"),
    "_background_tasks": Private(SingleThreadedAgentRuntime, "Stop does not end a tool call on AutoGen's runtime"),
    "_instantiated_agents": Private(SingleThreadedAgentRuntime, "a reply does not reach the agent that asked"),
    "_group_chat_manager_topic_type": Private(_group, "a reply does not reach the agent that asked"),
    "_message_thread": Private(_manager, "a reply does not reach the agent that asked"),
    # The results of the client's tools
    "_group_topic_type": Private(_manager, _GOES_NOT_ON),
    "_participant_name_to_topic_type": Private(_manager, _GOES_NOT_ON),
    "_participant_names": Private(_manager, _GOES_NOT_ON),
    "_active_speakers": Private(_manager, _GOES_NOT_ON),
    "_next_speaker_index": Private(_manager, "without kept state the caller of a round robin speaks twice"),
    "_previous_speaker": Private(_manager_of_selector, "without kept state a selector may choose the caller again"),
    "_current_speaker": Private(_manager_of_swarm, "without kept state a swarm goes on with its first agent"),
    "_task": Private(_orchestrator, "without kept state Magentic-One does not know what was asked"),
    "_ready": Private(_manager_of_graph, "without kept state a graph flow begins anew"),
    # The replacement of the runtime
    "_embedded_runtime": Private(_group, "teams keep AutoGen's runtime"),
    "_initialized": Private(_group, "teams keep AutoGen's runtime"),
    "_is_running": Private(_group, "teams keep AutoGen's runtime"),
    "_agent_factories": Private(SingleThreadedAgentRuntime, "teams keep AutoGen's runtime"),
    "_intervention_handlers": Private(SingleThreadedAgentRuntime, "teams keep AutoGen's runtime"),
    "_tracer_helper": Private(SingleThreadedAgentRuntime, "traced teams lose the spans of their messages"),
    "_tracer": Private(lambda: ProxyTracer("any"), "traced teams lose the spans of their messages"),
    "_TRACER_PROVIDER": Private(lambda: trace, "each run takes 5 us more"),
    "_MESSAGE_HANDLER_CONTEXT": Private(lambda: MessageHandlerContext, "teams keep AutoGen's runtime"),
    "_output_message_queue": Private(_group, "each team takes 2 KiB more"),
    "_message_factory": Private(_group, "each team takes 0.5 KiB more"),
    "_message_types": Private(MessageFactory, "each team takes 0.5 KiB more"),
    "_fifo_lock": Private(_manager, "each agent takes 3 KiB more"),
    "_queue": Private(_fifo_lock, "each agent takes 3 KiB more"),
    "_locked": Private(_fifo_lock, "each agent takes 3 KiB more"),
    "_handlers": Private(_manager, "each agent holds its own copy of its message handlers"),
    "_discover_handlers": Private(lambda: RoutedAgent, "each run takes 0.1 ms more"),
    "_handles_types": Private(lambda: RoutedAgent, "each run takes 0.1 ms more"),
    # The death of inner tasks
    "_execute_tool_call": Private(lambda: AssistantAgent, "a tool call that dies leaves its run waiting"),
    "_handoff_tools": Private(_agent, "a handoff that dies in a thread leaves its run waiting"),
    "_candidate_func": Private(_selector, "a function that names candidates can end the server"),
    "_run_context": Private(SingleThreadedAgentRuntime, "a dead runtime of AutoGen leaves its run waiting"),
    "_run_task": Private(_run_context, "a dead runtime of AutoGen leaves its run waiting"),
    # Tools
    "_args_type": Private(_tool, "no agent can tell its model of its tools"),
    "_strict": Private(_tool, "no agent can tell its model of its tools"),
    "_actor": Private(_mcp, "AutoGen opens MCP workbenches, which are not closed with the run"),
    "_tool_overrides": Private(_mcp, "teams with an McpWorkbench cannot run"),
    "_sampling_callback": Private(lambda: McpSessionActor, "MCP servers get no answer to a sampling request"),
    "_code_executor": Private(lambda: CodeExecutorAgent("C", _executor()), "code executors of agents are not started"),
    "_executor": Private(lambda: PythonCodeExecutionTool(_executor()), "code executors of tools are not started"),
    "_started": Private(_executor, "local code executors are not started"),
    "_running": Private(DockerCommandLineCodeExecutor, "Docker code executors are not started"),
    "_callable": Private(lambda: LangChainToolAdapter(_langchain_tool()), "async tools of LangChain fail"),
}
PRIVATE_MODULES: Final = {
    "autogen_core._component_config": ("WELL_KNOWN_PROVIDERS", "AutoGen's short provider names are refused"),
    "autogen_agentchat.teams._group_chat._base_group_chat_manager": ("class BaseGroupChatManager", _GOES_NOT_ON),
    "autogen_agentchat.teams._group_chat._events": ("class GroupChatRequestPublish", _GOES_NOT_ON),
    "autogen_ext.agents.openai._openai_agent": ("ImageMessage", "pictures of an OpenAIAgent are shown as text"),
}
ALLOWED: Final[dict[str, frozenset[str]]] = {
    "service/steady_loop.py": frozenset({"_unregister_task"}),  # asyncio: documented for task factories
    "service/stray_errors.py": frozenset({"_copy_future_state"}),  # asyncio: a function's name in tracebacks
    "teams/tools/mcp/connection.py": frozenset({"_request_id"}),  # mcp: the id of the next request of a session
    "tools/sql/dialects.py": frozenset(  # sqlglot: its dialects' parsers are written with these
        {"_advance", "_curr", "_find_sql", "_match", "_parse_assignment", "_prev"}
    ),
    "web/undocumented.py": frozenset({"_request_factory"}),  # aiohttp: the app that a connection belongs to
}
"""Private names of other libraries that are used outside the folder."""
AIOHTTP_INTERNALS: Final[dict[str, frozenset[str]]] = {
    AIOHTTP_PRIVATE: frozenset({"aiohttp.client_proto.ResponseHandler"}),
    "models/openai/push_reader.py": frozenset({"aiohttp.client_proto.ResponseHandler"}),
    "sse/writer.py": frozenset({"aiohttp.abc.AbstractStreamWriter"}),
}
"""The modules of aiohttp beside its documented ones, by file."""
BASE_SITE: Final = frozenset(web.BaseSite.__slots__)
PUBLIC_DESPITE_UNDERSCORE: Final = frozenset(
    {"_current_frames", "_asdict", "_replace", "_exit", "_value2member_map_", "_meta"}
)


@pytest.mark.filterwarnings("ignore:Using LocalCommandLineCodeExecutor", "ignore:No approval function")
@pytest.mark.parametrize("name", PRIVATE)
async def test_each_private_name_exists_in_the_pinned_version(name: str) -> None:
    made = PRIVATE[name].owner()
    owner = await made if isawaitable(made) else made
    release = version("autogen-agentchat")
    assert hasattr(owner, name), f"AutoGen {release} has no {name}; without it, {PRIVATE[name].breaks}"


@pytest.mark.parametrize("module", PRIVATE_MODULES)
def test_each_private_module_exists_in_the_pinned_version(module: str) -> None:
    """Its source is searched for the name, because importing it may need a package that is not installed."""
    name, breaks = PRIVATE_MODULES[module]
    spec = find_spec(module)
    found = spec is not None and spec.origin is not None and name in Path(spec.origin).read_text("utf-8")
    assert found, f"{module} has no {name}; without it, {breaks}"


def test_the_list_of_private_names_is_complete() -> None:
    found = {name for file in (PACKAGE / FOLDER).glob("*.py") for name in _private_names(modules()[file])}
    assert found == {*PRIVATE, *PRIVATE_MODULES}


def test_no_other_file_uses_a_private_name_of_another_library() -> None:
    own = (PACKAGE / FOLDER, PACKAGE / AIOHTTP_PRIVATE)
    files = [file for file in PACKAGE.rglob("*.py") if not any(map(file.is_relative_to, own))]
    found = {_path(file): names for file in files if (names := frozenset(_private_names(modules()[file])))}
    assert found == ALLOWED


def test_internals_of_aiohttp_are_imported_only_where_they_are_listed() -> None:
    found = {_path(file): names for file in PACKAGE.rglob("*.py") if (names := _aiohttp_internals(modules()[file]))}
    assert found == AIOHTTP_INTERNALS


def _path(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def _private_names(tree: ast.Module) -> Iterator[str]:
    """Private attributes that the file reads, writes or names in a string, but does not define, and private modules.

    A name that the file defines is its own: a method, a class, or an attribute that it assigns to `self`, unless
    aiohttp's `BaseSite` has it: sites are subclasses of that.
    """
    defined = set(_defined_names(tree))
    formatted = (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr))
    parts_of_texts = {part.value for text in formatted for part in text.values if isinstance(part, ast.Constant)}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if _is_private(name) and name not in defined:
                yield name
            case ast.ImportFrom(module=str(module)) if re.search(r"\._", module):
                yield module
            case ast.Constant(value=str(text)) if re.fullmatch(r"autogen\w*(\.\w+)*\._[\w.]+", text):
                yield text
            case ast.Constant(value=str(name)) if _is_private(name) and name not in defined | parts_of_texts:
                yield name


def _is_private(name: str) -> bool:
    return bool(re.fullmatch(r"_[a-z]\w*|_[A-Z]+_[A-Z_]+", name)) and name not in PUBLIC_DESPITE_UNDERSCORE


def _defined_names(tree: ast.Module) -> Iterator[str]:
    bases = [ast.unparse(base) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases]
    inherited = BASE_SITE if "web.BaseSite" in bases else ()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()) if name not in inherited:
                yield name


def _aiohttp_internals(tree: ast.Module) -> frozenset[str]:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return frozenset(
        f"{node.module}.{alias.name}"
        for node in imports
        for alias in node.names
        if str(node.module).startswith("aiohttp.") and node.module != "aiohttp.typedefs"
    )
