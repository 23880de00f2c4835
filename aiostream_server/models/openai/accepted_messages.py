"""What a model takes in its messages: known by its name, set by the configuration, or learned once from a refusal.

A refusal is recognised by its words: chat templates and services say the same in many ways, and with a status of 400 or
422, of 500 (llama.cpp, LocalAI), or inside an answer with status 200 (LM Studio).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage

from aiostream_server.config.providers import MessageSequence
from aiostream_server.errors import ModelFailed
from aiostream_server.models.error_kinds import words_in
from aiostream_server.models.families import MessageRule, message_rules_of
from aiostream_server.models.provider import KeptAnswer, ModelRequest

_STRICT: Final = (
    MessageRule.ROLES_ALTERNATE
    | MessageRule.SYSTEM_FIRST
    | MessageRule.USER_LAST
    | MessageRule.NOT_EMPTY
    | MessageRule.CALLS_ANSWERED
)

# Real words of refusals, loosely: each line has some of one kind of vendor.
_REFUSALS: Final = {
    MessageRule.ROLES_ALTERNATE: (
        r"roles?\b.{0,60}\balternat|must alternate|alternat\w+ between .?user|multiturn requests alternate",
        r"(successive|consecutive|adjacent) .{0,20}\b(user|assistant|messages|role)|multiple .{0,9}roles in a row",
        r"unexpected role .?(user|assistant|tool).? after|interleave the user",
        r"first (\w+ )?message.{0,30}\buser\b|(start|begin)s? with .{0,20}\buser\b",
        r"function call turn comes immediately after",
    ),
    MessageRule.SYSTEM_FIRST: (
        r"system message.{0,40}\b(beginning|first|start|top)\b|unexpected role .?system.? after",
        r"initial optional system message|(multiple|more than one|only one|second) system (message|prompt|role)",
        r"system messages? .{0,40}(middle|after|only at|not the first)",
    ),
    MessageRule.NO_SYSTEM: (
        r"system (role|messages?|prompts?) .{0,20}(not (supported|allowed)|unsupported)",
        r"only user and assistant roles(?!.{0,80}optional system)",
        r"(not support|unsupported|invalid|unknown|unexpected).{0,40}\brole\W+system\b(?!\W+after)",
        r"(not support|unsupported).{0,40}\bsystem\b|(system|developer) instruction is not enabled",
    ),
    MessageRule.USER_LAST: (
        r"prefill|expected last role|(last|final) (\w+ )?(message|turn|role).{0,60}\b(user|tool)\b",
        r"(end|finish)s? with .{0,20}\b(user|tool)\b",
    ),
    MessageRule.HAS_USER: (r"no user (query|message)|at least one ([\w-]+ )?message",),
    MessageRule.NOT_EMPTY: (
        r"non-?empty|non-?whitespace|(not|cannot|can't|never) be (empty|blank)|(is|are|was|were) (empty|blank)",
        r"either content or tool_calls|must have .{0,20}\b(content|text)|at least one (content|text|part)",
        r"\b(content|text|parts)\W.{0,40}(is|are) (required|missing|not specified)|empty (content|message|text)",
    ),
    MessageRule.CALLS_ANSWERED: (
        r"same number of function calls|followed by .{0,30}\btool(_result)?\b|did not have response",
        r"response to a prece+ding message|number of function response parts",
        r"tool_use\W+ids? .{0,60}without|unexpected .{0,9}tool_use_id|tool_use.{0,30} must have",
        r"(tool|call)[ _\w']*\bid.{0,80}\bnot found|no (matching )?tool call",
    ),
    MessageRule.SHORT_IDS: (r"tool call ids?\b.{0,150}\blength( of)? 9",),
    MessageRule.TEXT_OR_THOUGHT: (r"both content and (thinking|reasoning)",),
    MessageRule.RESULTS_NAMED: (
        r"function_response\.name|tool (message|result)s? .{0,30}'?\bname\b'? (field|is|cannot|must)",
    ),
    MessageRule.TOOLS_NAMED: (
        r"\btools\b\W{0,4}(\w+ ){0,2}(param|field|list)?.{0,40}\b(must|required|needs?|missing|expected|passed)\b",
        r"must (define|include|provide|specify|pass) .{0,9}\btools\b|toolconfig\b",
    ),
}
_KINDS: Final = {rule: re.compile("|".join(words), re.DOTALL) for rule, words in _REFUSALS.items()}

_DEMAND: Final = re.compile(r"missing|required|must (be )?(pass|provid|includ|present|sent|have|contain)|lacks?\b")
_NOT_TAKEN: Final = re.compile(
    r"unsupported|not? (longer )?support|unknown|unrecogni[sz]ed|unexpected|not (permitted|allowed|accepted)|forbidden"
    r"|remove|cannot find field|extra inputs|additional propert"
)
_INVALID_SIGNATURE: Final = re.compile(
    r"signature\b.{0,60}\b(invalid|not valid|corrupt|mismatch|malformed|verif|expired)"
    r"|(invalid|corrupt\w*|malformed|verify|decode|decrypt)\W.{0,40}\b(thought_?)?signature"
    r"|(encrypted|reasoning) (content|item)\b.{0,60}\b(verified|decrypt)",
    re.DOTALL,
)
_MOST_DEPTH: Final = 6
_DEMANDABLE: Final = ("reasoning_content", "thought_signature")
_NO_SIGNATURE: Final = "skip_thought_signature_validator"  # documented by Google, for calls of other models


@dataclass(frozen=True, slots=True)
class MessageDialect:
    """`refused` are extra fields that are not taken back; `demanded` are fields that no message may lack."""

    rules: MessageRule
    refused: frozenset[str] = frozenset()
    demanded: frozenset[str] = frozenset()

    def sent_back(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The extra fields of an assistant's message, as they are sent."""
        sent = {name: value for name, value in fields.items() if name not in self.refused}
        if "reasoning_content" in self.demanded and not sent.get("reasoning_content"):
            sent["reasoning_content"] = sent.get("reasoning") or " "  # Kimi refuses an empty text
        return sent

    def sent_back_with_call(self, fields: Mapping[str, Any], *, is_first: bool) -> dict[str, Any]:
        """The same of a tool call: of calls that were made together, the first is signed."""
        sent = {name: value for name, value in fields.items() if name not in self.refused}
        if is_first and "thought_signature" in self.demanded and "extra_content" not in sent:
            sent["extra_content"] = {"google": {"thought_signature": _NO_SIGNATURE}}
        return sent


TAKES_ALL: Final = MessageDialect(MessageRule(0))

_log = structlog.get_logger()


class AcceptedMessages:
    """What one provider's model accepts. `configured` is `messages` of its table."""

    def __init__(self, model: str, configured: MessageSequence) -> None:
        self._learns_rules = configured != "any"
        known = message_rules_of(model)
        rules = {"auto": known, "any": MessageRule(0), "alternate": known | _STRICT}[configured]
        self.dialect = MessageDialect(rules)

    @staticmethod
    def doubts_signatures(request: ModelRequest, failure: ModelFailed, error: object) -> bool:
        """Whether signatures that were sent back are refused: another model answers now under the same name."""
        has_extra = any(answer.extra.message or answer.extra.calls for answer in request.kept.values())
        return has_extra and type(failure) is ModelFailed and bool(_INVALID_SIGNATURE.search(words_in(error)))

    def learn(self, sent: MessageDialect, request: ModelRequest, failure: ModelFailed, error: object) -> bool:
        """Learn from the refusal of a request in the dialect `sent`; whether it would now be sent in another one.

        `error` is the provider's, as JSON or text.
        """
        if type(failure) is not ModelFailed or not error:  # another kind is not about the messages
            return False
        text = "\n".join((words_in(error), *_places(error)))
        rules = _rules_in(text, sent, request) if self._learns_rules else MessageRule(0)
        refused, demanded = _fields_in(text, request.kept.values())
        for name in (*_names(rules & ~self.dialect.rules), *(refused - self.dialect.refused)):
            _log.warning("model_messages_refused", demand=name)
        known = self.dialect
        self.dialect = replace(
            known, rules=known.rules | rules, refused=known.refused | refused, demanded=known.demanded | demanded
        )
        return bool(rules & ~sent.rules) or not (refused <= sent.refused and demanded <= sent.demanded)


def _rules_in(text: str, sent: MessageDialect, request: ModelRequest) -> MessageRule:
    rules = MessageRule(0)
    for rule, words in _KINDS.items():
        if words.search(text):
            rules |= rule
    if MessageRule.ROLES_ALTERNATE in rules & sent.rules and _has_calls(request.messages):
        rules |= MessageRule.CALLS_AS_TEXT
    if MessageRule.RESULTS_NAMED in rules:  # it is the name that must not be empty
        rules &= ~MessageRule.NOT_EMPTY
    if request.tools:
        rules &= ~MessageRule.TOOLS_NAMED
    elif MessageRule.TOOLS_NAMED in sent.rules and "tool_choice" in text and _NOT_TAKEN.search(text):
        rules |= MessageRule.NO_TOOL_CHOICE
    return rules


def _has_calls(messages: Sequence[LLMMessage]) -> bool:
    return any(
        isinstance(message, FunctionExecutionResultMessage)
        or (isinstance(message, AssistantMessage) and not isinstance(message.content, str))
        for message in messages
    )


def _fields_in(text: str, kept: Iterable[KeptAnswer]) -> tuple[frozenset[str], frozenset[str]]:
    """The extra fields that a refusal does not take, of those that were sent; and those that it demands."""
    refused: Iterable[str] = ()
    demanded: Iterable[str] = ()
    if _DEMAND.search(text):
        demanded = (name for name in _DEMANDABLE if name in text)
    elif _NOT_TAKEN.search(text):
        refused = (name for name in _names_sent(kept) if re.search(rf"\b{re.escape(name.lower())}\b", text))
    return frozenset(refused), frozenset(demanded)


def _places(error: object, depth: int = 0) -> Iterator[str]:
    """The paths of the fields that are refused."""
    match error:
        case {"loc": list() as path}:
            yield ".".join(map(str, path)).lower()
        case {"param": str() as path}:
            yield path.lower()
    inner = error.values() if isinstance(error, dict) else error if isinstance(error, list) else ()
    for one in inner:
        if isinstance(one, dict | list) and depth < _MOST_DEPTH:
            yield from _places(one, depth + 1)


def _names_sent(kept: Iterable[KeptAnswer]) -> Iterator[str]:
    for answer in kept:
        yield from answer.extra.message
        for fields in answer.extra.calls.values():
            yield from fields


def _names(rules: MessageRule) -> list[str]:
    return [str(rule.name).lower() for rule in rules]
