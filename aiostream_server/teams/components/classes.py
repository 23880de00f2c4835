"""Which of AutoGen's components are harmless, what the others can do to this machine, and what installs them.

`HARMLESS` is an allow-list of autogen 0.7.5's classes that only act on what a model answers. All other classes need
`trusted = true`, also those that later versions add. It lists class names, since one class has several module paths.
"""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from aiostream_server.models.openai.component import own_class

AUTOGEN: Final = ("autogen_core", "autogen_agentchat", "autogen_ext")
OUR_CLIENTS: Final = frozenset(
    f"aiostream_server.models.openai.component.{name}" for name in ("OpenAIChatClient", "AzureOpenAIChatClient")
)

_TEAMS: Final = {"GraphFlow", "MagenticOneGroupChat", "RoundRobinGroupChat", "SelectorGroupChat", "Swarm"}
_AGENTS: Final = {"AssistantAgent", "MessageFilterAgent", "SocietyOfMindAgent", "UserProxyAgent"}
_TOOLS: Final = {
    "AgentTool",
    "HttpTool",
    "McpWorkbench",  # except with servers that it starts: see `_effect_of_settings`
    "SseMcpToolAdapter",
    "StaticStreamWorkbench",
    "StaticWorkbench",
    "StreamableHttpMcpToolAdapter",
    "TeamTool",
}
_CONDITIONS: Final = {
    "AndTerminationCondition",
    "ExternalTermination",
    "FunctionCallTermination",
    "HandoffTermination",
    "MaxMessageTermination",
    "OrTerminationCondition",
    "SourceMatchTermination",
    "StopMessageTermination",
    "TextMentionTermination",
    "TextMessageTermination",
    "TimeoutTermination",
    "TokenUsageTermination",
}
_MEMORY: Final = {
    "BufferedChatCompletionContext",
    "HeadAndTailChatCompletionContext",
    "InMemoryStore",
    "ListMemory",
    "StructuredMessageFactory",
    "TokenLimitedChatCompletionContext",
    "UnboundedChatCompletionContext",
}
_MODELS: Final = {
    "AnthropicChatCompletionClient",
    "AzureOpenAIChatCompletionClient",
    "ChatCompletionCache",
    "OllamaChatCompletionClient",
    "OpenAIChatCompletionClient",
    "ReplayChatCompletionClient",
}
HARMLESS: Final = frozenset(_TEAMS | _AGENTS | _TOOLS | _CONDITIONS | _MEMORY | _MODELS)

_RUN_CODE: Final = {
    "runs the Python code in its source_code, as soon as the file is loaded": ("FunctionTool",),
    "runs whatever Python code a model writes": ("PythonCodeExecutionTool",),
    "runs whatever code a model writes": ("CodeExecutorAgent",),
    "runs programs on this machine": ("JupyterCodeExecutor", "LocalCommandLineCodeExecutor"),
    "runs programs in containers of this machine": ("DockerCommandLineCodeExecutor", "DockerJupyterCodeExecutor"),
    "runs programs in the cloud, with this machine's credentials": (
        "ACADynamicSessionsCodeExecutor",
        "AzureContainerCodeExecutor",
    ),
    "starts the program that its command names": ("McpSessionActor", "StdioMcpToolAdapter"),
}
_DO_MORE: Final = {
    "runs programs in containers of this machine": ("DockerJupyterServer",),
    "uses this machine's Azure credentials": ("AzureAISearchTool", "AzureTokenProvider", "BaseAzureAISearchTool"),
    "uses this machine's AWS credentials": ("AnthropicBedrockChatCompletionClient",),
    "uses this machine's OPENAI_API_KEY": ("OpenAIAgent", "OpenAIAssistantAgent"),
    "starts a browser on this machine, and writes files": ("MultimodalWebSurfer",),
    "reads this machine's files": ("FileSurfer", "LlamaCppChatCompletionClient"),
    "reads and writes this machine's files": ("ChromaDBVectorMemory", "DiskCacheStore", "Mem0Memory"),
    "reads and writes the database that it names": ("RedisMemory", "RedisStore"),
}
EFFECTS: Final[Mapping[str, str]] = {
    name: effect for table in (_RUN_CODE, _DO_MORE) for effect, names in table.items() for name in names
}
"""What other well-known classes do, for the text of the refusal."""

RUNS_CODE: Final = frozenset({"CodeExecutor"}.union(*_RUN_CODE.values()))
"""These, and their subclasses, also need trust where another package has them."""
KNOWN: Final = HARMLESS | EFFECTS.keys()
_EXTRAS: Final = {
    "anthropic": ("anthropic",),
    "azure": ("azure",),
    "canvas": ("unidiff",),
    "chromadb": ("chromadb",),
    "diskcache": ("diskcache",),
    "docker": ("asyncio_atexit", "docker"),
    "docker-jupyter-executor": ("websockets",),
    "file-surfer": ("magika", "markitdown"),
    "graphrag": ("graphrag",),
    "http-tool": ("httpx", "json_schema_to_pydantic"),
    "jupyter-executor": ("ipykernel", "nbclient"),
    "langchain": ("langchain_core",),
    "llama-cpp": ("llama_cpp",),
    "mcp": ("mcp",),
    "mem0": ("mem0",),
    "ollama": ("ollama",),
    "openai": ("aiofiles", "openai", "tiktoken"),
    "redis": ("redis",),
    "redisvl": ("redisvl",),
    "video-surfer": ("cv2", "ffmpeg", "whisper"),
    "web-surfer": ("PIL", "playwright"),
}
"""The modules that each extra of autogen-ext 0.7.5 installs. For other modules no command is suggested: a file could
name a malicious package that only waits to be installed."""
_OF_OPENAI: Final = ("OpenAIChatCompletionClient", "AzureOpenAIChatCompletionClient")
_HTTP_SERVERS: Final = ("SseServerParams", "StreamableHttpServerParams")
_THIS_MACHINE: Final = re.compile(
    r"(https?://)?(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?/?", re.ASCII | re.IGNORECASE
)


def is_autogens(provider: str) -> bool:
    return provider.partition(".")[0] in AUTOGEN


def effect_of(provider: str, config: Mapping[str, Any]) -> str | None:
    """Why a component needs `trusted = true`; None if it does not.

    Classes of packages that the configuration allows need it only if their name is known to run code.
    """
    name = provider.rpartition(".")[2]
    if provider in OUR_CLIENTS:
        return None
    if not is_autogens(provider):
        return EFFECTS.get(name, "runs code") if name in RUNS_CODE else None
    if name in _OF_OPENAI and own_class({"provider": provider, "config": config}) is not None:
        return None  # our client replaces it, and reads no environment variables
    return _effect_of_class(name, config)


def effect_of_base(base: type, config: Mapping[str, Any]) -> str | None:
    """The same for a class of AutoGen that another package imports or subclasses under another name."""
    if not is_autogens(base.__module__) or base.__name__ not in KNOWN:
        return None
    return _effect_of_class(base.__name__, config)


def _effect_of_class(name: str, config: Mapping[str, Any]) -> str | None:
    if name not in HARMLESS:
        return EFFECTS.get(name, "may do more than ask models")
    return _effect_of_settings(name, config)


def _effect_of_settings(name: str, config: Mapping[str, Any]) -> str | None:
    if name in _OF_OPENAI:
        return "sends this machine's OPENAI_API_KEY, or AZURE_OPENAI_API_KEY, to where it says"
    if name == "McpWorkbench":
        server = config.get("server_params")
        if not isinstance(server, Mapping) or server.get("type") not in _HTTP_SERVERS:
            return "starts the program that its command names"
    if name == "AnthropicChatCompletionClient" and config.get("base_url"):
        return "sends this machine's ANTHROPIC_API_KEY, or ANTHROPIC_AUTH_TOKEN, to its base_url"
    if name == "OllamaChatCompletionClient" and not _is_this_machine(config.get("host")):
        return "sends this machine's OLLAMA_API_KEY to its host"
    return None


def _is_this_machine(host: object) -> bool:
    """Also true without a host: Ollama's client then takes the one of the environment."""
    return not host or (isinstance(host, str) and bool(_THIS_MACHINE.fullmatch(host)))


def missing_package(exc: ModuleNotFoundError) -> str:
    """Says which package is missing, and which command installs it."""
    package, _, inside = (exc.name or "").partition(".")
    extra = next((extra for extra, modules in _EXTRAS.items() if package in modules), None)
    if inside and not extra:
        return f"there is no module {exc.name}"
    command = f': pip install "autogen-ext[{extra}]"' if extra else ""
    return f'the Python package "{package}" is not installed{command}'


def is_in_source(provider: str) -> bool:
    """Whether the module of a class exists and contains the name of the class. Imports nothing."""
    package, *inside, name = provider.split(".")
    spec = find_spec(package)  # finding a top-level package imports nothing
    for folder in (spec and spec.submodule_search_locations) or ():
        module = Path(folder, *inside)
        for file in (module.with_suffix(".py"), module / "__init__.py"):
            if file.is_file() and re.search(rf"\b{name}\b", file.read_text("utf-8", "replace")):
                return True
    return False
