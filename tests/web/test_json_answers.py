"""`response_format` and forced tools: the team works as always, and the answer is JSON that fits the schema."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from aiostream_server.config.model import Config, OpenAIModelConfig
from tests.kit.scripted_provider import Call, HttpError, Raw, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, ask, asking, sample_team, serving, until_idle
from tests.web.test_openai_client import client_of, demo

HELLO = [{"role": "user", "content": "How is the weather in Paris?"}]
GOOD = '{"city": "Paris", "degrees": 21}'


class Weather(BaseModel):
    city: str
    degrees: int


class Sum(BaseModel):
    text: str
    result: float


def schema_format(schema: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema, **more}}


def config(provider: ScriptedProvider, team: str = "solo", **info: bool) -> Config:
    """A model that takes schemas, or one that does not."""
    known = {"vision": False, "function_calling": True, "json_output": True, "structured_output": False, **info}
    model = OpenAIModelConfig.model_validate(
        {
            "provider": "openai",
            "model": "scripted",
            "base_url": provider.base_url,
            "model_info": {**known, "family": "unknown"},
        }
    )
    return Config(models={"default": model}, teams=(sample_team(team, output_tools=True),))


@pytest.mark.parametrize("is_native", [True, False])
async def test_parse_gives_a_typed_object(tmp_path: Path, is_native: bool) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("It is mild, ", "21 degrees."), ScriptedAnswer(GOOD[:9], GOOD[9:]))
        async with (
            serving(config(provider, structured_output=is_native), tmp_path) as server,
            client_of(server) as client,
        ):
            answer = await client.chat.completions.parse(model="solo", messages=HELLO, response_format=Weather)  # type: ignore[arg-type]
        last = provider.exchanges[1].body
    assert answer.choices[0].message.parsed == Weather(city="Paris", degrees=21)
    assert answer.choices[0].message.content == GOOD
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 14, "both calls of the model count"
    assert len(provider.exchanges) == 2
    assert last["response_format"]["type"] == ("json_schema" if is_native else "json_object")
    roles = [message["role"] for message in last["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert "It is mild, 21 degrees." in json.dumps(last["messages"])


async def test_streamed_as_it_comes_where_the_provider_constrains_it(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer('{"city": ', '"Paris", ', '"degrees": 21}'))
        async with (
            serving(config(provider, structured_output=True), tmp_path) as server,
            client_of(server) as client,
            client.chat.completions.stream(
                model="solo",
                messages=HELLO,  # type: ignore[arg-type]
                response_format=Weather,
            ) as stream,
        ):
            pieces = [event.delta async for event in stream if event.type == "content.delta" and event.delta]
            final = await stream.get_final_completion()
    assert pieces == ['{"city": ', '"Paris", ', '"degrees": 21}']
    assert final.choices[0].message.parsed == Weather(city="Paris", degrees=21)


async def asked(server: Server, model: str = "solo", **fields: Any) -> ChatCompletion:
    """Streamed and not, with the same answer."""
    async with client_of(server) as client:
        question = {"model": model, "messages": HELLO, **fields}
        answer: ChatCompletion = await client.chat.completions.create(**question)
        return answer


def content_of(answer: ChatCompletion) -> Any:
    return json.loads(answer.choices[0].message.content or "")


SCHEMA = Weather.model_json_schema()  # not in the strict rules of structured outputs
STRICT = {**SCHEMA, "additionalProperties": False}


async def test_an_answer_that_does_not_fit_is_asked_for_once_more_with_the_reason(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        wrong = '{"city": "Paris", "degrees": "mild"}'
        provider.script(
            ScriptedAnswer("Mild."), ScriptedAnswer(wrong), ScriptedAnswer(f"Here you are:\n```json\n{GOOD}\n```")
        )
        async with serving(config(provider), tmp_path) as server:
            answer = await asked(server, response_format=schema_format(SCHEMA))
        again = provider.exchanges[2].body["messages"]
    assert answer.choices[0].message.content == GOOD, "without the words and the fence around it"
    assert again[-2] == {"role": "assistant", "content": wrong}
    assert "$.degrees: 'mild' is not of type 'integer'" in again[-1]["content"]


async def test_what_never_fits_is_an_error_with_the_reason(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), *[ScriptedAnswer('{"city": 3}')] * 2)
        async with serving(config(provider), tmp_path) as server:
            with pytest.raises(openai.UnprocessableEntityError, match="is a required property") as caught:
                await asked(server, response_format=schema_format(SCHEMA))
        assert len(provider.exchanges) == 3, "two attempts, and no more by the client"
    assert caught.value.code == "schema_not_met"


async def test_of_an_answer_that_never_fits_a_stream_shows_only_the_error(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), *[ScriptedAnswer('{"city": 3}')] * 2)
        async with serving(config(provider), tmp_path) as server:
            answer = await ask(server.url, "Weather?", model="solo", response_format=schema_format(SCHEMA))
    assert not answer.text
    assert [error["code"] for error in answer.errors] == ["schema_not_met"]


async def test_an_answer_that_fits_already_needs_no_further_call(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(f"```json\n{GOOD}\n```"))
        async with serving(config(provider), tmp_path) as server:
            answer = await asked(server, response_format=schema_format(SCHEMA))
        assert len(provider.exchanges) == 1
    assert answer.choices[0].message.content == GOOD


async def test_a_provider_that_refuses_the_schema_is_told_it_in_words(tmp_path: Path) -> None:
    refused = {"error": {"message": "Invalid schema for response_format 'weather': 'default' is not permitted"}}
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), HttpError(400, refused), ScriptedAnswer(GOOD))
        async with serving(config(provider, structured_output=True), tmp_path) as server:
            answer = await asked(server, response_format=schema_format(STRICT))
        assert provider.exchanges[2].body["response_format"] == {"type": "json_object"}
    assert content_of(answer) == json.loads(GOOD)


async def test_a_provider_that_takes_no_schema_is_asked_with_one_once(tmp_path: Path) -> None:
    refused = {"error": {"message": "This response_format type is unavailable now"}}
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), HttpError(400, refused), ScriptedAnswer(GOOD))
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer(GOOD))
        async with serving(config(provider, structured_output=True), tmp_path) as server:
            for _ in range(2):
                answer = await asked(server, response_format=schema_format(STRICT))
                assert content_of(answer) == json.loads(GOOD)
        assert len(provider.exchanges) == 5


async def test_any_other_failure_of_the_provider_is_one(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), HttpError(401, {"error": {"message": "bad key"}}))
        async with serving(config(provider, structured_output=True), tmp_path) as server:
            with pytest.raises(openai.APIStatusError, match="answered 401 Unauthorized"):
                await asked(server, response_format=schema_format(STRICT))
        assert len(provider.exchanges) == 2


async def test_any_json_object(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer('{"anything": [1]}'))
        async with serving(config(provider), tmp_path) as server:
            answer = await asked(server, response_format={"type": "json_object"})
    assert content_of(answer) == {"anything": [1]}


async def test_the_teams_own_words_are_reasoning_where_that_is_asked_for(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer(GOOD))
        async with serving(config(provider), tmp_path) as server:
            reasoning = {"X-Presentation": "reasoning"}
            answer = await asked(server, response_format=schema_format(SCHEMA), extra_headers=reasoning)
    assert answer.choices[0].message.content == GOOD
    assert "Mild." in (answer.choices[0].message.model_extra or {})["reasoning_content"]


async def test_half_an_answer_is_one_that_was_cut(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer('{"city": "Pa', finish="length"))
        async with serving(config(provider), tmp_path) as server, client_of(server) as client:
            with pytest.raises(openai.LengthFinishReasonError):
                await client.chat.completions.parse(model="solo", messages=HELLO, response_format=Weather)  # type: ignore[arg-type]


def tool(name: str = "final_result", schema: Mapping[str, Any] = SCHEMA) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "The weather.", "parameters": schema}}


NAMED = {"type": "function", "function": {"name": "final_result"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}


FLAT = {"type": "function", "name": "final_result", "parameters": SCHEMA}
FORCING: dict[str, list[tuple[Any, Any]]] = {
    "chat/completions": [("required", tool()), (NAMED, tool()), (ALLOWED, tool())],
    "runs": [(NAMED, tool())],
    "responses": [
        ("required", FLAT),
        ({"type": "function", "name": "final_result"}, FLAT),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "final_result"}]}, FLAT),
    ],
}


@pytest.mark.parametrize("path", FORCING)
async def test_a_team_that_calls_no_tools_of_clients_refuses_a_forced_call(tmp_path: Path, path: str) -> None:
    """Before it starts, streamed or not, and says what to do instead; `auto` chooses another team, if there is one."""
    async with ScriptedProvider() as provider:
        known = config(provider)
        alone, other = sample_team("solo"), sample_team("pair", output_tools=True)
        async with (
            serving(known.model_copy(update={"teams": (alone,)}), tmp_path / "one") as one,
            serving(known.model_copy(update={"teams": (alone, other)}), tmp_path / "two") as two,
            aiohttp.ClientSession() as session,
        ):

            async def post(server: Server, **fields: Any) -> tuple[int, Any]:
                body = {"messages": HELLO, "input": "Hello?", **fields}
                async with session.post(f"{server.url}/v1/{path}", json=body) as response:
                    text = await response.text()
                    return response.status, json.loads(text) if response.status == 400 else None

            for choice, offered in FORCING[path]:
                forced = {"tools": [offered], "tool_choice": choice}
                for server, model, told in (
                    (one, "solo", "'solo' calls no tools of a client"),
                    (one, "auto", "no team calls tools of a client"),
                    (two, "solo", "ask a team that does: pair"),
                ):
                    for stream in (True, False):
                        status, body = await post(server, model=model, stream=stream, **forced)
                        assert (status, body["error"]["code"], body["error"]["param"]) == (
                            400,
                            "invalid_request",
                            "tool_choice",
                        )
                        assert told in body["error"]["message"]
            assert not provider.exchanges
            provider.script(ScriptedAnswer("A."), ScriptedAnswer("Mild."), ScriptedAnswer(Call("final_result", GOOD)))
            assert await post(two, model="auto", **forced) == (200, None)
            assert len(provider.exchanges) == 3, "by `pair`"


@pytest.mark.parametrize(
    ("choice", "finish"), [("required", "tool_calls"), (NAMED, "stop"), (ALLOWED, "tool_calls")], ids=str
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_forced_call_is_the_answer(tmp_path: Path, choice: Any, finish: str, stream: bool) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer(Call("final_result", GOOD)))
        async with serving(config(provider), tmp_path) as server, client_of(server) as client:
            question = {"model": "solo", "messages": HELLO, "tools": [tool(), tool("other")], "tool_choice": choice}
            if stream:
                async with client.chat.completions.stream(**question) as streamed:
                    answer = await streamed.get_final_completion()
            else:
                answer = await client.chat.completions.create(**question)
        last = provider.exchanges[1].body
    message = answer.choices[0].message
    assert not message.content
    assert message.tool_calls
    assert [call.function.name for call in message.tool_calls] == ["final_result"]
    assert json.loads(message.tool_calls[0].function.arguments) == json.loads(GOOD)
    assert message.tool_calls[0].id
    assert answer.choices[0].finish_reason == finish
    offered = {each["function"]["name"] for each in last["tools"]}
    assert offered == ({"final_result", "other"} if choice == "required" else {"final_result"})
    assert last["tool_choice"] == "required"


async def test_arguments_that_do_not_fit_are_asked_for_once_more(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(
            ScriptedAnswer("Mild."),
            ScriptedAnswer("I would rather not."),
            ScriptedAnswer(Call("final_result", GOOD)),
        )
        async with serving(config(provider), tmp_path) as server:
            answer = await asked(server, tools=[tool()], tool_choice="required")
    assert answer.choices[0].message.tool_calls


async def test_a_model_that_cannot_call_tools_writes_the_arguments(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        chosen = json.dumps({"tool": "final_result", "arguments": json.loads(GOOD)})
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer(GOOD), ScriptedAnswer("Mild."), ScriptedAnswer(chosen))
        async with serving(config(provider, function_calling=False), tmp_path) as server:
            one = await asked(server, tools=[tool()], tool_choice="required")
            several = await asked(server, tools=[tool(), tool("other")], tool_choice="required")
    for answer in (one, several):
        assert answer.choices[0].message.tool_calls
        call = answer.choices[0].message.tool_calls[0]
        assert call.type == "function"
        assert (call.function.name, json.loads(call.function.arguments)) == ("final_result", json.loads(GOOD))


async def test_the_client_answers_the_call_and_asks_on(tmp_path: Path) -> None:
    """As pydantic-ai does: with a word for its own call, or with what is wrong with it."""
    call = {"id": "call_1", "type": "function", "function": {"name": "final_result", "arguments": GOOD}}
    history = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1 validation error: city must be a capital. Try again."},
    ]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer(Call("final_result", GOOD)))
        async with serving(config(provider), tmp_path) as server:
            answer = await asked(server, messages=history, tools=[tool()], tool_choice="required")
        told = json.dumps(provider.exchanges[1].body["messages"])
    assert answer.choices[0].message.tool_calls
    assert "city must be a capital" in told
    assert "How is the weather in Paris?" in told


async def test_a_choice_that_forces_nothing_leaves_the_answer_in_words(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(*[ScriptedAnswer("Mild.")] * 3)
        async with serving(config(provider), tmp_path) as server:
            for choice in ("auto", "none", None):
                answer = await asked(server, tools=[tool(), {"type": "custom"}], tool_choice=choice)
                assert "Mild." in (answer.choices[0].message.content or "")


class Kind(BaseModel):
    kind: Literal["sum", "weather"]


@pytest.mark.parametrize(("shape", "parsed"), [(Sum, Sum(text="", result=127.5)), (Weather, None), (Kind, None)])
async def test_the_demo_model_fills_what_it_can_and_says_what_it_cannot(
    tmp_path: Path, shape: type[BaseModel], parsed: BaseModel | None
) -> None:
    question = [{"role": "user", "content": "What is 15% of 850?"}]
    async with demo(tmp_path) as server, client_of(server) as client:
        asking = client.chat.completions.parse(model="general", messages=question, response_format=shape)  # type: ignore[arg-type]
        if parsed is None:
            with pytest.raises(openai.UnprocessableEntityError, match="the demo model cannot fill"):
                await asking
        else:
            answer = (await asking).choices[0].message.parsed
            assert isinstance(answer, Sum)
            assert answer.result == 127.5
            assert answer.text == "15% of 850 is 127.5."


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": schema_format({"type": "strin"})}, "response_format.json_schema.schema"),
        ({"response_format": schema_format({"$ref": "http://127.0.0.1:9/s"})}, "response_format.json_schema.schema"),
        ({"response_format": schema_format({"$ref": "#"})}, "response_format.json_schema.schema"),
        ({"response_format": schema_format({"$ref": "#/$defs/none"})}, "response_format.json_schema.schema"),
        ({"response_format": schema_format({"pattern": "("})}, "response_format.json_schema.schema"),
        ({"response_format": schema_format({"title": "x" * 70_000})}, "response_format.json_schema.schema"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": NAMED, "tools": [tool("other")]}, "tool_choice"),
        ({"tool_choice": "required", "tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
        ({"tool_choice": "required", "tools": [tool(schema={"type": 1})]}, "tools[0].function.parameters"),
        ({"tool_choice": "required", "tools": [tool(), tool()]}, "tools"),
        ({"function_call": {"name": "x"}, "functions": [{"name": "x"}]}, "function_call"),
    ],
    ids=str,
)
async def test_what_cannot_be_met_is_refused(tmp_path: Path, fields: dict[str, Any], param: str) -> None:
    async with demo(tmp_path) as server:
        with pytest.raises(openai.BadRequestError) as caught:
            await asked(server, "general", **fields)
    assert caught.value.param == param


@pytest.mark.parametrize("form", [{}, None, {"type": "text"}])
async def test_words_are_the_default(tmp_path: Path, form: Any) -> None:
    async with demo(tmp_path) as server:
        question = [{"role": "user", "content": "What is 15% of 850?"}]
        answer = await asked(server, "general", messages=question, response_format=form)
    assert "127.5" in (answer.choices[0].message.content or "")


async def test_the_model_of_the_agent_that_answered_makes_the_last_call(tmp_path: Path) -> None:
    """Of several agents none of which is marked, that is the one that spoke last."""
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("A draft."), ScriptedAnswer("Mild."), ScriptedAnswer(GOOD))
        async with serving(config(provider, "pair"), tmp_path) as server:
            answer = await asked(server, "pair", response_format=schema_format(SCHEMA))
        told = json.dumps(provider.exchanges[2].body["messages"])
    assert content_of(answer) == json.loads(GOOD)
    assert "Mild." in told
    assert "A draft." not in told


async def test_a_team_without_a_model_uses_that_of_its_configuration(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(GOOD))
        async with serving(config(provider, "only_runs"), tmp_path) as server:
            answer = await asked(server, "only-runs", response_format=schema_format(SCHEMA))
    assert content_of(answer) == json.loads(GOOD)


async def test_auto_routes_as_always_and_shows_nothing_of_it(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer(GOOD))
        async with serving(config(provider), tmp_path) as server:
            answer = await ask(server.url, "Weather?", response_format=schema_format(SCHEMA))
    assert answer.text == GOOD


@pytest.mark.parametrize("team", ["solo", "pair"])
async def test_open_webuis_page_gets_the_json_as_it_is(tmp_path: Path, team: str) -> None:
    wild = {"city": "<b>*Paris*</b> ![x](http://x)", "degrees": 21}
    async with ScriptedProvider() as provider:
        provider.script(*[ScriptedAnswer("Mild.")] * (1 + (team == "pair")), ScriptedAnswer(json.dumps(wild)))
        async with serving(config(provider, team), tmp_path) as server:
            page = {"X-OpenWebUI-User-Name": "Ann"}
            answer = await ask(server.url, "Hi", model=team, headers=page, response_format=schema_format(SCHEMA))
    assert json.loads(answer.text) == wild
    assert not [frame for frame in answer.frames if "event" in frame]


async def test_a_run_tells_the_form_in_its_last_events(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer(Call("final_result", GOOD)))
        async with serving(config(provider), tmp_path) as server:
            body = {"model": "solo", "messages": HELLO, "tools": [tool()], "tool_choice": "required"}
            async with aiohttp.ClientSession() as session, session.post(f"{server.url}/v1/runs", json=body) as response:
                lines = (await response.text()).splitlines()
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    final = next(event for event in events if event["type"] == "final")
    assert (final["tool"], json.loads(final["content"])) == ("final_result", json.loads(GOOD))
    assert [event["kind"] for event in events if event["type"] == "token"] == ["message"], "the team's own words"


async def test_a_team_that_asks_the_user_says_so(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(*[ScriptedAnswer("Which city?")] * 2)
        async with serving(config(provider, "until_approved"), tmp_path) as server:
            with pytest.raises(openai.UnprocessableEntityError, match="question to the user"):
                await asked(server, "until-approved", response_format=schema_format(SCHEMA))
            answer = await ask(server.url, "Hi", model="until-approved", response_format=schema_format(SCHEMA))
    assert not answer.text
    assert [error["code"] for error in answer.errors] == ["schema_not_met"]


async def test_a_refusal_of_the_model_is_one(tmp_path: Path) -> None:
    pieces = (
        b'data: {"choices":[{"index":0,"delta":{"role":"assistant","refusal":"I cannot say that."}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    )
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), Raw(pieces))
        async with (
            serving(config(provider, structured_output=True), tmp_path) as server,
            client_of(server) as client,
        ):
            answer = await client.chat.completions.parse(model="solo", messages=HELLO, response_format=Weather)  # type: ignore[arg-type]
    assert answer.choices[0].message.refusal == "I cannot say that."
    assert answer.choices[0].message.parsed is None


async def test_a_conversation_goes_on_from_an_answer_in_json(tmp_path: Path) -> None:
    headers = {"X-Conversation-Id": "weather"}
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer(GOOD), ScriptedAnswer("Wind."), ScriptedAnswer(GOOD))
        async with serving(config(provider), tmp_path) as server:
            for _ in range(2):
                answer = await asked(server, response_format=schema_format(SCHEMA), extra_headers=headers)
                assert content_of(answer) == json.loads(GOOD)
        second = provider.exchanges[2].body["messages"]
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user"]
    assert second[2]["content"] == "Mild.", "the team remembers its own words"


async def test_a_long_answer_comes_whole(tmp_path: Path) -> None:
    long = json.dumps({"city": "x" * 150_000, "degrees": 1})
    async with ScriptedProvider() as provider:
        provider.script(lambda body: ScriptedAnswer(long if "JSON" in json.dumps(body) else "Mild."))
        async with serving(config(provider), tmp_path) as server:
            whole = await asked(server, response_format=schema_format(SCHEMA))
            streamed = await ask(server.url, "Hi", model="solo", response_format=schema_format(SCHEMA))
            call = await asked(server, tools=[tool()], tool_choice="required")
    assert whole.choices[0].message.content == streamed.text == long
    assert call.choices[0].message.tool_calls
    called = call.choices[0].message.tool_calls[0]
    assert called.type == "function"
    assert called.function.arguments == long


async def test_stopping_the_client_ends_the_last_call(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Mild."), ScriptedAnswer(GOOD[:9], Stall()))
        async with serving(config(provider), tmp_path) as server:
            async with asking(server.url, "Hi", model="solo", response_format=schema_format(SCHEMA)):
                exchange = await provider.request(2)
            await asyncio.wait_for(exchange.closed.wait(), timeout=30)
            await until_idle(server)
