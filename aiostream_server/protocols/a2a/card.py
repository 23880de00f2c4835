"""Agent cards, by which other agents find this server: https://a2a-protocol.org/latest/specification/#441-agentcard"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from aiostream_server import __version__

_TEXT = "text/plain"
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")


@dataclass(frozen=True, slots=True)
class Skilled:
    """What a card says of one model."""

    id: str
    name: str
    description: str
    examples: Sequence[str] = ()
    sees_images: bool = False


class Skill(TypedDict):
    id: str
    name: str
    description: str
    tags: list[str]
    examples: NotRequired[list[str]]
    inputModes: NotRequired[list[str]]


class Interface(TypedDict):
    url: str
    protocolBinding: str
    protocolVersion: str


class Capabilities(TypedDict):
    streaming: bool
    pushNotifications: bool
    extendedAgentCard: bool


class HttpScheme(TypedDict):
    scheme: str


class KeyScheme(TypedDict):
    location: str
    name: str


class Scheme(TypedDict, total=False):
    httpAuthSecurityScheme: HttpScheme
    apiKeySecurityScheme: KeyScheme


class Scopes(TypedDict):
    list: list[str]


class Requirement(TypedDict):
    schemes: dict[str, Scopes]


class AgentCard(TypedDict):
    name: str
    description: str
    version: str
    supportedInterfaces: list[Interface]
    capabilities: Capabilities
    defaultInputModes: list[str]
    defaultOutputModes: list[str]
    skills: list[Skill]
    securitySchemes: NotRequired[dict[str, Scheme]]
    securityRequirements: NotRequired[list[Requirement]]


def agent_card(url: str, agent: Skilled, skills: Sequence[Skilled], *, needs_key: bool) -> AgentCard:
    """The card of the agent that is asked at `url`."""
    card: AgentCard = {
        "name": agent.name,
        "description": agent.description or agent.name,
        "version": __version__,
        "supportedInterfaces": [
            {"url": url, "protocolBinding": binding, "protocolVersion": "1.0"} for binding in ("JSONRPC", "HTTP+JSON")
        ],
        "capabilities": {"streaming": True, "pushNotifications": False, "extendedAgentCard": needs_key},
        "defaultInputModes": [_TEXT, *(_PICTURES if agent.sees_images else ())],
        "defaultOutputModes": [_TEXT],
        "skills": [_skill(skill) for skill in skills],
    }
    if needs_key:
        card["securitySchemes"] = {
            "bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}},
            "apiKey": {"apiKeySecurityScheme": {"location": "header", "name": "X-API-Key"}},
        }
        card["securityRequirements"] = [{"schemes": {name: {"list": []}}} for name in ("bearer", "apiKey")]
    return card


def _skill(skilled: Skilled) -> Skill:
    skill: Skill = {
        "id": skilled.id,
        "name": skilled.name,
        "description": skilled.description or skilled.name,
        "tags": [skilled.id],
    }
    if skilled.examples:
        skill["examples"] = list(skilled.examples)
    if skilled.sees_images:
        skill["inputModes"] = [_TEXT, *_PICTURES]
    return skill
