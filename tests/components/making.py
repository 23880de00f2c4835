"""Small component JSON, with the keys of AutoGen's `dump_component()` that loading needs."""

import json
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

OPENAI: Final = "autogen_ext.models.openai.OpenAIChatCompletionClient"
AGENTS: Final = "autogen_agentchat.agents"
TEAMS: Final = "autogen_agentchat.teams"
INFO: Final[Json] = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "family": "unknown",
    "structured_output": True,
}
SAY_PWNED: Final = "from pathlib import Path\nPath({path!r}).write_text('pwned')\n"


def component(provider: str, kind: str, /, **config: Any) -> Json:
    return {"provider": provider, "component_type": kind, "config": config}


def openai(model: str = "gpt-4o-mini", **config: Any) -> Json:
    return component(OPENAI, "model", model=model, **config)


def replay(*words: str) -> Json:
    return component(
        "autogen_ext.models.replay.ReplayChatCompletionClient",
        "replay_chat_completion_client",
        chat_completions=list(words),
        model_info=INFO,
    )


def assistant(name: str = "Helper", client: Json | None = None, **config: Any) -> Json:
    return component(
        f"{AGENTS}.AssistantAgent",
        "agent",
        name=name,
        description="Helps.",
        model_client=client or openai(),
        reflect_on_tool_use=False,
        tool_call_summary_format="{result}",
        **config,
    )


def round_robin(*agents: Json, **config: Any) -> Json:
    return component(f"{TEAMS}.RoundRobinGroupChat", "team", participants=list(agents), **{"max_turns": 1, **config})


def selector(*agents: Json, client: Json | None = None, **config: Any) -> Json:
    config = {"selector_prompt": "{roles} {participants} {history}", "allow_repeated_speaker": False, **config}
    settings = {"participants": list(agents), "model_client": client or openai(), "max_turns": 2, **config}
    return component(f"{TEAMS}.SelectorGroupChat", "team", **settings)


def workbench(*tools: Json) -> Json:
    return component("autogen_core.tools.StaticWorkbench", "workbench", tools=list(tools))


def function_tool(source: str, name: str = "f", imports: list[Any] | None = None) -> Json:
    return component(
        "autogen_core.tools.FunctionTool",
        "tool",
        source_code=source,
        name=name,
        description="Does it.",
        global_imports=imports or [],
        has_cancellation_support=False,
    )


def written(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), "utf-8")
    return path
