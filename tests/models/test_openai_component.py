"""Our client from the JSON that AutoGen writes for its own: the same settings, the same requests."""

import json
import warnings
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Literal

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import ComponentLoader, FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool, ToolSchema
from autogen_ext.models.openai import AzureOpenAIChatCompletionClient, OpenAIChatCompletionClient
from autogen_ext.models.openai.config import (
    AzureOpenAIClientConfigurationConfigModel,
    OpenAIClientConfigurationConfigModel,
)
from PIL import Image as PillowImage
from pydantic import BaseModel, SecretStr, ValidationError

from aiostream_server.models.openai.component import (
    AzureOpenAIChatClient,
    AzureOpenAIClientConfig,
    OpenAIChatClient,
    OpenAIClientConfig,
    replace_model_components,
)
from aiostream_server.models.openai.provider import OpenAIProvider
from tests.kit.scripted_provider import Exchange, ScriptedAnswer, ScriptedProvider

THEIRS: Final = "autogen_ext.models.openai.OpenAIChatCompletionClient"
OURS: Final = "aiostream_server.models.openai.component.OpenAIChatClient"
HELLO: Final[list[LLMMessage]] = [UserMessage(content="hello", source="user")]
INFO: Final = ModelInfo(vision=True, function_calling=True, json_output=True, family="unknown", structured_output=True)


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


async def ask(scripted: ScriptedProvider, client: ChatCompletionClient, **request: Any) -> Exchange:
    """What the client sends. It is closed."""
    scripted.script(ScriptedAnswer(Verdict(approved=True, notes=[]).model_dump_json()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _ = [item async for item in client.create_stream(**{"messages": HELLO, **request})]
    await client.close()
    return scripted.exchanges[-1]


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


ADD: Final = FunctionTool(add, "Adds", strict=True)
PLAIN: Final = ToolSchema(name="plain", description="Does it")


class Verdict(BaseModel):
    approved: bool
    notes: list[str]


CONVERSATION: Final[list[LLMMessage]] = [
    SystemMessage(content="Be brief."),
    SystemMessage(content="Be kind."),
    UserMessage(content="Add 1 and 2.", source="user"),
    AssistantMessage(content=[FunctionCall("c1", '{"a":1,"b":2}', "add")], source="Helper", thought="Let me."),
    FunctionExecutionResultMessage(content=[FunctionExecutionResult(content="3", name="add", call_id="c1")]),
    AssistantMessage(content=[FunctionCall("c2", "{}", "plain")], source="Helper"),
    FunctionExecutionResultMessage(content=[FunctionExecutionResult(content="ok", name="plain", call_id="c2")]),
    AssistantMessage(content="3", source="Helper", thought="not sent back"),
    UserMessage(content=["And this?", Image(PillowImage.new("RGB", (2, 2), "red"))], source="Other_Agent"),
]
SETTINGS: Final[Mapping[str, Any]] = {"model": "m", "api_key": "k", "model_info": INFO}


@pytest.mark.parametrize(
    ("settings", "request_"),
    [
        ({}, {"messages": CONVERSATION}),
        ({"include_name_in_message": False}, {"messages": CONVERSATION}),
        ({"add_name_prefixes": True, "include_name_in_message": False}, {"messages": CONVERSATION}),
        ({"temperature": 0.5, "seed": 7, "stop": ["x"], "max_tokens": 9, "user": "me", "top_p": 1.0}, {}),
        ({"parallel_tool_calls": False}, {"tools": [ADD, PLAIN]}),
        ({}, {"tools": [ADD, PLAIN], "tool_choice": "required"}),
        ({}, {"tools": [ADD, PLAIN], "tool_choice": "none"}),
        ({}, {"tools": [ADD, PLAIN], "tool_choice": ADD}),
        ({}, {"json_output": True}),
        ({}, {"json_output": Verdict}),
        ({"response_format": {"type": "json_object"}}, {}),
        ({}, {"extra_create_args": {"temperature": 0, "extra_body": {"top_k": 3}}}),
        ({"stream_options": {"include_usage": True}}, {}),
    ],
)
async def test_asks_as_autogens_client_does(
    scripted: ScriptedProvider, settings: dict[str, Any], request_: dict[str, Any]
) -> None:
    """But for `stream_options`, which ours always sends, and for what says no more than the default."""
    settings = {**SETTINGS, **settings, "base_url": scripted.base_url}
    ours = await ask(scripted, OpenAIChatClient(**settings), **request_)
    theirs = await ask(scripted, OpenAIChatCompletionClient(**settings), **request_)
    assert _normal(ours.body) == _normal(theirs.body)
    assert ours.headers["Authorization"] == theirs.headers["Authorization"]


def _normal(body: dict[str, Any]) -> dict[str, Any]:
    body.pop("stream_options", None)
    if body.get("tool_choice") == "auto":
        del body["tool_choice"]
    for part in (part for message in body["messages"] for part in message["content"] or () if isinstance(part, dict)):
        part.get("image_url", {}).pop("detail", None)
    for tool in body.get("tools", ()):
        tool["function"].setdefault("strict", False)
        if tool["function"].get("parameters") == {"type": "object", "properties": {}}:
            tool["function"]["parameters"] = {}
    return body


async def test_headers(scripted: ScriptedProvider) -> None:
    settings = {**SETTINGS, "base_url": scripted.base_url, "organization": "o", "default_headers": {"X-Title": "t"}}
    for client in (OpenAIChatClient(**settings), OpenAIChatCompletionClient(**settings)):
        sent = (await ask(scripted, client)).headers
        assert (sent["OpenAI-Organization"], sent["X-Title"]) == ("o", "t")


async def test_azure(scripted: ScriptedProvider) -> None:
    """Address and key go where Azure's own client puts them."""
    settings: dict[str, Any] = {
        "model": "gpt-4o",
        "azure_endpoint": "https://me.openai.azure.com",
        "azure_deployment": "mine",
        "api_version": "2024-10-21",
    }
    ours = AzureOpenAIChatClient(**settings, api_key="k").provider
    theirs = AzureOpenAIChatCompletionClient(**settings, api_key="k")
    base = "https://me.openai.azure.com/openai/deployments/mine"
    assert str(ours._url) == f"{base}/chat/completions?api-version=2024-10-21"
    assert str(theirs._client.base_url).rstrip("/") == base
    assert (ours._headers["api-key"], "Authorization" in ours._headers) == ("k", False)
    token = AzureOpenAIChatClient(**settings, azure_ad_token="t").provider
    assert (token._headers["Authorization"], "api-key" in token._headers) == ("Bearer t", False)
    await theirs.close()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (OpenAIClientConfig, OpenAIClientConfigurationConfigModel),
        (AzureOpenAIClientConfig, AzureOpenAIClientConfigurationConfigModel),
    ],
)
def test_every_setting_of_autogens_is_one_of_ours(ours: type[BaseModel], theirs: type[BaseModel]) -> None:
    assert theirs.model_fields.keys() <= ours.model_fields.keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "model\n  Field required"),
        ({"model": "m", "n": 2}, "Input should be 1"),
        ({"model": "m", "timeout": 0}, "greater than 0"),
        ({"model": "m", "base_url": "host:1"}, "base_url"),
        ({"model": "m", "model_info": {"vision": "yes"}}, "vision"),
    ],
)
def test_settings_that_are_wrong(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OpenAIChatClient(**settings)


def test_azures_token_provider_is_not_supported() -> None:
    provider = {"provider": "autogen_ext.auth.azure.AzureTokenProvider", "config": {}}
    with pytest.raises(ValueError, match="azure_ad_token_provider is not supported"):
        AzureOpenAIChatClient(model="m", azure_endpoint="https://x", api_version="1", azure_ad_token_provider=provider)


@pytest.mark.parametrize(
    ("model", "host"),
    [
        ("gpt-4o", "api.openai.com"),
        ("gemini-2.5-flash", "generativelanguage.googleapis.com"),
        ("claude-3-5-haiku", "api.anthropic.com"),
        ("Llama-3.3-8B-Instruct", "api.llama.com"),
    ],
)
def test_address_follows_the_model(model: str, host: str) -> None:
    assert OpenAIChatClient(model=model).provider._url.host == host


def test_timeouts_and_retries() -> None:
    config = OpenAIChatClient(model="m", timeout=3, max_retries=0).provider._config
    assert (config.connect_timeout_s, config.idle_timeout_s, config.max_retries) == (3, 3, 0)
    config = OpenAIChatClient(model="m", timeout=700).provider._config
    assert (config.connect_timeout_s, config.idle_timeout_s, config.max_retries) == (10, 700, 2)


def test_what_the_model_can_do() -> None:
    """By its name; what is said goes before that."""
    assert OpenAIChatClient(model="gpt-4o").model_info["vision"]
    said = OpenAIChatClient(model="gpt-4o", model_info={**INFO, "vision": False, "multiple_system_messages": True})
    assert not said.model_info["vision"]
    old = OpenAIChatClient(
        model="m", model_capabilities={"vision": True, "function_calling": False, "json_output": True}
    )
    assert (old.model_info["vision"], old.model_info["function_calling"]) == (True, False)


@pytest.mark.parametrize(
    ("model", "context"), [("gpt-4o", 128_000), ("gpt-4.1-mini", 1_047_576), ("gpt-4-0613", 8_192), ("mine", 128_000)]
)
def test_remaining_tokens(model: str, context: int) -> None:
    client = OpenAIChatClient(model=model)
    assert client.remaining_tokens(HELLO) == context - client.count_tokens(HELLO)


def test_dumped_and_loaded_it_is_the_same() -> None:
    """In this process. As JSON the key is asterisks, as AutoGen's is."""
    azure = {"azure_endpoint": "https://x", "api_version": "1", "azure_deployment": "d", "azure_ad_token": "secret"}
    for client in (
        OpenAIChatClient(model="m", api_key="secret", temperature=0.5, model_info=INFO),
        AzureOpenAIChatClient(model="m", **azure),
    ):
        dumped = client.dump_component()
        assert "secret" not in dumped.model_dump_json()
        loaded = ChatCompletionClient.load_component(dumped)
        assert type(loaded) is type(client)
        assert loaded.dump_component() == dumped


def team() -> dict[str, Any]:
    """As AutoGen writes it: asterisks for the key."""
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key="sk-secret", base_url="http://127.0.0.1:1/v1")
    agents = [AssistantAgent(name, client) for name in ("A", "B")]
    dumped: dict[str, Any] = json.loads(RoundRobinGroupChat([*agents], max_turns=1).dump_component().model_dump_json())
    return dumped


def test_team_gets_our_clients() -> None:
    exported = team()
    before = json.dumps(exported)
    replaced = replace_model_components(exported, api_key=SecretStr("k"))
    assert json.dumps(exported) == before
    assert json.dumps(replaced).count(OURS) == before.count(THEIRS) == 2
    loaded = ComponentLoader.load_component(replaced, RoundRobinGroupChat)
    for agent in loaded._participants:
        assert isinstance(agent, AssistantAgent)
        client = agent._model_client
        assert isinstance(client, OpenAIChatClient)
        assert isinstance(client.provider, OpenAIProvider)
        assert client.provider._headers["Authorization"] == "Bearer k"


AZURE: Final = {"model": "m", "azure_endpoint": "https://x", "api_version": "1"}
TOKENS: Final = {"provider": "autogen_ext.auth.azure.AzureTokenProvider", "config": {}}


@pytest.mark.parametrize(
    ("provider", "config", "key", "replaced"),
    [
        (THEIRS, {"model": "m", "api_key": "k"}, None, True),
        ("OpenAIChatCompletionClient", {"model": "m", "api_key": "k"}, None, True),
        (THEIRS, {"model": "m"}, SecretStr("k"), True),
        (THEIRS, {"model": "m", "api_key": None}, SecretStr("k"), True),
        (THEIRS, {"model": "m"}, None, False),
        (THEIRS, {"model": "m", "api_key": "**********"}, None, False),
        ("AzureOpenAIChatCompletionClient", {**AZURE, "api_key": "k"}, None, True),
        ("AzureOpenAIChatCompletionClient", {**AZURE, "azure_ad_token": "t"}, SecretStr("k"), True),
        ("AzureOpenAIChatCompletionClient", {**AZURE, "azure_ad_token_provider": TOKENS}, SecretStr("k"), False),
        ("autogen_ext.models.ollama.OllamaChatCompletionClient", {"model": "m", "api_key": "k"}, None, False),
    ],
)
def test_which_clients_are_replaced(
    provider: str, config: dict[str, Any], key: SecretStr | None, replaced: Literal[True, False]
) -> None:
    """Those that have a key; those without one read the environment, which is theirs to do."""
    component = {"provider": provider, "component_type": "model", "label": "mine", "config": config}
    result = replace_model_components(component, api_key=key)
    assert (result["provider"] != provider) is replaced
    assert result["label"] == "mine"
    if replaced:
        said = config.get("azure_ad_token") or config.get("api_key") or "k"
        assert said in (result["config"].get("azure_ad_token"), result["config"].get("api_key"))
        assert ChatCompletionClient.load_component(result)
    else:
        assert result == component


@pytest.mark.parametrize("component", [{}, {"provider": 5}, {"provider": THEIRS}, {"provider": THEIRS, "config": []}])
def test_what_is_no_component_stays_as_it_is(component: dict[str, Any]) -> None:
    assert replace_model_components(component, api_key=SecretStr("k")) == component
