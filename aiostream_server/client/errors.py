"""What can go wrong between this client and a server. Each is one line that a person can read.

* ClientError
  - NoServer          nobody answers at the URL
  - BadAnswer         who answers there is no such server
  - RequestRefused    the server answered with an error: `status`, `code`, and its words
    - UnknownRun      404: there is no such run, or it is somebody else's, or the server was started anew since
    - RunExpired      410: the run has ended, and its events are kept no longer
  - ConnectionLost    a run's events broke off, and could not be taken up again: `run_id`, `last_seq`

A run that fails is none of these: that is something which a run says, in its events `Error` and `RunFinished`.
"""


class ClientError(Exception):
    """Any of these."""


class NoServer(ClientError):
    pass


class BadAnswer(ClientError):
    pass


class RequestRefused(ClientError):
    """`code` is OpenAI's, such as `model_not_found`; `retry_after_s` is how long the server asks to wait."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class UnknownRun(RequestRefused):
    pass


class RunExpired(RequestRefused):
    pass


class ConnectionLost(ClientError):
    """The run may be going on: `attach(run_id, after=last_seq)`. `run_id` is None where not even that was heard."""

    def __init__(self, message: str, *, run_id: str | None = None, last_seq: int = 0) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.last_seq = last_seq
