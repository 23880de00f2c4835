"""What a tool gave, as AutoGen wants it: never larger than the configuration allows, never raised."""

from typing import Final

from autogen_core.tools import TextResultContent, ToolResult

_MORE: Final = "\n… ({} more bytes left out)"


def told(tool: str, text: str, byte_limit: int, *, is_error: bool = False) -> ToolResult:
    """A result of text. An error is a result, too: the model sees it, and may do something else."""
    return ToolResult(name=tool, result=[TextResultContent(content=clipped(text, byte_limit))], is_error=is_error)


def clipped(text: str, byte_limit: int) -> str:
    """At most so many bytes of UTF-8, and how many were left out."""
    if len(text) * 4 <= byte_limit:
        return text
    content = text.encode("utf-8", "replace")
    if len(content) <= byte_limit:
        return text
    return content[:byte_limit].decode("utf-8", "ignore") + _MORE.format(len(content) - byte_limit)
