"""How fast many files are answered, on one core and on two, and how that grows.

`python bench/bulk.py` writes results/bulk.json and the table in docs/BULK.md. Files are of
synthetic speech; of the million names, files without content, the first rows are waited for.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile
from library import RESULTS, ROOT, write_between, write_json
from library import table as markdown_table

import serein

VOICE = ROOT / "samples" / "espeak-english-slow-low.flac"
RATE_HZ = 16_000
POLL_S = 0.2
MINUTES, NAMES = 60, 1_000_000
ARCHIVE_HOURS, CORES = 10_000, 2
MARK = "<!-- python bench/bulk.py -->"


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=10_000)
    most = parser.parse_args().files
    with tempfile.TemporaryDirectory() as place:
        counts = [most // 4, most // 2, most]
        folders = [made(Path(place) / str(count), count) for count in counts]
        alone = [run(folders[0], 1) for _ in range(2)]  # in turns: machines are shared
        rows = [run(folder, 2) for folder in (folders[0], *folders)]
        minutes = made(Path(place) / "minutes", MINUTES, seconds=60)
        long = min(run(minutes, 1)["seconds"] for _ in range(2))
        names = listed(named(Path(place) / "names", NAMES))
    one = min(row["seconds"] for row in alone)
    two = min(row["seconds"] for row in rows[:2])
    seconds = [two, rows[2]["seconds"], rows[3]["seconds"]]
    found = {
        "files": counts,
        "one_process_s": one,
        "two_processes_s": seconds,
        "gain": round(one / two, 2),
        "exponent": round(float(np.polyfit(np.log(counts), np.log(seconds), 1)[0]), 3),
        "peak_mb": max(row["peak_mb"] for row in rows),
        "hours_a_core_hour": round(MINUTES * 60 / long),
        "names": NAMES,
        "names_mb": names,
    }
    write_json(RESULTS / "bulk.json", found)
    write_between(ROOT / "docs" / "BULK.md", MARK, table(found))
    print(table(found))


def made(folder: Path, count: int, *, seconds: int = 1) -> Path:
    """Write so many recordings, each another."""
    folder.mkdir()
    voice = serein.read_audio(VOICE)
    for number in range(count):
        sound = np.resize(np.roll(voice, -37 * number), seconds * RATE_HZ)
        soundfile.write(folder / f"{number:06}.flac", sound, RATE_HZ)
    return folder


def named(folder: Path, count: int) -> Path:
    """Make so many empty files, a thousand a folder."""
    for number in range(count):
        if number % 1000 == 0:
            (here := folder / f"speaker-{number // 1000:04}").mkdir(parents=True)
        (here / f"recording-{number:07}.wav").touch()
    return folder


def listed(folder: Path) -> int:
    """Begin to answer for a folder; return the MB held until the first hundred rows are there."""
    out = folder.with_suffix(".csv")
    journal = out.with_name(f".{out.name}.journal-wal")
    peak = 0
    with started(folder, out, 1) as process:
        while process.poll() is None and not (journal.exists() and journal.stat().st_size > 2**20):
            peak = max(peak, held(psutil.Process(process.pid)))
            time.sleep(POLL_S)
        process.kill()
    return round(peak / 2**20)


def run(folder: Path, jobs: int) -> dict[str, Any]:
    """Answer for a folder; return the seconds, and the most that all processes held."""
    out = folder.with_name(f"{folder.name}-{jobs}-{time.monotonic_ns()}.jsonl")
    start_s, peak = time.perf_counter(), 0
    with started(folder, out, jobs) as process:
        family = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, held(family))
            time.sleep(POLL_S)
    seconds = time.perf_counter() - start_s
    answered = sum(1 for _ in out.open(encoding="utf-8"))
    if answered != sum(1 for _ in folder.iterdir()):
        raise SystemExit(f"{answered} rows for {folder}")
    return {"seconds": round(seconds, 1), "peak_mb": round(peak / 2**20)}


def started(folder: Path, out: Path, jobs: int) -> subprocess.Popen[bytes]:
    """Start to answer for a folder."""
    command = [sys.executable, "-m", "serein", "predict", str(folder)]
    return subprocess.Popen(
        [*command, "--out", str(out), "--jobs", str(jobs)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def held(family: psutil.Process) -> int:
    """Return the resident bytes of a process and all below it."""
    try:
        members = [family, *family.children(recursive=True)]
        return sum(member.memory_info().rss for member in members)
    except psutil.NoSuchProcess:
        return 0


def machine_hours(found: dict[str, Any]) -> int:
    """Compute for how long a machine of two cores is rented for an archive."""
    return round(ARCHIVE_HOURS / found["hours_a_core_hour"] / CORES)


def table(found: dict[str, Any]) -> str:
    """Write what was found as Markdown."""
    counts, seconds = found["files"], found["two_processes_s"]
    rows = [
        (f"{counts[0]} files, one process", f"{found['one_process_s']:.0f} s", ""),
        *(
            (f"{n} files, two processes", f"{s:.0f} s", "")
            for n, s in zip(counts, seconds, strict=True)
        ),
        ("two processes beside one", f"{found['gain']:.2f} times as fast", "≥ 1.8"),
        ("growth: exponent", f"{found['exponent']:.3f}", "≤ 1.05"),
        ("all processes together, at most", f"{found['peak_mb']} MB", "≤ 1024 MB"),
        (f"{found['names']:,} names, at most", f"{found['names_mb']} MB", "≤ 1000 MB"),
        ("sound a core-hour, files of a minute", f"{found['hours_a_core_hour']} hours", ""),
        (
            f"{ARCHIVE_HOURS:,} hours of sound",
            f"{machine_hours(found)} machine-hours",
            "",
        ),
    ]
    return markdown_table(("two cores, files of a second", "measured", "aim"), rows)


if __name__ == "__main__":
    main()
