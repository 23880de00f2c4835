"""Every vendor with every example team: two turns, streamed and not. docs/providers.md shows the outcome.

Each vendor is configured as that page says, but for its address.
"""

import asyncio
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import aiohttp

from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config
from tests.examples.telling import STORIES
from tests.kit.serving import Server, ask, chat_body, serving, until_idle
from tests.zoo import rules
from tests.zoo.hosted import Azure, Gemini, LiteLLM, OpenAI
from tests.zoo.local import GptOss, LlamaCpp, LmStudio, Ollama, VLlm
from tests.zoo.mind import Mind, questions
from tests.zoo.thinking import DeepSeek, Kimi, Mistral, OpenRouter, Qwen
from tests.zoo.vendor import Vendor
from tests.zoo.vendor_server import Exchange, VendorServer

ROOT: Final = Path(__file__).parents[2]
DOC: Final = ROOT / "docs" / "providers.md"
ZOO: Final[Sequence[type[Vendor]]] = (
    OpenAI, Azure, Gemini, LiteLLM, DeepSeek, Kimi, Mistral, Qwen, GptOss, OpenRouter, VLlm, Ollama, LmStudio,
    LlamaCpp,
)  # fmt: skip
TEAMS: Final = tuple(STORIES)
KEY: Final = "sk-of-the-zoo"

_EXAMPLES: Final = f'[[team_folders]]\npath = "{ROOT / "examples" / "teams"}"\n'
_DATABASE: Final = '\n[database.empty] # quicker than the demo shop\nurl = "sqlite:///empty.db"\n'
_PLACE: Final = re.compile(r"(index |messages[.\[])\d+")
_OPTIONS: Final = "options = { max_tokens = 4000, temperature = 0.3 }\n"  # some vendors refuse these


@dataclass(slots=True)
class Cell:
    """One team with one vendor."""

    answers: list[str] = field(default_factory=list)
    """What the client got for each question."""
    problems: list[str] = field(default_factory=list)
    """Statuses and errors that the client saw."""
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def asked(self) -> Mapping[str, Sequence[str]]:
        """The text of each agent's requests, in the order in which that agent made them."""
        asked: dict[str, list[str]] = {}
        for exchange in self.exchanges:
            if exchange.said is not None:
                asked.setdefault(agent_of(exchange.body), []).append(_everything(exchange.body))
        return asked


Row: TypeAlias = Mapping[str, Cell]


def snippets() -> Mapping[str, str]:
    """The configuration of each vendor in the documentation, by its heading."""
    found = re.findall(r"^## (.+?)$.*?^```toml\n(.*?)^```", DOC.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return dict(found)


def config_of(vendor: type[Vendor], origin: str, folder: Path, *, model: str = "", teams: str = _EXAMPLES) -> Config:
    """The documented configuration with `teams`, in TOML; `model` is another name of the same model."""
    text = snippets()[vendor.title]
    (folder / "empty.db").touch()
    table = tomllib.loads(text)["models"]["default"]
    url = urlsplit(table.get("base_url", "https://api.openai.com/v1"))
    options = "" if "options" in table else _OPTIONS
    (folder / "server.toml").write_text(text + options + _DATABASE + teams, "utf-8")
    environment = {
        "AIOSTREAM_MODELS__DEFAULT__BASE_URL": f"{origin}{url.path}" + (f"?{url.query}" if url.query else "")
    }
    if model:
        environment["AIOSTREAM_MODELS__DEFAULT__MODEL"] = model
    if "api_key_env" in table:
        environment[table["api_key_env"]] = KEY
    return load_config(folder / "server.toml", environment)


def both_rows(vendor: type[Vendor], folder: Path) -> Sequence[Row]:
    """Streamed first, then whole."""
    rows: list[Row] = []
    for streamed in (True, False):
        state = folder / str(streamed)
        state.mkdir(parents=True)
        rows.append(asyncio.run(row_of(vendor, state, streamed=streamed)))
    return rows


async def row_of(
    vendor: type[Vendor], folder: Path, *, streamed: bool, model: str = "", teams: Sequence[str] = TEAMS
) -> Row:
    """Streamed, for a client that names its conversation; or whole, for one that sends the history. `folder` exists.

    The server is started anew before the second question: what a provider wants back outlives it.
    """
    mind = Mind()
    cells = {team: Cell() for team in teams}
    async with VendorServer(vendor(), mind, streams=streamed) as provider:
        config = config_of(vendor, provider.origin, folder, model=model)
        for first, last in ((0, 1), (1, 3)):
            async with serving(config, folder) as server:
                for team, cell in cells.items():
                    begun = len(provider.exchanges)
                    for turn in range(first, min(last, len(questions(team)))):
                        mind.play(team, turn)
                        await (_ask_streamed if streamed else _ask_whole)(server, team, turn, cell)
                        await until_idle(server)
                    cell.exchanges += provider.exchanges[begun:]
    return cells


async def _ask_streamed(server: Server, team: str, turn: int, cell: Cell) -> None:
    answer = await ask(server.url, questions(team)[turn], model=team, headers={"X-Conversation-Id": team})
    cell.answers.append(answer.text)
    cell.problems += [error["message"] for error in answer.errors]
    if not answer.done or answer.finish_reasons != ["stop"]:
        cell.problems.append(f"ended with {answer.finish_reasons}")


async def _ask_whole(server: Server, team: str, turn: int, cell: Cell) -> None:
    asks_back = len(STORIES[team].questions) > 1  # such a team continues only in a conversation with a name
    headers = {"X-Presentation": "answer", **({"X-Conversation-Id": team} if asks_back else {})}
    said = [text for pair in zip(questions(team), cell.answers, strict=False) for text in pair]
    roles = cycle(("user", "assistant"))
    messages = [
        {"role": role, "content": text} for role, text in zip(roles, [*said, questions(team)[turn]], strict=False)
    ]
    body = chat_body(messages, model=team) | {"stream": False}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/chat/completions", json=body, headers=headers) as response,
    ):
        answer = await response.json()
    if response.status != 200:
        cell.problems.append(f"{response.status}: {answer['error']['message']}")
        return
    (choice,) = answer["choices"]
    cell.answers.append(choice["message"]["content"])
    if choice["finish_reason"] != "stop":
        cell.problems.append(f"ended with {choice['finish_reason']}")


def agent_of(body: Mapping[str, Any]) -> str:
    """Empty where the instructions name no agent: those of selectors, orchestrators, societies."""
    found = re.search(r"You are (\w+)\. ", rules.text_of(body["messages"][0]))
    return found[1] if found else ""


def lost(cell: Cell, reference: Cell) -> Iterator[str]:
    """What the models of the other vendor were told and these were not, line by line."""
    for agent, requests in reference.asked.items():
        asked = cell.asked.get(agent, ())
        if len(asked) != len(requests):
            yield f"{agent or 'no agent'} asked {len(asked)} times, not {len(requests)}"
        for number, (text, other) in enumerate(zip(requests, asked, strict=False), 1):
            lines = Counter(filter(None, map(str.strip, text.splitlines())))
            missing = [line for line, times in lines.items() if other.count(line) < times]
            yield from (f"{agent or 'no agent'}, request {number}: {line[:80]!r}" for line in missing)


def _everything(body: Mapping[str, Any]) -> str:
    """Texts, calls and results, one a line."""
    lines: list[str] = []
    for message in body["messages"]:
        lines.append(rules.text_of(message))
        lines += [f"{call['function']['name']} {call['function']['arguments']}" for call in rules.calls_of(message)]
    return "\n".join(lines)


def learned(row: Row) -> Sequence[str]:
    """The refusals that were answered by asking otherwise, each once."""
    refused = {exchange.refused for cell in row.values() for exchange in cell.exchanges if exchange.refused}
    return sorted({_PLACE.sub(r"\1N", text.strip().splitlines()[-1]) for text in refused})


def documented(document: str, rows: Mapping[type[Vendor], Sequence[Row]]) -> str:
    """The document with both tables made of these rows."""
    head = f"| | {' | '.join(TEAMS)} | model calls |\n|{' --- |' * (len(TEAMS) + 2)}"
    lines, refused = [head], ["| | refuses, and is then asked otherwise |\n| --- | --- |"]
    for vendor, both in rows.items():
        marks = ["✓" if not any(row[team].problems for row in both) else "✗" for team in TEAMS]
        calls = sum(exchange.said is not None for row in both for cell in row.values() for exchange in cell.exchanges)
        lines.append(f"| {vendor.title} | {' | '.join(marks)} | {calls} |")
        if texts := sorted({text.replace("|", "\\|") for row in both for text in learned(row)}):
            refused.append(f"| {vendor.title} | {'<br>'.join(f'`` {text} ``' for text in texts)} |")
    for name, table in (("matrix", lines), ("refused", refused)):
        place = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        assert place.search(document), f"{DOC.name} has no place for the table {name}"
        shown = "\n".join(table)
        document = place.sub(lambda _, shown=shown: f"\n{shown}\n\n", document)  # type: ignore[misc]
    return document
