"""The shapes of the prompts that clients make, as Open WebUI 0.6.36 and 0.12.4 render them.

Open WebUI: `config.py` (`DEFAULT_..._PROMPT_TEMPLATE`), `routers/tasks.py`, `utils/task.py`, `utils/middleware.py`
(function calling), `utils/context_compaction.py`, `utils/memory.py`. LibreChat: `src/utils/title.ts` of its `agents`
package. Administrators of Open WebUI may edit the templates: those with a chat history are told by their frame, too.
"""

import re
from typing import Final

from aiostream_server.routing.auxiliary.kinds import JSON_KEYS, AuxiliaryKind, JsonKind

TASK: Final = "### Task:\n"
_HEAD_CHARS: Final = 20_000
HISTORY_START: Final = re.compile(r"<chat_history>\n(?=(?:USER|ASSISTANT|SYSTEM|TOOL): )")
HISTORY_END: Final = "</chat_history>"
_FIRST_WORDS: Final[tuple[tuple[str, JsonKind], ...]] = (
    ("Generate a concise title summarizing the chat history.", "title_generation"),
    ("Generate a concise, 3-5 word title with an emoji summarizing the chat history.", "title_generation"),
    ("Generate 1-3 broad tags categorizing the main themes of the chat history", "tags_generation"),
    ("Predict 3-5 useful messages this user might naturally send next", "follow_up_generation"),
    ("Suggest 3-5 relevant follow-up questions or prompts", "follow_up_generation"),
    ("Analyze the chat history to determine the necessity of generating search queries", "query_generation"),
    ("Generate a detailed prompt for am image generation task", "image_prompt_generation"),
)
_FRAMED: Final = {JSON_KEYS[kind]: kind for _, kind in _FIRST_WORDS}
_OUTPUT: Final = re.compile(
    rf'\n### Output:\s{{1,9}}(?:Strictly return in )?JSON format:\s{{0,9}}\{{\s{{0,9}}"({"|".join(_FRAMED)})"\s{{0,9}}:'
)
_AUTOCOMPLETE: Final = f"{TASK}You are an autocompletion system."
_COMPACTION: Final = f"{TASK}Summarize the conversation history that will be compacted out"
COMPACTED: Final = "\n### Messages Being Compacted:\n"
KEPT: Final = "\n### Recent Messages Kept In Context:"
_EMOJI: Final = "Your task is to reflect the speaker's likely facial expression through a fitting emoji."
RESPONSES: Final = '\n\nResponses from models: """'
_MERGE: Final = (
    'You have been provided with a set of responses from various models to the latest user query: "',
    '"\n\nYour task is to synthesize these responses into a single, high-quality response.',
    RESPONSES,
)
_TOOLS: Final = (
    "Available Tools: [",
    "Your task is to choose and return the correct tool(s) from the list of available tools based on the query.",
    '"tool_calls"',
)
_MEMORY_REVIEWER: Final = "You are Open WebUI's private memory reviewer. Return only valid JSON."
_MEMORY_REVIEW: Final = "Review the completed conversation turn and decide whether long-term memory should change.\n"
_LIBRECHAT_TITLE: Final = (
    "Provide a concise, 5-word-or-less title for the conversation, using title case conventions. "
    "Only return the title itself.\n\nConversation:\nUser: "
)


def kind_by_shape(prompt: str, system: str, *, streamed: bool) -> AuxiliaryKind | None:
    """None for what is no known prompt. Only a merge of answers, and LibreChat's title, are ever streamed."""
    text = prompt.strip()
    if text.startswith(_MERGE[0]) and text.endswith('"""') and _in_order(text, _MERGE):
        return "moa_response_generation"
    if text.startswith(_LIBRECHAT_TITLE):
        return "plain_title"
    if streamed:
        return None
    return _about_history(text) or _text_wanted(text) or _with_system(text, system)


def _about_history(text: str) -> AuxiliaryKind | None:
    if not text.startswith(TASK):
        return None
    if text.startswith(_AUTOCOMPLETE):
        return "autocomplete_generation" if _ends_as_autocomplete(text) else None
    head = text[:_HEAD_CHARS]
    opening = HISTORY_START.search(head)
    if opening is None or not text.endswith(HISTORY_END):
        return None
    head = head[: opening.start()]
    for words, kind in _FIRST_WORDS:
        if head.startswith(words, len(TASK)) and f'"{JSON_KEYS[kind]}"' in head:
            return kind
    output = _OUTPUT.search(head)
    return _FRAMED[output[1]] if output and head.endswith("\n### Chat History:\n") else None


def _ends_as_autocomplete(text: str) -> bool:
    """Nothing but the template's own end stands behind the text to be completed."""
    end = text.rpartition("</text>")[2]
    return end.strip() == "#### Output:" and _in_order(text, (HISTORY_END, "\n<type>", "</type>", "\n<text>"))


def _text_wanted(text: str) -> AuxiliaryKind | None:
    if text.startswith(_EMOJI) and text.endswith("```") and "\n\nMessage: ```" in text:
        return "emoji_generation"
    if text.startswith(_COMPACTION) and _in_order(text, (COMPACTED, KEPT)):
        return "context_compaction"
    return None


def _with_system(text: str, system: str) -> AuxiliaryKind | None:
    """A model's own system prompt is put before the task's: only its end is certain."""
    if text.startswith(_MEMORY_REVIEW) and system.rstrip().endswith(_MEMORY_REVIEWER):
        return "memory_review"
    if text.startswith(("Query: ", "History:\n")) and _in_order(system, _TOOLS):
        return "function_calling"
    return None


def _in_order(text: str, marks: tuple[str, ...]) -> bool:
    position = 0
    for mark in marks:
        position = text.find(mark, position)
        if position < 0:
            return False
        position += len(mark)
    return True
