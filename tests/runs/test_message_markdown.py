"""Messages as Markdown: data as tables or JSON, pictures as links, and users' own classes however faulty."""

import base64
from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal

import pytest
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    BaseTextChatMessage,
    MultiModalMessage,
    StructuredMessage,
    ToolCallRequestEvent,
)
from autogen_core import FunctionCall, Image
from autogen_core.models import UserMessage
from autogen_core.tools import ImageResultContent, TextResultContent, ToolResult
from PIL import Image as Pillow
from pydantic import BaseModel, RootModel

from aiostream_server.config.server import FilesConfig
from aiostream_server.events import Message
from aiostream_server.runs.message_markdown import ToolPictures, code_block, data, encoded_picture, markdown_of
from aiostream_server.store.files import open_files
from aiostream_server.store.run_files import RunFiles, current_files
from tests.kit.cpu import takes_less_than
from tests.runs.listening import listening

_RED = Image(Pillow.new("RGB", (8, 6), "red"))


class City(BaseModel):
    name: str
    people: int | None = None


class Cities(BaseModel):
    cities: list[City]


class Report(BaseModel):
    title: str
    cities: list[City]


class Own(BaseTextChatMessage):
    """A user's own message."""


class Broken(BaseChatMessage):
    """A user's own message, which cannot be shown."""

    type: Literal["Broken"] = "Broken"
    city: str

    def to_text(self) -> str:
        raise KeyError("city")

    def to_model_text(self) -> str:
        return self.to_text()

    def to_model_message(self) -> UserMessage:
        return UserMessage(content=self.to_text(), source=self.source)


class Hopeless(Broken):
    what: object


def test_a_list_of_flat_objects_is_a_table() -> None:
    rows = [City(name="Rome", people=3), City(name="Pa|ris <b>")]
    table = "| name | people |\n| --- | ---: |\n| Rome | 3 |\n| Pa\\|ris &lt;b&gt; |  |"
    alone = RootModel[list[City]](rows)
    assert markdown_of(StructuredMessage[Cities](content=Cities(cities=rows), source="A")).startswith(
        "| name | people |"
    )
    assert markdown_of(StructuredMessage[RootModel[list[City]]](content=alone, source="A")) == table


def test_other_data_is_json() -> None:
    report = Report(title="Towns", cities=[City(name="Rome")])
    shown = markdown_of(StructuredMessage[Report](content=report, source="A"))
    assert shown.startswith('```json\n{\n  "title": "Towns",')
    assert shown.endswith("\n```")
    assert data({"of": [{"a": [1]}]}).startswith("```json")
    assert data({"a": "```"}) == '````json\n{\n  "a": "```"\n}\n````'


def test_a_table_is_capped_and_says_so() -> None:
    lines = data([{"n": number, "text": "x" * 1000} for number in range(250)]).splitlines()
    assert lines[-1] == "*… 150 more left out*"
    assert len(lines) == 2 + 100 + 2
    assert max(map(len, lines)) < 400


def test_a_format_string_decides() -> None:
    content = City(name="Rome", people=3)
    assert markdown_of(StructuredMessage[City](content=content, source="A", format_string="in {name}")) == "in Rome"
    wrong = markdown_of(StructuredMessage[City](content=content, source="A", format_string="in {country}"))
    assert '"name": "Rome"' in wrong, "its fields, where the text cannot be had"


def test_users_own_classes() -> None:
    assert markdown_of(Own(content="hi [x] {y}", source="A")) == "hi [x] {y}"
    assert markdown_of(Own(content='{"a": {"b": 1}}', source="A")).startswith("```json")
    assert markdown_of(Own(content="{never closed", source="A")) == "{never closed"
    assert '"city": "Rome"' in markdown_of(Broken(city="Rome", source="A"))
    hopeless = Hopeless(city="Rome", what=object(), source="A")
    assert markdown_of(hopeless) == "Hopeless"
    run = listening("A", "B")
    asked = ToolCallRequestEvent(content=[FunctionCall("c", '{"task": "go"}', "A")], source="B")
    messages: Sequence[BaseAgentEvent | BaseChatMessage] = (asked, hopeless)
    for message in messages:
        run.translator.translate(message)
    assert run.told[-1] == Message("A", "Hopeless"), "also where its words might come again"


def test_a_picture_that_cannot_be_kept_is_a_note() -> None:
    shown = markdown_of(MultiModalMessage(content=["look", _RED, " "], source="Painter"))
    assert shown == "look\n\n*[picture by Painter: 8 × 6, PNG, 1 KiB]*"


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[RunFiles]:
    async with open_files(FilesConfig(), tmp_path) as files:
        of_run = RunFiles(files, (None, None), "http://box")
        yield of_run
        await of_run.settle()
    assert len(list((tmp_path / "files").glob("*.json"))) == 1, "it was written"


async def test_a_picture_is_kept_and_linked(files: RunFiles) -> None:
    token = current_files.set(files)
    shown = markdown_of(MultiModalMessage(content=["look", _RED], source="Painter"))
    current_files.reset(token)
    assert shown.startswith("look\n\n![Painter](http://box/v1/files/file-")


async def test_a_picture_that_is_too_large_to_keep_is_a_note(tmp_path: Path) -> None:
    async with open_files(FilesConfig(max_file_bytes=10), tmp_path) as files:
        token = current_files.set(RunFiles(files, (None, None), "http://box"))
        shown = markdown_of(MultiModalMessage(content=[_RED], source="A"))
        current_files.reset(token)
    assert shown == "*[picture by A: 8 × 6, PNG, 1 KiB]*"


async def test_pictures_are_taken_out_of_a_tools_result(files: RunFiles) -> None:
    token = current_files.set(files)
    result = ToolResult(
        name="draw", result=[TextResultContent(content="a square"), ImageResultContent(content=_RED)]
    ).to_text()
    of_run = ToolPictures()
    text, pictures = of_run.taken_out(result, "draw")
    current_files.reset(token)
    assert text == "a square\n[picture: 8 × 6]"
    assert [picture.partition("(")[0] for picture in pictures] == ["![draw]"]
    assert of_run.put_in(f"draw: {result}") == f"draw: a square\n{pictures[0]}"


def test_text_that_only_looks_like_a_picture_is_kept() -> None:
    for text in ("[Image: no]", f"[Image: {'A' * 40}]", f"[Image: {base64.b64encode(b'x' * 60).decode()}]"):
        assert ToolPictures().taken_out(text, "draw") == (text, [])
        assert ToolPictures().put_in(text) == text


def test_a_huge_picture_is_encoded_as_jpeg() -> None:
    large = Image(Pillow.new("RGB", (1000, 1000)))
    assert "JPEG" in markdown_of(MultiModalMessage(content=[large], source="A"))


def test_the_openai_agents_picture() -> None:
    from autogen_ext.agents.openai._openai_agent import ImageMessage

    written = BytesIO()
    Pillow.new("RGB", (2, 2)).save(written, "PNG")
    encoded = base64.b64encode(written.getvalue()).decode()
    for content in (encoded, f"data:image/png;base64,{encoded}"):
        assert markdown_of(ImageMessage(content=content, source="A")) == "*[picture by A: 2 × 2, PNG, 1 KiB]*"
    assert markdown_of(ImageMessage(content="https://x.org/a.png", source="A")) == "https://x.org/a.png"
    assert encoded_picture("A" * 20_000_004, "A") == "*[picture by A that cannot be read]*"
    assert encoded_picture("no picture", "A") == "*[picture by A that cannot be read]*"


def test_no_text_closes_its_code_block() -> None:
    for text in ("plain", "```\nout", "a ````` b ``"):
        fence = code_block(text).partition("\n")[0]
        assert fence not in text
        assert len(fence) >= 3
    with takes_less_than(0.3):
        block = code_block("`" * 400_000)
    assert block.startswith("`" * 400_001 + "\n")
