"""serein beside openSMILE, side by side in one run on one thread: part of `make bench`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import opensmile
import soundfile
import turns

import serein

SAMPLE = Path(__file__).parent.parent / "samples" / "espeak-english-slow-low.flac"
SEREIN = Path(sys.executable).parent / "serein"
RATE_HZ = 16_000
EGEMAPS = "openSMILE eGeMAPSv02"
START = "import numpy, onnxruntime"  # what serein cannot do without


def main() -> None:
    """Print the table, and keep it for the page."""
    turns.main(__doc__, measured)


def measured() -> list[turns.Row]:
    """Measure predictions in memory, and whole processes."""
    voice = np.resize(serein.read_audio(SAMPLE), 60 * RATE_HZ)
    rows = [compute(voice[: 3 * RATE_HZ], count=30), compute(voice, count=5)]
    with tempfile.TemporaryDirectory() as place:
        clip = Path(place) / "clip.flac"
        soundfile.write(clip, voice[: 3 * RATE_HZ], RATE_HZ)
        return rows + processes(clip)


def compute(signal: np.ndarray, *, count: int) -> turns.Row:
    """Time a prediction beside openSMILE's features of the same samples in memory."""
    recognizer = serein.load(threads=1)
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.Functionals,
        num_workers=1,
    )
    seconds = signal.size / RATE_HZ
    return turns.beside(
        f"an emotion, {seconds:g} s of sound in memory, per second of it",
        turns.ms(lambda: recognizer.predict(signal, rate=RATE_HZ), per=seconds),
        EGEMAPS,
        turns.ms(lambda: smile.process_signal(signal, RATE_HZ), per=seconds),
        unit="ms",
        turns=count,
    )


def processes(clip: Path) -> list[turns.Row]:
    """Time and weigh whole processes, each started afresh."""
    python = sys.executable
    predict = [str(SEREIN), "predict", str(clip), "--threads", "1"]
    smile = (
        "import sys, opensmile; "
        "opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02).process_file(sys.argv[1])"
    )
    features = [python, "-c", smile, str(clip)]
    ours, theirs = (turns.ms(partial(run, command)) for command in (predict, features))
    start = turns.ms(partial(run, [python, "-c", START]))
    weights = partial(peak_mb, predict), EGEMAPS, partial(peak_mb, features)
    imports = partial(import_ms, "serein"), "import numpy", partial(import_ms, "numpy")
    return [
        turns.beside("a process that predicts 3 s", ours, EGEMAPS, theirs, unit="ms", turns=7),
        turns.beside("a process that predicts 3 s", ours, START, start, unit="ms", turns=7),
        turns.beside("its peak memory", *weights, unit="MB", turns=3),
        turns.beside("import serein", *imports, unit="ms", turns=11),
    ]


def import_ms(name: str) -> float:
    """Import something in a fresh process; give how long that took, without the process."""
    timed = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
    return 1000 * float(run([sys.executable, "-c", timed]))


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


if __name__ == "__main__":
    main()
