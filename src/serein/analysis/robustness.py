"""Robustness tests: a model on recordings under conditions, such as noise, and on groups of people.

Every clip is read once, and predicted as it is and under each condition of
`serein.audio.conditions.CONDITIONS`. Predictions are cached by clip, condition and model, so a run
that was killed resumes.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.analysis.clips import (
    NO_SPEECH,
    draw_clips,
    known_emotions,
    named_apart,
    perhaps_known,
    unseen,
    usable,
)
from serein.analysis.robustness_report import CLEAN, StressReport
from serein.audio.conditions import CONDITIONS, Condition
from serein.audio.read import RATE_HZ, Signal, read_audio
from serein.corpora import Corpus, Utterance
from serein.engine import usable_cores
from serein.errors import ProtocolError, SettingError, check_name, counted, renamed
from serein.evaluation.comparison import change
from serein.evaluation.fairness import GROUPINGS, fairness
from serein.evaluation.metrics import Floats
from serein.evaluation.result import OVERLAPS, STAMP, Result
from serein.features.feature_cache import default_cache
from serein.inference.bundle import read_bundle
from serein.inference.load import find_model
from serein.inference.recognizer import Recognizer
from serein.private_files import append_private, is_own, kept_or_not, private_folder

Progress = Callable[[int, int], None]

CLIPS = 400
BABBLE_CLIPS = 24  # that babble is mixed from
ABOUT = ("corpus", "gender", "language", "text")
CACHE_VERSION = 1  # changes whenever the same condition changes a recording differently


@dataclass(frozen=True)
class _Model:
    """The model under test, and where its predictions are cached."""

    name: str
    labels: tuple[str, ...]
    predict: Callable[[Utterance, Signal], npt.ArrayLike]  # to probabilities
    cache: Path | None
    fold: Mapping[Path, int] = field(default_factory=dict)


def stress(
    predict: Callable[[Signal], npt.ArrayLike],
    corpus: Corpus,
    *,
    labels: Sequence[str],
    name: str = "model",
    trained_on: Collection[str] = (),
    overlap: str = "refuse",
    skip_bad: bool = False,
    fingerprint: str | None = None,
    cache: Path | None = None,
    conditions: Mapping[str, Condition] = CONDITIONS,
    clips: int = CLIPS,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress = lambda done, total: None,
) -> StressReport:
    """Test a model on recordings of speakers that it was not trained on.

    `predict`: from a signal, shape (samples,), mono at 16 kHz, to the probability of each label;
    several threads call it at once.
    `labels`: emotions, and `NO_SPEECH` if the model may predict it.
    `trained_on`: speakers of the training data, as the corpus names them.
    `overlap`: "refuse" leaves these out, "allow" stamps the title.
    `skip_bad`: whether recordings that cannot be used are left out, and named in the notes.
    `conditions, clips, seed, threads, progress, fingerprint, cache`: as `stress_folds` takes them.
    """
    check_name("speaker overlap", overlap, OVERLAPS)
    named, notes = known_emotions(corpus, labels, name)
    available, more = usable(named, overlap=overlap, skip_bad=skip_bad)
    notes = (*notes, *more)
    known = {clip.speaker for clip in available} & set(trained_on)
    if known and overlap == "refuse":
        available, note = unseen(available, known, name)
        notes = (*notes, note)
    shared = bool(known) and overlap == "allow"
    speakers = {clip.speaker for clip in available}
    about = counted(len(speakers), "speaker")
    if shared:
        about += f", {len(known)} of them seen in training"
    elif trained_on and named_apart(available, trained_on):
        about += " not known to the model by name"
        notes = (*notes, *perhaps_known(available, trained_on, name))
    elif trained_on:
        about = counted(len(speakers), "unseen speaker")
    model = _Model(
        name,
        tuple(labels),
        lambda clip, signal: predict(signal),
        _cache_folder(fingerprint, cache),
    )
    return _report(
        model,
        available,
        notes,
        about,
        stamped=shared,
        conditions=conditions,
        clips=clips,
        seed=seed,
        threads=threads,
        progress=progress,
    )


@renamed(workers="threads", tick="progress")
def stress_model(model: str | Path, corpus: Corpus, **options: Any) -> StressReport:
    """Test the robustness of a bundled model, or a bundle; it may predict "no speech".

    Parameters
    ----------
    model : str or path
        As `serein.load` takes it.
    corpus : Corpus
        Recordings.
    **options
        ``overlap`` ("refuse" leaves out speakers of the training data, "allow" stamps the title),
        ``skip_bad`` (recordings that cannot be used are left out, and named in the notes),
        ``cache`` (folder of predictions), and ``conditions clips seed threads progress`` of
        `stress_folds`.

    Returns
    -------
    StressReport
        Changes by condition and differences by group; "no speech" counts as a wrong prediction.

    Raises
    ------
    BundleError
        If there is no such model.
    CorpusError
        If the model knows none of the emotions.
    ProtocolError
        If the model was trained on every speaker.
    AudioError
        If recordings cannot be used; a duplicate cannot, whose speaker or emotion is another.
    """
    bundle = read_bundle(find_model(model))
    recognizer = Recognizer(bundle, threads=1)  # clips are predicted in parallel
    content = hashlib.sha256()
    for file in sorted(bundle.files):
        content.update(bundle.files[file])

    def predict(signal: Signal) -> npt.ArrayLike:
        prediction = recognizer.predict(signal, rate=RATE_HZ)
        found = prediction.probabilities if prediction.speech else {}
        return [found.get(label, 0.0) for label in recognizer.labels] + [float(not found)]

    return stress(
        predict,
        corpus,
        labels=(*recognizer.labels, NO_SPEECH),
        name=recognizer.name,
        trained_on={
            speaker for part in bundle.manifest["trained_on"] for speaker in part["speakers"]
        },
        fingerprint=content.hexdigest()[:20],
        **options,
    )


@renamed(judged="result", workers="threads", tick="progress")
def stress_folds(
    fitted: Any,
    front: Callable[[Signal], npt.NDArray[np.float32]],
    corpus: Corpus,
    *,
    name: str = "model",
    result: Result | None = None,
    fingerprint: str | None = None,
    cache: Path | None = None,
    **options: Any,
) -> StressReport:
    """Test the robustness of the models of a cross-validation, each on its own unseen speakers.

    Parameters
    ----------
    fitted : FittedFolds
        Or anything with its ``members``, ``labels`` and ``protocol``.
    front : callable
        From a signal to a vector, (features,), or to a series, (time, features).
    corpus : Corpus
        The clips that were cross-validated, in their order; those that no fold tested are left
        out.
    name : str
        Name of the model in the report.
    result : Result, optional
        The predictions for all clips as they are: if given, groups are compared on these, not on
        the clips that are drawn.
    fingerprint : str, optional
        Names the models in the cache; predictions are not cached without it.
    cache : path, optional
        Folder of the cache; the user's, if not given.
    **options
        ``conditions`` (as `serein.audio.conditions.choose_conditions` gives them; all, if not
        given), ``clips`` (how many are drawn, 400; 0 is all), ``seed`` (of draws and conditions),
        ``threads`` (all cores, if not given) and ``progress`` (called with predictions done, in
        all).

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

    def predict(clip: Utterance, signal: Signal) -> npt.ArrayLike:
        classifier = fitted.members[fold[clip.path]][0]
        probabilities = np.zeros(len(labels))
        columns = np.searchsorted(labels, classifier.classes_)
        probabilities[columns] = classifier.predict_proba(_row(front(signal)))[0]
        return probabilities

    tested = [clips[row] for row in sorted(folds)]
    return _report(
        _Model(name, tuple(labels.tolist()), predict, _cache_folder(fingerprint, cache), fold),
        tested,
        (f"groups are compared on all {len(tested)} clips",) if result else (),
        f"{fitted.protocol}, each clip by the model of its own fold",
        stamped=bool(result and result.leaks),
        result=result,
        **options,
    )


def _report(
    model: _Model,
    available: Sequence[Utterance],
    notes: tuple[str, ...],
    about: str,
    *,
    stamped: bool,
    result: Result | None = None,
    conditions: Mapping[str, Condition] = CONDITIONS,
    clips: int = CLIPS,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress = lambda done, total: None,
) -> StressReport:
    drawn = draw_clips(available, clips, seed)
    if len(drawn) < len(available):
        some = f"{len(drawn)} of {len(available)} clips, drawn with seed {seed} (see --clips)"
        if len(drawn) > clips:
            some += f": {clips} would not hold one of each speaker and emotion"
        notes = (*notes, some)
    babble: Sequence[Utterance] = ()
    if any(condition.voices for condition in conditions.values()):
        if len({clip.speaker for clip in available}) > 1:
            babble = draw_clips(available, BABBLE_CLIPS, seed + 1)
        else:
            conditions = {name: c for name, c in conditions.items() if not c.voices}
            notes = (*notes, "no babble: there is one speaker, and it needs clips of others")
    predictions = _Predictions(model, conditions, babble, seed).of_all(drawn, threads, progress)
    corpora = "+".join(dict.fromkeys(clip.corpus for clip in drawn))
    title = f"{model.name} on {corpora}: {counted(len(drawn), 'clip')}, {about}"
    title = f"{STAMP}: {title}" if stamped else title
    clean, *changed = (_result(model, title, drawn, one) for one in predictions)
    results = dict(zip(conditions, changed, strict=True))
    return StressReport(
        model.name,
        title,
        clean,
        results,
        {name: change(clean, one) for name, one in results.items()},
        {by: fairness(result or clean, by) for by in GROUPINGS},
        conditions,
        notes,
    )


def _row(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Make a matrix of one row of a vector, or of a series."""
    if features.ndim == 1:
        return features[None]
    from serein.models.padding import pad  # needs [train], as whoever fitted series has

    return pad([features])


def _result(model: _Model, title: str, clips: Sequence[Utterance], probabilities: Floats) -> Result:
    about = {name: np.array([getattr(clip, name) or "" for clip in clips]) for name in ABOUT}
    return Result(
        title,
        model.labels,
        np.array([model.labels.index(clip.emotion) for clip in clips], np.intp),
        probabilities,
        np.array([clip.speaker for clip in clips]),
        np.array([model.fold.get(clip.path, 0) for clip in clips], np.intp),
        {"file": np.array([clip.path.name for clip in clips])} | about,
    )


class _Predictions:
    """Predictions of a model for clips under each condition, computed or cached."""

    def __init__(
        self,
        model: _Model,
        conditions: Mapping[str, Condition],
        babble: Sequence[Utterance],
        seed: int,
    ) -> None:
        self.model, self.seed = model, seed
        self.conditions: dict[str, Condition | None] = {CLEAN: None, **conditions}
        self.voices = [(clip.speaker, read_audio(clip.path)) for clip in babble]
        voices = hashlib.sha256(b"".join(signal.tobytes() for _, signal in self.voices)).hexdigest()
        self.caches = {}
        for name, condition in self.conditions.items():
            key = [name, condition and condition.to_dict(), seed * bool(condition), CACHE_VERSION]
            key += [voices] if condition and condition.voices else []
            hashed = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:20]
            file = model.cache / f"{hashed}.csv" if model.cache else None
            self.caches[name] = _Cache(file, len(model.labels))

    def of_all(self, clips: Sequence[Utterance], threads: int | None, progress: Progress) -> Floats:
        """Predict clips in parallel: (1 + conditions, clips, labels)."""
        times = len(self.conditions)
        probabilities = np.zeros((times, len(clips), len(self.model.labels)))
        with ThreadPoolExecutor(threads or usable_cores()) as pool:
            rows = {pool.submit(self.of_clip, clip): row for row, clip in enumerate(clips)}
            try:
                for done, future in enumerate(as_completed(rows), 1):
                    probabilities[:, rows[future]] = future.result()
                    progress(done * times, len(clips) * times)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return probabilities

    def of_clip(self, clip: Utterance) -> list[Floats]:
        """Predict one clip under each condition, unless that is cached."""
        signal = read_audio(clip.path)  # says what is wrong with a file
        content = hashlib.sha256(signal.tobytes()).hexdigest()
        key = f"{content}-{self.model.fold.get(clip.path, 0)}"  # another fold, another model
        others = [voice for speaker, voice in self.voices if speaker != clip.speaker]
        probabilities = []
        for name, condition in self.conditions.items():
            cache = self.caches[name]
            if key not in cache.known:
                sound = self._changed(condition, signal, content, others) if condition else signal
                cache.add(key, np.asarray(self.model.predict(clip, sound), np.float64))
            probabilities.append(cache.known[key])
        return probabilities

    def _changed(
        self, condition: Condition, signal: Signal, content: str, others: list[Signal]
    ) -> Signal:
        """Apply a condition, seeded by content and kind: two levels have the same noise."""
        kind = zlib.crc32(condition.kind.__name__.encode())
        generator = np.random.default_rng([self.seed, kind, int(content[:15], 16)])
        return condition.apply(signal, generator, others)


def _cache_folder(fingerprint: str | None, cache: Path | None) -> Path | None:
    return (cache or default_cache()) / "stress" / fingerprint if fingerprint else None


class _Cache:
    """Probabilities under one condition, a line a clip; a line cut short counts as missing."""

    def __init__(self, file: Path | None, labels: int) -> None:
        self.file, self.labels = file, labels
        self.known: dict[str, Floats] = {}
        self._lock = Lock()
        if file is not None:
            with kept_or_not(file):
                self._load(file)

    def _load(self, file: Path) -> None:
        """Read what is known already."""
        private_folder(file.parent)
        if not is_own(file):
            file.unlink(missing_ok=True)
        text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
        for line in text.splitlines():
            key, *values = line.split(",")
            if len(values) == self.labels + 1 and values[-1] == "":
                with suppress(ValueError, OverflowError):  # a damaged line is missing, too
                    self.known[key] = np.array([float.fromhex(value) for value in values[:-1]])
        if text and not text.endswith("\n"):
            self._append("\n")

    def add(self, key: str, probabilities: Floats) -> None:
        if probabilities.shape != (self.labels,):
            raise SettingError(
                f"probabilities have shape {probabilities.shape}; need one for each label, "
                f"{self.labels}"
            )
        with self._lock:
            self.known[key] = probabilities
            self._append(f"{key},{','.join(float(value).hex() for value in probabilities)},\n")

    def _append(self, text: str) -> None:
        if self.file:
            with kept_or_not(self.file):
                append_private(self.file, text)
