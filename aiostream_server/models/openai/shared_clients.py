"""Finds the client that replaces a component's OpenAI or Azure client: that of a `[models.*]` table, if one matches.

A table matches with the same model and base URL. A component with options of its own (temperature ...) gets a client
of its own with the table's key, headers and connections. A missing or masked key is taken from a table with the same
base URL only, and never from the environment: the component decides where its key is sent.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from pydantic import ValidationError
from yarl import URL

from aiostream_server.config.editing import table_text
from aiostream_server.config.model import OpenAIModelConfig
from aiostream_server.config.problem_text import toml_key, toml_value
from aiostream_server.errors import ConfigError
from aiostream_server.models.openai.component import (
    AzureOpenAIChatClient,
    OpenAIChatClient,
    connecting_through,
    own_class,
    without_masks,
)
from aiostream_server.models.openai.provider import OpenAIProvider
from aiostream_server.models.provider import Provider

_KEYS_OF: Final = {
    "api.openai.com": "OPENAI_API_KEY",
    "api.anthropic.com": "ANTHROPIC_API_KEY",
    "generativelanguage.googleapis.com": "GEMINI_API_KEY",
}
_CLASSES: Final[Mapping[str, type[OpenAIChatClient] | type[AzureOpenAIChatClient]]] = {
    f"{client.__module__}.{client.__name__}": client for client in (OpenAIChatClient, AzureOpenAIChatClient)
}


@dataclass(frozen=True, slots=True)
class SharedClient:
    """The client for a component: a table's own (no `provider`), or a new one; equal `key`s share one client."""

    table: str | None
    model: str
    key: str = ""
    provider: Provider | None = None


class MissingKey(ConfigError):
    """No key is known for a model; `to_add` is the missing table."""


def is_ours(component: Mapping[str, Any]) -> bool:
    """Whether our client can replace it."""
    return own_class(component) is not None


def shared_client(
    component: Mapping[str, Any], tables: Mapping[str, OpenAIModelConfig], session: aiohttp.ClientSession | None
) -> SharedClient:
    """`tables` are the `[models.*]` with `provider = "openai"`; `component` must be one that `is_ours`.

    Raises `ConfigError` for invalid settings, and `MissingKey`.
    """
    made = _CLASSES[own_class(component) or ""]
    settings = without_masks(component["config"])
    try:
        with connecting_through(session):
            client = made(**settings)
    except ValidationError as exc:
        raise ConfigError([f"{'.'.join(map(str, at['loc']))}: {at['msg']}" for at in exc.errors()[:1]]) from None
    except ValueError as exc:
        raise ConfigError([str(exc)]) from None
    wanted = client.table
    table = _table_for(wanted, tables, is_azure=made is AzureOpenAIChatClient)
    has_key = "api_key" in settings or "azure_ad_token" in settings
    if table is not None and _is_same_model(tables[table], wanted):
        options = {**tables[table].options, **wanted.options}
        if options == tables[table].options:
            return SharedClient(table, wanted.model)
        merged = tables[table].model_copy(update={"options": options})
        return _opened(table, merged, session, table, options)
    if has_key:
        return SharedClient(None, wanted.model, _key(made.__name__, settings), client.provider)
    if table is None:
        raise _missing_key(wanted, tables)
    if any(name.lower() == "host" for name in wanted.headers):
        raise ConfigError(["default_headers: Host could send the key of the configuration elsewhere"])
    like = tables[table]
    merged = wanted.with_api_key(like.api_key).model_copy(
        update={"headers": {**like.headers, **wanted.headers}, "api_key_header": like.api_key_header}
    )
    return _opened(None, merged, session, table, settings)


def _opened(
    table: str | None, model: OpenAIModelConfig, session: aiohttp.ClientSession | None, *key: object
) -> SharedClient:
    return SharedClient(table, model.model, _key(*key), OpenAIProvider(model, session))


def _key(*parts: object) -> str:
    return json.dumps(parts, sort_keys=True)


def _table_for(wanted: OpenAIModelConfig, tables: Mapping[str, OpenAIModelConfig], *, is_azure: bool) -> str | None:
    """The table with the same model first; with Azure, any deployment of the same resource has the key."""
    place = _place(wanted.base_url, is_azure=False)
    there = [name for name, table in tables.items() if _place(table.base_url, is_azure=False) == place]
    if same := [name for name in there if tables[name].model == wanted.model]:
        return same[0]
    if not there and is_azure:
        resource = _place(wanted.base_url, is_azure=True)
        there = [name for name, table in tables.items() if _place(table.base_url, is_azure=True) == resource]
    return next(iter(there), None)


def _is_same_model(table: OpenAIModelConfig, wanted: OpenAIModelConfig) -> bool:
    places = {_place(one.base_url, is_azure=False) for one in (table, wanted)}
    return table.model == wanted.model and len(places) == 1


def _place(base_url: str, *, is_azure: bool) -> str:
    """The address that the key is sent to; the versions of an API share one."""
    url = URL(base_url).with_query(None).with_fragment(None)
    return str(url.origin() if is_azure else url).rstrip("/")


def _missing_key(wanted: OpenAIModelConfig, taken: Collection[str]) -> MissingKey:
    """The error, with the table to paste into the configuration."""
    name = _free_name(wanted.model, taken)
    url = URL(wanted.base_url).with_user(None)  # does not repeat a password
    variable = _KEYS_OF.get(url.host or "", f"{name.upper().replace('-', '_')}_API_KEY")
    is_usual = wanted.api_key_header == "Authorization"
    keys = {
        "provider": "openai",
        "model": wanted.model,
        "base_url": str(url),
        "api_key_env": variable,
        "api_key_header": "" if is_usual else wanted.api_key_header,
    }
    table = f"models.{toml_key(name)}"
    problem = (
        f"the model {toml_value(wanted.model)} has no key, and no [models.*] is at its base URL, "
        f"{toml_value(str(url))}: add [{table}] to the configuration, with the key's variable as api_key_env, or "
        "without it where no key is needed"
    )
    return MissingKey([problem], [table_text(table, keys, of_many=False)])


def _free_name(model: str, taken: Collection[str]) -> str:
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in model).strip("-")
    number, free = 1, letters[:60] or "mine"
    while free in taken:
        number += 1
        free = f"{letters[:60] or 'mine'}-{number}"
    return free
