"""pydantic-ai's agents, with its three ways to a typed output."""

from functools import partial
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.programs.telling import BASE_URL, FAILURES, MODEL, MODEL_WITH_TOOLS, question, tell

model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=BASE_URL, api_key="none"))
texts = Agent(model)


class Region(BaseModel):
    name: str
    total: int


async def whole(scenario: str = "whole") -> dict[str, Any]:
    answer = await texts.run(question(scenario))
    finish = answer.all_messages()[-1].finish_reason
    return {"text": answer.output, "finish": finish, "tokens": answer.usage.total_tokens}


async def stream(scenario: str = "stream") -> dict[str, Any]:
    async with texts.run_stream(question(scenario)) as answer:
        pieces = [piece async for piece in answer.stream_text(delta=True, debounce_by=None)]
    return {"text": "".join(pieces), "finish": answer.all_messages()[-1].finish_reason, "pieces": len(pieces)}


async def cancel() -> dict[str, Any]:
    async with texts.run_stream(question("cancel")) as answer:
        async for piece in answer.stream_text(delta=True, debounce_by=None):
            await answer.cancel()
            return {"text": piece}
    return {}


async def typed(output: Any, scenario: str) -> dict[str, Any]:
    return {"typed": dict((await Agent(model, output_type=output).run(question(scenario))).output)}


async def tools(scenario: str = "tools", output: Any = str) -> dict[str, Any]:
    ran: list[str] = []
    calling = OpenAIChatModel(MODEL_WITH_TOOLS, provider=OpenAIProvider(base_url=BASE_URL, api_key="none"))

    async def weather(city: str) -> str:
        """The weather of a city."""
        ran.append(city)
        return "rain"

    told = (await Agent(calling, output_type=output, tools=[weather]).run(question(scenario))).output
    return {"text": told, "ran": ran} if isinstance(told, str) else {"typed": dict(told), "ran": ran}


tell(
    {
        "whole": whole,
        "stream": stream,
        "cancel": cancel,
        "tools": tools,
        "tools_and_typed": partial(tools, "tools_and_typed", ToolOutput(Region)),
        "typed": partial(typed, NativeOutput(Region), "typed"),
        "typed_by_tool": partial(typed, ToolOutput(Region), "typed_by_tool"),
        "typed_by_prompt": partial(typed, PromptedOutput(Region), "typed_by_prompt"),
        "never_typed": partial(typed, NativeOutput(Region), "never_typed"),
        **{name: partial(whole, name) for name in FAILURES},
        **{name: partial(stream, name) for name in ("broken_stream", "broken_off")},
    }
)
