"""All benches on two pages: `make bench`, or `python bench/page.py`.

Runs the benches of speed, each in a process of its own, one after the other; writes what they found
into results/bench.json, and from it and the other results the tables of docs/BENCH.md and
results/bench.md. `--table`
writes only the tables, `--only` measures some parts anew.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import scored
from library import RESULTS, ROOT, between, interval, parser, table, write_json

BENCH = Path(__file__).parent
PARTS = {
    "predictions": "bench.py",
    "features": "features.py",
    "stream": "live.py",
    "nkululeko": "prediction.py",
    "scaling": "scaling.py",
}
PAGES = {
    ROOT / "docs/BENCH.md": ("predictions",),
    RESULTS / "bench.md": ("nkululeko", "features", "growth", "cores", "scores", "machine"),
}
NAMES = ("numpy", "onnxruntime", "opensmile", "librosa", "praat-parselmouth")
GAIN, EXPONENT, PEAK_MB = 1.8, 1.05, 1024  # the aims
ABSENT = "nkululeko was not there: `make bench` sets it up in an environment of its own."

Found = dict[str, Any]


def main() -> None:
    """Measure, write and say where."""
    options = parser(__doc__.splitlines()[0], "data", "table")
    options.add_argument("--nkululeko", help="the Python of nkululeko's own environment")
    options.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    given = options.parse_args()
    file = RESULTS / "bench.json"
    found: Found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    extra = {"stream": ["--data", str(given.data)]}
    if given.nkululeko:
        extra["nkululeko"] = ["--nkululeko", given.nkululeko]
    for part in [] if given.table else given.only:
        found[part] = measured(part, extra.get(part, []))
        ordered = {name: found[name] for name in PARTS if name in found}
        write_json(file, ordered)
    for page, names in PAGES.items():
        page.write_text(written(page.read_text("utf-8"), found, names), encoding="utf-8")
        print(f"written: {page.relative_to(ROOT)}")


def measured(part: str, extra: list[str]) -> Found:
    """Run one bench in its own process; note on what it ran, and how busy that was."""
    print(f"\n{part}", flush=True)
    load, begin_s = os.getloadavg()[0], time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "found.json"
        command = [sys.executable, str(BENCH / PARTS[part]), "--json", str(file), *extra]
        subprocess.run(command, check=True)
        rows = json.loads(file.read_text(encoding="utf-8"))
    seconds = round(time.perf_counter() - begin_s)
    return {"machine": machine() | {"others": round(load, 1)}, "seconds": seconds, "found": rows}


def machine() -> Found:
    """Say on what it runs: cores, versions, no names."""
    return {
        "system": platform.system(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in NAMES},
    }


def written(page: str, found: Found, names: Iterable[str]) -> str:
    """Write tables into a page, each between its two marks."""
    texts = tables(found)
    for name in names:
        page = between(page, f"<!-- {name} -->", texts[name], "the page")
    return page


def tables(found: Found) -> dict[str, str]:
    """Write each table."""
    whole = rows(found, "nkululeko")
    return {
        "predictions": pairs([*rows(found, "predictions"), *rows(found, "stream")]),
        "nkululeko": pairs(whole) if whole else ABSENT,
        "features": pairs([row for row in rows(found, "features") if "peer" in row]),
        "growth": growth(found["scaling"]["found"]),
        "cores": cores(found["scaling"]["found"]),
        "scores": scored.table(),
        "machine": conditions(found),
    }


def rows(found: Found, part: str) -> list[Found]:
    """Give the rows of a part, if it was measured."""
    return found.get(part, {}).get("found", [])


def pairs(measured_rows: list[Found]) -> str:
    """Write ratios."""
    head = ("what", "beside", "serein / peer", "middle half of the turns", "turns")
    return table(
        head,
        [
            (
                row["what"],
                row["peer"],
                f"{row['ratio']:.2f}",
                f"{row['low']:.2f} to {row['high']:.2f}",
                str(row["turns"]),
            )
            for row in measured_rows
        ],
    )


def growth(scaling: Found) -> str:
    """Write exponents."""
    head = ("what grows", "from, to", "measured by", "exponent (95 %)", "with the start in", "aim")
    lines = []
    for key, title in {"files": "files of a second", "length": "seconds of one file"}.items():
        grown = scaling[key]
        sizes = sorted({point["size"] for point in grown["points"]} - {grown["start"]})
        for clock, words in {"processor_s": "processor time", "clock_s": "the clock"}.items():
            fit = grown[clock]
            lines.append(
                (
                    title,
                    f"{sizes[0]:g}, {sizes[-1]:g}",
                    words,
                    interval(fit["exponent"], fit["low"], fit["high"]),
                    f"{fit['with_start']:.3f}",
                    f"≤ {EXPONENT}",
                )
            )
    return table(head, lines)


def cores(scaling: Found) -> str:
    """Write what the second core gives: here, and in the recorded run of 10 000 files."""
    many = json.loads((RESULTS / "bulk.json").read_text(encoding="utf-8"))
    here = scaling["cores"]
    head = ("two processes beside one", "this run", "`python bench/bulk.py`, recorded", "aim")
    lines = [
        ("files", str(here["files"]), f"{many['files'][0]}; two alone: {many['files'][-1]}", ""),
        ("times as fast", over_rounds(here, "gain"), f"{many['gain']:.2f}", f"≥ {GAIN}"),
        ("times as fast, processes that only count", over_rounds(here, "possible"), "", ""),
        ("memory at most, MB", f"{here['peak_mb']}", f"{many['peak_mb']}", f"≤ {PEAK_MB}"),
        ("exponent of the clock, start left in", "", f"{many['exponent']:.3f}", f"≤ {EXPONENT}"),
    ]
    return table(head, lines)


def over_rounds(here: Found, name: str) -> str:
    """Write the median of the rounds, and the ends."""
    low, *_, high = ordered = sorted(turn[name] for turn in here["rounds"])
    return f"{ordered[len(ordered) // 2]:.2f} ({low:.2f} to {high:.2f})"


def conditions(found: Found) -> str:
    """Write on what each part ran."""
    lines = []
    for part in PARTS:
        if part in found:
            on, seconds = found[part]["machine"], found[part]["seconds"]
            versions = ", ".join(f"{name} {on[name]}" for name in ("python", *NAMES))
            lines.append((part, str(on["cores"]), f"{on['others']}", f"{seconds} s", versions))
    return table(("part", "cores", "load before", "took", "versions"), lines)


if __name__ == "__main__":
    main()
