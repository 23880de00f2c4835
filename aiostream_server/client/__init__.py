"""Ask a running server from Python."""

from aiostream_server.client.chat import ChatClient
from aiostream_server.client.errors import AnswerFailed, ClientError, NoServer, RequestRefused

__all__ = ["AnswerFailed", "ChatClient", "ClientError", "NoServer", "RequestRefused"]
