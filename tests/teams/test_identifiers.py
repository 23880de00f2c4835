"""AutoGen's ids keep their form and its names their rules, where ours make and check them."""

import sys
from uuid import UUID

import pytest
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_core import AgentId, TopicId, TypeSubscription

from aiostream_server.teams.autogen_private.identifiers import quicken_ids

quicken_ids()


def test_ids_are_random_uuids() -> None:
    made = [TextMessage(content="a", source="a").id for _ in range(100)]
    made += [TypeSubscription("a", "b").id for _ in range(100)]
    assert len({*made}) == 200
    assert all(str(UUID(each)) == each and UUID(each).version == 4 for each in made)


@pytest.mark.parametrize("name", ["A-1.b_2", "Größe", "__", "エージェント"])
def test_valid_names(name: str) -> None:
    assert AgentId(name, "k").type == TopicId(name, "k").type == name


@pytest.mark.parametrize("name", ["", "a b", "a\n", "a/b", "²?"])
def test_names_that_autogen_refuses(name: str) -> None:
    with pytest.raises(ValueError, match="type"):
        AgentId(name, "k")
    with pytest.raises(ValueError, match="type"):
        TopicId(name, "k")


def test_topics_may_have_more_characters() -> None:
    assert TopicId("a:b=c", "k").type == "a:b=c"
    with pytest.raises(ValueError, match="type"):
        AgentId("a:b=c", "k")


def test_patching_twice_patches_once() -> None:
    module = sys.modules[BaseChatMessage.__module__]
    before = vars(module)["uuid"]
    quicken_ids()
    assert vars(module)["uuid"] is before
