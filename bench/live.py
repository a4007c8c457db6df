"""How fast a stream answers, how many one core carries, what an hour takes: `make live`.

Writes results/live.json and the table in results/live.md. Everything runs in one thread. Speech is
clips of the corpora one after the other, with pauses as in a conversation or without any; from the
samples, where the corpora are not there. With --json only latency is measured, for docs/BENCH.md.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import time
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import opensmile
import turns
from library import RESULTS, ROOT, parser, write_between, write_json
from library import table as markdown_table

import serein
from serein.inference.stream import Stream
from serein.recordings import recordings
from serein.serve.scheduling import HopControl

RATE_HZ = 16_000
CHUNK = RATE_HZ // 50  # 20 ms, as a microphone brings them
PAUSE_S = 1.0
CLIPS = 40  # of each corpus
BLOCK_S = 0.1  # how sound arrives where many streams are carried
HOP_S = 0.5  # a stream's own; an answer later than that is late
TRIAL_S = 20
COUNTS = (8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96)
MARK = "<!-- make live -->"


def main() -> None:
    """Measure, write and print."""
    options = parser(__doc__, "data")
    options.add_argument("--hours", type=float, default=1.0)
    options.add_argument("--json", type=Path, help="file for the latency alone")
    given = options.parse_args()
    if given.json:
        late = latency(serein.load(threads=1), joined(chosen(given.data), PAUSE_S))
        given.json.write_text(json.dumps([turns.show(beside(late))]) + "\n", encoding="utf-8")
        return
    found = measured(given.data, given.hours)
    write_json(RESULTS / "live.json", found)
    write_between(ROOT / "results" / "live.md", MARK, table(found))
    print(table(found))


def measured(data: Path, hours: float) -> dict[str, Any]:
    """Measure everything."""
    recognizer = serein.load(threads=1)
    clips = chosen(data)
    talk, speech = joined(clips, PAUSE_S), joined(clips, 0.0)
    return {
        "source": "EmoDB, RAVDESS, nEMO" if data.is_dir() else "samples",
        "memory": memory(recognizer, talk, hours),  # first: many streams leave theirs behind
        "agreement": agreement(recognizer, clips),
        "latency": latency(recognizer, talk),
        "compute": compute(recognizer, talk, speech),
        "streams": {
            "with pauses": carried(recognizer, talk),
            "speech alone": carried(recognizer, speech),
        },
    }


def beside(late: dict[str, Any]) -> turns.Row:
    """Put the medians of latency into a row of docs/BENCH.md."""
    return {
        "what": "an emotion of a stream, once its chunk is there",
        "unit": "ms",
        "turns": late["eGeMAPS"]["events"],
        "serein": late["emotion"]["p50"],
        "peer": "openSMILE eGeMAPSv02 of the same 2 s",
        "theirs": late["eGeMAPS"]["p50"],
        **late["ratio"],
    }


def chosen(data: Path) -> list[np.ndarray]:
    """Read some clips of all corpora, in mixed order."""
    names = ("emodb", "ravdess", "nemo")
    folders = [data / name for name in names] if data.is_dir() else [ROOT / "samples"]
    generator = np.random.default_rng(0)
    files = [f for folder in folders for f in generator.permutation(recordings(folder))[:CLIPS]]
    return [serein.read_audio(file) for file in generator.permutation(files)]


def joined(clips: list[np.ndarray], pause_s: float) -> np.ndarray:
    """Lay clips one after the other."""
    pause = np.zeros(round(pause_s * RATE_HZ), np.float32)
    return np.concatenate([part for clip in clips for part in (clip, pause)])


def agreement(recognizer: serein.Recognizer, clips: list[np.ndarray]) -> dict[str, Any]:
    """Hear clips in one stream, and each as a file; count those with the same answer."""
    events = Stream(recognizer).push(joined(clips, PAUSE_S))
    start_s, same = 0.0, {"emotion": 0, "utterance": 0}
    for clip in clips:
        end_s = start_s + clip.size / RATE_HZ
        answer = recognizer.predict(clip, rate=RATE_HZ).emotion
        for kind in same:
            inside = [
                e for e in events if e.kind == kind and start_s < (e.start + e.end) / 2 < end_s
            ]
            longest = max(inside, key=lambda event: event.end - event.start, default=None)
            same[kind] += (longest and longest.emotion) == answer
        start_s = end_s + PAUSE_S
    return {"clips": len(clips), **{kind: round(n / len(clips), 3) for kind, n in same.items()}}


def latency(recognizer: serein.Recognizer, talk: np.ndarray) -> dict[str, Any]:
    """Time each push that brings an event, beside openSMILE on the same two seconds."""
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.Functionals,
        num_workers=1,
    )
    stream = Stream(recognizer)
    taken: dict[str, list[float]] = {"emotion": [], "utterance": [], "eGeMAPS": []}
    same: list[float] = []  # ours, where openSMILE was asked too
    for end in range(CHUNK, min(talk.size, 240 * RATE_HZ), CHUNK):
        start_s = time.perf_counter()
        events = stream.push(talk[end - CHUNK : end])
        took_s = time.perf_counter() - start_s
        for kind in {event.kind for event in events} - {"voice"}:
            taken[kind].append(took_s)
        if end > 2 * RATE_HZ and any(event.kind == "emotion" for event in events):
            start_s = time.perf_counter()
            smile.process_signal(talk[end - 2 * RATE_HZ : end], RATE_HZ)
            taken["eGeMAPS"].append(time.perf_counter() - start_s)
            same.append(took_s)
    found: dict[str, Any] = {kind: percentiles(times) for kind, times in taken.items()}
    return found | {"ratio": turns.spread(same, taken["eGeMAPS"])}


def percentiles(times: list[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in ms."""
    values = np.percentile(times, [50, 95, 99]) * 1000
    shown = dict(zip(("p50", "p95", "p99"), values.round(1).tolist(), strict=True))
    return {"events": len(times), **shown}


def compute(recognizer: serein.Recognizer, *signals: np.ndarray) -> dict[str, float]:
    """Return ms of processor time per second of sound."""
    shares = []
    for signal in signals:
        stream, part = Stream(recognizer), signal[: 120 * RATE_HZ]
        start_s = time.process_time()
        stream.push(part)
        shares.append(1000 * (time.process_time() - start_s) * RATE_HZ / part.size)
    return dict(zip(("with pauses", "speech alone"), np.round(shares, 1).tolist(), strict=True))


def carried(recognizer: serein.Recognizer, signal: np.ndarray) -> dict[str, Any]:
    """Find how many streams one thread keeps up with, in real time, with hops as the service's."""
    best: dict[str, Any] = {"streams": 0}
    for count in COUNTS:
        seen = list(delays(recognizer, signal, count))
        late = percentiles([delay_s for delay_s, _ in seen])
        if late["p95"] > 1000 * HOP_S:
            break
        hop_s = statistics.median(hop_s for _, hop_s in seen)
        best = {"streams": count, "hop_s": round(hop_s, 2), **late}
    return best


def delays(
    recognizer: serein.Recognizer, signal: np.ndarray, count: int
) -> Iterator[tuple[float, float]]:
    """Feed so many streams by the clock; yield each event's delay after its sound, and the hop."""
    block = round(BLOCK_S * RATE_HZ)
    streams = [Stream(recognizer) for _ in range(count)]
    offsets = np.linspace(0, signal.size // 2, count, dtype=int)
    phases = np.arange(count) * HOP_S / count  # streams begin whenever they do
    blocks = [
        ((number + 1) * BLOCK_S + phase, stream, offset + number * block)
        for number in range(round(TRIAL_S / BLOCK_S))
        for stream, offset, phase in zip(streams, offsets, phases, strict=True)
    ]
    start_s = time.perf_counter()
    hops = HopControl(start_s)
    for after_s, stream, at in sorted(blocks, key=itemgetter(0)):
        due_s = start_s + after_s
        time.sleep(max(0.0, due_s - time.perf_counter()))
        hops.note(time.perf_counter() - due_s, time.perf_counter())
        stream.hop_s = HOP_S * hops.stretch
        first = at % (signal.size - block)
        for _ in stream.push(signal[first : first + block]):
            yield time.perf_counter() - due_s, stream.hop_s


def memory(recognizer: serein.Recognizer, talk: np.ndarray, hours: float) -> dict[str, float]:
    """Stream for long, and weigh the process after a tenth and at the end."""
    stream, block = Stream(recognizer, adapt=True), 10 * RATE_HZ
    weights = []
    total = round(hours * 3600 / 10)
    for number in range(total):
        at = number * block % (talk.size - block)
        stream.push(talk[at : at + block])
        weights.append(resident_mb())
    early, late = statistics.median(weights[total // 10 - 3 : total // 10]), weights[-1]
    return {"hours": hours, "early_mb": round(early, 1), "late_mb": round(late, 1)}


def resident_mb() -> float:
    """Return the memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def table(found: dict[str, Any]) -> str:
    """Write what was found as Markdown."""
    late, memory_row = found["latency"], found["memory"]
    ratio = late["emotion"]["p50"] / late["eGeMAPS"]["p50"]
    rows = [
        ("chunk to emotion, p50 / p95 / p99", times(late["emotion"]), "p95 ≤ 40 ms"),
        ("chunk to utterance, p50 / p95 / p99", times(late["utterance"]), ""),
        ("openSMILE eGeMAPS on the same 2 s", times(late["eGeMAPS"]), ""),
        ("emotion beside eGeMAPS, medians", f"{ratio:.2f}", ""),
    ]
    for kind, row in found["streams"].items():
        share = found["compute"][kind]
        rows.append((f"processor per second of sound, {kind}", f"{share:.0f} ms", ""))
        words = f"{row['streams']}, p95 of an event {row.get('p95', 0):.0f} ms after its sound"
        words += f", hop {row.get('hop_s', HOP_S):.2f} s"
        rows.append((f"streams one core carries, {kind}", words, "≥ 40"))
    same = found["agreement"]
    rows.append(
        (
            f"same emotion as each of {same['clips']} clips alone: utterance; last longest window",
            f"{same['utterance']:.1%}; {same['emotion']:.1%}",
            "",
        )
    )
    weights = f"{memory_row['early_mb']:.0f} → {memory_row['late_mb']:.0f} MB"
    hours = memory_row["hours"]
    rows.append((f"memory of a stream of {hours:g} h, at a tenth → at the end", weights, "flat"))
    return markdown_table((f"one thread; {found['source']}", "measured", "aim"), rows)


def times(row: dict[str, float]) -> str:
    """Say percentiles."""
    return f"{row['p50']:.0f} / {row['p95']:.0f} / {row['p99']:.0f} ms"


if __name__ == "__main__":
    main()
