from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.backoff import doubled_s


def test_each_pause_is_twice_the_last_up_to_the_longest() -> None:
    pauses = [doubled_s(failures, first_s=0.5, longest_s=5.0) for failures in range(1, 7)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


@given(st.integers(min_value=1))
def test_however_often_it_has_failed_there_is_a_pause(failures: int) -> None:
    assert 1.0 <= doubled_s(failures, first_s=1.0, longest_s=60.0) <= 60.0
