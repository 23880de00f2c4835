"""Finds the table for the client that replaces a component's OpenAI or Azure client: a `[models.*]`, if one matches.

A table matches with the same model and base URL. A component with options of its own (temperature ...) gets a client
of its own with the table's key, headers and connections. A missing or masked key is taken from a table with the same
base URL only, and never from the environment: the component decides where its key is sent.
"""

import itertools
from collections.abc import Collection, Mapping
from typing import Any, Final

from pydantic import ValidationError
from yarl import URL

from aiostream_server.config.editing import table_text
from aiostream_server.config.model import OpenAIModelConfig
from aiostream_server.config.problem_text import toml_key, toml_value
from aiostream_server.errors import ConfigError
from aiostream_server.models.openai.component import (
    AzureOpenAIChatClient,
    OpenAIChatClient,
    own_class,
    without_masks,
)

_KEYS_OF: Final = {
    "api.openai.com": "OPENAI_API_KEY",
    "api.anthropic.com": "ANTHROPIC_API_KEY",
    "generativelanguage.googleapis.com": "GEMINI_API_KEY",
}
_CLASSES: Final[Mapping[str, type[OpenAIChatClient] | type[AzureOpenAIChatClient]]] = {
    f"{client.__module__}.{client.__name__}": client for client in (OpenAIChatClient, AzureOpenAIChatClient)
}


def is_ours(component: Mapping[str, Any]) -> bool:
    """Whether our client can replace it."""
    return own_class(component) is not None


def shared_table(
    component: Mapping[str, Any], tables: Mapping[str, OpenAIModelConfig]
) -> tuple[str | None, OpenAIModelConfig]:
    """The name of the table with the component's model, if there is one; and the settings of its client.

    They are the table itself, or a copy for the component. `component` must be one that `is_ours`. Raises
    `ConfigError` for invalid settings and for a missing key.
    """
    made = _CLASSES[own_class(component) or ""]
    try:
        wanted = made(**without_masks(component["config"])).table
    except ValidationError as exc:
        raise ConfigError([f"{'.'.join(map(str, at['loc']))}: {at['msg']}" for at in exc.errors()[:1]]) from None
    except ValueError as exc:
        raise ConfigError([str(exc)]) from None
    there = [name for name, table in tables.items() if _place(table) == _place(wanted)]
    if same := next((name for name in there if tables[name].model == wanted.model), None):
        options = {**tables[same].options, **wanted.options}
        is_itself = options == tables[same].options
        return same, tables[same] if is_itself else tables[same].model_copy(update={"options": options})
    if wanted.api_key is not None:
        return None, wanted
    if made is AzureOpenAIChatClient:  # any deployment of the same resource has the key
        there += [name for name, table in tables.items() if _place(table).origin() == _place(wanted).origin()]
    if not there:
        raise _missing_key(wanted, tables)
    if any(name.lower() == "host" for name in wanted.headers):
        raise ConfigError(["default_headers: Host could send the key of the configuration elsewhere"])
    like = tables[there[0]]
    headers = {"headers": {**like.headers, **wanted.headers}, "api_key_header": like.api_key_header}
    return None, wanted.with_secret(like.api_key).model_copy(update=headers)


def _place(table: OpenAIModelConfig) -> URL:
    """The address that the key is sent to; the versions of an API share one."""
    return URL(table.base_url.partition("#")[0].partition("?")[0].rstrip("/"))


def _missing_key(wanted: OpenAIModelConfig, taken: Collection[str]) -> ConfigError:
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
    return ConfigError([problem], [table_text(table, keys, of_many=False)])


def _free_name(model: str, taken: Collection[str]) -> str:
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in model).strip("-")[:60]
    names = itertools.chain([letters or "mine"], (f"{letters or 'mine'}-{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)
