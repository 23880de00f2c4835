"""What becomes of every field of OpenAI's Responses request.

`docs/responses.md` shows this table. A test compares the two, and both with OpenAI's own list
(https://platform.openai.com/docs/api-reference/responses/create). A field that is not here is ignored.
"""

from typing import Final

from aiostream_server.protocols.chat.fields import RequestField

_ONE_MODEL: Final = "it belongs to a single model call, and a team makes several"
_PROVIDERS: Final = "caching is the model provider's"
_ECHOED: Final = "repeated in the response, else ignored"

FIELDS: Final = (
    RequestField("model", "applied", "the team that answers; `auto` chooses one; `auto:answer` leaves out its work"),
    RequestField("input", "applied", "a question, or items: see [Input](#input)"),
    RequestField("instructions", "applied", "a system message of this turn only"),
    RequestField("previous_response_id", "applied", "continues that response: see [Conversations](#conversations)"),
    RequestField("conversation", "applied", 'a name of yours, or `{"id": name}`; not with `previous_response_id`'),
    RequestField("stream", "applied", "events as the team works, or one response when it is done"),
    RequestField("store", "applied", "`false`: the response cannot be read or continued later"),
    RequestField("background", "applied", "the run goes on without a connection: see [Background](#background)"),
    RequestField("max_output_tokens", "applied", "bounds the output of the whole run; 0 and -1 are no bound"),
    RequestField("temperature", "passed on", "0 to 2"),
    RequestField("top_p", "passed on", "0 to 1"),
    RequestField("reasoning", "passed on", "`effort`: none, minimal, low, medium, high, xhigh or max; else ignored"),
    RequestField("text", "applied", "`format`: text, `json_object`, `json_schema`; `verbosity` is passed on"),
    RequestField(
        "tools", "applied", "functions of the client's, for teams with `client_tools`; tools of other types are ignored"
    ),
    RequestField(
        "tool_choice",
        "applied",
        "`auto`, `none`, `required`, a function, `allowed_tools`; forced: [who takes it](openai-api.md#your-own-tools)",
    ),
    RequestField("parallel_tool_calls", "applied", "`false`: one call at a time"),
    RequestField("metadata", "applied", "kept with the response"),
    RequestField("truncation", "applied", _ECHOED),
    RequestField("max_tool_calls", "applied", "bounds the calls of the team's own tools: further ones are not made"),
    RequestField("prompt_cache_key", "applied", _ECHOED),
    RequestField("safety_identifier", "applied", _ECHOED),
    RequestField("prompt", "refused", "no prompts are stored here"),
    RequestField("include", "ignored", "what it could add is there, or does not exist here"),
    RequestField("stream_options", "ignored", "no event is padded"),
    RequestField("top_logprobs", "ignored", "an answer of several model calls has no one distribution"),
    RequestField("context_management", "ignored", _ONE_MODEL),
    RequestField("background_options", "ignored", "a run in the background has the limits of every run"),
    RequestField("image", "ignored", "teams draw with tools of their own"),
    RequestField("moderation", "ignored", "nothing is moderated"),
    RequestField("access_programs", "ignored", "they are OpenAI's"),
    RequestField("service_tier", "ignored", "there is one"),
    RequestField("user", "ignored", "the key and trusted headers name the user"),
    RequestField("prompt_cache_options", "ignored", _PROVIDERS),
    RequestField("prompt_cache_retention", "ignored", _PROVIDERS),
)
