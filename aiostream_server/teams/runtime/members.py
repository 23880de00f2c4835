"""The agents of a team's runtime: those that there are, those that are yet to be made, and who hears of what."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from autogen_core import Agent, AgentId, AgentInstantiationContext, AgentRuntime, Subscription, TopicId

from aiostream_server.teams.runtime.agents import remember_handlers, slim

_Make: TypeAlias = Callable[[], Agent | Awaitable[Agent]]


@dataclass(frozen=True, slots=True)
class _Factory:
    make: _Make
    expected: type[Agent] | None = None


def _make_none() -> NoReturn:
    raise RuntimeError("only instances are registered of this type of agent, and none with this key")


_INSTANCES_ONLY: Final = _Factory(_make_none)


class Members:
    """`agents`: those that were made so far, in that order."""

    __slots__ = ("_factories", "_subscribers", "_subscriptions", "agents")

    def __init__(self) -> None:
        self.agents: dict[AgentId, Agent] = {}
        self._factories: dict[str, _Factory] = {}
        self._subscriptions: list[Subscription] = []
        self._subscribers: dict[TopicId, list[AgentId]] = {}

    def knows(self, agent_type: str) -> bool:
        return agent_type in self._factories

    def add_factory(self, agent_type: str, make: _Make, expected: type[Agent] | None) -> None:
        """Have an agent of this type made when it is first needed. Raises ValueError if the type is taken."""
        if self.knows(agent_type):
            raise ValueError(f"Agent with type {agent_type} already exists.")
        if expected is not None:
            remember_handlers(expected)
        self._factories[agent_type] = _Factory(make, expected)

    def check_instance(self, agent_id: AgentId, agent: Agent) -> None:
        """Raises ValueError if there is such an agent, or its type has a factory or agents of another class."""
        if agent_id in self.agents:
            raise ValueError(f"Agent with id {agent_id} already exists.")
        if self._factories.get(agent_id.type, _INSTANCES_ONLY) is not _INSTANCES_ONLY:
            raise ValueError("Agent factories and agent instances cannot be registered to the same type.")
        others = (other for known, other in self.agents.items() if known.type == agent_id.type)
        if any(type(other) is not type(agent) for other in others):
            raise ValueError("Agent instances must be the same object type.")

    def add_instance(self, agent_id: AgentId, agent: Agent) -> None:
        self._factories[agent_id.type] = _INSTANCES_ONLY
        self.agents[agent_id] = agent

    async def agent(self, agent_id: AgentId, runtime: AgentRuntime) -> Agent:
        """The agent, made now if need be.

        Raises LookupError for a type that is not known, ValueError for an agent of another class than expected.
        """
        if (known := self.agents.get(agent_id)) is not None:
            return known
        if (factory := self._factories.get(agent_id.type)) is None:
            raise LookupError(f"Agent with name {agent_id.type} not found.")
        with AgentInstantiationContext.populate_context((runtime, agent_id)):
            made = factory.make()
            agent = await made if inspect.isawaitable(made) else made
        if factory.expected is not None and not isinstance(agent, factory.expected):
            raise ValueError(f"the factory made a {type(agent).__name__}: expected a {factory.expected.__name__}")
        slim(agent, runtime)
        # A factory may hold the team, which holds the runtime. Of each type a team has one agent: no more are made.
        self._factories[agent_id.type] = _INSTANCES_ONLY
        return self.agents.setdefault(agent_id, agent)

    def subscribe(self, subscription: Subscription) -> None:
        """Raises ValueError for one that there is already."""
        if subscription in self._subscriptions:
            raise ValueError("Subscription already exists")
        self._subscriptions.append(subscription)
        self._subscribers.clear()

    def unsubscribe(self, subscription_id: str) -> None:
        """Raises ValueError where there is none."""
        if all(subscription.id != subscription_id for subscription in self._subscriptions):
            raise ValueError("Subscription does not exist")
        self._subscriptions = [known for known in self._subscriptions if known.id != subscription_id]
        self._subscribers.clear()

    def subscribers(self, topic: TopicId) -> list[AgentId]:
        """In the order in which they subscribed; one that did so twice is there twice."""
        found = self._subscribers.get(topic)
        if found is None:
            matching = (subscription for subscription in self._subscriptions if subscription.is_match(topic))
            found = self._subscribers[topic] = [subscription.map_to_agent(topic) for subscription in matching]
        return found
