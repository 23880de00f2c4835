"""What can go wrong, each as something that a person can read in one line.

* ClientError
  - NoServer          nobody answers at the URL, it is not such a server, or the connection broke off
  - RequestRefused    the server answered with an error; `status` is its HTTP status
  - AnswerFailed      the answer began and ended in an error
"""


class ClientError(Exception):
    """Any of these."""


class NoServer(ClientError):
    pass


class RequestRefused(ClientError):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AnswerFailed(ClientError):
    pass
