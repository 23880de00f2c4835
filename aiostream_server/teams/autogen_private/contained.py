"""Ends an agent's turn when one of its inner tasks has died, and names the tool that raised what would end the server.

AutoGen's `AssistantAgent` runs its tool calls in a task and waits on a queue for a None that the task puts last
(autogen-agentchat 0.7.5, agents/_assistant_agent.py:1194). A task that dies puts none, and the agent waits for ever:
after a handoff with the arguments `null`, a workbench that raises, a tool that is cancelled from inside. Here the None
always comes, and the agent raises what the task died of.

An exception of a tool that is no `Exception` becomes `ToolFailed`: a result that the model sees. `teams.containment`
contains those of everything else in a team.
"""

import asyncio
import functools
import inspect
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from typing import Any, Final
from weakref import WeakKeyDictionary

from autogen_core import CancellationToken, FunctionCall, SingleThreadedAgentRuntime
from autogen_core.models import FunctionExecutionResult
from autogen_core.tools import FunctionTool

from aiostream_server.errors import TeamFailed, ToolFailed, forget_traceback
from aiostream_server.teams.autogen_private.structure import everything_in, handoff_tools, is_a, tools_of
from aiostream_server.teams.containment import cancelled_from_inside, converted, running

_ToolCall = Callable[..., Coroutine[Any, Any, tuple[FunctionCall, FunctionExecutionResult]]]
_EXECUTE: Final = "_execute_tool_call"
_FOR_A_THREAD: Final = "__aiostream_for_a_thread__"
_SELECTORS: Final = ("_selector_func", "_candidate_func")

_guarded: Final[set[tuple[type, str]]] = set()
_errors: Final[ContextVar[list[Exception]]] = ContextVar("errors of the tools of one call")
_calls_of: Final[WeakKeyDictionary[asyncio.Queue[Any], set[asyncio.Task[Any]]]] = WeakKeyDictionary()


def contain(team: object) -> None:
    """Guard everything in a team that has never run. Classes are patched once, for the whole process."""
    for thing in everything_in(team):
        _patch(type(thing), _EXECUTE, lambda execute: staticmethod(_guarded_call(execute)))
        for tool in (*tools_of(thing), *handoff_tools(thing)):
            _patch(type(tool), "run_json", _guarded_run)
            _patch(type(tool), "run_json_stream", _guarded_stream)
            _patch(type(tool), "return_value_as_string", _guarded_text)
            if is_a(tool, FunctionTool) and not asyncio.iscoroutinefunction(tool._func):
                tool._func = for_a_thread(tool._func)
        for name in _SELECTORS:
            if callable(select := getattr(thing, name, None)):
                vars(thing)[name] = _guarded_function(select)
        _watch_runtime(thing)


def _patch(cls: type, name: str, guard: Callable[[Any], Any]) -> None:
    """Replace the method in each class of `cls` that defines it."""
    if (cls, name) in _guarded:
        return  # as every time but the first
    for owner in cls.__mro__:
        if (owner, name) not in _guarded:
            _guarded.add((owner, name))
            if name in vars(owner):
                setattr(owner, name, guard(getattr(owner, name)))


def _guarded_call(execute: _ToolCall) -> _ToolCall:
    @functools.wraps(execute)
    async def execute_tool_call(
        *, tool_call: FunctionCall, cancellation_token: CancellationToken, stream: asyncio.Queue[Any], **others: Any
    ) -> tuple[FunctionCall, FunctionExecutionResult]:
        """Runs in a task of its own, one of those that AutoGen gathers for one answer of the model."""
        calls = _calls_of.setdefault(stream, set())
        calls.add(task := _current_task())
        call = _with_an_object(tool_call)
        if call is None:
            return tool_call, _refused(tool_call)
        errors: list[Exception] = []
        _errors.set(errors)
        try:
            with _contained(f"the tool {tool_call.name}", ToolFailed, cancellation_token):
                _, result = await execute(
                    tool_call=call, cancellation_token=cancellation_token, stream=stream, **others
                )
                for error in errors:  # the result has their text
                    forget_traceback(error)
                return tool_call, result
        except BaseException:
            if not task.cancelling():  # else one of the other calls has died, or the run is being ended
                for other in calls - {task}:
                    other.cancel()
            stream.put_nowait(None)
            raise

    return execute_tool_call


def _with_an_object(call: FunctionCall) -> FunctionCall | None:
    """The call with arguments that are a JSON object, or that AutoGen refuses itself; None for any other JSON.

    Models write `null`, `[]` or `""` for no arguments.
    """
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return call
    if isinstance(arguments, dict):
        return call if call.arguments else FunctionCall(call.id, "{}", call.name)
    return None if arguments else FunctionCall(call.id, "{}", call.name)


def _refused(call: FunctionCall) -> FunctionExecutionResult:
    said = "Error: the arguments are not a JSON object"
    return FunctionExecutionResult(content=said, call_id=call.id, is_error=True, name=call.name)


def _guarded_run(run: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(run)
    async def run_json(self: Any, args: Any, cancellation_token: CancellationToken, *more: Any, **named: Any) -> Any:
        what = f"the tool {self.name}"
        with _noted(), running(what), _contained(what, ToolFailed, cancellation_token):
            return await run(self, args, cancellation_token, *more, **named)

    return run_json


def _guarded_stream(run: Callable[..., AsyncGenerator[Any, None]]) -> Callable[..., AsyncGenerator[Any, None]]:
    @functools.wraps(run)
    async def run_json_stream(
        self: Any, args: Any, cancellation_token: CancellationToken, *more: Any, **named: Any
    ) -> AsyncGenerator[Any, None]:
        async with aclosing(run(self, args, cancellation_token, *more, **named)) as items:
            while True:
                with _noted(), _contained(f"the tool {self.name}", ToolFailed, cancellation_token):
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        return
                yield item

    return run_json_stream


def _guarded_text(text_of: Callable[[Any, Any], str]) -> Callable[[Any, Any], str]:
    @functools.wraps(text_of)
    def return_value_as_string(self: Any, value: Any) -> str:  # AutoGen's tool, and whatever it returned
        what = f"the tool {self.name}"
        with running(what), _contained(what, ToolFailed):
            return text_of(self, value)

    return return_value_as_string


def for_a_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with RuntimeError in place of StopIteration, as in a coroutine.

    Python 3.11 cannot pass a StopIteration from a thread on: whatever awaits the thread waits for ever.
    """
    if hasattr(function, _FOR_A_THREAD):
        return function

    @functools.wraps(function)
    def in_a_thread(*args: Any, **named: Any) -> Any:
        try:
            return function(*args, **named)
        except StopIteration as exc:
            raise RuntimeError("the function raised StopIteration") from exc

    setattr(in_a_thread, _FOR_A_THREAD, True)
    return in_a_thread


def _guarded_function(select: Callable[..., Any]) -> Callable[..., Any]:
    """A function that chooses the next speaker: AutoGen calls it in a task of its own."""
    if inspect.iscoroutinefunction(select):

        @functools.wraps(select)
        async def select_later(*args: Any) -> Any:
            with _contained("the choice of the next speaker"):
                return await select(*args)

        return select_later

    @functools.wraps(select)
    def select_now(*args: Any) -> Any:
        with _contained("the choice of the next speaker"):
            return select(*args)

    return select_now


@contextmanager
def _noted() -> Iterator[None]:
    """Notes an error of a tool for the call that it belongs to."""
    try:
        yield
    except Exception as exc:
        _errors.get([]).append(exc)
        raise


@contextmanager
def _contained(
    what: str, error: type[TeamFailed] = TeamFailed, token: CancellationToken | None = None
) -> Iterator[None]:
    """Raises `error` for an exception that is no `Exception`, and for a cancellation that came from inside."""
    task = _current_task()
    try:
        yield
    except asyncio.CancelledError as exc:
        if task.cancelling() or (token is not None and token.is_cancelled()):
            raise
        raise cancelled_from_inside(what, error) from exc
    except Exception:
        raise
    except BaseException as exc:
        if isinstance(exc, GeneratorExit) and not _is_current(task):
            raise  # the coroutine is closed from outside
        raise converted(exc, what, error) from exc


def _is_current(task: asyncio.Task[Any]) -> bool:
    try:
        return asyncio.current_task() is task
    except RuntimeError:  # no event loop runs
        return False


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("this is no task")
    return task


def _watch_runtime(group: object) -> None:
    """Make AutoGen's own runtime, where a team keeps it, end with its task. The team waits for ever otherwise."""
    runtime = getattr(group, "_runtime", None)
    if type(runtime) is SingleThreadedAgentRuntime and getattr(group, "_embedded_runtime", None) is True:
        vars(runtime)["stop_when_idle"] = functools.partial(_stop_when_idle, runtime)


async def _stop_when_idle(runtime: SingleThreadedAgentRuntime) -> None:
    running = getattr(getattr(runtime, "_run_context", None), "_run_task", None)
    stopping = asyncio.ensure_future(type(runtime).stop_when_idle(runtime))
    try:
        await asyncio.wait({stopping, running} if running is not None else {stopping}, return_when="FIRST_COMPLETED")
        if not stopping.done() and running is not None and (running.cancelled() or running.exception() is not None):
            stopping.cancel()
        await asyncio.wait({stopping})
    finally:
        stopping.cancel()
    died = running if running is not None and stopping.cancelled() else stopping
    if died.cancelled():
        raise cancelled_from_inside("the team")
    died.result()
