"""What `scripts/bench` says rests on counting every token once and on choosing the right comparison."""

import asyncio
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.accounting import cpu_s, system_s
from benchmarks.bench.contender import Kind, LoopName
from benchmarks.bench.load import Connection, Load
from benchmarks.bench.plan import QUICK
from benchmarks.bench.plot import draw
from benchmarks.bench.protocols import PROTOCOLS
from benchmarks.bench.results import Growth, Result, Results, Turns, Workers
from benchmarks.bench.script import History, Script, stamp
from benchmarks.bench.targets import judge
from benchmarks.provider import last_message
from benchmarks.soak.promises import Promise, figure_of, promises_in
from benchmarks.soak.report import SERVER, Row, with_section

MACHINE = dict.fromkeys(
    ("date", "processor", "system", "python", "aiohttp", "uvloop", "autogen-agentchat", "openai", "fastapi", "uvicorn"),
    "<1 & 2>",
)


def result(kind: Kind, loop: LoopName, *, burst: float = 1.0, paced: float = 1.0) -> Result:
    return Result(kind, loop, ready_s=1.0, burst_us=[burst], paced_us=[paced], paced_streams=2)


def results(
    *contenders: Result, growth: Sequence[Growth] = (), turns: Sequence[Turns] = (), workers: Sequence[Workers] = ()
) -> Results:
    return Results(MACHINE, None, list(contenders), list(growth), list(turns), list(workers))


class Wire(asyncio.Transport):
    """What a client writes goes nowhere."""

    def write(self, data: object) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...


@given(st.lists(st.integers(0, 10_000), max_size=30), st.lists(st.integers(0, 10_000), max_size=30))
async def test_every_token_is_counted_once_wherever_chunks_and_reads_are_cut(edges: list[int], cuts: list[int]) -> None:
    """A relay may put the edge of an HTTP chunk into the middle of a token's stamp."""
    body = b"".join(b'data: {"content":"%b"}\n\n' % stamp() for _ in range(5)) + b"data: [DONE]\n\n"
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in _cut(body, edges)]
    connection = Connection(iter([b"question"]))
    connection.connection_made(Wire())
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
    for data in _cut(b"".join(chunks) + b"0\r\n\r\n", cuts):
        connection.data_received(data)
    assert connection.tokens == 5
    connection.connection_lost(None)
    assert connection.ended.result() is None


async def test_an_answer_that_is_no_answer_is_a_failure() -> None:
    for said in (b"HTTP/1.1 500 Oh\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n5\r\nhello\r\n0\r\n\r\n"):
        connection = Connection(iter([b"question"]))
        connection.connection_made(Wire())
        connection.data_received(said)
        with pytest.raises(RuntimeError, match="not a whole answer"):
            await connection.ended


@given(st.integers(0), st.floats(0, allow_infinity=False))
def test_a_script_survives_being_asked(tokens: int, pause_s: float) -> None:
    assert Script.read(Script(tokens, pause_s).question()) == Script(tokens, pause_s)


@given(st.integers(0, 20), st.integers(1, 100), st.text("abc", max_size=3), st.integers(0, 9))
def test_a_question_is_asked_after_its_talk(turns: int, tokens: int, name: str, place: int) -> None:
    """The provider finds its script in the last message, however many come before it."""
    head, _, body = History(turns, name).request(Script(tokens), place).partition(b"\r\n\r\n")
    told = json.loads(body)
    assert f"Content-Length: {len(body)}".encode() in head
    assert (f"X-Conversation-Id: {name}-{place}".encode() in head) == bool(name)
    assert [message["role"] for message in told["messages"]] == ["user", "assistant"] * turns + ["user"]
    assert Script.read(last_message(told)) == Script(tokens)


def test_earlier_turns_are_as_long_as_people_s_and_differ() -> None:
    _, _, body = History(100).request(Script(1), 0).partition(b"\r\n\r\n")
    texts = [message["content"] for message in json.loads(body)["messages"][:-1]]
    assert all(80 <= len(text) <= 120 for text in texts[::2])
    assert all(500 <= len(text) <= 700 for text in texts[1::2])
    assert len(set(texts)) == 200


@given(st.integers(0), st.text(max_size=5))
def test_a_load_survives_being_told_to_another_process(turns: int, name: str) -> None:
    load = Load(1, (2, 3), Script(4, 0.5), 6, 7, history=History(turns, name))
    assert Load.read(json.dumps(asdict(load))) == load


def test_the_kernel_s_part_is_a_part() -> None:
    own = (os.getpid(),)
    assert 0 <= system_s(own) <= cpu_s(own) + 0.1  # it counts in hundredths, rounded


def test_the_relay_is_judged_on_the_loop_that_serves_it_best() -> None:
    figures = judge(
        results(
            result("json", "asyncio", burst=20, paced=80),
            result("json", "uvloop", burst=25, paced=40),
            result("server", "asyncio", burst=21, paced=70),
            result("server", "uvloop", burst=20, paced=42),
        )
    )
    met = {(figure.what.partition(":")[0], figure.what.rpartition(" ")[2]): figure.is_met for figure in figures}
    assert met[("burst", "asyncio")] is False  # 1.05 x; on uvloop it would be 0.8 x
    assert met[("burst", "uvloop")] is None
    assert met[("paced", "asyncio")] is None
    assert met[("paced", "uvloop")] is True  # 1.05 x


def test_only_what_was_measured_is_judged() -> None:
    assert judge(results(result("json", "asyncio"))) == []


@pytest.mark.parametrize(("late_us", "is_met"), [(10.9, True), (11.2, False)])
def test_a_token_may_cost_a_tenth_more_where_there_is_much(late_us: float, is_met: bool) -> None:
    grown = Growth(
        "server",
        "uvloop",
        (10, 1_000),
        (100, 2_000, 20_000),
        few_us=[10.0],
        few_system_us=[0.0],
        many_us=[10.0, 10.0, 99.0],  # a garbage collection
        many_system_us=[5.0],
        early_us=[10.0],
        late_us=[late_us],
    )
    relay = replace(grown, kind="json")
    figures = judge(results(growth=[grown, relay]))
    assert [figure.is_met for figure in figures] == [True, None, is_met, None, None, None]


@pytest.mark.parametrize(("hundredth_ms", "is_met"), [(3.7, True), (3.9, False)])
def test_what_the_provider_must_be_sent_is_what_it_costs_the_relay(hundredth_ms: float, is_met: bool) -> None:
    relay = Turns("json", "uvloop", "resent", {1: [0.5], 10: [0.6], 100: [1.0]})
    server = Turns("server", "uvloop", "kept", {1: [3.0], 10: [3.0], 100: [hundredth_ms]})
    judged = [figure.is_met for figure in judge(results(turns=[relay, server]))]
    assert judged == [None, None, is_met]
    assert [figure.is_met for figure in judge(results(turns=[server]))] == [None]


def test_what_several_workers_carry_is_only_told() -> None:
    carried = Workers("uvloop", 2, "server", [20.0], [25.0], [30_000.0], [45_000.0])
    figures = judge(results(workers=[carried]))
    assert [(figure.measured.partition(" (")[0], figure.is_met) for figure in figures] == [
        ("1.50 x", None),
        ("1.25 x", None),
    ]


@pytest.mark.parametrize(
    ("apart_us", "busiest_us", "judged"), [(24.0, 13.0, (True, True, True)), (20.0, 20.0, (False,) * 3)]
)
def test_workers_are_judged_beside_servers_that_share_nothing(
    apart_us: float, busiest_us: float, judged: tuple[bool, ...]
) -> None:
    """What two processes cost anyway, on cores that they share, is not the workers' doing."""
    carried = Workers("uvloop", 2, "server", [23.0], [25.0], [1.0], [1.0], [23.0], [busiest_us], [apart_us])
    figures = judge(results(workers=[carried]))
    assert tuple(figure.is_met for figure in figures if figure.is_met is not None) == judged


def test_the_plot_is_well_formed_and_keeps_to_its_page() -> None:
    drawn = draw(results(result("bytes", "uvloop", burst=0.1), result("usual", "asyncio", burst=9_999, paced=700)))
    page = ElementTree.fromstring(drawn)  # noqa: S314 - our own
    width = float(page.attrib["viewBox"].split()[2])
    places = [float(dot.attrib["cx"]) for dot in page.iter("{http://www.w3.org/2000/svg}circle")]
    assert places
    assert all(0 < place < width and math.isfinite(place) for place in places)
    assert "FastAPI" in drawn


def test_what_is_asked_for_replaces_what_is_usual() -> None:
    assert QUICK.changed((), (), (), None, None) == QUICK
    changed = QUICK.changed(("bytes", "server"), ("uvloop",), ("burst",), 7, 3)
    assert changed.contenders == (("bytes", "uvloop"), ("server", "uvloop"))
    assert (changed.parts, changed.rounds, changed.streams) == (("burst",), 7, 3)


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    """Into pieces, none of them empty."""
    edges = sorted({0, len(data), *(place % len(data) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize(("reads_us", "general_ms", "is_met"), [(18.0, 1.2, True), (18.4, 1.25, False)])
def test_reads_are_judged_beside_the_relay_and_runs_beside_autogen(
    reads_us: float, general_ms: float, is_met: bool
) -> None:
    ours, relay = Result("server", "uvloop", 1.0), Result("json", "uvloop", 1.0)
    ours.reads_us, relay.reads_us, ours.general_run_ms = [reads_us], [20.0], [general_ms]
    figures = judge(replace(results(ours, relay), autogen_run_ms=1.31))
    assert [each.is_met for each in figures if "reads" in each.what or "general" in each.what] == [is_met, is_met]


def test_a_protocol_is_compared_with_chat_completions_by_the_least_of_each() -> None:
    ours = result("server", "uvloop")
    ours.protocols_us.update({"chat": [9.0, 4.0], "responses": [5.0, 8.0], "slow": [5.3, 6.0]})
    judged = {figure.what: figure.is_met for figure in judge(results(ours)) if "chat completions" in figure.what}
    assert judged == {
        "responses: CPU per token beside chat completions": True,
        "slow: CPU per token beside chat completions": False,
    }


def test_a_token_that_a_protocol_repeats_is_counted_once() -> None:
    one = stamp()
    text = b'data: {"delta":"%b"}\n\ndata: {"text":"%b"}\n\n' % (one, one)
    assert len(PROTOCOLS["responses"].stamp.findall(text)) == 1


PAGE = (
    "# Reliability\n\n| promise | test | figure | machine |\n| --- | --- | --- | --- |\n"
    "| Nothing is lost | `tests/a/test_a.py`, `tests/b/test_b.py` | 0 | 2 cores |\n"
    "| The quick one | `tests/a/test_a.py` (`quick`) | 1 ms | 2 cores |\n"
    "| It installs | `scripts/dev/test-install` (`tests/install/in_the_box.py`) | 5 of 5 | 2 cores |\n"
)


def test_the_promises_of_a_page_are_those_that_tests_show() -> None:
    """A row that an earlier run has written into the page is none of them."""
    row = Row("Nothing is lost", "`tests/a/test_a.py`", "9 of 9 tests", is_kept=True)
    page = with_section(PAGE, SERVER, SERVER.section([row], "a machine"))
    assert [*promises_in(page)] == [
        Promise("Nothing is lost", ("tests/a/test_a.py", "tests/b/test_b.py")),
        Promise("The quick one", ("tests/a/test_a.py",), "quick"),
    ]


def test_a_run_of_the_soak_replaces_what_the_run_before_has_written() -> None:
    missed = Row("It is quick", "`scripts/soak --only streams`", "p99: 9 ms (<= 5 ms) | more", is_kept=False)
    once = with_section(PAGE, SERVER, SERVER.section([], "a machine"))
    assert with_section(once, SERVER, SERVER.section([missed], "another")) == with_section(
        PAGE, SERVER, SERVER.section([missed], "another")
    )
    (line,) = [line for line in SERVER.section([missed], "another").splitlines() if "quick" in line]
    assert line.endswith("| p99: 9 ms (&lt;= 5 ms) \\| more **missed** | another |")


def test_what_tests_measured_is_read_from_their_report() -> None:
    report = (
        '<testsuites><testsuite tests="3" failures="1" errors="0" skipped="1" time="12.4">'
        "<testcase><system-out>--------- Captured Out ---------\nkeep p99 101 ms\nno figure\n"
        '#x1B[2m2026-11-30 04:36:41#x1B[0m run_finished\n  File "teams.py", line 178\n</system-out></testcase>'
        "</testsuite></testsuites>"
    )
    assert figure_of(report) == "1 of 3 tests (1 skipped) in 12 s: keep p99 101 ms"
