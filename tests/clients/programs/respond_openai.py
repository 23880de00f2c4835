"""openai-python: its strict types and its accumulator read every event."""

from typing import Any

from openai import AsyncOpenAI
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from tests.clients.programs.telling import BASE_URL, TOOL_MODEL, tell
from tests.clients.programs.telling import MODEL as SOLO
from tests.clients.programs.telling import question as ask

client: Any = AsyncOpenAI(base_url=BASE_URL, api_key="none")
event_of: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


async def whole() -> dict[str, Any]:
    answer = await client.responses.create(model=SOLO, input=ask("whole"))
    return {"text": answer.output_text, "tokens": answer.usage.total_tokens if answer.usage else 0}


async def stream() -> dict[str, Any]:
    async with client.responses.stream(model=SOLO, input=ask("stream")) as events:
        pieces = [event.delta async for event in events if event.type == "response.output_text.delta"]
        final = await events.get_final_response()
    return {"text": final.output_text, "pieces": len(pieces)}


async def own_tool() -> dict[str, Any]:
    events = [
        event async for event in await client.responses.create(model=TOOL_MODEL, input=ask("own_tool"), stream=True)
    ]
    for event in events:
        event_of.validate_python(event.to_dict(), strict=True)
    return {"text": events[-1].response.output_text}


async def chain() -> dict[str, Any]:
    first = await client.responses.create(model=SOLO, input=ask("chain"))
    second = await client.responses.create(model=SOLO, input=ask("chain"), previous_response_id=first.id)
    return {"text": second.output_text}


async def background() -> dict[str, Any]:
    queued = await client.responses.create(model=SOLO, input=ask("background"), background=True)
    events = [event async for event in await client.responses.retrieve(queued.id, stream=True)]
    rest = [event async for event in await client.responses.retrieve(queued.id, stream=True, starting_after=2)]
    assert rest == events[3:]
    return {"text": events[-1].response.output_text}


async def limited() -> dict[str, Any]:
    answer = await client.responses.create(model=SOLO, input=ask("limited"))
    return {"text": answer.output_text}


tell({each.__name__: each for each in (whole, stream, own_tool, chain, background, limited)})
