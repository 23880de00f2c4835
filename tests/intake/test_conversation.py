"""Which conversation: by the client's own name for it, as each client gives it; none where there is nothing to keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from aiostream_server.config.model import OpenWebUIConfig
from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.conversation import Conversation, is_open_webui, read_conversation
from aiostream_server.intake.principal import LOCAL, Principal

CHAT = "1b0a8f7e-6a4c-4f3e-9c9c-0f5f0d3c2b1a"
WITH_HEADER = OpenWebUIConfig(chat_header="X-Chat")
ALL = ("X-Conversation-Id", "X-Chat", "X-OpenWebUI-Chat-Id")


def read(headers: dict[str, str] | list[tuple[str, str]], *, from_open_webui: bool = False) -> Conversation | None:
    return read_conversation(CIMultiDict(headers), WITH_HEADER, from_open_webui=from_open_webui)


def test_chat_pages_resend_and_others_go_on() -> None:
    assert read({"X-Conversation-Id": "c-1"}) == Conversation("c-1", resends=False)
    assert read({"x-chat": CHAT}) == Conversation(CHAT, resends=True)
    assert read({"X-OpenWebUI-Chat-Id": CHAT}) == Conversation(CHAT, resends=True)
    assert read({}) is None


def test_open_webui_resends_by_whichever_header_it_names_the_chat() -> None:
    """A connection there may send `X-Conversation-Id: {{CHAT_ID}}` just as well."""
    assert read({"X-Conversation-Id": CHAT}, from_open_webui=True) == Conversation(CHAT, resends=True)


def test_first_of_the_headers_counts() -> None:
    assert read({name: name for name in ALL}) == Conversation("X-Conversation-Id", resends=False)
    assert read({name: name for name in ALL[1:]}) == Conversation("X-Chat", resends=True)
    assert read({"X-Conversation-Id": " ", "X-Chat": "", ALL[2]: CHAT}) == Conversation(CHAT, resends=True)


def test_without_a_chat_header_in_the_configuration_no_other_is_read() -> None:
    assert read_conversation(CIMultiDict({"X-Chat": CHAT}), OpenWebUIConfig()) is None


@pytest.mark.parametrize("name", ALL)
def test_template_that_nobody_filled_in_is_none(name: str) -> None:
    assert read({name: "{{CHAT_ID}}"}) is None
    assert read({name: "owui-{{CHAT_ID}}"}) is None
    assert read({"X-Chat": "{{CHAT_ID}}", "X-OpenWebUI-Chat-Id": CHAT}) == Conversation(CHAT, resends=True)


@pytest.mark.parametrize("chat", ["local:undefined", "local:Xk3v", "temporary:Xk3v", "channel:77"])
def test_chat_that_open_webui_does_not_keep_is_none(chat: str) -> None:
    assert read({"X-Chat": chat}) is None
    assert read({"X-OpenWebUI-Chat-Id": chat}) is None
    assert read({"X-Conversation-Id": chat}, from_open_webui=True) is None
    assert read({"X-Conversation-Id": chat}) == Conversation(chat, resends=False)  # another client's own name


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", ["a" * 256, "a\x00", "a\nb", "a\udcff", "\u200b", "a\tb"])
def test_what_is_no_name_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^the header {name} ") as caught:
        read({name: value})
    assert value not in str(caught.value)


@pytest.mark.parametrize("name", ALL)
def test_header_that_comes_twice_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="is sent more than once"):
        read([(name, "a"), (name.lower(), "a")])


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="{"), min_size=1, max_size=255))
def test_any_printable_name_is_taken_as_it_is(name: str) -> None:
    assert read({"X-Conversation-Id": name}) == Conversation(name, resends=False)


def test_a_name_beyond_ascii_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match="percent-encode"):
        read({"X-Conversation-Id": "Gespräch"})


@given(st.lists(st.tuples(st.sampled_from(ALL), st.text()), max_size=4), st.booleans())
def test_any_headers_are_read_or_refused(headers: list[tuple[str, str]], from_open_webui: bool) -> None:
    try:
        found = read(headers, from_open_webui=from_open_webui)
    except InvalidRequest:
        return
    assert found is None or (found.name.isprintable() and 0 < len(found.name) <= 255)


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
