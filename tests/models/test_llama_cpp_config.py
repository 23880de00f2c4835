"""A model that could not be started is found out before anybody asks: by `check`, and by `serve`."""

import sys
from pathlib import Path
from typing import Any

import pytest
from autogen_core import Image
from autogen_core.models import UserMessage
from PIL import Image as Pixels

from aiostream_server.config.model import LlamaCppModelConfig, ModelInfoConfig
from aiostream_server.config.problem_text import install_hint
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import open_models
from tests.config.writing import loaded, problems
from tests.kit.process import start
from tests.models.smollm2 import llama_processes

GGUF = b"GGUF\x03\x00\x00\x00"
PICTURE = Image(Pixels.new("RGB", (2, 2)))
TABLE = '[models.default]\nprovider = "llama.cpp"\npath = "model.gguf"\n'


async def complaints(path: Path, **settings: Any) -> tuple[str, ...]:
    config = LlamaCppModelConfig(provider="llama.cpp", path=path, **settings)
    try:
        async with open_models({"default": config}):
            return ()
    except ConfigError as exc:
        return exc.problems


async def test_nothing_is_started_before_it_is_needed(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "model.gguf").write_bytes(GGUF)
    assert await complaints(tmp_path / "model.gguf") == ()
    assert llama_processes() == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "cannot be read: no such file or directory"),
        (b"", "is not a GGUF file: docs/local.md says where to get one"),
        (b"GGUF", "is not a GGUF file: docs/local.md says where to get one"),
        (b"<!DOCTYPE html>", "is not a GGUF file: docs/local.md says where to get one"),
        (b"GGUF\x01\x00\x00\x00", "is a GGUF file of a version that llama.cpp does not read: 0x1"),
        (b"GGUF\x00\x00\x00\x03", "is a GGUF file of a version that llama.cpp does not read: 0x3000000"),
    ],
)
async def test_file_that_is_no_model_is_named(tmp_path: Path, content: bytes | None, what: str) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    assert await complaints(path) == (f"[models.default] path: {path} {what}",)


async def test_template_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    path, template = tmp_path / "model.gguf", tmp_path / "t.jinja"
    path.write_bytes(GGUF)
    assert await complaints(path, chat_template=template) == (
        f"[models.default] chat_template: {template} cannot be read: no such file or directory",
    )
    template.write_bytes(b"\xff")
    assert await complaints(path, chat_template=template) == (
        f"[models.default] chat_template: {template} is not UTF-8 text",
    )


async def test_missing_llama_cpp_is_said_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It cannot be uninstalled for one test: Python is told that there is no such module.
    monkeypatch.setattr("sys.path", [entry for entry in sys.path if "site-packages" not in entry])
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    assert await complaints(tmp_path / "model.gguf") == (
        f"[models.default] llama.cpp is not installed: {install_hint('local')}",
    )


async def test_what_the_model_cannot_do_is_said_without_starting_it(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "tiny.gguf").write_bytes(GGUF)
    said = ModelInfoConfig(function_calling=False, family="llama")
    config = LlamaCppModelConfig(provider="llama.cpp", path=tmp_path / "tiny.gguf", context_tokens=512, model_info=said)
    async with open_models({"default": config}) as models:
        client = models.client("default")
        with pytest.raises(ValueError, match="the local model tiny does not support images"):
            await client.create([UserMessage(content=["What is it?", PICTURE], source="user")])
        with pytest.raises(ValueError, match="the model does not support function calling"):
            await client.create([UserMessage(content="Hello.", source="user")], tools=[{"name": "ping"}])
        assert (client.model_info["family"], client.model_info["structured_output"]) == ("llama", True)
        assert client.remaining_tokens([]) == 512
    assert llama_processes() == []


async def test_check_says_which_model_the_first_question_starts(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "model.gguf").write_bytes(GGUF)
    (tmp_path / "server.toml").write_text(TABLE)
    process = await start("check", "--config", str(tmp_path / "server.toml"), state_directory=tmp_path)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert f"model     default: llama.cpp {tmp_path}/model.gguf, started by the first question" in out.decode()


def test_path_starts_at_the_configuration(tmp_path: Path) -> None:
    model = loaded(tmp_path, TABLE).models["default"]
    assert isinstance(model, LlamaCppModelConfig)
    assert model.path == tmp_path / "model.gguf"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("model_info = { vision = true }", "model_info: vision: models of llama.cpp take no images here"),
        ('tools = "yes"', 'tools: expected "auto", "native" or "grammar", got "yes"'),
        ("gpu_layers = -2", "gpu_layers: expected a whole number of at least -1, got -2"),
        ("idle_stop_s = -1", "idle_stop_s: expected a number of at least 0, got -1"),
        ('model = "x"', "model: unknown key; did you mean model_info?"),
    ],
)
def test_mistake_in_the_table_is_one_line(tmp_path: Path, line: str, problem: str) -> None:
    assert problems(tmp_path, TABLE + line) == [f"[models.default] {problem}"]
