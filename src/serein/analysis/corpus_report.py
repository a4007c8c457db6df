"""What is in a corpus: counts, durations, levels, clipping, copies and what cannot be decoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from serein.audio.read import RATE_HZ, read_audio
from serein.corpora import Corpus, Utterance, Validation
from serein.corpora.validation import same_content
from serein.engine import usable_cores
from serein.errors import SereinError
from serein.untrusted import printable

GROUPS = ("emotion", "speaker", "gender", "language", "corpus")
CLIPPED, CLIPPED_SHARE = 0.99, 0.001  # of full scale, and of the samples
SILENT_DB = -80.0  # RMS relative to full scale
SHOWN = 5  # files that a line names


@dataclass(frozen=True)
class Sound:
    """The sound of a recording in a few numbers; `sha256` is of its samples."""

    seconds: float
    level_db: float
    clipped: bool
    sha256: str


@dataclass(frozen=True)
class CorpusReport:
    """A corpus with its validation, and the sounds of the files that can be decoded."""

    corpus: Corpus
    validation: Validation
    sounds: Mapping[Path, Sound]
    unreadable: Mapping[Path, str]  # and why

    @property
    def clipped(self) -> list[Path]:
        """Recordings that are overdriven."""
        return [path for path, sound in self.sounds.items() if sound.clipped]

    @property
    def silent(self) -> list[Path]:
        """Recordings of nothing."""
        return [path for path, sound in self.sounds.items() if sound.level_db < SILENT_DB]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; durations in s, levels in dB of full scale (RMS)."""
        found, counts = self.validation, self.corpus.counts
        return {
            "corpus": found.corpus,
            "ok": found.ok,
            "utterances": found.n_utterances,
            "counts": {group: counts(group) for group in GROUPS},
            "duration_s": _spread([sound.seconds for sound in self.sounds.values()], 3),
            "total_s": round(sum(sound.seconds for sound in self.sounds.values()), 3),
            "level_db": _spread([sound.level_db for sound in self.sounds.values()], 1),
            "clipped": [*map(str, self.clipped)],
            "silent": [*map(str, self.silent)],
            "copies": [[str(row.path) for row in rows] for rows in found.duplicates],
            "unreadable": {str(path): reason for path, reason in self.unreadable.items()},
            "errors": found.errors(),
            "warnings": found.warnings(),
        }

    def lines(self) -> list[str]:
        """Write it as text."""
        values = self.to_dict()
        counts, seconds, level = values["counts"], values["duration_s"], values["level_db"]
        told = self.validation.summary().splitlines()
        told.append(f"  emotions: {_counted(counts['emotion'])}")
        each = counts["speaker"].values()
        told.append(f"  speakers: {len(each)}, of {min(each, default=0)} to {max(each, default=0)}")
        told.append(f"  gender: {_counted(counts['gender'])}")
        if seconds:
            total = f"{values['total_s'] / 60:.1f} min in all"
            told.append(f"  duration: {total}; {_between(seconds, 's')}")
            told.append(f"  level: {_between(level, 'dB')}")
        for name, paths in (("clipped", self.clipped), ("silent", self.silent)):
            told += [f"  {name}: {_names(paths)}"] if paths else []
        told += [f"  cannot be read: {why}" for why in [*self.unreadable.values()][:SHOWN]]
        return [printable(line) for line in told]


def report_corpus(
    corpus: Corpus, progress: Callable[[int, int], None] = lambda done, total: None
) -> CorpusReport:
    """Validate a corpus, and decode all of its recordings.

    Raises: CorpusError if a file has gone.
    """
    found = corpus.validate()
    known = {*found.empty, *(path for paths in found.no_sound.values() for path in paths)}
    rows = [row for row in corpus if row.path not in known]
    sounds: dict[Path, Sound] = {}
    unreadable: dict[Path, str] = {}
    with ThreadPoolExecutor(usable_cores()) as pool:
        measured = pool.map(lambda row: _measured(row.path), rows)
        for done, (row, one) in enumerate(zip(rows, measured, strict=True), 1):
            if isinstance(one, Sound):
                sounds[row.path] = one
            else:
                unreadable[row.path] = one
            progress(done, len(rows))
    no_sound = dict(found.no_sound)
    if unreadable:
        no_sound["cannot be read"] = tuple(unreadable)
    validation = replace(found, duplicates=_copies(rows, sounds), no_sound=no_sound)
    return CorpusReport(corpus, validation, sounds, unreadable)


def _measured(path: Path) -> Sound | str:
    """Decode a recording; return why, where that fails."""
    try:
        signal = read_audio(path)
    except SereinError as error:
        return str(error)
    power = float(np.mean(np.square(signal, dtype=np.float64)))
    return Sound(
        seconds=signal.size / RATE_HZ,
        level_db=10 * np.log10(max(power, 1e-12)),
        clipped=bool(np.mean(np.abs(signal) >= CLIPPED) >= CLIPPED_SHARE),
        sha256=sha256(signal.tobytes()).hexdigest(),
    )


def _copies(rows: Sequence[Utterance], sounds: Mapping[Path, Sound]) -> list[tuple[Utterance, ...]]:
    """Group the utterances whose samples are the same, in whatever kind of file."""
    heard = [row for row in rows if row.path in sounds]
    groups = same_content([sounds[row.path].sha256 for row in heard])
    return [tuple(heard[row] for row in group) for group in groups]


def _spread(values: Sequence[float], digits: int) -> dict[str, float]:
    if not values:
        return {}
    found = {"least": min(values), "median": float(np.median(values)), "most": max(values)}
    return {name: round(value, digits) for name, value in found.items()}


def _between(spread: Mapping[str, float], unit: str) -> str:
    least, middle, most = (f"{spread[name]:.1f}" for name in ("least", "median", "most"))
    return f"{least} to {most} {unit}, median {middle} {unit}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _names(paths: Sequence[Path]) -> str:
    more = f", and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return f"{len(paths)}: {', '.join(path.name for path in paths[:SHOWN])}{more}"
