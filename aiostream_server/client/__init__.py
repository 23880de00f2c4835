"""Ask a running server from Python."""

from aiostream_server.client.chat import AnswerFailed, ChatClient, ClientError, NoServer, RequestRefused

__all__ = ["AnswerFailed", "ChatClient", "ClientError", "NoServer", "RequestRefused"]
