"""LangChain's ChatOpenAI, with its own retries."""

from functools import partial
from typing import Any

from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tests.clients.programs.telling import BASE_URL, FAILURES, MODEL, question, tell

model = ChatOpenAI(model=MODEL, base_url=BASE_URL, api_key="none")


class Region(BaseModel):
    """A region and its sales."""

    name: str
    total: int


async def whole(scenario: str = "whole") -> dict[str, Any]:
    answer = await model.ainvoke(question(scenario))
    tokens = (answer.usage_metadata or {}).get("total_tokens", 0)
    return {"text": answer.content, "finish": answer.response_metadata["finish_reason"], "tokens": tokens}


async def stream(scenario: str = "stream") -> dict[str, Any]:
    pieces, finish = [], None
    async for chunk in model.astream(question(scenario)):
        pieces.append(chunk.content)
        finish = chunk.response_metadata.get("finish_reason") or finish
    return {"text": "".join(pieces), "finish": finish, "pieces": len(pieces)}


async def cancel() -> dict[str, Any]:
    chunks = model.astream(question("cancel"))
    text = ""
    async for chunk in chunks:
        text = chunk.content
        if text:
            break
    await chunks.aclose()
    return {"text": text}


async def typed(method: str, scenario: str) -> dict[str, Any]:
    return {"typed": dict(await model.with_structured_output(Region, method=method).ainvoke(question(scenario)))}


tell(
    {
        "whole": whole,
        "stream": stream,
        "cancel": cancel,
        "typed": partial(typed, "json_schema", "typed"),
        "typed_by_tool": partial(typed, "function_calling", "typed_by_tool"),
        "typed_json_object": partial(typed, "json_mode", "typed_json_object"),
        "never_typed": partial(typed, "json_schema", "never_typed"),
        **{name: partial(whole, name) for name in FAILURES},
        **{name: partial(stream, name) for name in ("broken_stream", "broken_off")},
    }
)
