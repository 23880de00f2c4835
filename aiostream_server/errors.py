"""Every error that the server raises on purpose, with its HTTP status and its code.

* ServerError            500 internal_error
  - InvalidRequest       400 invalid_request
  - Unauthorized         401 invalid_api_key
  - Forbidden            403 forbidden
  - NotFound             404 not_found
    - UnknownModel       404 model_not_found
    - UnknownResponse    404 previous_response_not_found
  - MethodNotAllowed     405 method_not_allowed
  - RequestTimeout       408 request_timeout
  - Conflict             409 conflict
  - RunGone              410 run_expired
  - BodyTooLarge         413 request_too_large
  - UnsupportedMedia     415 unsupported_media_type
  - TooManyRuns          429 too_many_runs
  - ShuttingDown         503 shutting_down
  - RunsUnavailable      503 runs_unavailable
  - TeamFailed           502 team_failed
    - ModelFailed        502 model_failed
      - ProviderRefused  502 provider_refused
      - ContextTooLong   400 context_length_exceeded
      - ContentFiltered  400 content_filter
      - RateLimited      429 rate_limit_exceeded
      - QuotaExhausted   429 insufficient_quota
      - ModelOverloaded  503 model_overloaded
      - ModelTimeout     504 model_timeout
    - ToolFailed         502 tool_failed
    - SchemaNotMet       422 schema_not_met
    - TooManyTurns       502 too_many_turns
    - TooManyToolCalls   502 too_many_tool_calls
    - RunTimeout         504 run_timeout
    - IdleTimeout        504 idle_timeout
* ConfigError            the configuration is wrong; names every mistake; the process ends with status 1
* ClientGone             the client has disconnected; never rendered
  - ClientStalled        the server closed the connection of a client that did not read

`ERRORS` maps each code to its class. An event `Error` carries only the code: `error_for` turns it into the exception.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final


class ServerError(Exception):
    """An error that the client is told about; `str(error)` is one line and safe to show.

    `is_passing`: a client library may send the request again by itself. A failed run is not: the server has retried
    what a retry can mend, and a second run costs as much as the first. `retry_after_s` are the seconds after which
    asking again can succeed, if that is known, counted from the Unix time `at`; without it from now.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"
    is_passing: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.retry_after_s = retry_after_s
        self.at: float | None = None


class InvalidRequest(ServerError):
    """`param` names the field of the request that is wrong, as a path: `messages[2].role`."""

    status, code, type = 400, "invalid_request", "invalid_request_error"


class Unauthorized(ServerError):
    status, code, type = 401, "invalid_api_key", "authentication_error"


class Forbidden(ServerError):
    status, code, type = 403, "forbidden", "permission_error"


class NotFound(ServerError):
    status, code, type = 404, "not_found", "invalid_request_error"


class UnknownModel(NotFound):
    code = "model_not_found"


class UnknownResponse(NotFound):
    """The response that a question continues is not kept, or is another caller's."""

    code = "previous_response_not_found"


class MethodNotAllowed(ServerError):
    status, code, type = 405, "method_not_allowed", "invalid_request_error"


class RequestTimeout(ServerError):
    status, code, type = 408, "request_timeout", "invalid_request_error"
    is_passing = True


class Conflict(ServerError):
    status, code, type = 409, "conflict", "invalid_request_error"
    is_passing = True


class RunGone(ServerError):
    """The run has ended, and its events have been dropped."""

    status, code, type = 410, "run_expired", "invalid_request_error"


class BodyTooLarge(ServerError):
    status, code, type = 413, "request_too_large", "invalid_request_error"


class UnsupportedMedia(ServerError):
    status, code, type = 415, "unsupported_media_type", "invalid_request_error"


class TooManyRuns(ServerError):
    status, code, type = 429, "too_many_runs", "rate_limit_error"
    is_passing = True


class ShuttingDown(ServerError):
    status, code = 503, "shutting_down"
    is_passing = True

    def __init__(self, message: str = "the server is shutting down; ask again in a moment") -> None:
        super().__init__(message)


class RunsUnavailable(ServerError):
    """The store of the runs that several processes share does not answer."""

    status, code = 503, "runs_unavailable"
    is_passing = True


class TeamFailed(ServerError):
    """A team or one of its agents raised an exception; the message is the first line of its text."""

    status, code = 502, "team_failed"


class ModelFailed(TeamFailed):
    """The model provider refused the request, could not be reached, or broke off its answer.

    `is_lasting`: the same request fails in the same way if it is sent again at once. It is not set for an answer that
    broke off, and for a timeout.
    """

    code = "model_failed"

    def __init__(self, message: str, *, is_lasting: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.is_lasting = is_lasting


class ProviderRefused(ModelFailed):
    """The provider does not accept the server's key, or what the key may do: its operator has to act."""

    code = "provider_refused"


class ContextTooLong(ModelFailed):
    """The conversation is longer than the model can read."""

    status, code, type = 400, "context_length_exceeded", "invalid_request_error"


class ContentFiltered(ModelFailed):
    """The provider's content filter refused the conversation."""

    status, code, type = 400, "content_filter", "invalid_request_error"


class RateLimited(ModelFailed):
    """The provider limits how much it is asked, and still did after our own retries."""

    status, code, type = 429, "rate_limit_exceeded", "rate_limit_error"


class QuotaExhausted(ModelFailed):
    """The server's account at the provider has no credit left: no retry helps."""

    status, code, type = 429, "insufficient_quota", "insufficient_quota"


class ModelOverloaded(ModelFailed):
    """The provider is overloaded or still loads the model, and still did after our own retries."""

    status, code = 503, "model_overloaded"


class ModelTimeout(ModelFailed):
    status, code = 504, "model_timeout"


class ToolFailed(TeamFailed):
    """A tool that the team needs is not available."""

    code = "tool_failed"


class SchemaNotMet(TeamFailed):
    """The answer could not be put into the JSON that the request asks for. Clients do not repeat a 422."""

    status, code, type = 422, "schema_not_met", "invalid_request_error"


class TooManyTurns(TeamFailed):
    """The run reached its limit of agents' turns."""

    code = "too_many_turns"


class TooManyToolCalls(TeamFailed):
    """The run reached its limit of tool calls."""

    code = "too_many_tool_calls"


class RunTimeout(TeamFailed):
    """The run took longer than `run_timeout_s`."""

    status, code = 504, "run_timeout"


class IdleTimeout(TeamFailed):
    """The team produced no event for `idle_timeout_s`."""

    status, code = 504, "idle_timeout"


class ConfigError(Exception):
    """Every mistake in a configuration, one line each; `to_add` holds lines of TOML that would mend some of them."""

    def __init__(self, problems: Sequence[str], to_add: Sequence[str] = ()) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
        self.to_add = tuple(to_add)


class ClientGone(Exception):
    """The peer closed the connection or stopped reading."""


class ClientStalled(ClientGone):
    """The peer did not read within the write timeout, so the server closed its connection."""


def error_for(code: str, message: str, *, retry_after_s: float | None = None, at: float | None = None) -> ServerError:
    """The exception of an `Error` event. A code that the tree does not have means that a team failed."""
    error = ERRORS.get(code, TeamFailed)(message)
    error.retry_after_s, error.at = retry_after_s, at
    return error


def forget_traceback(error: BaseException) -> None:
    """Cut the tracebacks of an error that was handled, and of those behind it.

    Asyncio keeps an error in its task. Where a frame of the traceback holds that task, as AutoGen's do, the error, the
    frames and all their variables are a reference cycle.
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        if (found := waiting.pop()) is None or id(found) in seen:
            continue
        seen.add(id(found))
        found.__traceback__ = None
        waiting += (found.__cause__, found.__context__)
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions


def _tree(error: type[ServerError]) -> Iterator[type[ServerError]]:
    yield error
    for leaf in error.__subclasses__():
        yield from _tree(leaf)


ERRORS: Final[Mapping[str, type[ServerError]]] = {error.code: error for error in _tree(ServerError)}

if len(ERRORS) != len([*_tree(ServerError)]):
    raise TypeError("two errors have the same code")
