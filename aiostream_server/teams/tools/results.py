"""Texts for models and for error messages: limited in bytes, or one line."""

from autogen_core.tools import TextResultContent, ToolResult


def text_result(tool: str, text: str, byte_limit: int, *, is_error: bool = False) -> ToolResult:
    """A tool's result as text. An error is a result too: the model sees it and may do something else."""
    return ToolResult(name=tool, result=[TextResultContent(content=clipped(text, byte_limit))], is_error=is_error)


def clipped(text: str, byte_limit: int) -> str:
    """At most `byte_limit` bytes of UTF-8, with the number of bytes that were left out."""
    content = text.encode("utf-8", "replace")
    if len(content) <= byte_limit:
        return text
    left_out = len(content) - byte_limit
    return f"{content[:byte_limit].decode('utf-8', 'ignore')}\n… ({left_out} more bytes left out)"
