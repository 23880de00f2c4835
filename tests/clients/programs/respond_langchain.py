"""LangChain's ChatOpenAI over Responses."""

from typing import Any

from langchain_openai import ChatOpenAI

from tests.clients.programs.telling import BASE_URL, MODEL, MODEL_WITH_TOOLS, TOOL_MODEL, question, tell


def model(name: str = MODEL, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(model=name, base_url=BASE_URL, api_key="none", use_responses_api=True, **settings)


async def whole() -> dict[str, Any]:
    answer = await model().ainvoke(question("whole"))
    return {"text": answer.text, "tokens": (answer.usage_metadata or {}).get("total_tokens", 0)}


async def stream() -> dict[str, Any]:
    pieces = [chunk.text async for chunk in model().astream(question("stream")) if chunk.text]
    return {"text": "".join(pieces), "pieces": len(pieces)}


async def own_tool() -> dict[str, Any]:
    answer = await model(TOOL_MODEL).ainvoke(question("own_tool"))
    assert not answer.tool_calls
    return {"text": answer.text.strip()}


async def chain() -> dict[str, Any]:
    asker = model(use_previous_response_id=True)
    first = await asker.ainvoke(question("chain"))
    return {"text": (await asker.ainvoke([("user", question("chain")), first, ("user", question("chain"))])).text}


async def client_tool() -> dict[str, Any]:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    asker = model(MODEL_WITH_TOOLS).bind_tools([add])
    messages: list[Any] = [("user", question("client_tool"))]
    called = await asker.ainvoke(messages)
    (call,) = called.tool_calls
    messages += [called, {"role": "tool", "content": str(add(**call["args"])), "tool_call_id": call["id"]}]
    return {"text": (await asker.ainvoke(messages)).text, "ran": [[call["args"]["a"], call["args"]["b"]]]}


async def limited() -> dict[str, Any]:
    return {"text": (await model().ainvoke(question("limited"))).text}


tell({each.__name__: each for each in (whole, stream, own_tool, chain, client_tool, limited)})
