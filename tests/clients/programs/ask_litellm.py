"""LiteLLM, as a client of an OpenAI endpoint."""

from functools import partial
from typing import Any

import litellm
from pydantic import BaseModel

from tests.clients.programs.telling import BASE_URL, FAILURES, MODEL, question, tell

litellm.suppress_debug_info = True


class Region(BaseModel):
    name: str
    total: int


async def ask(scenario: str, **options: Any) -> Any:
    return await litellm.acompletion(
        model=f"openai/{MODEL}",
        api_base=BASE_URL,
        api_key="none",
        messages=[{"role": "user", "content": question(scenario)}],
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


tell(
    {
        "whole": whole,
        "stream": stream,
        "cancel": cancel,
        "typed": typed,
        "never_typed": partial(typed, "never_typed"),
        **{name: partial(whole, name) for name in FAILURES},
        **{name: partial(stream, name) for name in ("broken_stream", "broken_off")},
    }
)
