"""Streams have priority over uploads, but uploads do not starve; no clock of the wall decides."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from serein.serve.errors import RequestError
from serein.serve.scheduling import (
    CONTROL_S,
    FREE_S,
    LATE_S,
    MAX_STRETCH,
    MAX_WAIT_S,
    FairSlots,
    HopControl,
    Scheduler,
    Slots,
)


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
        with slots.slot("a"):
            with pytest.raises(RequestError, match="the limit of 1 uploads") as refused:
                slots.slot("b").__enter__()
            assert (refused.value.code, refused.value.retry_after_s) == ("busy", 2)
        assert slots.used == 0


def test_slots_are_shared_between_clients() -> None:
    """One client may have all; another takes some of those whose work may end."""
    ended: list[str] = []

    async def work(slots: Slots, name: str) -> None:
        try:
            with slots.slot(name[0]) as slot:
                async with slot.until_needed():
                    await asyncio.sleep(60)
        except RequestError as error:
            ended.append(f"{name} {error.code}")

    async def run() -> None:
        slots = Slots(4, "uploads", 2)
        tasks = []
        for name in ("a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3", "c1"):
            tasks.append(asyncio.create_task(work(slots, name)))
            for _ in range(5):
                await asyncio.sleep(0)
            assert slots.used == min(4, len(tasks))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert slots.used == 0

    asyncio.run(run())
    assert ended == ["a5 busy", "a4 busy", "a3 busy", "b3 busy", "b2 busy"]


def test_work_that_may_not_end_keeps_its_slot() -> None:
    slots = Slots(2, "uploads", 2)
    with slots.slot("a"), slots.slot("a"), pytest.raises(RequestError, match="the limit of 2"):
        slots.slot("b").__enter__()


def test_fair_slots() -> None:
    """One client never has all; of those who wait, the one with fewest in comes first."""
    order: list[str] = []

    async def work(slots: FairSlots, name: str, until: asyncio.Event) -> None:
        async with slots.slot(name[0]):
            order.append(name)
            await until.wait()

    async def run() -> None:
        slots, until = FairSlots(3, 2), asyncio.Event()
        names = ("a1", "a2", "a3", "a4", "b1", "b2", "c1")
        tasks = [asyncio.create_task(work(slots, name, until)) for name in names]
        await asyncio.sleep(0.01)
        assert order == ["a1", "a2", "b1"]
        tasks[2].cancel()  # while it waits
        tasks[0].cancel()  # while it is in
        await asyncio.sleep(0.01)
        assert order[3:] == ["c1"]
        until.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert sorted(order[4:]) == ["a4", "b2"]
        async with slots.slot("d"), slots.slot("d"):
            pass

    asyncio.run(run())


def waited(made: HopControl, now_s: float, seconds: float) -> float:
    """Let streams wait so long for their turn, for a while; return how far hops are stretched."""
    for second in range(20):
        made.note(seconds, now_s + second)
    return made.stretch


def test_hops_are_stretched_while_streams_wait_for_each_other_and_no_longer() -> None:
    made = HopControl(0.0)
    assert waited(made, 0.0, FREE_S) == 1
    assert waited(made, 20.0, 2 * LATE_S) == MAX_STRETCH
    assert waited(made, 40.0, FREE_S) == MAX_STRETCH  # neither late nor free: as it is
    assert 1 < waited(made, 60.0, 0.0) < MAX_STRETCH  # slowly, or it would swing
    waited(made, 80.0, 0.0)
    assert made.stretch == 1


def test_one_wait_among_many_stretches_hops() -> None:
    made = HopControl(0.0)
    for waited_s in (0.0, 2 * LATE_S, 0.0):
        made.note(waited_s, 0.1)
    made.note(0.0, CONTROL_S)
    assert made.stretch > 1
