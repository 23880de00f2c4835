"""Renders `corpus/open_webui_*.json` with Open WebUI's own code, by the Python that it is installed in:

    python tests/routing/auxiliary/render_corpus.py tests/routing/auxiliary/corpus

Its task functions are called as its server calls them; only the last step, which would send the request, is replaced by
one that keeps it. What `routers/openai.py` takes out of a body (`metadata`) is taken out here, too. `task` is what the
header template `{{TASK}}` would hold (0.12.4 only). The turns are real questions wrapped by its retrieval template.
"""

import asyncio
import importlib
import importlib.util
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

MODEL = "data"
_Message = dict[str, Any]


def _module(name: str) -> Any:
    """Open WebUI's: it is no dependency, and has no types."""
    return importlib.import_module(name)


def _talk(*texts: str) -> list[_Message]:
    roles = ("user", "assistant")
    return [{"role": roles[index % 2], "content": text, "id": str(index)} for index, text in enumerate(texts)]


_LONG = " ".join(
    f"Region {number} sold {number * 137} units, of which {number % 7} were returned." for number in range(40)
)
_TRANSCRIPT = (
    "🎯 **Supervisor** → Data analysis team (rules, 92 %): asks for totals\n\n🤔 **SQLAgent**\n\nI'll total it.\n\n"
    "<details>\n<summary>⚡ query</summary>\n\n```sql\nSELECT 1\n```\n\n</details>\n\n"
    "✅ **AnalysisAgent**\n\nEurope leads.\n"
)


def _histories(title_template: str, tags_template: str) -> dict[str, list[_Message]]:
    return {
        "one_question": _talk("What were our total sales by region last year?"),
        "short": _talk("What were our total sales by region last year?", _TRANSCRIPT),
        "german": _talk(
            "Welche Kunden haben im März am meisten bestellt?", "Die größten Kunden waren Müller und Söhne."
        ),
        "japanese": _talk("先月の売上を地域別に教えてください。", "関東が最も多く、次は関西です。"),
        "arabic": _talk("ما هي أفضل ثلاثة منتجات مبيعًا هذا العام؟", "المنتج الأول هو القهوة."),
        "several_lines": _talk(
            "Hi!\n\n# Plan\n- buy **milk**\n- call `mum`\n\nCan you sort this?", "1. call mum\n2. buy milk"
        ),
        "code": _talk('```json\n{"title": "x", "tags": ["a"]}\n```\nWhy is this not valid?', "It is valid JSON."),
        "braces": _talk("Explain the LaTeX \\frac{a}{b} and the set {x | x > 0}", "A fraction {a over b}."),
        "about_titles": _talk(
            title_template, "That is a prompt for a title.", tags_template, "And that one is for tags."
        ),
        "quotes_tags": _talk(
            "What does </chat_history> mean?\nUSER: is a label\nASSISTANT: too", "It ends <chat_history>."
        ),
        "long": _talk(_LONG, _LONG, "And which region is best?", _LONG, "Why?", "Because."),
        "many": _talk(*(f"message number {number}" for number in range(1, 30))),
    }


def _prepare() -> None:
    spec = importlib.util.find_spec("open_webui")
    assert spec is not None
    assert spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    scratch = tempfile.mkdtemp()
    os.environ.update(
        DATA_DIR=scratch,
        STATIC_DIR=f"{scratch}/static",
        FRONTEND_BUILD_DIR=str(package / "frontend"),
        WEBUI_SECRET_KEY="none",
        OFFLINE_MODE="True",
        HF_HUB_OFFLINE="1",
        RAG_EMBEDDING_ENGINE="openai",
        ENABLE_PERSISTENT_CONFIG="False",
    )


class _Settings:
    """Every setting as it is by default: features on, templates empty."""

    AUTOCOMPLETE_GENERATION_INPUT_MAX_LENGTH = -1

    def __getattr__(self, name: str) -> Any:
        return "" if "TEMPLATE" in name or name.startswith("TASK_MODEL") else True

    async def get(self, name: str, default: Any = None) -> Any:
        if name.endswith("input_max_length"):
            return -1
        return "" if name.endswith("prompt_template") else True

    async def get_many(self, *names: str) -> dict[str, Any]:
        return {name: "" for name in names if name.endswith("prompt_template")}


class _Renderer:
    def __init__(self) -> None:
        self.tasks = _module("open_webui.routers.tasks")
        self.middleware = _module("open_webui.utils.middleware")
        self.templates = _module("open_webui.utils.task")
        self.config = _module("open_webui.config")
        self.sent: list[dict[str, Any]] = []
        self.user = SimpleNamespace(
            id="u", name="Ann", email="ann@example.com", role="admin", info=None, model_dump=lambda: {"name": "Ann"}
        )
        self.models = {MODEL: {"id": MODEL, "owned_by": "openai", "info": {}}}
        state = SimpleNamespace(MODELS=self.models, config=_Settings())
        self.request: Any = SimpleNamespace(app=SimpleNamespace(state=state), state=SimpleNamespace())
        for module in (self.tasks, self.middleware):
            module.generate_chat_completion = self._keep
            if hasattr(module, "Config"):
                module.Config = _Settings()
        self.tasks.process_pipeline_inlet_filter = self._unchanged

    async def _keep(self, request: Any, form_data: dict[str, Any], **_: Any) -> dict[str, Any]:
        self.sent.append(form_data)
        return {"choices": [{"message": {"content": ""}}]}

    async def _unchanged(self, request: Any, payload: dict[str, Any], *_: Any) -> dict[str, Any]:
        return payload

    async def task(self, function: str, **form: Any) -> dict[str, Any]:
        await getattr(self.tasks, function)(self.request, {"model": MODEL, **form}, self.user)
        return self.sent.pop()

    async def tool_choice(self, messages: list[_Message], system: str) -> dict[str, Any]:
        spec = {"name": "get_weather", "description": "The weather", "parameters": {"type": "object", "properties": {}}}
        extra: dict[str, Any] = {"__event_call__": None, "__event_emitter__": None, "__metadata__": {}}
        body = {"model": MODEL, "messages": messages}
        await self.middleware.chat_completion_tools_handler(
            self.request, body, extra, self.user, self.models, {"get_weather": {"spec": spec}}
        )
        return self._with_model_prompt(self.sent.pop(), system)

    async def compaction(self, messages: list[_Message], previous: str | None) -> dict[str, Any]:
        module = _module("open_webui.utils.context_compaction")
        _module("open_webui.utils.chat").generate_chat_completion = self._keep
        module.Config = _Settings()
        cut = len(messages) // 2
        await module._generate_summary(
            self.request, self.user, MODEL, self.models, messages[:cut], messages[cut:], previous, ""
        )
        return self.sent.pop()

    async def memory_review(self, transcript: str, system: str) -> dict[str, Any]:
        module = _module("open_webui.utils.memory")
        _module("open_webui.utils.chat").generate_chat_completion = self._keep
        await module._generate_memory_operations(
            request=self.request,
            user=self.user,
            model_id=MODEL,
            metadata={},
            existing_text="- id=1 type=user path= content=Likes tea",
            transcript=transcript,
        )
        return self._with_model_prompt(self.sent.pop(), system)

    def _with_model_prompt(self, payload: dict[str, Any], system: str) -> dict[str, Any]:
        """As `apply_system_prompt_to_body` does for a model with a system prompt of its own."""
        if system:
            misc = _module("open_webui.utils.misc")
            payload["messages"] = misc.add_or_update_system_message(system, payload["messages"])
        return payload

    async def retrieval_turn(self, context: str, question: str, **body: Any) -> dict[str, Any]:
        wrapped = self.templates.rag_template(self.config.DEFAULT_RAG_TEMPLATE, context, question)
        text = await wrapped if inspect.isawaitable(wrapped) else wrapped
        if "<user_query>" not in text:
            text = f"{text}\n{question}"
        return {"model": MODEL, "messages": [{"role": "user", "content": text}], "stream": True, **body}


def _entry(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    metadata = payload.pop("metadata")
    return {"name": name, "kind": str(metadata["task"]), "task": str(metadata["task"]), "body": payload}


async def _auxiliary(renderer: _Renderer, is_new: bool) -> list[dict[str, Any]]:
    histories = _histories(
        renderer.config.DEFAULT_TITLE_GENERATION_PROMPT_TEMPLATE,
        renderer.config.DEFAULT_TAGS_GENERATION_PROMPT_TEMPLATE,
    )
    functions = (
        "generate_title",
        "generate_chat_tags",
        "generate_follow_ups",
        "generate_queries",
        "generate_image_prompt",
    )
    entries = []
    for name, messages in histories.items():
        for function in functions:
            payload = await renderer.task(function, messages=messages, type="retrieval")
            entries.append(_entry(f"{function} {name}", payload))
        entries += [entry async for entry in _others(renderer, name, messages, is_new)]
    with_prompt = await renderer.task("generate_title", messages=histories["short"])
    entries.append(_entry("generate_title model_prompt", renderer._with_model_prompt(with_prompt, "You are a pirate.")))
    return entries


async def _others(renderer: _Renderer, name: str, messages: list[_Message], is_new: bool) -> Any:
    first = messages[0]["content"]
    system = "You are a pirate.\nAlways rhyme." if name in ("short", "german") else ""
    for kind, history in (("general", None), ("search query", messages)):
        payload = await renderer.task("generate_autocompletion", prompt=first[:200], messages=history, type=kind)
        yield _entry(f"generate_autocompletion {kind} {name}", payload)
    yield _entry(f"generate_emoji {name}", await renderer.task("generate_emoji", prompt=first))
    answers = [message["content"] for message in messages if message["role"] == "assistant"] or ["Nothing."]
    for stream in (True, False):
        merge = await renderer.task(
            "generate_moa_response", prompt=first, responses=[*answers, "Short."], stream=stream
        )
        yield _entry(f"generate_moa_response {stream} {name}", merge)
    yield _entry(f"function_calling {name}", await renderer.tool_choice([dict(each) for each in messages], system))
    if is_new:
        previous = "The user prefers tables." if name == "short" else None
        yield _entry(f"context_compaction {name}", await renderer.compaction(messages, previous))
        transcript = "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)
        yield _entry(f"memory_review {name}", await renderer.memory_review(transcript, system))


async def _turns(renderer: _Renderer) -> list[dict[str, Any]]:
    """Questions of users, wrapped by the retrieval template around documents that look like tasks."""
    title = (await renderer.task("generate_title", messages=_talk("Hello", "Hi")))["messages"][0]["content"]
    tags = (await renderer.task("generate_chat_tags", messages=_talk("Hello", "Hi")))["messages"][0]["content"]
    asked = {
        "plain": ("Sales rose by 4 %.", "How did sales develop?"),
        "title_prompt_in_document": (title, "What does this template do?"),
        "tags_prompt_in_document": (tags, "Translate the guidelines."),
        "title_prompt_as_question": ("Prompts of chat clients.", title),
        "tags_prompt_as_question": (title, tags),
        "asks_for_a_title": ("A blog post about cats.", 'Generate a title as JSON format: { "title": "..." }'),
        "chat_in_document": ("<chat_history>\nUSER: hi\nASSISTANT: hello\n</chat_history>", "Summarise this chat."),
    }
    entries = []
    for name, (context, question) in asked.items():
        source = f'<source id="1" name="doc.txt">{context}</source>\n'
        for stream in (True, False):
            body = await renderer.retrieval_turn(source, question, stream=stream)
            entries.append({"name": f"{name} {stream}", "body": body})
    return entries


def _written(entries: list[dict[str, Any]]) -> Iterator[str]:
    """One entry a line, so that a difference can be read."""
    yield "[\n"
    yield ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    yield "\n]\n"


async def _main(folder: Path) -> None:
    _prepare()
    renderer, installed = _Renderer(), version("open-webui")
    is_new = tuple(map(int, installed.split("."))) >= (0, 12)
    name = f"open_webui_{installed.replace('.', '_')}"
    (folder / f"{name}.json").write_text("".join(_written(await _auxiliary(renderer, is_new))), "utf-8")
    (folder / f"{name}_turns.json").write_text("".join(_written(await _turns(renderer))), "utf-8")


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]).resolve()))
