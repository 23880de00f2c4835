"""A flow with work at the same time, a branch and a loop."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow

from aiostream_server.embed import TeamContext, team


def _is_to_be_rewritten(message: BaseChatMessage) -> bool:
    return "REWRITE" in message.to_model_text()


def _is_done(message: BaseChatMessage) -> bool:
    return not _is_to_be_rewritten(message)


@team(
    examples=["A note on why the sea is salty"],
    roles={"Facts": "validation", "Style": "validation", "Editor": "analysis"},
    answer_from=["Publisher"],
)
def build(context: TeamContext) -> GraphFlow:
    """Newsroom.

    Writes a short note; two reviewers read it at the same time, and the editor has it rewritten or published.
    """

    def agent(name: str, task: str) -> AssistantAgent:
        return AssistantAgent(name, context.model(), system_message=f"You are {name}. {task}")

    writer = agent("Writer", "Write a note of two sentences. If the editor wants it rewritten, do that.")
    facts = agent("Facts", "Say in one sentence whether the facts in the last note are right.")
    style = agent("Style", "Say in one sentence whether the last note reads well.")
    editor = agent("Editor", "Weigh what the reviewers say. Answer REWRITE and why, or PUBLISH.")
    publisher = agent("Publisher", "Give the last note, with a headline, and nothing else.")

    flow = DiGraphBuilder()
    for node in (writer, facts, style, editor, publisher):
        flow.add_node(node)
    flow.set_entry_point(writer)
    flow.add_edge(writer, facts).add_edge(writer, style)
    flow.add_edge(facts, editor).add_edge(style, editor)
    flow.add_edge(editor, writer, condition=_is_to_be_rewritten)
    flow.add_edge(editor, publisher, condition=_is_done)
    return GraphFlow(flow.get_participants(), flow.build(), max_turns=12)
