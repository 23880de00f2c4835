"""openai-python, with its own retries."""

from functools import partial
from typing import Any

from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.clients.programs.telling import BASE_URL, FAILURES, MODEL, MODEL_WITH_TOOLS, question, tell

client = AsyncOpenAI(base_url=BASE_URL, api_key="none")


class Region(BaseModel):
    name: str
    total: int


class Weather(BaseModel):
    city: str


def messages(scenario: str) -> Any:
    return [{"role": "user", "content": question(scenario)}]


async def whole(scenario: str = "whole") -> dict[str, Any]:
    answer = await client.chat.completions.create(model=MODEL, messages=messages(scenario))
    usage = answer.usage.total_tokens if answer.usage else 0
    choice = answer.choices[0]
    return {"text": choice.message.content, "finish": choice.finish_reason, "tokens": usage}


async def stream(scenario: str = "stream") -> dict[str, Any]:
    pieces, finish = [], None
    chunks = await client.chat.completions.create(model=MODEL, messages=messages(scenario), stream=True)
    async for chunk in chunks:
        pieces.append(chunk.choices[0].delta.content or "")
        finish = chunk.choices[0].finish_reason or finish
    return {"text": "".join(pieces), "finish": finish, "pieces": len(pieces)}


async def cancel() -> dict[str, Any]:
    chunks = await client.chat.completions.create(model=MODEL, messages=messages("cancel"), stream=True)
    async for chunk in chunks:
        if chunk.choices[0].delta.content:
            break
    await chunks.close()
    return {"text": chunk.choices[0].delta.content}


async def parsed(scenario: str = "typed") -> dict[str, Any]:
    answer = await client.chat.completions.parse(model=MODEL, messages=messages(scenario), response_format=Region)
    return {"typed": dict(answer.choices[0].message.parsed or {})}


async def parsed_stream() -> dict[str, Any]:
    async with client.chat.completions.stream(
        model=MODEL, messages=messages("typed_stream"), response_format=Region
    ) as events:
        answer = await events.get_final_completion()
    return {"typed": dict(answer.choices[0].message.parsed or {})}


async def tools() -> dict[str, Any]:
    said = messages("tools")
    ran: list[str] = []
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": Weather.model_json_schema()}}
    while True:
        async with client.chat.completions.stream(model=MODEL_WITH_TOOLS, messages=said, tools=[tool]) as events:
            answer = await events.get_final_completion()
        message = answer.choices[0].message
        if not message.tool_calls:
            return {"text": message.content, "ran": ran}
        said.append(message)
        for call in message.tool_calls:
            ran.append(Weather.model_validate_json(call.function.arguments).city)
            said.append({"role": "tool", "tool_call_id": call.id, "content": "rain"})


tell(
    {
        "whole": whole,
        "stream": stream,
        "cancel": cancel,
        "tools": tools,
        "typed": parsed,
        "typed_stream": parsed_stream,
        "never_typed": partial(parsed, "never_typed"),
        **{name: partial(whole, name) for name in FAILURES},
        **{name: partial(stream, name) for name in ("broken_stream", "broken_off")},
    }
)
