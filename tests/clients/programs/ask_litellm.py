"""LiteLLM, as a client of an OpenAI endpoint."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import litellm
from pydantic import BaseModel

from tests.clients.programs.telling import BASE_URL, FAILURES, MODEL, MODEL_WITH_TOOLS, question, tell

litellm.suppress_debug_info = True


class Region(BaseModel):
    name: str
    total: int


async def ask(scenario: str, model: str = MODEL, later: Sequence[Any] = (), **options: Any) -> Any:
    return await litellm.acompletion(
        model=f"openai/{model}",
        api_base=BASE_URL,
        api_key="none",
        messages=[{"role": "user", "content": question(scenario)}, *later],
        **options,
    )


async def whole(scenario: str = "whole") -> dict[str, Any]:
    answer = await ask(scenario)
    choice = answer.choices[0]
    return {"text": choice.message.content, "finish": choice.finish_reason, "tokens": answer.usage.total_tokens}


async def stream(scenario: str = "stream") -> dict[str, Any]:
    pieces, finish = [], None
    async for chunk in await ask(scenario, stream=True):
        pieces.append(chunk.choices[0].delta.content or "")
        finish = chunk.choices[0].finish_reason or finish
    return {"text": "".join(pieces), "finish": finish, "pieces": len(pieces)}


async def cancel() -> dict[str, Any]:
    chunks = await ask("cancel", stream=True)
    async for chunk in chunks:
        if chunk.choices[0].delta.content:
            break
    await chunks.aclose()
    return {"text": chunk.choices[0].delta.content}


async def typed(scenario: str = "typed") -> dict[str, Any]:
    answer = await ask(scenario, response_format=Region)
    return {"typed": dict(Region.model_validate_json(answer.choices[0].message.content))}


async def tools() -> dict[str, Any]:
    said: list[Any] = []
    ran: list[str] = []
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": parameters}}
    while True:
        message = (await ask("tools", MODEL_WITH_TOOLS, said, tools=[tool])).choices[0].message
        if not message.tool_calls:
            return {"text": message.content, "ran": ran}
        said.append(message.model_dump())
        for call in message.tool_calls:
            ran.append(json.loads(call.function.arguments)["city"])
            said.append({"role": "tool", "tool_call_id": call.id, "content": "rain"})


tell(
    {
        "whole": whole,
        "stream": stream,
        "cancel": cancel,
        "tools": tools,
        "typed": typed,
        "never_typed": partial(typed, "never_typed"),
        **{name: partial(whole, name) for name in FAILURES},
        **{name: partial(stream, name) for name in ("broken_stream", "broken_off")},
    }
)
