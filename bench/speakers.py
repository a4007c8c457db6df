"""Who speaks when, in conversations put together from corpora: `make speakers`.

Each conversation has clips of speakers in turn, with pauses of 0.1 to 1 s; where clips overlap,
half of them begin before the last has ended. pyannote.metrics computes the diarization error rate:
missed speech, false alarms and wrong speakers, over all speech; with a collar of 0.25 s around each
change, as NIST scores it, and without. And how fast a call of ten minutes on two channels is
predicted on one core. Into results/speakers.json and results/speakers.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from library import RESULTS, ROOT, parser, read_json, table, write_between, write_json
from pyannote.core import Annotation, Segment
from pyannote.metrics.diarization import DiarizationErrorRate

import serein
from serein.audio.read import RATE_HZ

MARK = "<!-- make speakers -->"
PLACE = RESULTS / "speakers.json"
CORPORA = {"emodb": "emodb", "ravdess": "ravdess", "nemo": "nemo", "cremad": "crema_d"}
SECONDS, CALL_S = 60, 600
PAUSE_S = (0.1, 1.0)
COLLARS_S = {"collar": 0.5, "exact": 0.0}  # pyannote's is both sides together
PARTS = ("missed detection", "false alarm", "confusion")
SNR_DB = 15
OVERLAP = 0.1

Sound = npt.NDArray[np.float32]
Clips = dict[str, list[serein.Utterance]]  # by speaker


class Kind(NamedTuple):
    """What is said of a conversation."""

    speakers: int
    sex: str
    overlap: bool
    noise: bool


KINDS = [Kind(*one) for one in product((2,), ("same", "mixed"), (False, True), (False, True))]
KINDS += [Kind(count, "mixed", False, noise) for count, noise in product((1, 3, 4), (False, True))]


def main() -> None:
    """Measure, or with --table only write the table anew."""
    arguments = parser(__doc__, "data", "table", conversations=Path("2")).parse_args()
    if not arguments.table:
        write_json(PLACE, measured(arguments.data, int(str(arguments.conversations))))
    write_between(ROOT / "results" / "speakers.md", MARK, tables(read_json(PLACE)))


def measured(data: Path, each: int) -> dict[str, Any]:
    """Judge so many conversations of each kind and corpus, and time a call."""
    recognizer = serein.load(threads=1)
    pools = {name: clips_of(name, data / folder) for name, folder in CORPORA.items()}
    rows = [
        {"corpus": corpus, "number": number}
        | kind._asdict()
        | judged(recognizer, pools[corpus], kind, seed)
        for seed, (kind, corpus, number) in enumerate(product(KINDS, pools, range(each)))
        if kind.sex != "same" or len(sexes(pools[corpus])) > 1
    ]
    return {"seconds": SECONDS, "conversations": rows, "call": timed_call(recognizer, pools)}


def clips_of(name: str, folder: Path) -> Clips:
    """List the clips of a corpus by speaker."""
    found: Clips = {}
    for clip in serein.Corpus.load(name, folder):
        found.setdefault(clip.speaker, []).append(clip)
    return found


def sexes(clips: Clips) -> set[str]:
    """Return the sexes that a corpus states."""
    return {str(own[0].gender) for own in clips.values()}


def judged(recognizer: serein.Recognizer, clips: Clips, kind: Kind, seed: int) -> dict[str, Any]:
    """Score one conversation, its number of speakers given and not."""
    rng = np.random.default_rng(seed)
    sound, reference = conversation(rng, clips, kind, SECONDS)
    found: dict[str, Any] = {}
    for asked in (kind.speakers, "auto"):
        said = recognizer.predict(sound, rate=RATE_HZ, speakers=asked)
        turns = [(one.start, one.end, one.speaker) for one in said.timeline]
        name = "auto" if asked == "auto" else "given"
        found[f"{name}_speakers"] = len(said.lanes)
        for collar, width in COLLARS_S.items():
            error = DiarizationErrorRate(collar=width)(reference, annotation(turns), detailed=True)
            kept = (*PARTS, "total")
            found[f"{name}_{collar}"] = {part: round(error[part], 3) for part in kept}
    return found


def conversation(
    rng: np.random.Generator, clips: Clips, kind: Kind, seconds: float
) -> tuple[Sound, Annotation]:
    """Put a conversation together; return it, and who speaks when."""
    speakers = chosen(rng, clips, kind)
    level = {name: 0.05 * 10 ** (rng.uniform(-3, 3) / 20) for name in speakers}
    parts: list[tuple[int, Sound]] = []
    reference, end, before = Annotation(), 0, ""
    while end < seconds * RATE_HZ:
        who = str(rng.choice([name for name in speakers if name != before] or speakers))
        clip = trimmed(serein.read_audio(clips[who][rng.integers(len(clips[who]))].path))
        clip *= level[who] / np.sqrt(np.mean(clip**2))
        start = end + round(rng.uniform(*PAUSE_S) * RATE_HZ)
        if kind.overlap and before and rng.random() < 0.5:
            start = end - round(2 * OVERLAP * min(clip.size, parts[-1][1].size))
        parts.append((start, clip))
        reference[Segment(start / RATE_HZ, (start + clip.size) / RATE_HZ), len(parts)] = who
        end, before = max(end, start + clip.size), who
    sound = np.zeros(end + RATE_HZ // 2, np.float32)
    for start, clip in parts:
        sound[start : start + clip.size] += clip
    if kind.noise:
        noise = rng.standard_normal(sound.size).astype(np.float32)
        sound += noise * np.sqrt(np.mean(sound**2)) * np.float32(10 ** (-SNR_DB / 20))
    return sound, reference


def chosen(rng: np.random.Generator, clips: Clips, kind: Kind) -> list[str]:
    """Draw speakers, all of one sex or not, where the corpus says which they have."""
    names = sorted(clips)
    if kind.sex == "same":
        sex = str(rng.choice(sorted(sexes(clips))))
        names = [name for name in names if str(clips[name][0].gender) == sex]
    while True:
        drawn = [str(name) for name in rng.choice(names, kind.speakers, replace=False)]
        found = {clips[name][0].gender for name in drawn}
        if kind.sex == "same" or kind.speakers == 1 or len(sexes(clips)) < 2 or len(found) > 1:
            return drawn


def trimmed(signal: Sound) -> Sound:
    """Take the silence off both ends of a clip: what is 30 dB below its loudest 25 ms."""
    power = np.convolve(signal**2, np.full(400, 1 / 400), "same")
    loud = np.flatnonzero(power > 1e-3 * power.max())
    return signal[loud[0] : loud[-1] + 1].copy()


def annotation(turns: Iterable[tuple[float, float, object]]) -> Annotation:
    """Make pyannote's form of turns."""
    found = Annotation()
    for number, (start, end, who) in enumerate(turns):
        found[Segment(start, end), number] = str(who)
    return found


def timed_call(recognizer: serein.Recognizer, pools: dict[str, Clips]) -> dict[str, Any]:
    """Predict a call of two corpora's voices, one a channel; count channels that are right."""
    rng = np.random.default_rng(0)
    sides = [pools[name][sorted(pools[name])[0]] for name in ("emodb", "ravdess")]
    sound = np.zeros((CALL_S * RATE_HZ, 2), np.float32)
    at, side, turns = RATE_HZ, 0, []
    while True:
        clip = trimmed(serein.read_audio(sides[side][rng.integers(len(sides[side]))].path))
        if at + clip.size > len(sound):
            break
        sound[at : at + clip.size, side] = clip
        turns.append((at / RATE_HZ, (at + clip.size) / RATE_HZ, side + 1))
        at += clip.size + round(rng.uniform(*PAUSE_S) * RATE_HZ)
        side = 1 - side
    found: dict[str, Any] = {"seconds": CALL_S, "turns": len(turns)}
    for name, options in {
        "windows": {},
        "utterances": {"segments": "utterances"},
        "speakers": {"speakers": 1},
    }.items():
        began = time.process_time()
        said = recognizer.predict(sound, rate=RATE_HZ, channels="each", **options)
        found[f"{name}_times_real_time"] = round(CALL_S / (time.process_time() - began), 1)
        spoken = [one for one in said.timeline if one.speech]
        right = sum(heard(one, turns) for one in spoken)
        found |= {f"{name}_segments": len(spoken), f"{name}_right": right}
    return found


def heard(segment: serein.Segment, turns: list[tuple[float, float, int]]) -> bool:
    """Say whether someone speaks in the channel, and as the speaker, of a segment."""
    own = [turn for turn in turns if turn[2] == segment.channel]
    there = any(start < segment.end and end > segment.start for start, end, _ in own)
    return there and segment.speaker in (None, segment.channel)


def tables(found: dict[str, Any]) -> str:
    """Write the tables of the document."""
    heads = (
        "speakers",
        "sex",
        "overlap",
        "noise",
        "number given",
        "without collar",
        "number found",
    )
    rows = []
    for kind in KINDS:
        own = [
            row
            for row in found["conversations"]
            if all(row[k] == v for k, v in kind._asdict().items())
        ]
        if own:
            exactly = sum(row["auto_speakers"] == kind.speakers for row in own)
            words = ["10 %" if kind.overlap else "0", f"{SNR_DB} dB" if kind.noise else "clean"]
            rates = [
                f"{rate(own, name):.1%}" for name in ("given_collar", "given_exact", "auto_collar")
            ]
            rates[-1] += f" ({exactly} of {len(own)} right)"
            rows.append([str(kind.speakers), kind.sex if kind.speakers > 1 else "", *words, *rates])
    return "\n\n".join(
        [table(heads, rows), by_corpus(found["conversations"]), call_words(found["call"])]
    )


def by_corpus(conversations: list[dict[str, Any]]) -> str:
    """Say what the errors are, where two people take turns and their number is given."""
    rows = []
    for corpus in CORPORA:
        own = [
            row["given_collar"]
            for row in conversations
            if row["corpus"] == corpus and row["speakers"] == 2 and not row["overlap"]
        ]
        total = sum(row["total"] for row in own)
        shares = [sum(row[part] for row in own) / total for part in PARTS]
        rows.append([corpus, str(len(own)), *(f"{share:.1%}" for share in shares)])
    return table(("two speakers, no overlap", "conversations", *PARTS), rows)


def call_words(call: dict[str, Any]) -> str:
    """Say how fast a call is predicted, and how many segments are of the right voice."""
    speeds = [
        f"{name}: {call[f'{name}_times_real_time']:g} times real time, {call[f'{name}_right']} of "
        f"{call[f'{name}_segments']} segments of the right channel and speaker"
        for name in ("windows", "utterances", "speakers")
    ]
    return f"A call of {CALL_S} s on two channels, on one core: {'; '.join(speeds)}."


def rate(rows: list[dict[str, Any]], name: str) -> float:
    """Return the diarization error rate of conversations together."""
    return sum(row[name][part] for row in rows for part in PARTS) / sum(
        row[name]["total"] for row in rows
    )


if __name__ == "__main__":
    main()
