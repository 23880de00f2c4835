"""The examples, served as their own configuration says, but for the model: what they answer, as a client sees it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from aiostream_server.config.load import load_config
from tests.examples.telling import STORIES, Story
from tests.kit.scripted_provider import ScriptedProvider
from tests.kit.serving import Server, ask, serving, until_idle

ROOT: Final = Path(__file__).parents[2]
CONFIG: Final = ROOT / "examples" / "server.toml"
DOC: Final = ROOT / "docs" / "examples.md"


class Stage:
    """A provider for one story after another."""

    def __init__(self, provider: ScriptedProvider) -> None:
        provider.script(lambda request: self._reply(request))

    def play(self, story: Story) -> None:
        self._reply = story.told()


async def answers(state: Path, *, presentation: str = "transcript") -> Mapping[str, Sequence[str]]:
    """Of every example: what it says to each question of its story."""
    async with ScriptedProvider() as provider:
        stage = Stage(provider)
        environment = {"OPENAI_API_KEY": "sk-test", "AIOSTREAM_MODELS__DEFAULT__BASE_URL": provider.base_url}
        async with serving(load_config(CONFIG, environment), state) as server:
            return {team: await _answers(server, stage, team, presentation) for team in STORIES}


async def _answers(server: Server, stage: Stage, team: str, presentation: str) -> Sequence[str]:
    story = STORIES[team]
    stage.play(story)
    headers = {"X-Conversation-Id": f"{team} {presentation}", "X-Presentation": presentation}
    said: list[str] = []
    for question in story.questions:
        answer = await ask(server.url, question, model=team, headers=headers)
        assert (answer.errors, answer.finish_reasons, answer.done) == ([], ["stop"], True)
        said.append(answer.text)
        await until_idle(server)
    return said


def documented(document: str, said: Mapping[str, Sequence[str]]) -> str:
    """The document with these answers in their places: between `<!-- TEAM -->` and `<!-- /TEAM -->`."""
    for team, texts in said.items():
        shown = "\n\n".join(
            f"> {question}\n\n````markdown\n{text}\n````"
            for question, text in zip(STORIES[team].questions, texts, strict=True)
        )
        place = re.compile(rf"(?<=<!-- {team} -->\n).*?(?=<!-- /{team} -->)", re.DOTALL)
        found = place.search(document)
        assert found, f"{DOC.name} has no place for {team}"
        document = f"{document[: found.start()]}\n{shown}\n\n{document[found.end() :]}"
    return document
