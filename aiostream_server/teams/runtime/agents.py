"""What the agents behind a group chat (its manager, and a container for each participant) cost more than they do.

Each looks through all attributes of its class for message handlers, and again when it is registered: a third of the
smallest run that is left without AutoGen's runtime (0.2 ms of 0.63 on the machine this was measured on). Each keeps
what it found, and a lock with a queue of its own: 3.6 KiB.
"""

import weakref
from collections.abc import Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from autogen_core import Agent, AgentRuntime, RoutedAgent

from aiostream_server.teams.runtime.waiting import TurnLock

_FIFO_LOCK: Final = ("FIFOLock", {"_queue", "_locked"})  # AutoGen's, and all that it has

_handlers: Final[WeakKeyDictionary[type, object]] = WeakKeyDictionary()
_remembering: Final[WeakSet[type]] = WeakSet()


def slim(agent: Agent, runtime: AgentRuntime) -> None:
    """Of an agent that was just made: give it a small lock, and the handlers that others of its class have, too.

    It no longer holds the runtime, which holds it: so a team goes when nobody needs it, and is no garbage to look for.
    """
    own = vars(agent)
    if own.get("_runtime") is runtime:
        own["_runtime"] = weakref.proxy(runtime)
    lock, handlers = own.get("_fifo_lock"), own.get("_handlers")
    name, parts = _FIFO_LOCK
    if type(lock).__name__ == name and vars(lock).keys() == parts and not vars(lock)["_locked"]:
        own["_fifo_lock"] = TurnLock()
    if handlers is not None and (known := _handlers.setdefault(type(agent), handlers)) == handlers:
        own["_handlers"] = known


def remember_handlers(agent_class: type) -> None:
    """Have a class of AutoGen look for its message handlers once; its subclasses still look for their own.

    This changes the class for the whole process, and nothing of what it answers.
    """
    if agent_class in _remembering or not issubclass(agent_class, RoutedAgent):
        return
    _remembering.add(agent_class)
    for name in ("_discover_handlers", "_handles_types"):
        if (ask := getattr(getattr(agent_class, name, None), "__func__", None)) is not None:
            setattr(agent_class, name, _ask_once(agent_class, ask))


def _ask_once(owner: type, ask: Any) -> "classmethod[Any, [], Sequence[Any]]":
    answers: list[Sequence[Any]] = []

    def remembered(cls: type) -> Sequence[Any]:
        if cls is not owner:
            asked: Sequence[Any] = ask(cls)
            return asked
        if not answers:
            answers.append(tuple(ask(cls)))
        return answers[0]

    return classmethod(remembered)
