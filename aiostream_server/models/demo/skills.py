"""Chooses the skill that answers a request, from the request alone: a JSON choice of a team, SQL, arithmetic, rows."""

import json
import re
from typing import Final

from aiostream_server.models.demo import assistant, sql_agent
from aiostream_server.models.demo.client_tools import call_unknown
from aiostream_server.models.demo.conversation import LABEL, DemoReply, DemoRequest, read_request, say, shorten
from aiostream_server.models.demo.forms import fill_form
from aiostream_server.models.demo.rows import CHART, draw_rows, say_rows
from aiostream_server.models.provider import ModelRequest

_TEAM: Final = re.compile(r"^\s*[-*]\s*[`\"']?([a-z0-9][a-z0-9._-]{0,63})[`\"']?\s*(?::|—|–| - )\s*(.+)$", re.MULTILINE)
_CHOOSES: Final = re.compile(r"\b(?:team|choose|classify|route|pick|select|category)\b", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W_]+")
_COMMON: Final = frozenset(
    _WORD.findall("a about all an and any are for from in is it me of on or question the to what which with")
)
_BLOCKED: Final = re.compile(r"\b(?:blocked|refused|rejected|not approved|failed|timed out)\b", re.IGNORECASE)
_LAST_WORD: Final = re.compile(
    r"\b(?:say|reply|respond|answer|write|end|finish)\b[^.\n]{0,80}?\b(TERMINATE|APPROVED?|DONE|STOP)\b"
)


def decide(request: ModelRequest) -> DemoReply:
    """The whole reply of one model call. Raises `SchemaNotMet` for a form that no rule fills."""
    read = read_request(request)
    if (asked_for := call_unknown(request, read) or fill_form(request)) is not None:
        return asked_for
    teams = dict(_TEAM.findall(read.system))
    if request.json_output or (len(teams) > 1 and _CHOOSES.search(read.system)):
        return DemoReply(json.dumps(_choose(read, teams), ensure_ascii=False))
    if read.tools >= sql_agent.SQL_TOOLS:
        return sql_agent.answer(read)
    # An agent that reflects on its tools is given their results without the tools.
    if assistant.CALCULATE in read.tools or read.result(assistant.CALCULATE):
        return assistant.answer(read)
    texts = read.later_texts()
    if CHART in read.tools and not read.has_called(CHART) and (drawn := draw_rows(read.question, texts)):
        return drawn
    # What the latest rows say, or why another agent gave none.
    if rows := next((said for text in texts if (said := say_rows(read.question, text))), None):
        return say(rows)
    if explained := next((text for text in texts if LABEL in text), None):
        return say(explained.replace(LABEL, "").strip())
    if refused := next(filter(_BLOCKED.search, texts), None):
        why = shorten(refused, words=40, characters=300)
        return say(f"The question could not be answered from the database. {why}")
    return _repeat(read)


def _repeat(request: DemoRequest) -> DemoReply:
    """The reply in a team of any other kind: repeats the beginning of the last message."""
    heard = shorten(request.last.replace(LABEL, ""))
    reply = say(
        f"I can only repeat the beginning of what I was told: “{heard}”" if heard else "I was told nothing yet."
    )
    word = _LAST_WORD.search(request.system)  # without it a team that waits for this word never ends
    return DemoReply(f"{reply.text}\n\n{word[1]}") if word else reply


def _choose(request: DemoRequest, teams: dict[str, str]) -> dict[str, str | float]:
    """The team with the most words of its description in the question; an honest `answer` where there are no teams."""
    if not teams:
        return {"answer": f"I can only repeat what I was told: {shorten(request.last)} {LABEL}"}
    shared = {team: _words(request.question) & _words(text) for team, text in teams.items()}
    general = next((team for team, text in teams.items() if "general" in f"{team} {text}".lower()), next(iter(teams)))
    best = max(teams, key=lambda team: (len(shared[team]), team == general))
    why = f"words such as {', '.join(sorted(shared[best])[:3])}" if shared[best] else "no word decides"
    return {"team": best, "confidence": 0.8 if shared[best] else 0.5, "reason": f"{why} {LABEL}"}


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold())) - _COMMON
