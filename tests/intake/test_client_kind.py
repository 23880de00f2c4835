"""Open WebUI is known by its headers, or by its key; neither says who asks."""

import pytest
from multidict import CIMultiDict

from aiostream_server.intake.client_kind import is_open_webui
from aiostream_server.intake.principal import LOCAL, Principal

KEY = Principal("abcdefgh", "script", None, trusted=False)
WEBUI_KEY = Principal("abcdefgh", "webui", None, trusted=False, client="open-webui")


@pytest.mark.parametrize("name", ["X-OpenWebUI-User-Id", "x-openwebui-chat-id", "X-OPENWEBUI-TASK", "X-OpenWebUI-New"])
def test_any_of_its_headers_is_enough(name: str) -> None:
    for principal in (KEY, LOCAL):
        assert is_open_webui(CIMultiDict([("Host", "localhost"), (name, "")]), principal)


def test_its_key_is_enough() -> None:
    assert is_open_webui(CIMultiDict(), WEBUI_KEY)


@pytest.mark.parametrize("name", ["User-Agent", "X-OpenWebUI", "OpenWebUI-Task", "X-User-ID", "X-Conversation-Id"])
def test_other_clients_are_not_taken_for_it(name: str) -> None:
    assert not is_open_webui(CIMultiDict([(name, "X-OpenWebUI-User-Id")]), KEY)
    assert not is_open_webui(CIMultiDict(), LOCAL)
