"""What a user of a chat page is told of errors: whole sentences that say what to do, and nothing of this machine."""

import re

import pytest

from aiostream_server.errors import ERRORS
from aiostream_server.present.page_errors import in_plain_words

# Of each code what the server says for programs and operators, in all the forms that a page can meet.
MESSAGES = {
    "internal_error": ["the server failed; its log says why, under the request id"],
    "invalid_request": [
        "messages[0].content: is empty",
        "messages: the model behind 'solo' cannot see images; send text, or ask another",
        "messages: the images of all messages together have 99999999 pixels; this server takes 4000",
        "messages[0].content[1].image_url.url: the image is damaged: a checksum is wrong",
        "messages[0].content[1].image_url.url: this server does not fetch URLs; send the image as a data URL",
    ],
    "invalid_api_key": ["an API key is needed: send Authorization: Bearer KEY", "the API key is wrong, or was revoked"],
    "forbidden": ["this key may not use any of the teams that 'auto' chooses from"],
    "model_not_found": ["there is no model 'x'; there are: auto, data-analysis"],
    "request_timeout": ["the body did not arrive within 15 s"],
    "conflict": ["3 questions of this conversation are waiting already; wait for an answer"],
    "request_too_large": ["the body is larger than 33554432 bytes"],
    "too_many_runs": ["one of your runs is still going on; stop it, or wait for its end"],
    "shutting_down": ["the server is shutting down; ask again in a moment"],
    "runs_unavailable": ["the store of runs does not answer"],
    "team_failed": ["the team failed: ValueError: no such city", "the team stopped before it was done"],
    "model_failed": [
        "the model provider of [models.default] cannot be reached: connection refused",
        "the model provider of [models.default] answered 500 Internal Server Error: it burns",
        "the model provider of [models.default] broke off in the middle of its answer",
        "the local model small could not be started: it needs more memory",
    ],
    "provider_refused": ["the model provider of [models.default] answered 401 Unauthorized"],
    "context_length_exceeded": ["the model provider of [models.default] answered 400 Bad Request: prompt_tokens"],
    "content_filter": ["the model provider of [models.default] answered 400 Bad Request: content_filter"],
    "rate_limit_exceeded": ["the model provider of [models.default] answered 429 Too Many Requests: slow down"],
    "insufficient_quota": ["the model provider of [models.default] answered 402 Payment Required"],
    "model_overloaded": ["the model provider of [models.default] answered 503 Service Unavailable"],
    "model_timeout": ["the model provider of [models.default] did not end its answer within total_timeout_s"],
    "tool_failed": [
        'the tool "wiki" is not available: its MCP server cannot be used. The settings are in [tools.wiki]',
        "the code executor docker cannot be started: no such file",
    ],
    "too_many_turns": ["the run was ended after its limit of 50 turns"],
    "too_many_tool_calls": ["the run was ended after its limit of 100 tool calls"],
    "run_timeout": ["the run was ended after its limit of 600 s"],
    "idle_timeout": ["the team said nothing for 120 s and was ended"],
}
NOT_FOR_A_PAGE = {  # which sends no such request
    *(
        "not_found",
        "previous_response_not_found",
        "method_not_allowed",
        "run_expired",
        "unsupported_media_type",
        "schema_not_met",
    )
}
JARGON = re.compile(
    r"\[|\]|_|\bHTTP\b|https?:|\b[45]\d\d\b|\bbody\b|\bMCP\b|\bbytes\b|\bAuthorization\b|\bURL\b|messages\b"
)
SENTENCE = re.compile(r"[A-Z0-9].*[.!?]", re.DOTALL)
ALL = [(code, message) for code, messages in MESSAGES.items() for message in messages]


def test_every_error_of_the_tree_is_looked_at() -> None:
    assert {*MESSAGES} | NOT_FOR_A_PAGE >= {*ERRORS}


@pytest.mark.parametrize(("code", "message"), ALL)
@pytest.mark.parametrize("lasting", [False, True])
def test_every_error_is_told_in_whole_sentences_without_jargon(code: str, message: str, *, lasting: bool) -> None:
    told = in_plain_words(code, message, retry_after_s=7.2, lasting=lasting)
    assert SENTENCE.fullmatch(told), told
    assert not JARGON.search(told), told
    assert told.count(". ") + told.count("; ") >= 1, f"says what to do: {told}"


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        (
            "model_failed",
            "the model provider of [models.default] answered 500 Internal Server Error: it burns",
            "The model's provider failed: it burns. Ask again. If it fails again, tell the operator of this server.",
        ),
        ("rate_limit_exceeded", "", "The model is asked too often at the moment. Ask again in 8 seconds."),
        ("tool_failed", MESSAGES["tool_failed"][0], 'The tool "wiki" is not available. '),
        (
            "too_many_runs",
            MESSAGES["too_many_runs"][0],
            "One of your runs is still going on; stop it, or wait for its end.",
        ),
        (
            "invalid_request",
            "temperature: must be at most 2",
            "The page sent something that this server does not take: temperature: must be at most 2. ",
        ),
        ("team_failed", "the team failed: ValueError: no such city", "The team failed: no such city. Ask again. "),
        ("of_a_newer_server", "it is full", "It is full."),
    ],
)
def test_what_helps_is_kept(code: str, message: str, told: str) -> None:
    assert in_plain_words(code, message, retry_after_s=7.2).startswith(told)


def test_a_long_wait_is_told_in_minutes_and_what_lasts_is_told_as_such() -> None:
    assert in_plain_words("model_overloaded", "", retry_after_s=200).endswith("Ask again in 4 minutes.")
    assert in_plain_words("model_failed", "no", lasting=True).endswith(
        "Asking again at once will not help: tell the operator of this server."
    )
