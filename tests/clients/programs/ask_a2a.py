"""Asks with the A2A project's own client for Python, in both bindings; its protobuf types judge every frame."""

import json
from typing import Any

import httpx
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.helpers import new_text_message
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    TaskState,
)
from google.protobuf.json_format import MessageToDict, ParseDict  # type: ignore[import-untyped] # it has no types

from tests.clients.programs.telling import BASE_URL, Scenario, question, tell

_HTTP = httpx.AsyncClient(timeout=60)


async def _client(binding: str, model: str = "solo", *, streaming: bool = True) -> Client:
    card = await A2ACardResolver(_HTTP, f"{BASE_URL}/a2a/{model}").get_agent_card()
    config = ClientConfig(
        httpx_client=_HTTP, streaming=streaming, supported_protocol_bindings=[binding], use_client_preference=True
    )
    return ClientFactory(config).create(card)


def _message(scenario: str, **of: Any) -> SendMessageRequest:
    return SendMessageRequest(message=new_text_message(question(scenario), role=Role.ROLE_USER, **of))


class _Seen:
    """What a stream of events adds up to."""

    def __init__(self) -> None:
        self.task_id, self.context_id, self.states, self.text, self.pieces = "", "", list[str](), "", 0

    def add(self, event: StreamResponse) -> None:
        if event.HasField("task"):
            self.task_id, self.context_id = event.task.id, event.task.context_id
            self.states.append(TaskState.Name(event.task.status.state))
            self.text = "".join(part.text for artifact in event.task.artifacts for part in artifact.parts)
        elif event.HasField("status_update"):
            self.states.append(TaskState.Name(event.status_update.status.state))
        else:
            self.pieces += 1
            self.text += "".join(part.text for part in event.artifact_update.artifact.parts)

    async def of(self, events: Any) -> "_Seen":
        async for event in events:
            self.add(event)
        return self


def _scenarios(binding: str) -> dict[str, Scenario]:
    async def stream() -> dict[str, Any]:
        client = await _client(binding)
        seen = await _Seen().of(client.send_message(_message("words")))
        task = await client.get_task(GetTaskRequest(id=seen.task_id))
        kept = "".join(part.text for artifact in task.artifacts for part in artifact.parts)
        return {"text": seen.text, "kept": kept, "states": [seen.states[0], seen.states[-1]], "pieces": seen.pieces}

    async def whole() -> dict[str, Any]:
        client = await _client(binding, streaming=False)
        seen = await _Seen().of(client.send_message(_message("words")))
        return {"text": seen.text, "states": seen.states}

    async def reply() -> dict[str, Any]:
        client = await _client(binding, "until-approved")
        asked = await _Seen().of(client.send_message(_message("words")))
        of_task = {"task_id": asked.task_id, "context_id": asked.context_id}
        approved = new_text_message("APPROVE", role=Role.ROLE_USER, **of_task)
        done = await _Seen().of(client.send_message(SendMessageRequest(message=approved)))
        return {"same": done.task_id == asked.task_id, "states": [asked.states[-1], done.states[-1]]}

    async def cancel() -> dict[str, Any]:
        client = await _client(binding)
        seen = _Seen()
        async for event in client.send_message(_message("stall")):
            seen.add(event)
            if seen.text:
                break
        again = _Seen()
        async for event in client.subscribe(SubscribeToTaskRequest(id=seen.task_id)):
            again.add(event)
            if event.HasField("task"):
                await client.cancel_task(CancelTaskRequest(id=seen.task_id))
        listed = await client.list_tasks(ListTasksRequest(context_id=seen.context_id))
        return {"text": again.text, "states": again.states[-1:], "listed": listed.total_size}

    return _named(binding, stream=stream, whole=whole, reply=reply, cancel=cancel)


def _failures(binding: str) -> dict[str, Scenario]:
    async def over() -> dict[str, Any]:
        client = await _client(binding)
        seen = await _Seen().of(client.send_message(_message("words")))
        await client.cancel_task(CancelTaskRequest(id=seen.task_id))
        return {}

    async def unknown() -> dict[str, Any]:
        await (await _client(binding)).get_task(GetTaskRequest(id=f"task-{'A' * 24}"))
        return {}

    async def failing() -> dict[str, Any]:
        seen = await _Seen().of((await _client(binding)).send_message(_message("broken")))
        return {"states": seen.states[-1:]}

    return _named(binding, over=over, unknown=unknown, failing=failing)


def _named(binding: str, **scenarios: Scenario) -> dict[str, Scenario]:
    return {f"{name} {binding}": scenario for name, scenario in scenarios.items()}


async def _strict() -> dict[str, Any]:
    """`ParseDict` refuses every name that the protocol does not have."""
    card = (await _HTTP.get(f"{BASE_URL}/.well-known/agent-card.json")).json()
    same = MessageToDict(ParseDict(card, AgentCard())) == card
    params = {"message": {"messageId": "strict", "role": "ROLE_USER", "parts": [{"text": question("words")}]}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage", "params": params}
    response = await _HTTP.post(f"{BASE_URL}/a2a/solo", json=body, headers={"A2A-Version": "1.0"})
    frames = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    results = [json.loads(frame)["result"] for frame in frames]
    round_trips = [MessageToDict(ParseDict(result, StreamResponse())) == result for result in results]
    return {"frames": len(frames), "same": all(round_trips), "card": same}


_BINDINGS = ("JSONRPC", "HTTP+JSON")
_ALL = {name: each for binding in _BINDINGS for name, each in {**_scenarios(binding), **_failures(binding)}.items()}
tell({**_ALL, "strict": _strict})
