"""Which options a provider is sent: by the model's name, by the configuration, and by what it refused before."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from autogen_core.models import UserMessage
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.errors import ModelFailed
from aiostream_server.models.openai.provider import OpenAIProvider
from aiostream_server.models.openai.request import AcceptedOptions
from aiostream_server.models.provider import ModelRequest
from tests.kit.scripted_provider import HttpError, Reply, ScriptedAnswer, ScriptedProvider
from tests.models.recording import config_of

HELLO = [UserMessage(content="hello", source="user")]
USAGE = {"stream_options": {"include_usage": True}}


def refuses(*names: str, status: int = 400) -> HttpError:
    """In OpenAI's words."""
    text = ", ".join(f"'{name}'" for name in names)
    return HttpError(status, {"error": {"message": f"Unsupported parameter: {text} is not supported with this model."}})


async def ask(
    options: Mapping[str, Any], *replies: Reply, times: int = 1, **settings: Any
) -> tuple[list[dict[str, Any]], list[str]]:
    """The options that were sent, and the failures there were, when a provider is asked so many times."""
    async with ScriptedProvider() as scripted:
        scripted.script(*replies)
        provider = OpenAIProvider(config_of(scripted, **settings))
        failures = []
        for _ in range(times):
            try:
                async for _batch in provider.stream(ModelRequest(HELLO, options=options)):
                    pass
            except ModelFailed as failure:
                failures.append(str(failure))
        await provider.close()
        known = ("messages", "model", "stream", "stream_options")
        return [{k: v for k, v in e.body.items() if k not in known} for e in scripted.exchanges], failures


@pytest.mark.parametrize(
    ("model", "bound"),
    [
        ("gpt-5-mini", "max_completion_tokens"),
        ("openai/gpt-5.1", "max_completion_tokens"),
        ("o1", "max_completion_tokens"),
        ("o3-mini", "max_completion_tokens"),
        ("o4-mini-2025-04-16", "max_completion_tokens"),
        ("gpt-4o", "max_tokens"),
        ("llama3.3:70b", "max_tokens"),
    ],
)
async def test_name_of_the_bound_follows_the_model(model: str, bound: str) -> None:
    """The client of a run says `max_tokens`, whatever the model."""
    assert await ask({"max_tokens": 5}, ScriptedAnswer("hi"), model=model) == ([{bound: 5}], [])


@pytest.mark.parametrize(
    ("configured", "requested", "sent"),
    [
        ({}, {}, {}),
        ({}, {"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 9}, {"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 9}, {"max_tokens": 5}, {"max_completion_tokens": 5}),
        ({"max_completion_tokens": 9}, {}, {"max_completion_tokens": 9}),
        ({}, {"max_tokens": None}, {}),
        ({"temperature": 0.9, "seed": 1}, {"temperature": 0.1}, {"temperature": 0.1, "seed": 1}),
    ],
)
def test_one_bound_and_the_request_first(
    configured: dict[str, float], requested: dict[str, float], sent: dict[str, float]
) -> None:
    assert AcceptedOptions("unknown", configured).options(requested) == {**USAGE, **sent}


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    ("model", "first", "second"),
    [("deployment-7", "max_tokens", "max_completion_tokens"), ("gpt-5", "max_completion_tokens", "max_tokens")],
)
async def test_bound_by_the_other_name(model: str, first: str, second: str, status: int) -> None:
    """For a model with an unknown name, and a proxy that knows only the old option; the refusal is learned once."""
    replies = (refuses(first, status=status), ScriptedAnswer("a"), ScriptedAnswer("b"))
    assert await ask({"max_tokens": 5}, *replies, times=2, model=model) == ([{first: 5}, {second: 5}, {second: 5}], [])


async def test_bound_that_is_refused_under_both_names_is_left_to_the_run() -> None:
    replies = (refuses("max_tokens"), refuses("max_completion_tokens"), ScriptedAnswer("a"))
    sent, failures = await ask({"max_tokens": 5}, *replies)
    assert (sent, failures) == ([{"max_tokens": 5}, {"max_completion_tokens": 5}, {}], [])


@pytest.mark.parametrize("name", ["temperature", "top_p", "presence_penalty", "frequency_penalty"])
async def test_option_that_the_model_does_not_take(name: str) -> None:
    """Left out from then on, alone."""
    options = {"temperature": 0.5, "top_p": 0.5, "presence_penalty": 0.5, "frequency_penalty": 0.5}
    rest = {key: value for key, value in options.items() if key != name}
    message = f"Unsupported value: '{name}' does not support 0.5 with this model. Only the default (1) is supported."
    replies = (HttpError(400, {"error": {"message": message, "param": name}}), ScriptedAnswer("a"), ScriptedAnswer("b"))
    assert await ask(options, *replies, times=2) == ([options, rest, rest], [])


async def test_one_refusal_after_another() -> None:
    """Each answer tells of one option only: all of them are learned within one call."""
    replies = (
        refuses("stream_options"),
        refuses("max_tokens"),
        refuses("temperature"),
        refuses("top_p"),
        ScriptedAnswer("a"),
    )
    sent, failures = await ask({"max_tokens": 5, "temperature": 1, "top_p": 1}, *replies)
    assert (sent[-1], failures) == ({"max_completion_tokens": 5}, [])


async def test_runs_that_were_refused_together_are_both_put_right() -> None:
    """What one of them taught is news for the other, too."""
    async with ScriptedProvider() as scripted:
        scripted.script(lambda body: refuses("max_tokens") if "max_tokens" in body else ScriptedAnswer("a"))
        provider = OpenAIProvider(config_of(scripted))

        async def one() -> int:
            return len([batch async for batch in provider.stream(ModelRequest(HELLO, options={"max_tokens": 5}))])

        assert all(await asyncio.gather(*[one() for _ in range(5)]))
        await provider.close()


@pytest.mark.parametrize(
    "error",
    [
        HttpError(
            400, {"error": {"message": "Invalid 'temperature': expected a value <= 2, got 5", "param": "temperature"}}
        ),
        HttpError(400, {"error": {"message": "max_tokens is too large: 5. This model supports at most 4 tokens"}}),
        HttpError(400, {"error": {"message": "Unsupported parameter: 'top_p'"}}),
        HttpError(404, {"error": {"message": "temperature is not supported"}}),
    ],
)
async def test_errors_that_are_for_the_user(error: HttpError) -> None:
    """A wrong value, an option that was not sent, another status: nothing is learned, and one's value is no other's."""
    options = {"temperature": 5, "max_tokens": 5}
    sent, failures = await ask(options, error, ScriptedAnswer("a"), times=2)
    assert (sent, len(failures)) == ([options, options], 1)


@given(st.lists(st.sets(st.sampled_from(["max_tokens", "max_completion_tokens", "temperature", "top_p", "seed"]))))
def test_learning_ends(refusals: list[set[str]]) -> None:
    """Whatever is refused, in whatever order: what is to be sent again differs from what was sent."""
    dialect = AcceptedOptions("gpt-5", {"max_tokens": 1, "temperature": 1, "top_p": 1, "seed": 1})
    for refused in refusals:
        sent = dialect.options({})
        is_news = dialect.learn(sent, 400, f"unsupported: {sorted(refused)}".encode())
        assert is_news == (dialect.options({}) != sent)
