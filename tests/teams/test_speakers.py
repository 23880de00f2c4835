"""Each agent is shown once, under its own name, at any place in a team; and the answer is the right agent's."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, MessageFilterAgent, MessageFilterConfig, SocietyOfMindAgent
from autogen_agentchat.base import ChatAgent, Team
from autogen_agentchat.teams import MagenticOneGroupChat, RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool

from aiostream_server.config.model import TeamConfig
from aiostream_server.teams.autogen_private.fresh_team import name_speakers
from aiostream_server.teams.autogen_private.team_facts import agent_names, answerers
from tests.examples.telling import OTHERS, Story
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, config_for, serving
from tests.teams.kinds import saying

CODE = "I count.\n```python\nprint(1+1)\n```\n"


async def _said(tmp_path: Path, team: str, said: Mapping[str, Sequence[ScriptedAnswer]]) -> Mapping[str, str]:
    """The texts by presentation."""
    texts: dict[str, str] = {}
    async with ScriptedProvider() as provider:
        served = TeamConfig(id="team", factory=f"tests.teams.speaking_teams:{team}")
        stories = iter([Story((), said).told(), Story((), said).told()])
        telling = [next(stories)]
        provider.script(lambda request: telling[-1](request))
        async with serving(config_for(provider.base_url, served), tmp_path) as server:
            for presentation in ("transcript", "answer"):
                answer = await ask(server.url, "go", model="team", headers={"X-Presentation": presentation})
                assert (answer.errors, answer.finish_reasons) == ([], ["stop"])
                texts[presentation] = answer.text
                telling += stories
    return texts


def _tool_call(tool: str, arguments: str) -> str:
    return f"<details>\n<summary>⚡ {tool}</summary>\n\n```text\n{arguments}\n```\n\n</details>\n\n"


def _answered(tool: str) -> str:
    return f"<details>\n<summary>📦 {tool} answered</summary>\n\n*nothing more*\n\n</details>"


def _ran(exit_code: int, output: str) -> str:
    return f"<details>\n<summary>📦 python: exit code {exit_code}</summary>\n\n```text\n{output}\n```\n\n</details>"


def _ledger(*, done: bool) -> ScriptedAnswer:
    entries = {
        "is_request_satisfied": done,
        "is_in_loop": False,
        "is_progress_being_made": True,
        "next_speaker": "Worker",
        "instruction_or_question": "Work!",
    }
    return ScriptedAnswer(json.dumps({name: {"reason": "so", "answer": answer} for name, answer in entries.items()}))


_HELPER = {
    "Boss": [ScriptedAnswer(Call("Helper", {"task": "add"})), ScriptedAnswer("It is ", "4.")],
    "Helper": [ScriptedAnswer("fo", "ur")],
}
_CITIES = ScriptedAnswer(
    Call("Paris", {"task": "weather"}, call_id="a", index=0), Call("Rome", {"task": "weather"}, call_id="b", index=1)
)


@pytest.mark.parametrize(
    ("team", "said", "transcript", "answer"),
    [
        (
            "one_helper",
            _HELPER,
            _tool_call("Helper", "add")
            + "💬 **Helper**\n\nfour\n\n"
            + _answered("Helper")
            + "\n\n✅ **Boss**\n\nIt is 4.",
            "It is 4.",
        ),
        (
            "helper_answers",
            _HELPER,
            _tool_call("Helper", "add") + "💬 **Helper**\n\nfour\n\n" + _answered("Helper"),
            "four",
        ),
        (
            "two_helpers",
            {
                "Boss": [_CITIES, ScriptedAnswer("Both fine.")],
                "Paris": [ScriptedAnswer("rain ", "all ", "day", pause_s=0.01)],
                "Rome": [ScriptedAnswer("sun ", "all ", "day", pause_s=0.01, before_s=0.05)],
            },
            _tool_call("Paris", "weather")
            + _tool_call("Rome", "weather")
            + "💬 **Paris**\n\nrain all day\n\n💬 **Rome**\n\nsun all day\n\n"
            + f"{_answered('Paris')}\n\n{_answered('Rome')}\n\n✅ **Boss**\n\nBoth fine.",
            "Both fine.",
        ),
        (
            "team_of_helpers",
            {
                "nobody": [ScriptedAnswer("Writer")],
                "Boss": [ScriptedAnswer(Call("write", {"task": "poem"})), ScriptedAnswer("Here ", "it is.")],
                "Writer": [ScriptedAnswer("a ", "poem")],
                "Other": [ScriptedAnswer("Th", "anks.")],
            },
            _tool_call("write", "poem")
            + f"💬 **Writer**\n\na poem\n\n{_answered('write')}\n\n"
            + "💬 **Boss**\n\nHere it is.\n\n💬 **Other**\n\nThanks.",
            "Thanks.",
        ),
        (
            "helper_of_a_helper",
            {
                "Boss": [ScriptedAnswer(Call("Helper", {"task": "ask"}, call_id="a")), ScriptedAnswer("Do", "ne.")],
                "Helper": [ScriptedAnswer(Call("Society", {"task": "think"}, call_id="b"))],
                "Inner": [ScriptedAnswer("in", "ner")],
                "Society": [ScriptedAnswer("to", "gether")],
            },
            _tool_call("Helper", "ask")
            + _tool_call("Society", "think")
            + f"💬 **Inner**\n\ninner\n\n💬 **Society**\n\ntogether\n\n{_answered('Society')}\n\n"
            + f"{_answered('Helper')}\n\n✅ **Boss**\n\nDone.",
            "Done.",
        ),
        (
            "filtered",
            {"Inner": [ScriptedAnswer("in", "ner")], "Next": [ScriptedAnswer("ne", "xt")]},
            "💬 **Inner**\n\ninner\n\n💬 **Next**\n\nnext",
            "next",
        ),
        (
            "lone_society",
            {"Inner": [ScriptedAnswer("in", "ner")], "Society": [ScriptedAnswer("to", "gether")]},
            "💬 **Inner**\n\ninner\n\n✅ **Society**\n\ntogether",
            "together",
        ),
    ],
)
async def test_agents_are_shown_once_under_their_own_names(
    tmp_path: Path, team: str, said: Mapping[str, Sequence[ScriptedAnswer]], transcript: str, answer: str
) -> None:
    assert await _said(tmp_path, team, said) == {"transcript": transcript, "answer": answer}


async def test_an_orchestrator_streams_its_answer(tmp_path: Path) -> None:
    plan = [ScriptedAnswer("the facts"), ScriptedAnswer("the plan"), _ledger(done=False), _ledger(done=True)]
    said = {OTHERS: [*plan, ScriptedAnswer("It ", "is ", "42.")], "Worker": [ScriptedAnswer("found ", "42")]}
    texts = await _said(tmp_path, "magentic", said)
    assert texts["transcript"].startswith("🤔 **MagenticOneOrchestrator**\n\nWe are working")
    heading = "**MagenticOneOrchestrator**"
    assert texts["transcript"].endswith(
        f"🤔 {heading}\n\nWork!\n\n💬 **Worker**\n\nfound 42\n\n✅ {heading}\n\nIt is 42."
    )
    assert texts["answer"] == "It is 42."


@pytest.mark.filterwarnings("ignore:Using LocalCommandLineCodeExecutor:UserWarning")
async def test_code_is_shown_once_and_what_it_printed_with_its_exit_code(tmp_path: Path) -> None:
    texts = await _said(
        tmp_path, "coder", {"Coder": [ScriptedAnswer(*CODE.splitlines(keepends=True)), ScriptedAnswer("It ", "is 2.")]}
    )
    assert texts["transcript"] == f"✅ **Coder**\n\n{CODE}\n\n{_ran(0, '2')}\n\n✅ **Coder**\n\nIt is 2."
    assert texts["answer"].endswith("It is 2.")


@pytest.mark.filterwarnings("ignore:Using LocalCommandLineCodeExecutor:UserWarning")
async def test_what_a_runners_code_printed_is_a_code_block(tmp_path: Path) -> None:
    texts = await _said(tmp_path, "writer_and_runner", {"Writer": [ScriptedAnswer(CODE)]})
    assert texts["transcript"] == f"💬 **Writer**\n\n{CODE}\n\n💬 **Runner**\n\n```\n2\n```"
    assert texts["answer"] == "```\n2\n```"


def _agent(name: str, **settings: Any) -> AssistantAgent:
    return AssistantAgent(name, saying("x"), **settings)


def test_the_agents_that_answer_without_answer_from() -> None:
    society = SocietyOfMindAgent("S", RoundRobinGroupChat([_agent("I")]), saying("x"))
    wrapped = MessageFilterAgent("F", _agent("W"), MessageFilterConfig(per_source=[]))
    pair: list[ChatAgent | Team] = [_agent("A"), _agent("B")]
    assert answerers(_agent("A", tools=[AgentTool(_agent("T"))])) == {"A"}
    assert answerers(RoundRobinGroupChat([_agent("A")])) == {"A"}
    assert answerers(RoundRobinGroupChat([society])) == {"S"}
    assert answerers(wrapped) == {"W"}
    assert answerers(RoundRobinGroupChat(pair)) == frozenset()
    assert answerers(MagenticOneGroupChat([_agent("A")], saying("x"))) == {"MagenticOneOrchestrator"}
    assert answerers(object()) == frozenset()


def test_the_names_of_all_speakers() -> None:
    wrapped = MessageFilterAgent("F", _agent("W"), MessageFilterConfig(per_source=[]))
    society = SocietyOfMindAgent("S", RoundRobinGroupChat([_agent("I")]), saying("x"))
    members: list[ChatAgent | Team] = [_agent("A", tools=[AgentTool(society)]), wrapped]
    assert agent_names(RoundRobinGroupChat(members)) == {"A", "S", "I", "F", "W"}
    assert agent_names(MagenticOneGroupChat([_agent("A")], saying("x"))) == {"A", "MagenticOneOrchestrator"}


def test_other_model_clients_are_not_changed() -> None:
    client = saying("x")
    lone = AssistantAgent("A", client)
    name_speakers(lone)
    assert lone._model_client is client
