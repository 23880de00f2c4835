"""A run as one completion: the same presentation's text, once it is all there."""

from aiostream_server.errors import ShuttingDown, error_for
from aiostream_server.events import Error, RunFinished, TokenCount
from aiostream_server.log.protocol import Reader
from aiostream_server.present.shown import Channel, Presenter
from aiostream_server.wire.completion import completion_body, wire_finish_reason


async def collect_run(
    reader: Reader, presenter: Presenter, completion_id: str, created: int, model: str
) -> dict[str, object]:
    """The body of the answer. Raises the error of a run that failed, with its own HTTP status, and `ShuttingDown` for
    one that was interrupted: half an answer must not look like a whole one."""
    texts: dict[Channel, list[str]] = {"content": [], "reasoning": []}
    finished = RunFinished("error", TokenCount(), 0.0)
    while not reader.at_end:
        for entry in await reader.read():
            if isinstance(entry.event, Error):
                raise error_for(entry.event.code, entry.event.message)
            if isinstance(entry.event, RunFinished):
                finished = entry.event
            for shown in presenter.show(entry.event):
                texts[shown.channel].append(shown.text)
    if finished.reason == "interrupted":
        raise ShuttingDown("the server is shutting down; ask again in a moment")
    return completion_body(
        completion_id,
        created,
        model,
        content="".join(texts["content"]),
        reasoning_content="".join(texts["reasoning"]),
        finish_reason=wire_finish_reason(finished.reason),
        usage=finished.usage,
    )
