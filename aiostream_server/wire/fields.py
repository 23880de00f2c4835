"""What becomes of every field of OpenAI's chat completion request: the one place where that is decided.

`docs/openai-api.md` shows this table; tests keep the two alike, and both complete
(https://platform.openai.com/docs/api-reference/chat/create). A field that is not here is ignored.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Treatment: TypeAlias = Literal["passed on", "applied", "ignored", "refused"]


@dataclass(frozen=True, slots=True)
class Field:
    """`passed on` to the agents' model calls, `applied` by this server, `ignored`, or `refused` with status 400."""

    name: str
    treatment: Treatment
    reason: str


_AGENTS_TOOLS: Final = "a team works with tools of its own, and never asks the client to run one"

FIELDS: Final = (
    Field("model", "applied", "the team that answers; `auto` chooses one"),
    Field("messages", "applied", "the conversation; the last user message is the team's task"),
    Field("stream", "applied", "server-sent events as the team works, or one completion when it is done"),
    Field("stream_options", "applied", "`include_usage` adds the usage chunk; other options are ignored"),
    Field("n", "applied", "1 is what there is; any other number is refused"),
    Field("max_tokens", "applied", "bounds the output of the whole run; at least 1; the smaller of the two counts"),
    Field("max_completion_tokens", "applied", "the same as `max_tokens`"),
    Field("temperature", "passed on", "0 to 2"),
    Field("top_p", "passed on", "0 to 1"),
    Field("seed", "passed on", "a 64-bit integer"),
    Field("presence_penalty", "passed on", "-2 to 2"),
    Field("frequency_penalty", "passed on", "-2 to 2"),
    Field("reasoning_effort", "passed on", "none, minimal, low, medium, high, xhigh or max"),
    Field("verbosity", "passed on", "low, medium or high"),
    Field("response_format", "refused", "but for `text`: what agents say to each other is not JSON"),
    Field("modalities", "refused", "but for `text`: the answer is text"),
    Field("audio", "refused", "the answer is text"),
    Field("tools", "ignored", _AGENTS_TOOLS),
    Field("tool_choice", "ignored", _AGENTS_TOOLS),
    Field("parallel_tool_calls", "ignored", _AGENTS_TOOLS),
    Field("functions", "ignored", _AGENTS_TOOLS),
    Field("function_call", "ignored", _AGENTS_TOOLS),
    Field("stop", "ignored", "it would cut the agents' work in the middle, not the answer"),
    Field("logprobs", "ignored", "an answer of several model calls has no one distribution"),
    Field("top_logprobs", "ignored", "see `logprobs`"),
    Field("logit_bias", "ignored", "token ids belong to one model, and a team may use several"),
    Field("prediction", "ignored", "it speeds up a single model call"),
    Field("web_search_options", "ignored", _AGENTS_TOOLS),
    Field("moderation", "ignored", "nothing is moderated"),
    Field("store", "ignored", "no completion is stored"),
    Field("metadata", "ignored", "no completion is stored that it could describe"),
    Field("service_tier", "ignored", "there is one"),
    Field("user", "ignored", "who asks is told by the key and by trusted headers"),
    Field("safety_identifier", "ignored", "who asks is told by the key and by trusted headers"),
    Field("prompt_cache_key", "ignored", "caching is the model provider's"),
    Field("prompt_cache_options", "ignored", "caching is the model provider's"),
    Field("prompt_cache_retention", "ignored", "caching is the model provider's"),
)

PASSED_ON: Final = tuple(field.name for field in FIELDS if field.treatment == "passed on")
