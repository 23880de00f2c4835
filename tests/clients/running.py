"""Runs a client's program against a real server, whose team's model is a provider that counts its calls.

All scenarios of a program run at once. The provider finds the scenario's name in the question; `_reply` says what it
does then.
"""

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiostream_server.config.model import ServerConfig, TeamConfig
from tests.kit.needs import CLIENTS
from tests.kit.scripted_provider import (
    BreakOff,
    Call,
    Exchange,
    HttpError,
    Reply,
    ScriptedAnswer,
    ScriptedProvider,
    Stall,
)
from tests.kit.serving import config_for, sample_team, serving
from tests.kit.strict_openai import why_refused
from tests.kit.waiting import DEADLINE_S

_DEADLINE_S: Final = 3 * DEADLINE_S  # LiteLLM alone takes seconds of CPU to import
_ROOT: Final = Path(__file__).parents[2]
PROGRAMS: Final = Path(__file__).with_name("programs")
_PROGRAM_OF: Final = {
    "openai": "ask_openai.py",
    "langchain-openai": "ask_langchain.py",
    "pydantic-ai": "ask_pydantic_ai.py",
    "litellm": "ask_litellm.py",
    "openai-node": "ask_openai.mjs",
    "ai-sdk": "ask_ai_sdk.mjs",
}
NAMES: Final = tuple(_PROGRAM_OF)
_RESPONDING: Final = {
    "openai": "respond_openai.py",
    "agents": "respond_agents.py",
    "langchain-openai": "respond_langchain.py",
    "pydantic-ai": "respond_pydantic_ai.py",
    "litellm": "respond_litellm.py",
    "openai-node": "respond_openai.mjs",
    "ai-sdk": "respond_ai_sdk.mjs",
}
RESPONDING: Final = tuple(_RESPONDING)
"""Clients that speak Responses."""
FAILURES: Final[Mapping[str, HttpError]] = {
    "broken": HttpError(500, {"error": {"message": "out of order"}}),
    "limited": HttpError(429, {"error": {"message": "too many requests"}}),
    "no_credit": HttpError(429, {"error": {"message": "no credit is left", "code": "insufficient_quota"}}),
    "refused": HttpError(401, {"error": {"message": "wrong key"}}),
    "too_long": HttpError(400, {"error": {"message": "maximum context length", "code": "context_length_exceeded"}}),
}
"""What the provider answers, always, by scenario."""

_MODELS: Final = {
    "AIOSTREAM_MODEL": "solo",
    "AIOSTREAM_TOOL_MODEL": "with-tool",
    "AIOSTREAM_MODEL_WITH_TOOLS": "model",
}
REGION: Final = {"name": "North", "total": 42}
_RESPONSES: Final = "responses_"  # before the name of a scenario of a program that runs together with another
_SCENARIO: Final = re.compile(r"<(\w+)>")


@dataclass(frozen=True, slots=True)
class Told:
    """`outcomes` by scenario, as the client saw them; `calls` by scenario, as the provider counted them."""

    outcomes: Mapping[str, Mapping[str, Any]]
    calls: Mapping[str, int]
    provider_saw_cancel: bool


def _scenario(exchange: Exchange) -> str:
    return _named(exchange.body)


def _named(body: Mapping[str, Any]) -> str:
    found = _SCENARIO.search(json.dumps(body["messages"]))
    assert found is not None, body
    return found[1]


def _reply(body: Mapping[str, Any]) -> Reply:
    scenario = _named(body)
    if scenario in FAILURES:
        return FAILURES[scenario]
    match scenario:
        case "broken_stream":
            return FAILURES["broken"]
        case "broken_off":
            return ScriptedAnswer("so far ", BreakOff())
        case "cancel":
            return ScriptedAnswer("one ", Stall())
        case _ if scenario.startswith("tools"):
            return _calling(body)
        case _ if scenario.startswith("typed"):
            return _typed(body)
        case _:  # words, also where a form is wanted
            return ScriptedAnswer("Hel", "lo.")


def _calling(body: Mapping[str, Any]) -> Reply:
    """Calls the client's tool `weather` for two cities at once, then answers with its results, in a form if there is a
    tool for that."""
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    if not results:
        cities = enumerate(("Oslo", "Rome"))
        return ScriptedAnswer(*(Call("weather", {"city": city}, f"call_{index}", index) for index, city in cities))
    forms = [name for tool in body.get("tools", ()) if (name := tool["function"]["name"]) != "weather"]
    return ScriptedAnswer(Call(forms[0], REGION, "call_form") if forms else f"It is {' and '.join(results)}.")


def _typed(body: Mapping[str, Any]) -> Reply:
    """The team's agent answers in words. The last call of its model has that answer, and puts it into a form."""
    if tools := body.get("tools"):
        return ScriptedAnswer(Call(tools[0]["function"]["name"], REGION))
    is_last_call = any(message["role"] == "assistant" for message in body["messages"])
    return ScriptedAnswer(json.dumps(REGION) if is_last_call else "North leads, with 42.")


def _responding(body: Mapping[str, Any]) -> Reply:
    """Scenarios of `RESPONDING`: a client may put its own name before that of the scenario."""
    scenario, last = _named(body).removeprefix(_RESPONSES).removeprefix("framework_"), body["messages"][-1]
    match scenario:
        case "own_tool" | "specification":
            return (
                ScriptedAnswer("Rain.") if last["role"] == "tool" else ScriptedAnswer(Call("weather", {"city": "Rome"}))
            )
        case "client_tool":
            return (
                ScriptedAnswer("It is 4.") if last["role"] == "tool" else ScriptedAnswer(Call("add", {"a": 2, "b": 2}))
            )
        case "chain":
            asked = sum(message["role"] == "user" for message in body["messages"])
            return ScriptedAnswer(f"Asked {asked} times.")
        case _:
            return FAILURES.get(scenario, ScriptedAnswer("Hel", "lo."))


async def run_client(name: str, folder: Path) -> tuple[Told, Told]:
    """The scenarios of one client, each once: those of chat completions, and those of Responses.

    Python's run in one process: LiteLLM alone takes four seconds of CPU time to import.
    """
    asking, responding = _PROGRAM_OF.get(name), _RESPONDING.get(name)
    if asking is None or responding is None or not asking.endswith(".py"):
        nothing = Told({}, {}, provider_saw_cancel=False)
        return (
            nothing if asking is None else await _run(name, (asking,), _reply, folder),
            nothing if responding is None else await _run(name, (responding,), _responding, folder),
        )
    programs = ("together.py", *(file.removesuffix(".py") for file in (asking, responding)))
    told = await _run(name, programs, _replying_to_both, folder)
    ours = [scenario for scenario in told.outcomes if scenario.startswith(_RESPONSES)]
    return (
        Told(
            {key: said for key, said in told.outcomes.items() if key not in ours}, told.calls, told.provider_saw_cancel
        ),
        Told(
            {key.removeprefix(_RESPONSES): told.outcomes[key] for key in ours},
            {key.removeprefix(_RESPONSES): told.calls.get(key, 0) for key in ours},
            provider_saw_cancel=False,
        ),
    )


def _replying_to_both(body: Mapping[str, Any]) -> Reply:
    return (_responding if _named(body).startswith(_RESPONSES) else _reply)(body)


async def _run(name: str, program: Sequence[str], reply: Callable[[Mapping[str, Any]], Reply], folder: Path) -> Told:
    async with ScriptedProvider(why_refused) as provider:
        provider.script(reply)
        # On a busy machine the AI SDK's repetitions come late.
        memory = ServerConfig(failure_memory_s=_DEADLINE_S)
        solo = sample_team("solo", presentation="answer", output_tools=True)  # LangChain and pydantic-ai force calls
        with_tool = sample_team("with_tool")
        model = TeamConfig(id="model", kind="assistant")
        async with serving(config_for(provider.base_url, solo, with_tool, model, server=memory), folder) as server:
            file, *arguments = program
            started = await start_program(CLIENTS / name, PROGRAMS / file, f"{server.url}/v1", *arguments, **_MODELS)
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    outcomes = await outcomes_of(started)
                closed = [await is_closed(each) for each in provider.exchanges if _scenario(each) == "cancel"]
            finally:
                if started.returncode is None:
                    started.kill()
                await started.communicate()
        return Told(outcomes, Counter(map(_scenario, provider.exchanges)), closed == [True])


async def is_closed(exchange: Exchange) -> bool:
    """Whether the server closes the call of the model in time."""
    try:
        await asyncio.wait_for(exchange.closed.wait(), DEADLINE_S)
    except TimeoutError:
        return False
    return True


async def start_program(
    folder: Path, program: Path, base_url: str, *arguments: str, **more: str
) -> asyncio.subprocess.Process:
    """A program of the client that is installed in `folder`."""
    if program.suffix == ".py":
        command = [f"{folder}/bin/python", "-m", f"tests.clients.programs.{program.stem}", *arguments]
    else:  # a program on the command line finds its imports from the working directory
        command = ["node", "--input-type=module", "--eval", _source(program)]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "PYTHON"))}
    told = {"AIOSTREAM_BASE_URL": base_url, "AIOSTREAM_FAILURES": " ".join(FAILURES), **more}
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=_ROOT if program.suffix == ".py" else folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={
            **inherited,
            **told,
            "NO_PROXY": "127.0.0.1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },  # it would fetch prices
    )


def _source(program: Path) -> str:
    return program.read_text("utf-8")


async def outcomes_of(program: asyncio.subprocess.Process) -> dict[str, dict[str, Any]]:
    """What it tells of each scenario."""
    assert program.stdout is not None
    outcomes: dict[str, dict[str, Any]] = {}
    async for line in program.stdout:
        if line.startswith(b"{"):
            told = json.loads(line)
            if told["scenario"] == "end":
                return outcomes
            outcomes[told.pop("scenario")] = told
    raise AssertionError(f"the program ended early, after {sorted(outcomes)}")
