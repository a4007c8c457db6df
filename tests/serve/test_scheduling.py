"""Recordings wait for voices, but not for ever."""

from __future__ import annotations

import threading
import time

from serein.serve.scheduling import PATIENCE_S, Turns


def waited(turns: Turns) -> float:
    start = time.perf_counter()
    turns.wait()
    return time.perf_counter() - start


def test_nobody_waits_where_no_stream_has_work() -> None:
    turns = Turns()
    with turns.stream():
        pass
    assert waited(turns) < PATIENCE_S / 2


def test_a_recording_waits_for_all_streams() -> None:
    turns, ended = Turns(), []

    def work(seconds: float) -> None:
        with turns.stream():
            began.wait()
            time.sleep(seconds)
            ended.append(seconds)

    began = threading.Barrier(3)
    streams = [threading.Thread(target=work, args=[seconds]) for seconds in (0.01, 0.04)]
    for stream in streams:
        stream.start()
    began.wait()
    turns.wait()
    assert ended == [0.01, 0.04]
    for stream in streams:
        stream.join()


def test_but_not_for_ever_and_one_window_at_a_time() -> None:
    turns = Turns()
    with turns.stream():
        assert PATIENCE_S * 0.9 <= waited(turns) < 4 * PATIENCE_S
        assert PATIENCE_S * 0.9 <= waited(turns) < 4 * PATIENCE_S


def test_how_late_voices_are_heard() -> None:
    now = [0.0]
    turns = Turns(clock=lambda: now[0])
    assert turns.behind_s == 0
    with turns.stream() as begin:
        now[0] = 3.0
        begin()
        assert turns.behind_s == 3.0
    assert turns.behind_s == 0
