"""The form that a request wants its answer in: JSON, or the arguments of one of the client's tools."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from aiostream_server.intake.answer_schema import AnswerSchema  # takes 0.1 s to import, and few requests need it


@dataclass(frozen=True, slots=True)
class JsonForm:
    """One JSON value. `name` and `description` are the schema's; without a `name` any object will do."""

    schema: "AnswerSchema"
    name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class OutputTool:
    """A tool of the client; the server never runs it."""

    name: str
    description: str
    parameters: "AnswerSchema"


@dataclass(frozen=True, slots=True)
class ToolForm:
    """A call of one of the `tools`. `is_named`: the request named it, and did not leave the choice to the model."""

    tools: Sequence[OutputTool]
    is_named: bool


AnswerForm: TypeAlias = JsonForm | ToolForm
