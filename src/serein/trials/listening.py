"""Letting a model hear clips as they are and made harder, side by side in threads."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from serein.audio.conditions import Condition
from serein.audio.read import Signal, read_audio
from serein.corpora import Utterance
from serein.evaluation.metrics import Floats
from serein.evaluation.result import Result
from serein.trials.memory import Memory
from serein.trials.stress_report import CLEAN

Tick = Callable[[int, int], None]

ABOUT = ("corpus", "gender", "language", "text")
EDITION = 1  # changes whenever the same condition would sound different


@dataclass(frozen=True)
class Asked:
    """Who is asked, what about, and where the answers are kept."""

    name: str
    stamp: str
    who: str
    labels: tuple[str, ...]
    ask: Callable[[Utterance, Signal], npt.ArrayLike]
    place: Path | None
    fold: Mapping[Path, int] = field(default_factory=dict)

    def result(self, title: str, clips: Sequence[Utterance], answers: Floats) -> Result:
        """Put answers, (clips, labels), beside the truth."""
        about = {name: np.array([getattr(clip, name) or "" for clip in clips]) for name in ABOUT}
        return Result(
            title,
            self.labels,
            np.array([self.labels.index(clip.emotion) for clip in clips], np.intp),
            answers,
            np.array([clip.speaker for clip in clips]),
            np.array([self.fold.get(clip.path, 0) for clip in clips], np.intp),
            {"file": np.array([clip.path.name for clip in clips])} | about,
        )


class Listening:
    """Lets the model hear clips under each condition, and keeps what it said."""

    def __init__(
        self,
        asked: Asked,
        conditions: Mapping[str, Condition],
        crowd: Sequence[Utterance],
        seed: int,
    ) -> None:
        self.asked, self.seed = asked, seed
        self.conditions: dict[str, Condition | None] = {CLEAN: None, **conditions}
        self.crowd = [(clip.speaker, read_audio(clip.path)) for clip in crowd]
        voices = hashlib.sha256(b"".join(signal.tobytes() for _, signal in self.crowd)).hexdigest()
        self.memories = {}
        for name, condition in self.conditions.items():
            what = [name, condition and condition.to_dict(), seed * bool(condition), EDITION]
            what += [voices] if condition and condition.voices else []
            key = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:20]
            file = asked.place / f"{key}.csv" if asked.place else None
            self.memories[name] = Memory(file, len(asked.labels))

    def to_all(self, clips: Sequence[Utterance], workers: int | None, tick: Tick) -> Floats:
        """Hear clips side by side: (1 + conditions, clips, labels)."""
        times = len(self.conditions)
        answers = np.zeros((times, len(clips), len(self.asked.labels)))
        with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
            waiting = {pool.submit(self.to, clip): row for row, clip in enumerate(clips)}
            try:
                for done, future in enumerate(as_completed(waiting), 1):
                    answers[:, waiting[future]] = future.result()
                    tick(done * times, len(clips) * times)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return answers

    def to(self, clip: Utterance) -> list[Floats]:
        """Hear one clip under each condition: what is kept is not asked again."""
        signal = read_audio(clip.path)  # says what is wrong with a file
        content = hashlib.sha256(signal.tobytes()).hexdigest()
        key = f"{content}-{self.asked.fold.get(clip.path, 0)}"  # another fold, another model
        others = [voice for speaker, voice in self.crowd if speaker != clip.speaker]
        answers = []
        for name, condition in self.conditions.items():
            memory = self.memories[name]
            if key not in memory.known:
                heard = self.sound(condition, signal, content, others) if condition else signal
                memory.keep(key, np.asarray(self.asked.ask(clip, heard), np.float64))
            answers.append(memory.known[key])
        return answers

    def sound(
        self, condition: Condition, signal: Signal, content: str, others: list[Signal]
    ) -> Signal:
        """Change a clip: by content and kind, so that two levels have the same noise or voices."""
        kind = zlib.crc32(condition.kind.__name__.encode())
        generator = np.random.default_rng([self.seed, kind, int(content[:15], 16)])
        return condition.apply(signal, generator, others)
