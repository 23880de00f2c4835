"""LiteLLM's Responses."""

from typing import Any

import litellm

from tests.clients.programs.telling import BASE_URL, MODEL, TOOL_MODEL, question, tell

litellm.suppress_debug_info = True


async def ask(scenario: str, model: str = MODEL, **options: Any) -> Any:
    return await litellm.aresponses(
        model=f"openai/{model}", api_base=BASE_URL, api_key="none", input=question(scenario), **options
    )


async def whole() -> dict[str, Any]:
    answer = await ask("whole")
    return {"text": answer.output_text, "tokens": answer.usage.total_tokens}


async def stream() -> dict[str, Any]:
    events = await ask("stream", stream=True)
    pieces = [event.delta async for event in events if event.type == "response.output_text.delta"]
    return {"text": "".join(pieces), "pieces": len(pieces)}


async def own_tool() -> dict[str, Any]:
    return {"text": (await ask("own_tool", TOOL_MODEL)).output_text}


async def chain() -> dict[str, Any]:
    first = await ask("chain")
    return {"text": (await ask("chain", previous_response_id=first.id)).output_text}


async def limited() -> dict[str, Any]:
    return {"text": (await ask("limited")).output_text}


tell({each.__name__: each for each in (whole, stream, own_tool, chain, limited)})
