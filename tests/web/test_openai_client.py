"""The `openai` package as it is, against this server: what its users rely on."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessage

from aiostream_server.config.load import load_config
from tests.kit.scripted_provider import BreakOff, HttpError, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, config_for, sample_team, serving, until_idle

PERCENT = "What is 15% of 850?"
REGION = "Which region had the highest total sales?"
BASES = ["/v1", "/api/v1", "/v1/", "/api/v1/"]


@asynccontextmanager
async def demo(tmp_path: Path) -> AsyncIterator[Server]:
    """The server as it starts without a config file."""
    async with serving(load_config(None, {}), tmp_path) as server:
        yield server


@asynccontextmanager
async def client_of(server: Server, base: str = "/v1") -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}{base}", api_key="none", max_retries=0) as client:
        yield client


async def read_all(stream: AsyncIterator[ChatCompletionChunk]) -> list[ChatCompletionChunk]:
    return [chunk async for chunk in stream]


def without_link(text: str) -> str:
    """Each run has a file of its own."""
    return re.sub(r"\(http://[^)]*/v1/files/[^)]*\)", "(LINK)", text)


@pytest.mark.parametrize("base", BASES)
async def test_both_questions_streamed_and_not(tmp_path: Path, base: str) -> None:
    async with demo(tmp_path) as server, client_of(server, base) as client:
        for question, model, words in ((PERCENT, "general", "127.5"), (REGION, "auto", "Data analysis")):
            whole = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}])
            stream = await client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": question}], stream=True
            )
            chunks = [chunk async for chunk in stream]
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
            assert words in text
            assert without_link(whole.choices[0].message.content or "") == without_link(text)
            assert whole.choices[0].message.role == "assistant"
            assert whole.choices[0].finish_reason == "stop"
            assert whole.model == model
            assert whole.usage is not None
            assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0
            assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]


async def test_answers_have_ids_of_their_own(tmp_path: Path) -> None:
    async with demo(tmp_path) as server, client_of(server) as client:
        questions = [
            client.chat.completions.create(model="general", messages=[{"role": "user", "content": PERCENT}])
            for _ in range(5)
        ]
        assert len({answer.id for answer in await asyncio.gather(*questions)}) == 5


async def test_usage_is_told_in_a_last_chunk_without_choices_where_it_is_asked_for(tmp_path: Path) -> None:
    async with demo(tmp_path) as server, client_of(server) as client:
        stream = await client.chat.completions.create(
            model="general",
            messages=[{"role": "user", "content": PERCENT}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    assert [bool(chunk.usage) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


async def test_the_stream_helper_puts_the_same_answer_together(tmp_path: Path) -> None:
    """`client.chat.completions.stream`, which accumulates chunks, is stricter than a loop over them."""
    async with demo(tmp_path) as server, client_of(server) as client:
        async with client.chat.completions.stream(
            model="general", messages=[{"role": "user", "content": PERCENT}]
        ) as stream:
            completion = await stream.get_final_completion()
        assert "127.5" in (completion.choices[0].message.content or "")


async def test_the_blocking_client_in_a_thread(tmp_path: Path) -> None:
    def ask(url: str) -> tuple[list[str], str, str]:
        with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            models = [model.id for model in client.models.list()]
            whole = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": PERCENT}])
            stream = client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": PERCENT}], stream=True
            )
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            return models, whole.choices[0].message.content or "", text

    async with demo(tmp_path) as server:
        models, whole, streamed = await asyncio.to_thread(ask, server.url)
    assert models == ["auto", "general", "data"]
    assert "127.5" in streamed
    assert whole == streamed


@pytest.mark.parametrize("base", BASES)
async def test_models_are_listed_and_found(tmp_path: Path, base: str) -> None:
    async with demo(tmp_path) as server, client_of(server, base) as client:
        listed = [model async for model in client.models.list()]
        assert [model.id for model in listed] == ["auto", "general", "data"]
        assert all(model.owned_by and model.created and model.object == "model" for model in listed)
        assert (await client.models.retrieve("data")).id == "data"
        assert (await client.models.retrieve("autogen-agents")).id == "auto"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_unknown_model_is_not_found_and_the_error_lists_those_there_are(tmp_path: Path, stream: bool) -> None:
    async with demo(tmp_path) as server, client_of(server) as client:
        with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-9'; there are: auto, general, data"):
            await client.chat.completions.create(
                model="gpt-9", messages=[{"role": "user", "content": "hi"}], stream=stream
            )
        with pytest.raises(openai.NotFoundError, match="there are: auto, general, data") as caught:
            await client.models.retrieve("gpt-9")
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


async def test_a_wrong_request_is_a_bad_request_that_names_the_field(tmp_path: Path) -> None:
    async with demo(tmp_path) as server, client_of(server) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="general", messages=[])
        assert caught.value.param == "messages"
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="general", messages=[{"role": "user", "content": "hi"}], n=2)
        assert caught.value.param == "n"
        assert caught.value.type == "invalid_request_error"


async def test_a_failure_in_mid_stream_is_an_api_error_after_the_text(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("so far ", BreakOff()))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            client_of(server) as client,
        ):
            stream = await client.chat.completions.create(
                model="solo", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            assert (await anext(stream)).choices[0].delta.role == "assistant"
            assert "so far " in ((await anext(stream)).choices[0].delta.content or "")
            with pytest.raises(openai.APIError):
                await read_all(stream)


async def test_a_failing_provider_is_a_server_error_with_its_own_status(tmp_path: Path) -> None:
    """Not streamed, the answer keeps its status; the server's own key being wrong is not the caller's fault: no 401."""
    async with ScriptedProvider() as provider:
        provider.script(HttpError(401, {"error": {"message": "bad key"}}))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            client_of(server) as client,
        ):
            with pytest.raises(openai.InternalServerError, match="answered 401 Unauthorized") as caught:
                await client.chat.completions.create(model="solo", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.status_code == 502
    assert caught.value.code == "provider_refused"


@pytest.mark.parametrize("limit", ["run_timeout", "idle_timeout"])
async def test_a_run_that_takes_too_long_keeps_its_reason(tmp_path: Path, limit: str) -> None:
    config = config_for("http://127.0.0.1:9/v1", sample_team("hanging"), limits={f"{limit}_s": 0.2})
    async with serving(config, tmp_path) as server, client_of(server) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(model="hanging", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.status_code == 504
    assert caught.value.code == limit


async def test_half_an_answer_of_a_server_that_shuts_down_does_not_look_whole(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("half", Stall()))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            client_of(server) as client,
        ):
            asked = asyncio.create_task(
                client.chat.completions.create(model="solo", messages=[{"role": "user", "content": "hi"}])
            )
            await (await provider.request()).sent(1)
            await server.runner.cleanup()
            with pytest.raises(openai.InternalServerError, match="shutting down") as caught:
                await asked
    assert caught.value.status_code == 503


async def test_closing_the_stream_cancels_the_run(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("one ", Stall()))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            client_of(server) as client,
        ):
            stream = await client.chat.completions.create(
                model="solo", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            async for chunk in stream:
                if "one" in (chunk.choices[0].delta.content or ""):
                    break
            await stream.close()
            await asyncio.wait_for(provider.exchanges[0].closed.wait(), 30)
            await until_idle(server)


async def test_reasoning_apart_and_the_answer_alone_by_a_header(tmp_path: Path) -> None:
    async with demo(tmp_path) as server, client_of(server) as client:

        async def ask(presentation: str) -> ChatCompletionMessage:
            answer = await client.chat.completions.create(
                model="data",
                messages=[{"role": "user", "content": REGION}],
                extra_headers={"X-Presentation": presentation},
            )
            return answer.choices[0].message

        reasoning, answer = await ask("reasoning"), await ask("answer")
    assert reasoning.content
    assert "SQLAgent" in (reasoning.model_extra or {})["reasoning_content"]
    assert answer.content
    assert "SQLAgent" not in answer.content
    assert not (answer.model_extra or {}).get("reasoning_content")
