"""`traceparent` in and out, compared with OpenTelemetry's own parser."""

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from aiostream_server.service.tracing.context import add_trace_ids, here, inside, parent_of, traceparent_of

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


@given(_PARENTS)
def test_a_parent_is_read_as_opentelemetry_reads_it(header: str) -> None:
    theirs = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": header})).get_span_context()
    ours = parent_of({"traceparent": header})
    if ours is None:
        assert not theirs.is_valid
        return
    assert (ours.trace_id, ours.span_id, ours.is_remote) == (theirs.trace_id, theirs.span_id, True)
    assert ours.trace_flags.sampled == theirs.trace_flags.sampled


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 3))
def test_a_written_header_is_parsed_to_the_same_span(trace_id: int, span_id: int, flags: int) -> None:
    header = f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"
    parent = parent_of({"traceparent": header})
    assert parent is not None
    assert traceparent_of(parent) == header


def test_unknown_flags_are_dropped() -> None:
    parent = parent_of({"traceparent": f"01-{'a' * 32}-{'b' * 16}-ff-more"})
    assert parent is not None
    assert traceparent_of(parent) == f"00-{'a' * 32}-{'b' * 16}-03"


def test_a_log_line_has_the_ids_of_the_current_span() -> None:
    parent = parent_of({"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"})
    assert parent is not None
    with inside(parent):
        assert here() == parent
        assert add_trace_ids(None, "info", {"event": "e"}) == {
            "event": "e",
            "trace_id": "a" * 32,
            "span_id": "b" * 16,
        }
    assert here() is None
    assert add_trace_ids(None, "info", {"event": "e"}) == {"event": "e"}
