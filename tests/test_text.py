"""Text from outside becomes one short, printable line; JSON becomes indented lines."""

import errno
import json
import os

from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.text import clipped, indented_json, one_line, printable_line
from aiostream_server.unreadable import why_unreadable


def test_white_space_becomes_single_spaces() -> None:
    assert one_line(ValueError(" two\n\n  lines\t")) == "two lines"
    assert one_line("one two three", 8) == "one two…"


def test_characters_that_hide_or_reverse_text_are_replaced() -> None:
    assert printable_line("a\u202eb\x1b[31m\nc\ud800") == "a b [31m c"


def test_cut_text_ends_with_an_ellipsis() -> None:
    assert clipped("12345", 5) == "12345"
    assert clipped("1234 6", 6) == "1234 6"
    assert clipped("1234 67", 6) == "1234…"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_indented_json_is_that_of_the_standard_library(value: object) -> None:
    assert indented_json(value) == json.dumps(value, indent=2, ensure_ascii=False)


def test_what_is_forbidden_names_the_user_to_whom() -> None:
    """It is a service mostly, and its administrator is another one."""
    denied = why_unreadable(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/etc/secret"))
    assert denied.startswith("permission denied for the user ")
    assert why_unreadable(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))) == "no such file or directory"
    assert why_unreadable(OSError("odd")) == "unreadable"
