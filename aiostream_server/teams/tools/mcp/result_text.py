"""The result of an MCP tool as text.

AutoGen passes only text to models, and would write an image as base64. An image is kept as a file of the run instead,
and named by a link, where the run can keep files.
"""

import base64
import binascii
import json

from mcp.types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from aiostream_server.store.run_files import FileRefused, current_files


async def as_text(result: CallToolResult) -> str:
    """The parts one after the other; where there are none, the structured content as JSON."""
    parts = [await _part(content) for content in result.content]
    if not parts and result.structuredContent is not None:
        parts = [json.dumps(result.structuredContent, ensure_ascii=False)]
    return "\n".join(parts)


async def _part(content: ContentBlock) -> str:
    match content:
        case TextContent():
            return content.text
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return resource.text
        case EmbeddedResource():
            return f"[{content.resource.mimeType or 'data'}: {content.resource.uri}]"
        case ResourceLink():
            return f"[{content.name}: {content.uri}]"
        case ImageContent():
            return await _picture(content)
        case AudioContent():
            return _note(content)


async def _picture(image: ImageContent) -> str:
    files = current_files.get()
    if files is None:
        return _note(image)
    try:
        content = base64.b64decode(image.data, validate=True)
        file = await files.add(content, image.mimeType, "Picture", in_answer=True)
    except (binascii.Error, FileRefused):
        return _note(image)
    return f"To show the picture, put this line into your answer as it is:\n\n{file.markdown}"


def _note(content: ImageContent | AudioContent) -> str:
    return f"[{content.mimeType}, {len(content.data) * 3 // 4} bytes, which cannot be shown]"
