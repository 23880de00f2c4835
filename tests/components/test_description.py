"""The description of a component that is not loaded yet."""

from aiostream_server.teams.components.description import describe, own_description
from aiostream_server.teams.components.reading import title_of
from tests.components.making import (
    Json,
    assistant,
    component,
    function_tool,
    openai,
    replay,
    round_robin,
    selector,
    workbench,
)


def condition(name: str, **config: object) -> Json:
    return component(f"autogen_agentchat.conditions.{name}", "termination", **config)


def test_a_team_with_everything() -> None:
    either = component(
        "autogen_agentchat.base.OrTerminationCondition",
        "termination",
        conditions=[
            condition("TextMentionTermination", text="DONE"),
            condition("MaxMessageTermination", max_messages=9),
        ],
    )
    inner = round_robin(assistant("Inner", openai("gpt-4o", api_key="**********")), name="Crew")
    society = component(
        "autogen_agentchat.agents.SocietyOfMindAgent", "agent", name="Society", team=inner, model_client=openai("o4")
    )
    mcp = component(
        "autogen_ext.tools.mcp.McpWorkbench",
        "workbench",
        server_params={"type": "SseServerParams", "url": "http://mcp/x"},
    )
    aide = component("autogen_agentchat.tools.AgentTool", "tool", agent=assistant("Aide", replay("x")))
    boss = assistant(
        "Boss",
        openai("gpt-4o", api_key="k", base_url="http://h/v1"),
        workbench=[workbench(function_tool("def f(): pass", "search"), aide), mcp],
        handoffs=["Society", {"target": "user"}],
    )
    assert list(describe(selector(boss, society, termination_condition=either, max_turns=4))) == [
        "kind    SelectorGroupChat",
        "agent   Boss: AssistantAgent, model gpt-4o, tools search, Aide, http://mcp/x, hands over to Society, user",
        "agent   Aide: AssistantAgent, model unnamed, inside Boss",
        "agent   Society: SocietyOfMindAgent, model o4",
        "agent   Inner: AssistantAgent, model gpt-4o, inside Crew",
        "tool    search (FunctionTool of Boss)",
        "tool    Aide (AgentTool of Boss)",
        "tool    http://mcp/x (McpWorkbench of Boss)",
        "model   gpt-4o (OpenAIChatCompletionClient at http://h/v1, with its own key)",
        "model   unnamed (ReplayChatCompletionClient)",
        "model   gpt-4o (OpenAIChatCompletionClient, its key is masked)",
        "model   o4 (OpenAIChatCompletionClient)",
        "model   gpt-4o-mini (OpenAIChatCompletionClient)",
        'ends    when "DONE" is said, or after 9 messages, the question included, or after 4 turns',
    ]


def test_wrong_types_are_described_as_far_as_they_can_be() -> None:
    """The loader will report them."""
    odd = component(
        "autogen_agentchat.agents.AssistantAgent", "agent", name=7, model_client=[], handoffs=3, tools={"a": 1}
    )
    agent = "agent   AssistantAgent: AssistantAgent"
    assert list(describe(odd)) == ["kind    AssistantAgent", agent, "ends    when its agents are done"]
    assert agent in describe({**odd, "component_type": ["x"]})
    assert title_of({**odd, "label": 3}) == ""
    endless = component(
        "autogen_agentchat.teams.RoundRobinGroupChat", "team", participants=None, termination_condition=7
    )
    assert "ends    never by itself" in describe(endless)
    assert "ends    when its agents are done" in describe(assistant())


def test_only_a_description_of_its_own_counts() -> None:
    """AutoGen writes the docstring of the class into components without a description."""
    team = round_robin(assistant())
    ours = "A team that runs a group chat with participants taking turns in a round-robin fashion\n    to publish"
    assert own_description({**team, "description": ours}) == ""
    assert (
        own_description({**team, "description": "Answers  questions\nabout orders."})
        == "Answers questions about orders."
    )
    assert own_description({**team, "description": None}) == ""
