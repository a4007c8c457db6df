"""Streams have priority over uploads, but uploads do not starve; no clock of the wall decides."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from serein.serve.errors import RequestError
from serein.serve.scheduling import MAX_WAIT_S, Scheduler, Slots


class Clock:
    """Time that passes only where the scheduler waits."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def pass_time(self, seconds: float) -> bool:
        self.now_s += seconds
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def scheduler(clock: Clock, wait: Callable[[float], bool]) -> Scheduler:
    made = Scheduler(clock)
    made._changed.wait = wait
    return made


def test_an_upload_does_not_wait_where_no_stream_has_work(clock: Clock) -> None:
    made = scheduler(clock, lambda _: pytest.fail("it waited"))
    with made.stream():
        pass
    made.wait()


def test_an_upload_waits_for_all_streams() -> None:
    made, order = Scheduler(lambda: 0.0), []  # time stands still: only a stream's end can wake it

    def upload() -> None:
        made.wait()
        order.append("upload")

    waiting = threading.Thread(target=upload)
    with made.stream():
        with made.stream():
            waiting.start()
            order.append("first stream")
        order.append("second stream")
    waiting.join(10)
    assert order == ["first stream", "second stream", "upload"]


def test_an_upload_waits_no_longer_than_the_limit_for_each_window(clock: Clock) -> None:
    made = scheduler(clock, clock.pass_time)
    with made.stream():
        made.wait()
        assert clock.now_s == MAX_WAIT_S
        clock.pass_time(0.75 * MAX_WAIT_S)  # of the window itself
        made.wait()
        assert clock.now_s == 2 * MAX_WAIT_S


def test_the_delay_of_streams(clock: Clock) -> None:
    made = Scheduler(clock)
    assert made.delay_s == 0
    with made.stream() as started:
        clock.pass_time(3.0)
        started()
        assert made.delay_s == 3.0
    assert made.delay_s == 0


def test_slots_are_given_back() -> None:
    slots = Slots(1, "uploads", 2)
    for _ in range(3):
        with slots, pytest.raises(RequestError, match="the limit of 1 uploads") as refused:
            slots.__enter__()
        assert (refused.value.code, refused.value.retry_after_s, slots.used) == ("busy", 2, 0)
