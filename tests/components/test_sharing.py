"""The server replaces model clients of a component by its own, and sends no key to another base URL than its own."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from autogen_core.models import UserMessage
from pydantic import SecretStr

from aiostream_server.config.load import Beside, load_config
from aiostream_server.config.model import ComponentModelConfig, Config, OpenAIModelConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.registry import Models, open_models
from aiostream_server.teams.components.clients import with_shared_clients
from aiostream_server.teams.components.loading import load
from tests.components.making import INFO, Json, assistant, component, openai, replay, round_robin, selector, written
from tests.components.other_clients import Counting
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider

HELLO = [UserMessage(content="hello", source="user")]
MASKED = "**********"


def table(model: str, base_url: str, key: str | None = "sk-table", **settings: Any) -> OpenAIModelConfig:
    made = OpenAIModelConfig(provider="openai", model=model, base_url=base_url, **settings)
    return made.with_secret(None if key is None else SecretStr(key))


async def sent(client: StreamingClient, provider: ScriptedProvider) -> tuple[Json, str]:
    """The request that a client sends, with its key."""
    provider.script(ScriptedAnswer("hi"))
    await client.create(HELLO)
    exchange = provider.exchanges[-1]
    return exchange.body, exchange.headers.get("Authorization", "none")


async def test_the_same_model_at_the_same_place_is_the_table_itself() -> None:
    tables = {"other": table("gpt-4.1", "http://h/v1"), "mine": table("gpt-4o-mini", "http://h/v1/")}
    async with open_models(tables) as models:
        for settings in ({}, {"api_key": MASKED}, {"api_key": "sk-own"}, {"organization": None}):
            found = models.client_for(openai(base_url="http://h/v1", **settings))
            assert found is models.client("mine")


async def test_options_of_its_own_are_kept() -> None:
    async with ScriptedProvider() as provider:
        mine = table("m", provider.base_url, options={"top_p": 0.5, "seed": 1}, headers={"X-Title": "t"})
        async with open_models({"mine": mine}) as models:
            client = models.client_for(openai("m", base_url=provider.base_url, temperature=0.2, seed=2))
            assert client is not models.client("mine")
            body, key = await sent(client, provider)
            assert (body["temperature"], body["top_p"], body["seed"], key) == (0.2, 0.5, 2, "Bearer sk-table")
            assert provider.exchanges[-1].headers["X-Title"] == "t"
            assert models.client_for(openai("m", base_url=provider.base_url, seed=1)) is models.client("mine")


@pytest.mark.parametrize("settings", [{}, {"api_key": MASKED}, {"api_key": None}, {"api_key": ""}])
async def test_a_key_of_the_same_place_serves_another_model(settings: Json) -> None:
    async with ScriptedProvider() as provider, open_models({"mine": table("other", provider.base_url)}) as models:
        client = models.client_for(openai("wanted", base_url=provider.base_url, model_info=INFO, **settings))
        body, key = await sent(client, provider)
        assert (body["model"], key) == ("wanted", "Bearer sk-table")


async def test_its_own_key_is_its_own() -> None:
    async with ScriptedProvider() as provider, open_models({"mine": table("other", provider.base_url)}) as models:
        client = models.client_for(openai("wanted", base_url=provider.base_url, api_key="sk-own"))
        assert (await sent(client, provider))[1] == "Bearer sk-own"


@pytest.mark.parametrize(
    "base_url",
    ["http://h/v2", "https://h/v1", "http://h:81/v1", "http://h.evil.example/v1", "http://h@evil.example/v1",
     "http://evil.example/v1?http://h/v1", "http://evil.example/#http://h/v1", "http://h/v1/../../x"],
)  # fmt: skip
async def test_no_key_goes_to_another_place(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a table's key nor the environment's."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    async with open_models({"mine": table("gpt-4o-mini", "http://h/v1")}) as models:
        with pytest.raises(ConfigError, match="has no key, and no"):
            models.client_for(openai(base_url=base_url, api_key=MASKED))


async def test_no_header_sends_a_key_elsewhere() -> None:
    """Several sites can share one address, so the Host header counts, too."""
    headers: Json = {"default_headers": {"hOST": "evil.example"}}
    async with open_models({"mine": table("other", "http://h/v1")}) as models:
        with pytest.raises(ConfigError, match="Host could send the key of the configuration elsewhere"):
            models.client_for(openai(base_url="http://h/v1", **headers))
        models.client_for(openai(base_url="http://h/v1", api_key="k", **headers))


async def test_a_missing_key_is_told_with_the_lines_that_give_it(tmp_path: Path) -> None:
    team = selector(assistant("Writer"), assistant("Critic"), client=openai("o4", base_url="http://me:pw@h/v1"))
    path = written(tmp_path / "team.json", team)
    async with open_models({}, for_components=True) as models:
        with pytest.raises(ConfigError) as caught:
            load(path, models)
    first, second = sorted(caught.value.problems)
    assert first == (
        f'{path}: $.config.model_client: the model "o4" has no key, and no [models.*] is at its base URL, '
        '"http://h/v1": add [models.o4] to the configuration, with the key\'s variable as api_key_env, or without it '
        "where no key is needed"
    )
    assert tomllib.loads("\n".join(caught.value.to_add))["models"] == {
        "o4": {"provider": "openai", "model": "o4", "base_url": "http://h/v1", "api_key_env": "O4_API_KEY"},
        "gpt-4o-mini": {
            "provider": "openai",
            "model": "gpt-4o-mini",
            "base_url": "https://api.openai.com/v1",
            "api_key_env": "OPENAI_API_KEY",
        },
    }
    assert 'agent "Writer", $.config.participants[0].config.model_client (and of Critic): the model "gpt-4o' in second


async def test_the_lines_for_a_key_are_a_configuration(tmp_path: Path) -> None:
    """For any model name, under a table name that is free."""
    azure = "autogen_ext.models.openai.AzureOpenAIChatCompletionClient"
    settings = {"azure_endpoint": "https://me.openai.azure.com", "api_version": "2024-06-01"}
    wanted = [openai(name, base_url="http://other/v1") for name in ("gpt-4o", 'a"]\nx = "\x7f', "日本", "q/w-3.5:7b")]
    async with open_models({"gpt-4o": table("gpt-4o", "http://h/v1")}) as models:
        for client in (*wanted, component(azure, "model", model="big", **settings)):
            with pytest.raises(ConfigError) as caught:
                models.client_for(client)
            path = tmp_path / "server.toml"
            path.write_text("\n".join(caught.value.to_add), "utf-8")
            (name, found), *others = tomllib.loads(path.read_text("utf-8"))["models"].items()
            assert (others, name == "gpt-4o", found["model"]) == ([], False, client["config"]["model"])
            assert load_config(path, {found["api_key_env"]: "sk-new"}, Beside(has_teams=True)).models[name]
            assert found.get("api_key_header") == ("api-key" if client["provider"] == azure else None)


async def test_azure() -> None:
    """Any deployment of the same resource gets its key, and its header."""
    azure = "autogen_ext.models.openai.AzureOpenAIChatCompletionClient"
    base_url = "https://me.openai.azure.com/openai/deployments/mine?api-version=2024-10-21"
    tables = {"azure": table("gpt-4o", base_url, api_key_header="api-key")}
    settings: Json = {"model": "gpt-4o", "azure_endpoint": "https://me.openai.azure.com/", "api_version": "2024-06-01"}
    async with open_models(tables) as models:
        assert models.client_for(component(azure, "model", **settings, azure_deployment="mine")) is models.client(
            "azure"
        )
        other: Any = models.client_for(component(azure, "model", **settings, azure_deployment="other"))
        assert other._provider._headers["api-key"] == "sk-table"
        assert "/deployments/other/chat/completions?api-version=2024-06-01" in str(other._provider._url)
        elsewhere = {**settings, "azure_endpoint": "https://you.openai.azure.com/"}
        with pytest.raises(ConfigError, match="has no key"):
            models.client_for(component(azure, "model", **elsewhere))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n": 2}, "n: Input should be 1"),
        ({"base_url": "host:1"}, "base_url"),
        ({"base_url": "http://host:99999"}, "ort"),
        ({"model": 3}, "model: "),
    ],
)
async def test_settings_that_are_wrong(settings: Json, words: str) -> None:
    async with open_models({}) as models:
        with pytest.raises(ConfigError, match=words):
            models.client_for(_with(settings))


def _with(settings: Json) -> Json:
    made = openai("m", api_key="k")
    made["config"].update(settings)
    return made


async def test_one_client_for_equal_components_and_one_pool_for_all() -> None:
    async with open_models({}, for_components=True) as models:
        clients: list[Any] = [
            models.client_for(openai("m", base_url="http://h/v1", api_key=key, **options))
            for key, options in [("a", {}), ("a", {}), ("b", {}), ("a", {"seed": 1})]
        ]
        assert clients[0] is clients[1]
        assert len(set(map(id, clients))) == 3
        sessions = {id(client._provider._session) for client in clients}
        assert len(sessions) == 1
        session = clients[0]._provider._session
        assert not session.closed
    assert session.closed


async def test_other_clients_are_built_once_and_streamed(tmp_path: Path) -> None:
    """Clients of any package are wrapped, shared, and closed with the server."""
    Counting.built = Counting.closed = 0
    client = component("tests.components.other_clients.CountingClient", "model", words="from elsewhere")
    team = round_robin(assistant("A", client), assistant("B", client), max_turns=2)
    path = written(tmp_path / "team.json", team)
    async with open_models({}) as models:
        build, _ = load(path, models, providers=["tests.components"])
        for _ in range(3):
            built: Any = build(None)
            result = await built.run(task="hi")
            assert [message.to_text() for message in result.messages][1:] == ["from elsewhere"] * 2
        assert (Counting.built, Counting.closed) == (1, 0)
    assert Counting.closed == 1


async def test_a_masked_key_of_others() -> None:
    """It is taken from a table of the same class and model; else the line says what is needed."""
    provider = "tests.components.other_clients.CountingClient"
    masked = component(provider, "model", model="big", words="x", api_key=MASKED)
    inline = {"provider": provider, "config": {"model": "big", "words": "table"}}
    async with open_models({"t": ComponentModelConfig(provider="component", component=inline)}) as models:
        assert models.client_for(masked) is models.client("t")
    async with open_models({}) as models:
        with pytest.raises(ConfigError, match='the key of the model "big" is only asterisks; add to the configuration'):
            models.client_for(masked)


async def test_recorded_answers_restart_with_each_run_and_caches_share_their_client(tmp_path: Path) -> None:
    cache = component(
        "autogen_ext.models.cache.ChatCompletionCache",
        "chat_completion_cache",
        client=openai("m", base_url="http://h/v1", api_key="k"),
        store=None,
    )
    async with open_models({}) as models:
        prepared, clients = with_shared_clients(selector(assistant("A", replay("x")), client=cache), models)
        assert len(clients) == 1
        text = json.dumps(prepared)
        assert "HandedClient" in text
        assert "Replay" in text
        assert '"api_key"' not in text


async def test_all_of_them_can_be_one_model_of_the_configuration(tmp_path: Path) -> None:
    """`model` in the `[[teams]]` table of a component replaces the models of its author."""
    path = written(tmp_path / "team.json", round_robin(assistant("A"), assistant("B", openai("claude-3"))))
    config = Config.model_validate({"models": {"default": {"provider": "demo"}}})
    async with open_models(config.models) as models:
        _, sample = load(path, models, model="default")
        clients = {id(agent._model_client) for agent in getattr(sample, "_participants")}  # noqa: B009 - private
        assert clients == {id(models.client("default"))}
        with pytest.raises(ConfigError, match="there is no model 'x'"):
            load(path, models, model="x")


def test_without_models_there_is_nothing_to_share() -> None:
    with pytest.raises(ConfigError, match="has no key"):
        Models({}).client_for(openai())
