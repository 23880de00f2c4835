"""What becomes of every field of OpenAI's chat completion request.

`docs/openai-api.md` shows this table. A test compares the two, and both with OpenAI's own list
(https://platform.openai.com/docs/api-reference/chat/create). A field that is not here is ignored.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Treatment: TypeAlias = Literal["passed on", "applied", "ignored", "refused"]


@dataclass(frozen=True, slots=True)
class RequestField:
    """`passed on` to the agents' model calls, `applied` by this server, `ignored`, or `refused` with status 400."""

    name: str
    treatment: Treatment
    reason: str


FIELDS: Final = (
    RequestField("model", "applied", "the team that answers; `auto` chooses one; `auto:answer` says how it is shown"),
    RequestField("messages", "applied", "the conversation; the last user message is the team's task"),
    RequestField("stream", "applied", "server-sent events as the team works, or one completion when it is done"),
    RequestField("stream_options", "applied", "`include_usage` adds the usage chunk; other options are ignored"),
    RequestField("n", "applied", "only 1 is accepted"),
    RequestField(
        "max_tokens",
        "applied",
        'bounds the output of the whole run; `"1024"` is taken as 1024; 0 and -1 are no bound; the smaller counts',
    ),
    RequestField("max_completion_tokens", "applied", "the same as `max_tokens`"),
    RequestField("temperature", "passed on", "0 to 2"),
    RequestField("top_p", "passed on", "0 to 1"),
    RequestField("seed", "passed on", "a 64-bit integer"),
    RequestField("presence_penalty", "passed on", "-2 to 2"),
    RequestField("frequency_penalty", "passed on", "-2 to 2"),
    RequestField("reasoning_effort", "passed on", "none, minimal, low, medium, high, xhigh or max"),
    RequestField("verbosity", "passed on", "low, medium or high"),
    RequestField("response_format", "applied", "`json_schema`, `json_object`: see [JSON answers](#json-answers)"),
    RequestField("modalities", "refused", "but for `text`: the answer is text"),
    RequestField("audio", "refused", "the answer is text"),
    RequestField(
        "tools",
        "applied",
        "teams with `client_tools` call them: see [Your own tools](#your-own-tools); other teams ignore them",
    ),
    RequestField("tool_choice", "applied", "see [Your own tools](#your-own-tools) and [JSON answers](#json-answers)"),
    RequestField("parallel_tool_calls", "applied", "`false`: an answer calls one of your tools at most"),
    RequestField("functions", "ignored", "out of use: send `tools`"),
    RequestField("function_call", "refused", "but for `none` and `auto`: send `tools` and `tool_choice`"),
    RequestField("stop", "ignored", "it would cut the agents' work in the middle, not the answer"),
    RequestField("logprobs", "ignored", "an answer of several model calls has no one distribution"),
    RequestField("top_logprobs", "ignored", "see `logprobs`"),
    RequestField("logit_bias", "ignored", "token ids belong to one model, and a team may use several"),
    RequestField("prediction", "ignored", "it speeds up a single model call"),
    RequestField("web_search_options", "ignored", "a team searches with tools of its own"),
    RequestField("moderation", "ignored", "nothing is moderated"),
    RequestField("store", "ignored", "no completion is stored"),
    RequestField("metadata", "ignored", "no completion is stored that it could describe"),
    RequestField("service_tier", "ignored", "there is one"),
    RequestField("user", "ignored", "the key and trusted headers name the user"),
    RequestField("safety_identifier", "ignored", "the key and trusted headers name the user"),
    RequestField("prompt_cache_key", "ignored", "caching is the model provider's"),
    RequestField("prompt_cache_options", "ignored", "caching is the model provider's"),
    RequestField("prompt_cache_retention", "ignored", "caching is the model provider's"),
)

PASSED_ON: Final = tuple(field.name for field in FIELDS if field.treatment == "passed on")
