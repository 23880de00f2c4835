"""LangChain's ChatOpenAI, with its own retries."""

from functools import partial
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tests.clients.programs.telling import BASE_URL, FAILURES, MODEL, MODEL_WITH_TOOLS, question, tell

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


async def tools() -> dict[str, Any]:
    ran: list[str] = []

    @tool
    async def weather(city: str) -> str:
        """The weather of a city."""
        ran.append(city)
        return "rain"

    calling = ChatOpenAI(model=MODEL_WITH_TOOLS, base_url=BASE_URL, api_key="none").bind_tools([weather])
    said: list[Any] = [HumanMessage(question("tools"))]
    while True:
        first, *others = [chunk async for chunk in calling.astream(said)]
        answer: Any = sum(others, first)
        said.append(answer)
        if not answer.tool_calls:
            return {"text": answer.content, "ran": ran}
        said += [await weather.ainvoke(call) for call in answer.tool_calls]


tell(
    {
        "whole": whole,
        "stream": stream,
        "cancel": cancel,
        "tools": tools,
        "typed": partial(typed, "json_schema", "typed"),
        "typed_by_tool": partial(typed, "function_calling", "typed_by_tool"),
        "typed_json_object": partial(typed, "json_mode", "typed_json_object"),
        "never_typed": partial(typed, "json_schema", "never_typed"),
        **{name: partial(whole, name) for name in FAILURES},
        **{name: partial(stream, name) for name in ("broken_stream", "broken_off")},
    }
)
