"""What each provider does otherwise than OpenAI, as its documentation or its issues have it, one test per quirk."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from autogen_core.models import ChatCompletionTokenLogprob, RequestUsage, TopLogprob
from pydantic import SecretStr

from aiostream_server.errors import ModelFailed
from aiostream_server.models.openai.answer_reader import AnswerReader
from aiostream_server.models.openai.failures import Failures
from aiostream_server.models.provider import CallDelta, Delta, End, TextDelta, ThoughtDelta

FAILURES: Final = Failures("http://host:1", SecretStr("sk-secret"))
DONE: Final = "data: [DONE]\n\n"
STOPPED: Final = End("stop")


def read(stream: str) -> list[Delta]:
    answer = AnswerReader(FAILURES)
    deltas = [*answer.feed(stream.encode()), *answer.end()]
    if answer.failure is not None:
        raise answer.failure
    return deltas


def failure(stream: str) -> str:
    with pytest.raises(ModelFailed) as raised:
        read(stream)
    return str(raised.value).removeprefix("the model provider at http://host:1 ")


def data(*chunks: Mapping[str, Any]) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)


def choice(delta: Mapping[str, Any], finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **fields}]}


def call(name: str | None, arguments: Any, **fields: Any) -> dict[str, Any]:
    return choice({"tool_calls": [{"type": "function", "function": {"name": name, "arguments": arguments}, **fields}]})


STOP: Final = choice({}, "stop")


class TestOpenAI:
    """https://platform.openai.com/docs/api-reference/chat-streaming"""

    def test_role_comes_first_and_the_finish_reason_in_a_chunk_of_its_own(self) -> None:
        role = choice({"role": "assistant", "content": "", "refusal": None}, logprobs=None)
        assert read(data(role, choice({"content": "hi"}), STOP) + DONE) == [TextDelta("hi"), STOPPED]

    def test_usage_is_null_until_the_last_chunk_which_has_no_choices(self) -> None:
        usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
        stream = data({**choice({"content": "hi"}), "usage": None}, {**STOP, "usage": None}, usage) + DONE
        assert read(stream) == [TextDelta("hi"), End("stop", RequestUsage(3, 2))]

    def test_logprobs_come_with_each_token(self) -> None:
        top = [{"token": "hi", "logprob": -0.1, "bytes": [104, 105]}, {"token": "yo", "logprob": -2.5, "bytes": None}]
        tokens = [{"content": [{**top[0], "top_logprobs": top}]}, {"content": [{**top[1], "top_logprobs": []}]}]
        stream = data(*(choice({"content": "x"}, logprobs=token) for token in tokens), STOP)
        (*_, end) = read(stream)
        assert isinstance(end, End)
        assert end.logprobs == [
            ChatCompletionTokenLogprob(
                token="hi",
                logprob=-0.1,
                bytes=[104, 105],
                top_logprobs=[TopLogprob(-0.1, [104, 105]), TopLogprob(-2.5)],
            ),
            ChatCompletionTokenLogprob(token="yo", logprob=-2.5, top_logprobs=[]),
        ]

    def test_refusal_is_what_the_model_says(self) -> None:
        assert read(data(choice({"refusal": "I can't"}), STOP)) == [TextDelta("I can't"), End("refusal")]

    def test_error_in_the_stream(self) -> None:
        error = {"error": {"message": "The server had an error", "type": "server_error", "code": None}}
        assert failure(data(choice({"content": "a"}), error)) == "reported an error: The server had an error"


class TestAzure:
    """https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-streaming"""

    def test_first_chunk_is_about_the_prompt(self) -> None:
        first = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "id": "", "model": "", "object": ""}
        filtered = choice({"content": "hi"}, content_filter_results={"hate": {"filtered": False}})
        assert read(data(first, filtered, STOP) + DONE) == [TextDelta("hi"), STOPPED]

    def test_asynchronous_filter_sends_choices_without_a_delta(self) -> None:
        late = {"choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {"check_offset": 44}}]}
        stream = data(choice({"content": "hi"}), late, STOP, {**late, "object": ""})
        assert read(stream) == [TextDelta("hi"), STOPPED]

    def test_filtered_answer_ends_with_content_filter(self) -> None:
        assert read(data(choice({"content": "h"}), choice({}, "content_filter"))) == [
            TextDelta("h"),
            End("content_filter"),
        ]


class TestVllm:
    """https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html"""

    def test_stop_reason_is_a_number_or_a_text(self) -> None:
        stream = data(choice({"content": "a"}, stop_reason=None), choice({}, "stop", stop_reason=128009))
        assert read(stream) == [TextDelta("a"), STOPPED]
        assert read(data(choice({"content": ""}, "stop", stop_reason="###"))) == [STOPPED]

    def test_usage_in_every_chunk_is_counted_once(self) -> None:
        """`continuous_usage_stats`."""
        usages = [{"prompt_tokens": 5, "completion_tokens": count} for count in (0, 1, 2)]
        first, second, last = usages
        stream = data(
            {**choice({"role": "assistant"}), "usage": first},
            {**choice({"content": "a"}), "usage": second},
            {**STOP, "usage": last},
            {"choices": [], "usage": last},
        )
        assert read(stream) == [TextDelta("a"), End("stop", RequestUsage(5, 2))]

    @pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
    def test_reasoning_has_two_names(self, key: str) -> None:
        """`reasoning_content` was renamed in 2025."""
        assert read(data(choice({key: "So."}), choice({"content": "a"}), STOP)) == [
            ThoughtDelta("So."),
            TextDelta("a"),
            STOPPED,
        ]

    def test_new_id_in_every_piece_of_a_call(self) -> None:
        """Until 0.9."""
        pieces = call("f", "", index=0, id="x"), call(None, "{}", index=0, id="y")
        assert read(data(*pieces, choice({}, "tool_calls")))[:2] == [
            CallDelta(0, "x", "f"),
            CallDelta(0, arguments="{}"),
        ]

    def test_error_in_the_stream_is_no_chunk(self) -> None:
        error = {"object": "error", "message": "too long", "type": "BadRequestError", "param": None, "code": 400}
        assert failure(data(error) + DONE) == "reported an error: too long"


class TestOllama:
    """https://github.com/ollama/ollama/blob/main/docs/api/openai-compatibility.mdx"""

    def test_every_call_is_number_0(self) -> None:
        """ollama/ollama#15457"""
        calls = call("f", '{"a":1}', index=0, id="x"), call("f", '{"a":2}', index=0, id="y")
        assert read(data(*calls, choice({}, "tool_calls"))) == [
            CallDelta(0, "x", "f", '{"a":1}'),
            CallDelta(1, "y", "f", '{"a":2}'),
            End("function_calls"),
        ]

    def test_calls_without_an_index(self) -> None:
        """ollama/ollama#7881: until 0.4.6"""
        calls = call("f", "{}", id="x"), call("f", "{}", id="y")
        assert [delta.index for delta in read(data(*calls, STOP)) if isinstance(delta, CallDelta)] == [0, 1]

    def test_arguments_as_an_object(self) -> None:
        assert read(data(call("f", {"a": [1, None]}, id="x"), STOP))[0] == CallDelta(0, "x", "f", '{"a":[1,null]}')

    def test_reasoning_beside_empty_content(self) -> None:
        stream = data(choice({"role": "assistant", "content": "", "reasoning": "So."}), STOP) + DONE
        assert read(stream) == [ThoughtDelta("So."), STOPPED]

    def test_bare_error(self) -> None:
        assert failure('{"error":"an error was encountered while running the model"}\n').endswith("running the model")


class TestLlamaCpp:
    """https://github.com/ggml-org/llama.cpp/tree/master/tools/server"""

    def test_first_content_is_null_and_nothing_stands_behind_done(self) -> None:
        stream = data(choice({"role": "assistant", "content": None}), choice({"content": "a"}), STOP) + "data: [DONE]"
        assert read(stream) == [TextDelta("a"), STOPPED]

    def test_error_in_a_field_of_its_own(self) -> None:
        """ggml-org/llama.cpp#16109: until the end of 2025."""
        error = 'error: {"code":400,"message":"the request exceeds the available context size"}\n\n'
        assert failure(error + DONE) == "reported an error: the request exceeds the available context size"
        assert failure("error: out of memory\n\n") == "reported an error: out of memory"

    def test_error_in_data(self) -> None:
        """Since then."""
        error = {"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}}
        assert failure(data(choice({"content": "a"}), error)).endswith("Context size has been exceeded.")

    def test_timings_ride_along(self) -> None:
        assert read(data({**STOP, "timings": {"predicted_per_second": 50.1}})) == [STOPPED]


class TestLiteLlm:
    """https://docs.litellm.ai/docs/completion/stream"""

    def test_usage_chunk_has_a_choice(self) -> None:
        """BerriAI/litellm#28735"""
        usage = {**choice({}), "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
        assert read(data(choice({"content": "a"}), STOP, usage) + DONE)[-1] == End("stop", RequestUsage(3, 2))

    def test_usage_comes_before_the_last_chunk(self) -> None:
        """BerriAI/litellm#17136"""
        usage = {**STOP, "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
        assert read(data(usage, {"choices": [], "usage": None}) + DONE) == [End("stop", RequestUsage(3, 2))]

    def test_all_that_could_be_said_is_null(self) -> None:
        delta = dict.fromkeys(["role", "function_call", "tool_calls", "audio", "provider_specific_fields"])
        assert read(data(choice({**delta, "content": "a"}), STOP)) == [TextDelta("a"), STOPPED]

    def test_other_services_finish_reasons(self) -> None:
        assert read(data(choice({}, "end_turn"))) == [STOPPED]
        assert read(data(choice({}, "MAX_TOKENS"))) == [End("length")]


class TestOpenRouter:
    """https://openrouter.ai/docs/api-reference/streaming"""

    def test_comments_while_it_waits(self) -> None:
        comment = ": OPENROUTER PROCESSING\n\n"
        assert read(comment * 3 + data(choice({"content": "a"})) + comment + data(STOP)) == [TextDelta("a"), STOPPED]

    def test_error_comes_in_a_chunk_like_any_other(self) -> None:
        error = {
            "error": {"code": "server_error", "message": "Provider disconnected"},
            **choice({"content": ""}, "error"),
        }
        assert failure(data(choice({"content": "a"}), error)) == "reported an error: Provider disconnected"

    def test_the_providers_own_words_are_told(self) -> None:
        metadata = {"provider_name": "X", "raw": "rate-limited upstream"}
        error = {"error": {"code": 429, "message": "Provider returned error", "metadata": metadata}}
        assert failure(data(error)) == "reported an error: Provider returned error: rate-limited upstream"

    def test_reasoning_comes_twice(self) -> None:
        delta = {"content": "", "reasoning": "So.", "reasoning_details": [{"type": "reasoning.text", "text": "So."}]}
        stream = data(choice(delta, native_finish_reason=None), choice({}, "stop", native_finish_reason="STOP"))
        assert read(stream) == [ThoughtDelta("So."), STOPPED]


class TestGemini:
    """https://ai.google.dev/gemini-api/docs/openai"""

    def test_calls_without_an_index_end_with_stop(self) -> None:
        calls = choice({"tool_calls": [{"id": name, "function": {"name": name, "arguments": "{}"}} for name in "fg"]})
        assert read(data(calls, STOP)) == [CallDelta(0, "f", "f", "{}"), CallDelta(1, "g", "g", "{}"), STOPPED]

    def test_every_call_is_number_0_and_has_no_id(self) -> None:
        """QuantumNous/new-api#2701"""
        calls = (
            call("f", '{"a":1}', index=0, id=""),
            call("f", '{"a":2}', index=0, id=""),
            call("g", "{}", index=0, id=""),
        )
        assert [delta.index for delta in read(data(*calls, STOP)) if isinstance(delta, CallDelta)] == [0, 1, 2]

    def test_refusal_is_a_list(self) -> None:
        body = b'[{"error": {"code": 400, "message": "Please use a valid role", "status": "INVALID_ARGUMENT"}}]'
        assert str(FAILURES.refused(400, body)).endswith("answered 400 Bad Request: Please use a valid role")


def test_odd_logprobs() -> None:
    """-inf is no JSON number; some servers leave out what is not asked for."""
    stream = data(choice({"content": "a"}, logprobs={"content": [{"token": "a", "logprob": None}]}), STOP)
    (_, end) = read(stream)
    assert isinstance(end, End)
    assert end.logprobs == [ChatCompletionTokenLogprob(token="a", logprob=-9999, top_logprobs=[])]
    assert read(data(choice({"content": "a"}, logprobs={"content": None}), STOP))[-1] == STOPPED


def test_name_in_two_pieces_is_one_call() -> None:
    """Without ids a new call begins only behind arguments that are whole, and with arguments of its own."""
    pieces = (
        call("get_", None, index=0),
        call("time", '{"a', index=0),
        call(None, '":1}', index=0),
        call("get_time", "", index=0),
    )
    deltas = [delta for delta in read(data(*pieces, STOP)) if isinstance(delta, CallDelta)]
    assert {delta.index for delta in deltas} == {0}
    assert "".join(delta.name for delta in deltas) == "get_time"
    assert "".join(delta.arguments for delta in deltas) == '{"a":1}'
