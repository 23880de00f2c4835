"""`configs/`: what stands in the examples is true. In server.toml `#key = ...` is an example, `# text` a comment."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, get_args

import pytest
from pydantic import BaseModel

from aiostream_server.config.load import load_config
from aiostream_server.config.model import (
    AuthConfig,
    ComponentsConfig,
    Config,
    DatabaseConfig,
    DemoModelConfig,
    LimitsConfig,
    ModelConfig,
    ModelInfoConfig,
    OpenAIModelConfig,
    RoutingConfig,
    ServerConfig,
    TeamConfig,
    TeamFolderConfig,
    ToolConfig,
)

CONFIGS: Final = Path(__file__).parents[2] / "configs"


def everything() -> dict[str, dict[str, object]]:
    """server.toml with its examples uncommented."""
    text = (CONFIGS / "server.toml").read_text("utf-8")
    return tomllib.loads(re.sub(r"^#(?=\[|\w+ = )", "", text, flags=re.MULTILINE))


def tables() -> Iterator[tuple[str, type[BaseModel], Mapping[str, object]]]:
    """Every table of the model with all that server.toml says in the tables of its kind."""
    document = everything()
    sections: dict[str, type[BaseModel]] = {
        "server": ServerConfig,
        "auth": AuthConfig,
        "limits": LimitsConfig,
        "routing": RoutingConfig,
    }
    yield from ((name, model, document[name]) for name, model in sections.items())
    models = {table["provider"]: table for table in document["models"].values() if isinstance(table, dict)}
    for model in get_args(get_args(ModelConfig)[0]):
        (provider,) = get_args(model.model_fields["provider"].annotation)
        yield f"models, {provider}", model, models[provider]
    yield "model_info", ModelInfoConfig, models["openai"]["model_info"]
    (database,) = document["database"].values()
    assert isinstance(database, dict)
    yield "database", DatabaseConfig, database
    tools: dict[object, dict[str, object]] = {}
    for tool in document["tools"].values():
        assert isinstance(tool, dict)
        tools.setdefault(tool["kind"], {}).update(tool)
    tools["mcp"]["folder"] = Path(str(tools["mcp"]["folder"]))
    for model in get_args(get_args(ToolConfig)[0]):
        (kind,) = get_args(model.model_fields["kind"].annotation)
        yield f"tools, {kind}", model, tools[kind]
    (team,) = document["teams"]
    assert isinstance(team, dict)
    yield "teams", TeamConfig, team
    (folder,) = document["team_folders"]
    assert isinstance(folder, dict)
    yield "team_folders", TeamFolderConfig, folder
    yield "components", ComponentsConfig, document["components"]


def test_server_toml_loads_as_it_is_and_is_the_default() -> None:
    config = load_config(CONFIGS / "server.toml", {})
    assert config.model_dump() == load_config(None, {}).model_dump()
    assert config.notes == ()


@pytest.mark.parametrize(("model", "table"), [pytest.param(m, t, id=name) for name, m, t in tables()])
class TestTable:
    def test_every_key_of_the_model_stands_in_server_toml_and_no_other(
        self, model: type[BaseModel], table: Mapping[str, object]
    ) -> None:
        assert table.keys() == model.model_fields.keys()

    def test_value_is_the_default_wherever_there_is_one(
        self, model: type[BaseModel], table: Mapping[str, object]
    ) -> None:
        """Examples stand only where the default is to have none."""
        defaults = {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}
        real = {name for name, field in model.model_fields.items() if not field.is_required()}
        real -= {name for name, default in defaults.items() if default is None or default in ("", (), {})}
        assert {name: table[name] for name in real} == {name: _as_toml(defaults[name]) for name in real}


def _as_toml(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def test_every_section_of_the_model_stands_in_server_toml() -> None:
    assert everything().keys() == Config.model_fields.keys()


def test_demo_toml_is_paced_for_people_and_needs_nothing() -> None:
    config = load_config(CONFIGS / "demo.toml", {})
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8000)
    assert config.models == {"default": DemoModelConfig(provider="demo", tokens_per_s=40)}
    assert not config.teams
    assert not config.database


def test_service_toml_keeps_its_keys_where_only_the_service_sees_them_and_needs_no_provider() -> None:
    config = load_config(CONFIGS / "service.toml", {})
    assert config.auth.keys_file == CONFIGS / "private/keys/keys.json"
    assert config.models == {"default": DemoModelConfig(provider="demo")}


def test_provider_that_service_toml_proposes_has_its_key_from_systemd(tmp_path: Path) -> None:
    (tmp_path / "secret_openai").write_text("sk-1")
    default, proposed = (CONFIGS / "service.toml").read_text("utf-8").split("#[models.default]")
    text = default.replace('[models.default]\nprovider = "demo"\n', "[models.default]" + proposed.replace("\n#", "\n"))
    (tmp_path / "server.toml").write_text(text)
    model = load_config(tmp_path / "server.toml", {"CREDENTIALS_DIRECTORY": str(tmp_path)}).models["default"]
    assert isinstance(model, OpenAIModelConfig)
    assert model.api_key is not None
