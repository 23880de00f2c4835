"""Which of the demo model's skills answers a request: decided from the request alone."""

from aiostream_server.models.demo import analyst, assistant, charts, classifier, role, sql_agent
from aiostream_server.models.demo.conversation import Conversation, read
from aiostream_server.models.demo.speech import Reply
from aiostream_server.models.provider import ModelRequest


def decide(request: ModelRequest) -> Reply:
    """The whole reply of one model call."""
    conversation = read(request)
    if classifier.asked(conversation, json_output=bool(request.json_output)):
        return classifier.answer(conversation)
    if conversation.tools >= sql_agent.TOOLS:
        return sql_agent.answer(conversation)
    return _without_database(conversation)


def _without_database(conversation: Conversation) -> Reply:
    # An agent that reflects on its tools is given their results, but not the tools again.
    if assistant.TOOL in conversation.tools or conversation.result(assistant.TOOL):
        return assistant.answer(conversation)
    if charts.TOOL in conversation.tools and (drawn := charts.answer(conversation)):
        return drawn
    return analyst.answer(conversation) or role.answer(conversation)
