"""`traceparent` in and out, compared with OpenTelemetry's own parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from aiostream_server.service.tracing.context import add_trace_ids, headers_of, here, inside, parent_of

_HEX = st.text("0123456789abcdef")
_PART = st.one_of(_HEX, st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}"))
_PARENTS = st.one_of(
    st.text(max_size=80),
    st.builds("-".join, st.lists(_PART, min_size=3, max_size=5)),
    st.builds(
        "{:02x}-{:032x}-{:016x}-{:02x}{}".format,
        st.sampled_from((0, 0, 0, 1, 254, 255)),
        st.one_of(st.just(0), st.integers(0, 2**128 - 1)),
        st.one_of(st.just(0), st.integers(0, 2**64 - 1)),
        st.integers(0, 255),
        st.sampled_from(("", "", "-", "-more", "x", " ")),
    ),
)


def span_in(header: str) -> SpanContext:
    return get_current_span(parent_of({"traceparent": header})).get_span_context()


@given(_PARENTS)
def test_a_parent_is_read_as_opentelemetry_reads_it(header: str) -> None:
    theirs = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": header})).get_span_context()
    assert span_in(header) == theirs


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 3))
def test_a_written_header_is_parsed_to_the_same_span(trace_id: int, span_id: int, flags: int) -> None:
    header = f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"
    assert headers_of(span_in(header)) == {"traceparent": header}


def test_a_tracestate_is_ignored() -> None:
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "vendor=user"}
    assert not get_current_span(parent_of(headers)).get_span_context().trace_state


def test_a_header_that_is_too_long_is_ignored_without_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert not span_in(f"01-{'a' * 32}-{'b' * 16}-01-{'x' * 512}").is_valid
    assert not caplog.records


def test_a_log_line_has_the_ids_of_the_current_span() -> None:
    parent = span_in(f"00-{'a' * 32}-{'b' * 16}-00")
    with inside(parent):
        assert here() == parent
        assert add_trace_ids(None, "info", {"event": "e"}) == {
            "event": "e",
            "trace_id": "a" * 32,
            "span_id": "b" * 16,
        }
    assert here() is None
    assert add_trace_ids(None, "info", {"event": "e"}) == {"event": "e"}
