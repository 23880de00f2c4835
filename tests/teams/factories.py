"""Factories for the catalogue's tests."""

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.replay import ReplayChatCompletionClient

from aiostream_server.teams.context import TeamContext

NOT_CALLABLE = 7


def sync(_: TeamContext) -> AssistantAgent:
    return AssistantAgent("Sync", ReplayChatCompletionClient(["hi"]))


async def later(_: TeamContext) -> AssistantAgent:
    return AssistantAgent("Later", ReplayChatCompletionClient(["hi"]))


def wrong(_: TeamContext) -> object:
    return 7


def with_a_database(context: TeamContext) -> AssistantAgent:
    context.database("sale")
    return sync(context)
