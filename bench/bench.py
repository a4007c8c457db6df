"""serein beside openSMILE, side by side in one run on one thread: `make bench`.

Machines differ and are shared, so what counts are the ratios; each pair is measured in turns.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import opensmile

import serein

HERE = Path(__file__).parent.parent
SAMPLE = HERE / "samples" / "espeak-english-slow-low.flac"
SEREIN = Path(sys.executable).parent / "serein"
RATE_HZ = 16_000
ROW = "{:46} {:>12} {:>12} {:>7}  {}"


def main() -> None:
    """Print the table."""
    print(ROW.format("one thread, medians", "serein", "peer", "ratio", "peer is"))
    voice = np.resize(serein.read_audio(SAMPLE), 60 * RATE_HZ)
    compare_compute("compute per second of audio, 3 s, ms", voice[: 3 * RATE_HZ], runs=30)
    compare_compute("compute per second of audio, 60 s, ms", voice, runs=5)
    clip = HERE / "samples" / "bench-3s.flac"
    write_clip(clip, voice[: 3 * RATE_HZ])
    try:
        compare_processes(clip)
    finally:
        clip.unlink()


def compare_compute(name: str, signal: np.ndarray, *, runs: int) -> None:
    """Time both on the same samples in memory."""
    recognizer = serein.load(threads=1)
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.Functionals,
        num_workers=1,
    )
    ours, theirs = in_turns(
        lambda: recognizer.predict(signal, rate=RATE_HZ),
        lambda: smile.process_signal(signal, RATE_HZ),
        runs=runs,
    )
    per_second = 1000 * RATE_HZ / signal.size
    show(name, ours * per_second, theirs * per_second, "openSMILE eGeMAPSv02")


def compare_processes(clip: Path) -> None:
    """Time and weigh whole processes, each started afresh."""
    python = sys.executable
    predict = [str(SEREIN), "predict", str(clip), "--threads", "1"]
    imports = [python, "-c", "import numpy, onnxruntime"]
    ours, theirs = in_turns(lambda: run(predict), lambda: run(imports), runs=11)
    show("cold start of `serein predict`, 3 s file, ms", ours * 1000, theirs * 1000, imports[2])
    smile = (
        "import sys, opensmile; "
        "opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02).process_file(sys.argv[1])"
    )
    show(
        "peak memory of a whole run on it, MB",
        peak_mb(predict),
        peak_mb([python, "-c", smile, str(clip)]),
        "openSMILE eGeMAPSv02",
    )
    timed = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    ours, theirs = (
        statistics.median(float(run([python, "-c", timed.format(name)])) for _ in range(11)) * 1000
        for name in ("serein", "numpy")
    )
    show("import time, ms", ours, theirs, "import numpy")


def in_turns(
    first: Callable[[], object], second: Callable[[], object], *, runs: int
) -> tuple[float, float]:
    """Time two calls turn by turn, after one warm-up; give the medians in seconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(runs + 1):
        for call, kept in zip((first, second), times, strict=True):
            begin = time.perf_counter()
            call()
            if turn:
                kept.append(time.perf_counter() - begin)
    return statistics.median(times[0]), statistics.median(times[1])


def run(command: list[str]) -> str:
    """Run a command to its end and give what it printed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def peak_mb(command: list[str]) -> float:
    """Run a command and give the most memory it held, in MB.

    It is started by a small process: a child's peak cannot read below that of its parent, and this
    one is large.
    """
    starter = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    return float(run([sys.executable, "-S", "-c", starter, *command])) / 1024


def write_clip(file: Path, signal: np.ndarray) -> None:
    """Write a FLAC."""
    import soundfile

    soundfile.write(file, signal, RATE_HZ)


def show(name: str, ours: float, theirs: float, peer: str) -> None:
    """Print a row."""
    print(ROW.format(name, f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}", peer))


if __name__ == "__main__":
    main()
