"""How far long work is: a bar on a terminal, and away from one a line each half minute."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

from serein.cli.show import echo

EVERY_S = 30.0
MINUTES_FROM_S = 120

Show = Callable[[int, int], None]


@contextmanager
def progress_bar(title: str) -> Iterator[Show]:
    """Show on standard error how much of some work is done, and what training tells of it."""
    with (_bar if sys.stderr.isatty() else _lines)(title) as show:
        yield show


@contextmanager
def _bar(title: str) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        with _told(lambda text, _: bar.update(task, description=f"{title}, {text}")):
            yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _lines(title: str) -> Iterator[Show]:
    """Print a line each half minute, also while a single step takes longer; and one at the end."""
    state, note, begun, over = [0, 0], [""], monotonic(), Event()

    def line() -> None:
        done, total = state
        echo(
            f"{title}: {done} of {total or '?'}, {_duration(monotonic() - begun)}{note[0]}",
            err=True,
        )

    def show(done: int, total: int) -> None:
        state[:] = done, total

    def tell(text: str, now: bool) -> None:
        note[0] = f"; {text}"
        if now:
            line()

    def tick() -> None:
        while not over.wait(EVERY_S):
            line()

    clock = Thread(target=tick, daemon=True)
    clock.start()
    try:
        with _told(tell):
            yield show
    finally:
        over.set()
        clock.join()
    note[0] = ""
    line()


@contextmanager
def _told(show: Callable[[str, bool], None]) -> Iterator[None]:
    """Show what training says of its epochs."""
    logger = logging.getLogger("serein.training")
    handler = logging.Handler()
    handler.emit = lambda record: show(  # type: ignore[method-assign]
        record.getMessage(), record.levelno >= logging.INFO
    )
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < MINUTES_FROM_S else f"{seconds / 60:.0f} min"
