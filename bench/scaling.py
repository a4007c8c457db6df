"""How answers grow with cores, with files and with their length: part of `make bench`.

Sizes come in an order drawn anew in each round, so that what else the machine does falls on all of
them. Growth is a line through logarithms, fitted by least squares to all rounds: its slope is the
exponent. The time of a start would flatter it. So the smallest run, which is little but start, is
measured too, and taken off: its time from the times, its size from the sizes. Seconds of the clock
and of the processor are both given: others on the machine slow down the first more than the second.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import scipy.stats
import soundfile
import turns

import serein
from bulk import RATE_HZ, VOICE, made, run

FILES = (20, 250, 500, 1000, 2000)  # the first is the start
LENGTHS_S = (1, 5, 20, 80, 320, 1280)
ROUNDS = 3
COUNT = "n = 0\nfor i in range(20_000_000): n += i"  # what two processes gain that share nothing

Point = dict[str, float]


def main() -> None:
    """Print the figures, and keep them for the page."""
    turns.main(__doc__, measured, head="seconds of the clock and of the processor")


def measured() -> dict[str, Any]:
    """Measure all three."""
    with tempfile.TemporaryDirectory() as place:
        cores, files = by_files(Path(place))
        length = by_length(Path(place))
    return {"cores": cores, "files": files, "length": length}


def by_files(place: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Answer for folders of a few sizes with two processes, and for the largest with one too."""
    folders = {count: made(place / str(count), count) for count in FILES}
    random, most = np.random.default_rng(0), FILES[-1]
    points: list[Point] = []
    gains: list[dict[str, float]] = []
    most_mb = 0.0
    for _ in range(ROUNDS):
        for count in random.permutation(FILES).tolist():
            row: dict[str, Any] = {}
            point = timed(lambda count=count, row=row: row.update(run(folders[count], 2)))
            points.append(shown({"size": count, **point}))
            most_mb = max(most_mb, row["peak_mb"])
            if count == most:
                alone = timed(lambda: run(folders[most], 1))
                gains.append(
                    {
                        "gain": round(alone["clock_s"] / point["clock_s"], 3),
                        "possible": round(possible(), 3),
                        "processor": round(point["processor_s"] / alone["processor_s"], 3),
                        "files_per_s_one": round(most / alone["clock_s"], 1),
                        "files_per_s_two": round(most / point["clock_s"], 1),
                    }
                )
                print(gains[-1], flush=True)
    cores = {"files": most, "rounds": gains, "peak_mb": most_mb}
    return cores, growth(points)


def possible() -> float:
    """Measure how much faster two processes are now that share nothing and only count."""
    command = [sys.executable, "-S", "-c", COUNT]

    def together(count: int) -> None:
        for process in [subprocess.Popen(command) for _ in range(count)]:
            process.wait()

    return 2 * timed(lambda: together(1))["clock_s"] / timed(lambda: together(2))["clock_s"]


def by_length(place: Path) -> dict[str, Any]:
    """Answer for one file at a time, of a few lengths, by one recogniser on one thread."""
    voice = serein.read_audio(VOICE)
    for seconds in LENGTHS_S:
        soundfile.write(place / f"{seconds}.flac", np.resize(voice, seconds * RATE_HZ), RATE_HZ)
    recognizer = serein.load(threads=1)
    recognizer.predict(place / f"{LENGTHS_S[0]}.flac")
    random = np.random.default_rng(1)
    points = []
    for _ in range(ROUNDS):
        for seconds in random.permutation(LENGTHS_S).tolist():
            point = timed(lambda seconds=seconds: recognizer.predict(place / f"{seconds}.flac"))
            points.append(shown({"size": seconds, **point}))
    return growth(points)


def timed(call: Callable[[], object]) -> Point:
    """Time a call; processor seconds are those of this process and of all that it ran."""
    begin_s, used_s = time.perf_counter(), processor_s()
    call()
    clock_s = time.perf_counter() - begin_s
    return {"clock_s": round(clock_s, 4), "processor_s": round(processor_s() - used_s, 4)}


def processor_s() -> float:
    """Return the processor time so far, children that have ended included."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def shown(point: Point) -> Point:
    """Print a point, and give it back."""
    print("{size:6g} {clock_s:9.2f} {processor_s:9.2f}".format(**point), flush=True)
    return point


def growth(points: list[Point]) -> dict[str, Any]:
    """Fit exponents, without the start and, to see what it hides, with it."""
    start = min(point["size"] for point in points)
    found: dict[str, Any] = {"points": points, "start": start}
    for clock in ("clock_s", "processor_s"):
        least = statistics.median(point[clock] for point in points if point["size"] == start)
        rest = [(point["size"], point[clock]) for point in points if point["size"] > start]
        found[clock] = {
            **exponent([(size - start, taken - least) for size, taken in rest]),
            "with_start": exponent(rest)["exponent"],
        }
        print(clock, found[clock], flush=True)
    return found


def exponent(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """Fit the slope of logarithms, with its 95 % interval (Student's)."""
    if min(taken for _, taken in pairs) <= 0:
        raise SystemExit("some sizes took no longer than the start: others were at work, ask again")
    fit = scipy.stats.linregress(*np.log(np.array(pairs)).T)
    half = fit.stderr * scipy.stats.t.ppf(0.975, len(pairs) - 2)
    ends = fit.slope - half, fit.slope + half
    return {
        name: round(float(value), 4)
        for name, value in zip(("exponent", "low", "high"), (fit.slope, *ends), strict=True)
    }


if __name__ == "__main__":
    main()
