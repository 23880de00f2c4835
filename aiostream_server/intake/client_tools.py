"""The client's own tools, which agents may call and the client runs; and how a request wants them to be called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

ToolMode: TypeAlias = Literal["auto", "none", "required", "named"]


@dataclass(frozen=True, slots=True)
class ClientTool:
    """A function of the client. `parameters` is the JSON schema of its arguments; None: it takes none.

    `strict`: the provider shall keep the arguments to the schema; None where the request leaves that to the provider.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`required`: one of the tools must be called; `named`: the only one of `names`. `names` are those that may be
    called; empty: all of them. `is_parallel`: one answer may call several.
    """

    mode: ToolMode = "auto"
    names: tuple[str, ...] = ()
    is_parallel: bool = True

    @property
    def is_forced(self) -> bool:
        return self.mode in ("required", "named")


AUTO: Final = ToolChoice()
