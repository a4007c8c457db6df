"""Two things measured turn by turn, and the ratio of each turn: what all benches of speed share.

Machines differ and are shared with others, so a time says little; a ratio of two times that were
taken one right after the other says more, and how far the turns lie apart says how much.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Measure = Callable[[], float]

LEAST_S = 0.05  # of each measurement
LINE = "{:56} {:>10} {:>10} {:>7} {:>15}  {}"
HEAD = LINE.format("one thread, medians", "serein", "peer", "ratio", "half the turns", "peer is")


def beside(
    what: str, ours: Measure, peer: str, theirs: Measure | None = None, *, unit: str, turns: int
) -> Row:
    """Measure both in turns, after one that does not count; whoever was first is next second.

    Parameters
    ----------
    what : str
        What is measured.
    ours, theirs : callable
        Each call measures once. Without theirs ours stands alone.
    peer : str
        Who they are.
    unit : str
        Of the figures.
    turns : int
        At least 2.

    Returns
    -------
    dict
        Medians of both, the median of the turns' ratios (below 1: serein takes less), and between
        which ratios the middle half of the turns lies.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    sides = [(ours, taken[0])] + ([(theirs, taken[1])] if theirs else [])
    for turn in range(turns + 1):
        for measure, kept in sides if turn % 2 else sides[::-1]:
            figure = measure()
            if turn:
                kept.append(figure)
    row = {"what": what, "unit": unit, "turns": turns, "serein": median(taken[0])}
    return show(
        row | ({"peer": peer, "theirs": median(taken[1]), **spread(*taken)} if theirs else {})
    )


def spread(ours: list[float], theirs: list[float]) -> Row:
    """Give the median and the quartiles of the turns' ratios."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {"ratio": round(middle, 3), "low": round(low, 3), "high": round(high, 3)}


def median(figures: list[float]) -> float:
    """Give the median to four digits."""
    return float(f"{statistics.median(figures):.4g}")


def ms(call: Callable[[], object], *, per: float = 1.0) -> Measure:
    """Make a measure of how many milliseconds a call takes, divided by something.

    What is quick is called again until `LEAST_S` are over, and averaged.
    """

    def measure() -> float:
        begin_s, calls, taken_s = time.perf_counter(), 0, 0.0
        while taken_s < LEAST_S:
            call()
            calls, taken_s = calls + 1, time.perf_counter() - begin_s
        return 1000 * taken_s / calls / per

    return measure


def main(
    title: str,
    measured: Callable[..., Any],
    *,
    head: str = HEAD,
    extra: dict[str, str] | None = None,
) -> None:
    """Measure and print; with `--json FILE`, as `bench/page.py` asks, keep the rows as well.

    Parameters
    ----------
    title : str
        The first line is the help.
    measured : callable
        Prints and returns the figures; is given the values of the extra options.
    head : str
        Printed before.
    extra : dict, optional
        Options and their help.
    """
    parser = argparse.ArgumentParser(description=title.splitlines()[0])
    parser.add_argument("--json", type=Path, help="file for the figures")
    for option, words in (extra or {}).items():
        parser.add_argument(option, help=words)
    given = vars(parser.parse_args())
    file = given.pop("json")
    print(head)
    found = measured(**given)
    if file:
        file.write_text(json.dumps(found) + "\n", encoding="utf-8")


def show(row: Row) -> Row:
    """Print a row, and give it back."""
    if "peer" in row:
        half = f"{row['low']:.2f} to {row['high']:.2f}"
        rest = (f"{row['theirs']:g}", f"{row['ratio']:.2f}", half, row["peer"])
    else:
        rest = ("", "", "", "")
    print(LINE.format(f"{row['what']}, {row['unit']}", f"{row['serein']:g}", *rest), flush=True)
    return row
