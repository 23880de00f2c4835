"""pydantic-ai's agents over Responses."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.programs.telling import BASE_URL, MODEL, MODEL_WITH_TOOLS, TOOL_MODEL, question, tell

provider = OpenAIProvider(base_url=BASE_URL, api_key="none")


def agent(name: str = MODEL, **settings: Any) -> Agent[None, str]:
    return Agent(OpenAIResponsesModel(name, provider=provider), **settings)


async def whole() -> dict[str, Any]:
    answer = await agent().run(question("whole"))
    return {"text": answer.output, "tokens": answer.usage.total_tokens}


async def stream() -> dict[str, Any]:
    async with agent().run_stream(question("stream")) as answer:
        pieces = [piece async for piece in answer.stream_text(delta=True, debounce_by=None)]
    return {"text": "".join(pieces), "pieces": len(pieces)}


async def own_tool() -> dict[str, Any]:
    return {"text": (await agent(TOOL_MODEL).run(question("own_tool"))).output}


async def chain() -> dict[str, Any]:
    """It sends the items back, reasoning included."""
    first = await agent().run(question("chain"))
    return {"text": (await agent().run(question("chain"), message_history=first.all_messages())).output}


async def client_tool() -> dict[str, Any]:
    ran: list[tuple[int, int]] = []

    def add(a: int, b: int) -> int:
        """Add."""
        ran.append((a, b))
        return a + b

    answer = await agent(MODEL_WITH_TOOLS, tools=[add]).run(question("client_tool"))
    return {"text": answer.output, "ran": ran}


async def limited() -> dict[str, Any]:
    return {"text": (await agent().run(question("limited"))).output}


tell({each.__name__: each for each in (whole, stream, own_tool, chain, client_tool, limited)})
