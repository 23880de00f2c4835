"""The agents, subscriptions and queues of a `TeamRuntime`, with less memory and CPU per agent than AutoGen takes.

AutoGen's `RoutedAgent` searches all attributes of its class for message handlers, once when it is made and again when
it is registered: 0.2 of the 0.63 ms that the smallest run takes on `TeamRuntime`. Here each class is searched once.
Each agent also holds a copy of what it found, and a lock with an `asyncio.Queue`: 3.6 KiB, which agents share here, or
which an `asyncio.Lock` replaces.

An `asyncio.Queue` takes 2.3 KiB while it is empty. AutoGen's smallest team has three of them, one for its output and
one in the lock of each of its two agents: 7 KiB of the 27 KiB that a waiting team takes on `TeamRuntime`.
"""

import asyncio
import inspect
import weakref
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from autogen_core import (
    Agent,
    AgentId,
    AgentInstantiationContext,
    AgentRuntime,
    RoutedAgent,
    Subscription,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
)

_T = TypeVar("_T")
_Make: TypeAlias = Callable[[], Agent | Awaitable[Agent]]

_FIFO_LOCK: Final = ("FIFOLock", {"_queue", "_locked"})  # the class of AutoGen's lock, and all its attributes
_shared_handlers: Final[WeakKeyDictionary[type, object]] = WeakKeyDictionary()
_searched_once: Final[WeakSet[type]] = WeakSet()


@dataclass(frozen=True, slots=True)
class _AgentFactory:
    make: _Make
    expected: type[Agent] | None = None


class _Subscribed(NamedTuple):
    """What a subscription of AutoGen's says, without the object, its name space and its UUID: 0.2 KiB less of each."""

    agent_type: str
    topic_type: str
    is_prefix: bool

    def is_match(self, topic: TopicId) -> bool:
        return topic.type.startswith(self.topic_type) if self.is_prefix else topic.type == self.topic_type

    def map_to_agent(self, topic: TopicId) -> AgentId:
        return AgentId(self.agent_type, topic.source)


def _compact(subscription: Subscription) -> "Subscription | _Subscribed":
    """Those of the two classes that group chats use; any other as it is."""
    if type(subscription) is TypeSubscription:
        return _Subscribed(subscription.agent_type, subscription.topic_type, is_prefix=False)
    if type(subscription) is TypePrefixSubscription:
        return _Subscribed(subscription.agent_type, subscription.topic_type_prefix, is_prefix=True)
    return subscription


class RuntimeAgents:
    """Makes agents when they are first needed, and finds the subscribers of a topic.

    `made` holds the agents that were made so far, in that order.
    """

    __slots__ = ("_factories", "_subscribers", "_subscriptions", "made")

    def __init__(self) -> None:
        self.made: dict[AgentId, Agent] = {}
        self._factories: dict[str, _AgentFactory | None] = {}  # None once its agent is made
        self._subscriptions: list[Subscription | _Subscribed] = []
        self._subscribers: dict[TopicId, list[AgentId]] = {}

    def knows(self, agent_type: str) -> bool:
        return agent_type in self._factories

    def add_factory(self, agent_type: str, make: _Make, expected: type[Agent] | None) -> None:
        """Raises ValueError if the type is taken."""
        if self.knows(agent_type):
            raise ValueError(f"Agent with type {agent_type} already exists.")
        if expected is not None:
            search_handlers_once(expected)
        self._factories[agent_type] = _AgentFactory(make, expected)

    async def agent(self, agent_id: AgentId, runtime: AgentRuntime) -> Agent:
        """Returns the agent, and makes it first if need be.

        Raises LookupError for an unknown type, and ValueError if the factory makes an agent of another class.
        """
        if (known := self.made.get(agent_id)) is not None:
            return known
        if (factory := self._factories.get(agent_id.type)) is None:
            raise LookupError(f"Agent with name {agent_id.type} not found.")
        with AgentInstantiationContext.populate_context((runtime, agent_id)):
            made = factory.make()
            agent = await made if inspect.isawaitable(made) else made
        if factory.expected is not None and not isinstance(agent, factory.expected):
            raise ValueError(f"the factory made a {type(agent).__name__}: expected a {factory.expected.__name__}")
        _shrink(agent, runtime)
        # A team has one agent of each type. Dropping the factory breaks the cycle factory -> team -> runtime.
        self._factories[agent_id.type] = None
        return self.made.setdefault(agent_id, agent)

    def subscribe(self, subscription: Subscription) -> None:
        """Raises ValueError for a duplicate."""
        subscribed = _compact(subscription)
        if subscribed in self._subscriptions:
            raise ValueError("Subscription already exists")
        self._subscriptions.append(subscribed)
        self._subscribers.clear()

    def subscribers(self, topic: TopicId) -> list[AgentId]:
        """The subscribed agents in the order of their subscriptions. An agent that subscribed twice is listed twice."""
        found = self._subscribers.get(topic)
        if found is None:
            matching = (subscription for subscription in self._subscriptions if subscription.is_match(topic))
            found = self._subscribers[topic] = [subscription.map_to_agent(topic) for subscription in matching]
        return found


def _shrink(agent: Agent, runtime: AgentRuntime) -> None:
    """Give a new agent a small lock, its class's shared handlers, and a weak reference to the runtime.

    The weak reference breaks the cycle runtime -> agent -> runtime, so reference counting frees a team after its run.
    """
    own = vars(agent)
    if own.get("_runtime") is runtime:
        own["_runtime"] = weakref.proxy(runtime)
    lock, handlers = own.get("_fifo_lock"), own.get("_handlers")
    name, parts = _FIFO_LOCK
    if type(lock).__name__ == name and vars(lock).keys() == parts and not vars(lock)["_locked"]:
        own["_fifo_lock"] = asyncio.Lock()  # after a cancelled waiter, too, the next one gets its turn
    if handlers is not None and (known := _shared_handlers.setdefault(type(agent), handlers)) == handlers:
        own["_handlers"] = known


def search_handlers_once(agent_class: type) -> None:
    """Patch a class of AutoGen, for the whole process, to cache its message handlers. Subclasses still search."""
    if agent_class in _searched_once or not issubclass(agent_class, RoutedAgent):
        return
    _searched_once.add(agent_class)
    for name in ("_discover_handlers", "_handles_types"):
        if (search := getattr(getattr(agent_class, name, None), "__func__", None)) is not None:
            setattr(agent_class, name, _cached(agent_class, search))


def _cached(owner: type, search: Callable[[type], Sequence[object]]) -> "classmethod[Any, [], Sequence[object]]":
    found = tuple(search(owner))
    return classmethod(lambda cls: found if cls is owner else search(cls))


class OutputQueue(Generic[_T]):
    """The part of an unbounded `asyncio.Queue` that a group chat uses. Waiting readers are served in order.

    `get` returns a future instead of a coroutine: AutoGen would make a task of a coroutine. A reader that is cancelled
    after it was given an item, but before it wakes, loses that item; a group chat's reader then ends and clears the
    queue.
    """

    __slots__ = ("_fresh", "_old", "_waiters")

    def __init__(self) -> None:
        self._fresh: list[_T] = []
        self._old: list[_T] = []  # older than the fresh ones, the oldest last
        self._waiters: list[asyncio.Future[_T]] = []

    def qsize(self) -> int:
        return len(self._fresh) + len(self._old)

    def empty(self) -> bool:
        return not (self._fresh or self._old)

    async def put(self, item: _T) -> None:
        self.put_nowait(item)

    def put_nowait(self, item: _T) -> None:
        while self._waiters:
            waiter = self._waiters.pop(0)
            if not waiter.done():  # else it was cancelled
                waiter.set_result(item)
                return
        self._fresh.append(item)

    def get(self) -> asyncio.Future[_T]:
        item: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        if self.empty():
            self._waiters.append(item)
        else:
            item.set_result(self.get_nowait())
        return item

    def get_nowait(self) -> _T:
        """Raises `asyncio.QueueEmpty`."""
        if not self._old:
            self._fresh.reverse()
            self._old, self._fresh = self._fresh, []
        if not self._old:
            raise asyncio.QueueEmpty
        return self._old.pop()
