"""A provider's failure is classified by what it means, in whatever words and codes the provider says it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.errors import (
    ContentFiltered,
    ContextTooLong,
    ModelFailed,
    ModelOverloaded,
    ModelTimeout,
    ProviderRefused,
    QuotaExhausted,
    RateLimited,
)
from aiostream_server.models.error_kinds import error_kind


def said(message: str, **more: Any) -> dict[str, Any]:
    """OpenAI's shape, which most services share."""
    return {"error": {"message": message, **more}}


CONTEXT: list[tuple[int, Any]] = [
    (400, said("This model's maximum context length is 8192 tokens.", code="context_length_exceeded")),  # OpenAI, Azure
    (400, said("Your input exceeds the context window of this model.", code="context_length_exceeded")),
    (400, said("prompt is too long: 210000 tokens > 200000 maximum", type="invalid_request_error")),  # Anthropic
    (400, said("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000")),
    (400, said("litellm.ContextWindowExceededError: litellm.BadRequestError: AnthropicException", code="400")),
    (400, [said("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).")]),  # Gemini
    (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),  # vLLM
    (400, said("The decoder prompt (length 5000) is longer than the maximum model length of 4096.")),
    (400, {"message": "The input (5000 tokens) is longer than the model's context length (4096 tokens).", "code": 400}),
    (
        400,
        said(
            "the request exceeds the available context size, try increasing it",
            code=400,
            type="exceed_context_size_error",
            n_prompt_tokens=9000,
            n_ctx=4096,
        ),
    ),  # llama.cpp
    (500, said("the request exceeds the available context size. try increasing the context size")),  # an older one
    (
        400,
        {"object": "error", "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context"},
    ),
    (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096", "error_type": "x"}),
    (400, said("This endpoint's maximum context length is 131072 tokens.", code=400)),  # OpenRouter
    (
        400,
        said(
            "Provider returned error",
            code=400,
            metadata={"raw": '{"error":{"code":"context_length_exceeded"}}', "provider_name": "X"},
        ),
    ),
    (400, said("Please reduce the length of the messages or completion.", code="context_length_exceeded")),  # Groq
    (413, said("Request too large for model `x` on tokens per minute (TPM)", code="rate_limit_exceeded")),
    (400, said("Invalid request: Your request exceeded model token limit: 8192", type="invalid_request_error")),  # Kimi
    (400, said("This model's maximum prompt length is 131072 but the request contains 200000 tokens.")),  # xAI
    (400, said("Range of input length should be [1, 30720]", code="InvalidParameter")),  # Qwen
    (400, said("Input is too long for requested model.")),  # Bedrock
    (400, said("too many tokens: total number of tokens in the prompt cannot exceed 4081")),  # Cohere
    (500, {"error": "the input length exceeds the context length"}),  # Ollama
    (400, {"error": "Trying to keep the first 5000 tokens when context the overflows."}),  # LM Studio
    (413, ""),
    (200, said("This model's maximum context length is 4096 tokens", code=400)),
]
FILTERED: list[tuple[int, Any]] = [
    (
        400,
        said("The response was filtered", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
    ),
    (400, said("Your request was rejected by the safety system", code="content_policy_violation")),
    (400, said("Input data may contain inappropriate content.", code="data_inspection_failed")),  # Qwen
    (400, said("Content Exists Risk", type="invalid_request_error")),  # DeepSeek
    (400, said("The request was rejected because it was considered high risk", type="content_filter")),  # Kimi
    (403, said("Your chosen model requires moderation and your input was flagged", code=403)),  # OpenRouter
    (400, said("litellm.ContentPolicyViolationError: AzureException", code="400")),
]
QUOTA: list[tuple[int, Any]] = [
    (
        429,
        said("You exceeded your current quota, please check your plan and billing details.", code="insufficient_quota"),
    ),
    (402, said("Insufficient Balance", type="unknown_error")),  # DeepSeek
    (402, said("This request requires more credits, or fewer max_tokens.", code=402)),  # OpenRouter
    (400, said("Your credit balance is too low to access the Anthropic API.", type="invalid_request_error")),
    (429, said("Your account is suspended, please check your balance", type="exceeded_current_quota_error")),  # Kimi
    (403, {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None}),  # SiliconFlow
    (400, said("Access denied, please make sure your account is in good standing.", code="Arrearage")),  # Qwen
    (200, said("Insufficient credits", code=402)),
]
REFUSED: list[tuple[int, Any]] = [
    (401, said("Incorrect API key provided: sk-***", code="invalid_api_key")),
    (401, {"detail": "Unauthorized"}),
    (403, said("You do not have access to this model")),
    (403, ""),
    (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT",
                    "details": [{"reason": "API_KEY_INVALID"}],
                }
            }
        ],
    ),  # Gemini
    (500, said("litellm.AuthenticationError: AnthropicException - invalid x-api-key", code="401")),
    (200, said("invalid x-api-key", type="authentication_error")),
]
LIMITED: list[tuple[int, Any]] = [
    (429, said("Rate limit reached for gpt-4o", type="tokens", code="rate_limit_exceeded")),
    (
        429,
        [
            {
                "error": {
                    "code": 429,
                    "message": "You exceeded your current quota, please check your plan and billing details.",
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [{"retryDelay": "37s"}],
                }
            }
        ],
    ),  # Gemini says this of a limit per minute
    (429, {"object": "error", "message": "Requests rate limit exceeded", "type": "rate_limited", "code": "1300"}),
    (429, ""),
    (200, said("This request would exceed your organization's rate limit", type="rate_limit_error")),  # Anthropic
    (200, said("Rate limited upstream", code=429)),  # OpenRouter
]
OVERLOADED: list[tuple[int, Any]] = [
    (503, said("Loading model", type="unavailable_error", code=503)),  # llama.cpp
    (529, said("Overloaded", type="overloaded_error")),  # Anthropic
    (503, [{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}]),
    (503, ""),
    (200, said("Overloaded", type="overloaded_error")),
    (500, said("The server is currently overloaded with other requests.")),
]
LATE: list[tuple[int, Any]] = [
    (504, "upstream request timeout"),
    (408, ""),
    (524, ""),
    (200, said("Deadline exceeded", code=504)),
]
OTHER: list[tuple[int, Any]] = [
    (500, said("The server had an error while processing your request")),
    (502, ""),
    (404, said("The model `gpt-9` does not exist", code="model_not_found")),
    (400, said("Invalid value for 'temperature'", param="temperature")),
    (
        400,
        said("max_tokens is too large: 9999. This model supports at most 4096 completion tokens", param="max_tokens"),
    ),
    (400, said("Invalid schema for function 'query': context must be an object")),
    (
        422,
        {
            "detail": [
                {"msg": "field required", "loc": ["body"], "input": "the prompt is too long for the context window"}
            ]
        },
    ),
    (404, ""),
    (200, said("Something went wrong", type="server_error")),
]
KINDS: list[tuple[list[tuple[int, Any]], type[ModelFailed]]] = [
    (CONTEXT, ContextTooLong),
    (FILTERED, ContentFiltered),
    (QUOTA, QuotaExhausted),
    (REFUSED, ProviderRefused),
    (LIMITED, RateLimited),
    (OVERLOADED, ModelOverloaded),
    (LATE, ModelTimeout),
    (OTHER, ModelFailed),
]


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [(status, error, kind) for cases, kind in KINDS for status, error in cases],
    ids=lambda value: json.dumps(value)[:70] if isinstance(value, dict | list) else None,
)
def test_what_providers_say(status: int, error: Any, kind: type[ModelFailed]) -> None:
    assert error_kind(status, error) is kind


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "code", "message", "detail", "metadata", "raw"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.integers(), _JSON)
def test_any_error_has_a_kind(status: int, error: Any) -> None:
    assert issubclass(error_kind(status, error), ModelFailed)
