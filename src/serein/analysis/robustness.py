"""Asking a model about recordings made harder, and about groups of people.

Every clip is read once and asked about as it is and under each condition of
`serein.audio.conditions.CONDITIONS`. Answers are kept by clip, condition and model, so a run that
was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.analysis.clips import NO_SPEECH, draw_clips, known_emotions, unheard
from serein.analysis.robustness_report import CLEAN, StressReport
from serein.audio.conditions import CONDITIONS, Condition
from serein.audio.read import RATE_HZ, Signal, read_audio
from serein.corpora import Corpus, Utterance
from serein.errors import ProtocolError, unknown_name
from serein.evaluation.comparison import change
from serein.evaluation.fairness import GROUPINGS, fairness
from serein.evaluation.metrics import Floats
from serein.evaluation.result import STAMP as NOT_HONEST
from serein.evaluation.result import Result
from serein.features.feature_cache import default_cache
from serein.inference.bundle import read_bundle
from serein.inference.recognizer import Recognizer, find_model

Answer = Callable[[Signal], npt.ArrayLike]
Conditions = Mapping[str, Condition]

CLIPS = 400
CROWD = 24  # recordings that babble is made of
OVERLAP = ("refuse", "allow")
STAMP = "SPEAKERS HEARD IN TRAINING"


def stress(
    answer: Answer,
    corpus: Corpus,
    *,
    labels: Sequence[str],
    name: str = "model",
    heard: Collection[str] = (),
    overlap: str = "refuse",
    conditions: Conditions = CONDITIONS,
    clips: int = CLIPS,
    seed: int = 0,
    fingerprint: str | None = None,
    cache: Path | None = None,
    workers: int | None = None,
    tick: Tick = lambda done, total: None,
) -> StressReport:
    """Put a model to the test on recordings of speakers it has not heard."""
    if overlap not in OVERLAP:
        raise ValueError(unknown_name("speaker overlap", overlap, OVERLAP))
    taking, notes = known_emotions(corpus, labels, name)
    known = {clip.speaker for clip in taking} & set(heard)
    if known and overlap == "refuse":
        taking, note = unheard(taking, known, name)
        notes = (*notes, note)
    who = f"{len({clip.speaker for clip in taking})} speakers"
    stamped = bool(known) and overlap == "allow"
    if stamped:
        who += f", {len(known)} of them heard in training"
    elif heard:
        who += " it has not heard"
    asked = Asked(
        name,
        f"{STAMP}: " if stamped else "",
        who,
        labels=tuple(labels),
        ask=lambda clip, signal: answer(signal),
        place=answers_folder(fingerprint, cache),
    )
    return _report(
        asked,
        taking,
        notes,
        conditions=conditions,
        clips=clips,
        seed=seed,
        workers=workers,
        tick=tick,
    )


def stress_model(model: str | Path, corpus: Corpus, **options: Any) -> StressReport:
    """Put a bundled model, or a bundle, to the test; silence and noise may be "no speech".

    Parameters
    ----------
    model : str or path
        As `serein.load` takes it.
    corpus : Corpus
        Recordings.
    **options
        As `stress` takes them.

    Returns
    -------
    StressReport
        Changes by condition and differences by group; "no speech" counts as a wrong answer.

    Raises
    ------
    BundleError
        If there is no such model.
    ProtocolError, CorpusError, AudioError
        As `stress` does.
    """
    bundle = read_bundle(find_model(model))
    recognizer = Recognizer(bundle, threads=1)  # clips are asked about side by side
    content = hashlib.sha256()
    for file in sorted(bundle.files):
        content.update(bundle.files[file])

    def answer(signal: Signal) -> npt.ArrayLike:
        told = recognizer.predict(signal, rate=RATE_HZ).probabilities
        return [told.get(label, 0.0) for label in recognizer.labels] + [float(not told)]

    return stress(
        answer,
        corpus,
        labels=(*recognizer.labels, NO_SPEECH),
        name=recognizer.name,
        heard={speaker for part in bundle.manifest["trained_on"] for speaker in part["speakers"]},
        fingerprint=content.hexdigest()[:20],
        **options,
    )


def stress_folds(
    fitted: Any,
    front: Callable[[Signal], npt.NDArray[np.float32]],
    corpus: Corpus,
    *,
    name: str = "model",
    judged: Result | None = None,
    fingerprint: str | None = None,
    cache: Path | None = None,
    **options: Any,
) -> StressReport:
    """Put the models of a cross-validation to the test, each on its own unseen speakers.

    Parameters
    ----------
    fitted : FittedFolds
        Or anything with its ``members``, ``labels`` and ``protocol``.
    front : callable
        From a signal to a vector, (features,), or to a series, (time, features).
    corpus : Corpus
        The clips that were cross-validated, in their order; those that no fold tested are left
        out.
    judged : Result, optional
        The answers for all clips as they are: groups are compared on these, if they are there, and
        not on the clips that are drawn.
    name, fingerprint, cache : optional
        As `stress` takes them.
    **options
        ``conditions clips seed workers tick``, as `stress` takes them.

    Returns
    -------
    StressReport
        Changes by condition and differences by group.

    Raises
    ------
    ProtocolError
        If a clip was tested that the corpus does not have.
    AudioError
        If a recording cannot be read.
    """
    clips, labels = corpus.utterances, np.asarray(fitted.labels)
    folds = {int(row): number for number, (_, rows) in enumerate(fitted.members) for row in rows}
    if not all(0 <= row < len(clips) for row in folds):
        raise ProtocolError(
            f"{len(clips)} clips came and row {max(folds)} was tested, counted from 0; give the "
            "clips that were cross-validated, in their order"
        )
    fold = {clips[row].path: folds[row] for row in sorted(folds)}

    def ask(clip: Utterance, signal: Signal) -> npt.ArrayLike:
        classifier = fitted.members[fold[clip.path]][0]
        probabilities = np.zeros(len(labels))
        columns = np.searchsorted(labels, classifier.classes_)
        probabilities[columns] = classifier.predict_proba(_row(front(signal)))[0]
        return probabilities

    asked = Asked(
        name,
        f"{NOT_HONEST}: " if judged and judged.leaks else "",
        f"{fitted.protocol}, each clip by the model of its own fold",
        labels=tuple(labels.tolist()),
        ask=ask,
        place=answers_folder(fingerprint, cache),
        fold=fold,
    )
    taking = [clips[row] for row in sorted(folds)]
    notes = (f"groups are compared on all {len(taking)} clips",) if judged else ()
    return _report(asked, taking, notes, judged=judged, **options)


def _report(
    asked: Asked,
    taking: Sequence[Utterance],
    notes: tuple[str, ...],
    *,
    judged: Result | None = None,
    conditions: Conditions = CONDITIONS,
    clips: int = CLIPS,
    seed: int = 0,
    workers: int | None = None,
    tick: Tick = lambda done, total: None,
) -> StressReport:
    drawn = draw_clips(taking, clips, seed)
    if len(drawn) < len(taking):
        some = f"{len(drawn)} of {len(taking)} clips, drawn with seed {seed} (see --clips)"
        notes = (*notes, some)
    if len({clip.speaker for clip in taking}) < 2 and any(c.voices for c in conditions.values()):
        conditions = {name: c for name, c in conditions.items() if not c.voices}
        notes = (*notes, "no babble: there is one speaker, and it is made of other people's clips")
    crowd = (
        draw_clips(taking, CROWD, seed + 1) if any(c.voices for c in conditions.values()) else ()
    )
    listening = Listening(asked, conditions, crowd, seed)
    answers = listening.to_all(drawn, workers, tick)
    corpora = "+".join(dict.fromkeys(clip.corpus for clip in drawn))
    title = f"{asked.stamp}{asked.name} on {corpora}: {len(drawn)} clips, {asked.who}"
    clean, *changed = (asked.result(title, drawn, each) for each in answers)
    results = dict(zip(conditions, changed, strict=True))
    return StressReport(
        asked.name,
        title,
        clean,
        results,
        {name: change(clean, result) for name, result in results.items()},
        {by: fairness(judged or clean, by) for by in GROUPINGS},
        conditions,
        notes,
    )


def _row(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Lay a vector, or a series, out as a matrix of one row."""
    if features.ndim == 1:
        return features[None]
    from serein.models.padding import pad  # only who trained has series to lay out, and the extra

    return pad([features])


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


def answers_folder(fingerprint: str | None, cache: Path | None = None) -> Path | None:
    """Say where the answers of a model are kept."""
    return (cache or default_cache()) / "stress" / fingerprint if fingerprint else None


class Memory:
    """Answers under one condition, each appended to a file; a line cut short is no answer."""

    def __init__(self, file: Path | None, width: int) -> None:
        self.file, self.width = file, width
        self.known: dict[str, Floats] = {}
        self._lock = Lock()
        if file is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
        for line in text.splitlines():
            content, *values = line.split(",")
            if len(values) == width + 1 and values[-1] == "":
                self.known[content] = np.array([float.fromhex(value) for value in values[:-1]])
        if text and not text.endswith("\n"):
            with file.open("a", encoding="utf-8") as end:
                end.write("\n")

    def keep(self, content: str, answer: Floats) -> None:
        """Keep the answer to a clip with this content."""
        if answer.shape != (self.width,):
            raise ValueError(
                f"answer has shape {answer.shape}; need one for each label, {self.width}"
            )
        with self._lock:
            self.known[content] = answer
            if self.file:
                with self.file.open("a", encoding="utf-8") as end:
                    values = ",".join(float(value).hex() for value in answer)
                    end.write(f"{content},{values},\n")
