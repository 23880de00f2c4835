"""OpenAI's Agents SDK and Microsoft's agent-framework; and the types of the Open Responses specification."""

import json
from typing import Any

import openresponses_types.types as specified
from agent_framework import Agent as FrameworkAgent
from agent_framework.openai import OpenAIChatClient
from agents import Agent, OpenAIResponsesModel, Runner, SQLiteSession, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

from tests.clients.programs.telling import BASE_URL, MODEL, MODEL_WITH_TOOLS, TOOL_MODEL, question, tell

set_tracing_disabled(True)
client = AsyncOpenAI(base_url=BASE_URL, api_key="none")
EVENTS = [each for name, each in vars(specified).items() if name.endswith("StreamingEvent")]


def agent(model: str = MODEL, **settings: Any) -> Agent:
    return Agent(name="Asker", instructions="Ask.", model=OpenAIResponsesModel(model, client), **settings)


def framework(model: str = MODEL, **settings: Any) -> FrameworkAgent:
    return FrameworkAgent(OpenAIChatClient(model, base_url=BASE_URL, api_key="none"), "Ask.", **settings)


async def whole() -> dict[str, Any]:
    answer = await Runner.run(agent(), question("whole"))
    return {"text": answer.final_output, "tokens": answer.context_wrapper.usage.total_tokens}


async def stream() -> dict[str, Any]:
    running = Runner.run_streamed(agent(), question("stream"))
    kinds = [event.data.type async for event in running.stream_events() if event.type == "raw_response_event"]
    return {"text": running.final_output, "pieces": kinds.count("response.output_text.delta")}


async def own_tool() -> dict[str, Any]:
    return {"text": (await Runner.run(agent(TOOL_MODEL), question("own_tool"))).final_output}


async def chain() -> dict[str, Any]:
    """The SDK sends the items back."""
    session = SQLiteSession("chain")
    for _ in range(2):
        answer = await Runner.run(agent(), question("chain"), session=session)
    return {"text": answer.final_output}


async def client_tool() -> dict[str, Any]:
    ran: list[tuple[int, int]] = []

    def add(a: int, b: int) -> int:
        """Add."""
        ran.append((a, b))
        return a + b

    answer = await Runner.run(agent(MODEL_WITH_TOOLS, tools=[function_tool(add)]), question("client_tool"))
    return {"text": answer.final_output, "ran": ran}


async def limited() -> dict[str, Any]:
    return {"text": (await Runner.run(agent(), question("limited"))).final_output}


async def framework_whole() -> dict[str, Any]:
    answer = await framework().run(question("framework_whole"))
    return {"text": answer.text, "tokens": answer.usage_details["total_token_count"] if answer.usage_details else 0}


async def framework_stream() -> dict[str, Any]:
    stream = framework().run(question("framework_stream"), stream=True)
    pieces = [each.text async for each in stream if each.text]
    return {"text": (await stream.get_final_response()).text, "pieces": len(pieces)}


async def framework_own_tool() -> dict[str, Any]:
    return {"text": (await framework(TOOL_MODEL).run(question("framework_own_tool"))).text}


async def framework_chain() -> dict[str, Any]:
    """The framework sends the id of the last response."""
    asker = framework()
    session = asker.create_session()
    for _ in range(2):
        answer = await asker.run(question("framework_chain"), session=session)
    return {"text": answer.text}


async def framework_client_tool() -> dict[str, Any]:
    ran: list[tuple[int, int]] = []

    def add(a: int, b: int) -> int:
        """Add."""
        ran.append((a, b))
        return a + b

    answer = await framework(MODEL_WITH_TOOLS, tools=[add]).run(question("framework_client_tool"))
    return {"text": answer.text, "ran": ran}


async def specification() -> dict[str, Any]:
    """Every event is one of those that the specification names, and of its shape."""
    accepted = 0
    raw = client.responses.with_streaming_response.create(
        model=TOOL_MODEL, input=question("specification"), stream=True, metadata={"a": "b"}
    )
    async with raw as response:
        async for line in response.iter_lines():
            if line.startswith("data: {"):
                event = json.loads(line.removeprefix("data: "))
                assert any(_is(kind, event) for kind in EVENTS), event
                accepted += 1
    return {"accepted": accepted > 10}


def _is(kind: Any, event: dict[str, Any]) -> bool:
    try:
        kind.model_validate(event)
    except ValueError:
        return False
    return True


SCENARIOS = (whole, stream, own_tool, chain, client_tool, limited, specification)
FRAMEWORK = (framework_whole, framework_stream, framework_own_tool, framework_chain, framework_client_tool)
tell({each.__name__: each for each in (*SCENARIOS, *FRAMEWORK)})
