"""The usual pattern: AutoGen's `run_stream` with its own OpenAI client, behind FastAPI and uvicorn.

It is a favourable version: one client is built at the start and shared by all requests.
"""

import json
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any, Literal, cast

import uvicorn
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import ModelClientStreamingChunkEvent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import ModelFamily
from autogen_ext.models.openai import OpenAIChatCompletionClient
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class ChatRequest(BaseModel):
    """The fields of OpenAI's request that the pattern reads."""

    model: str
    messages: list[dict[str, Any]]


def create_app(provider: str) -> FastAPI:
    app = FastAPI()
    model = OpenAIChatCompletionClient(
        model="scripted",
        base_url=provider,
        api_key="none",
        model_info={
            "vision": False,
            "function_calling": True,
            "json_output": True,
            "structured_output": False,
            "family": ModelFamily.UNKNOWN,
        },
    )

    @app.post("/v1/chat/completions")
    async def complete_chat(asked: ChatRequest) -> StreamingResponse:
        agent = AssistantAgent("Solo", model, system_message="", model_client_stream=True)
        team = RoundRobinGroupChat([agent], max_turns=1)
        return StreamingResponse(_events(team, asked.messages[-1]["content"]), media_type="text/event-stream")

    return app


async def _events(team: RoundRobinGroupChat, question: str) -> AsyncIterator[str]:
    envelope = {"id": "chatcmpl-usual", "object": "chat.completion.chunk", "created": 0, "model": "solo"}
    async for event in team.run_stream(task=question):
        if isinstance(event, ModelClientStreamingChunkEvent):
            choice = {"index": 0, "delta": {"content": event.content}, "finish_reason": None}
            yield f"data: {json.dumps({**envelope, 'choices': [choice]})}\n\n"
    yield f"data: {json.dumps({**envelope, 'choices': [{'index': 0, 'delta': {}, 'finish_reason': 'stop'}]})}\n\n"
    yield "data: [DONE]\n\n"


def main(loop: str, provider: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        create_app(provider), loop=cast("Literal['asyncio', 'uvloop']", loop), access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
