"""Training of what tells vocal bursts from speech and other sounds, and from each other.

Evaluated on what was left out of training: speakers of bursts, whole corpora of speech where there
are several, and kinds of sounds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold

from serein.audio import nonspeech
from serein.audio.read import RATE_HZ, read_audio
from serein.corpora import Corpus, Utterance
from serein.engine import torch_threads
from serein.errors import CorpusError
from serein.evaluation.result import Result
from serein.experiment.data import balanced_weights
from serein.experiment.prepare import Front, Prepared, ProgressBar, describe, stack
from serein.experiment.speech import Signal, describe_sounds, draw_noisy
from serein.features.frontend import trim_silence
from serein.models.baseline import log_softmax
from serein.models.bursts import KINDS, BurstHeads, log_odds
from serein.models.calibration import fit_temperature
from serein.models.linear import LinearClassifier
from serein.models.ridge import MaskedRidge

Array = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.str_]

FOLDS = 5
CLIPS = 400  # of each corpus of speech that are trained on, cut short too; all are tested
NOISY = 300  # clips of speech, and of bursts, that are mixed with noise
SHORT_S = (0.3, 1.0)
SOUNDS = 40  # of each kind
SPEECH_TAKEN = 0.002  # at most, of each corpus of speech: sets the threshold
SOUNDS_TAKEN = 0.02
LEAST_ODDS = 0.0
CLEAN = "clean"
KEPT = ("uar", "uar_interval_95", "expected_calibration_error", "recall", "confusion")


@dataclass(frozen=True)
class BurstDetector:
    """Trained heads; `about`: their corpus, and scores on what was left out of training."""

    heads: BurstHeads
    about: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a manifest."""
        return {"labels": list(self.heads.labels), "threshold": self.heads.threshold} | self.about


@dataclass(frozen=True)
class ShortClip:
    """A piece of a clip, without the silence at its ends; `place`: 0 to 1, where it is cut."""

    file: Path
    seconds: float
    place: float

    def signal(self) -> Array:
        """Cut it out; of a shorter clip it is all."""
        whole = trim_silence(read_audio(self.file))
        samples = round(self.seconds * RATE_HZ)
        start = round(self.place * max(0, whole.size - samples))
        return whole[start : start + samples].copy()


@dataclass(frozen=True, eq=False)
class _Rows:
    """Clips and sounds: features, and what is known of them.

    `kind`: one of `KINDS`; `origin`: corpus, or kind of sound; `condition`: whether and how it was
    changed; `group`: its speaker; `emotion`: of bursts alone; `trained`: whether it is trained on.
    """

    X: Array
    kind: Strings
    origin: Strings
    condition: Strings
    group: Strings
    emotion: Strings
    trained: Mask

    def part(self, chosen: npt.NDArray[Any]) -> _Rows:
        """Take some rows."""
        return _Rows(*(values[chosen] for values in vars(self).values()))

    def folds(self) -> npt.NDArray[np.intp]:
        """Give each row the fold that leaves it out: by speaker, or by corpus."""
        fold = np.zeros(len(self.X), np.intp)
        for kind in KINDS:
            rows = np.flatnonzero(self.kind == kind)
            several = kind != "burst" and len(np.unique(self.origin[rows])) > 1
            groups = (self.origin if several else self.group)[rows]
            count = min(FOLDS, len(np.unique(groups)))
            if count < 2:
                raise CorpusError(f"[bursts] needs 2 speakers or more of {kind}; got {count}")
            for number, (_, test) in enumerate(GroupKFold(count).split(rows, groups=groups)):
                fold[rows[test]] = number
        return fold


def train_burst_detector(
    prepared: Prepared, *, cache: Path | None, progress_bar: ProgressBar
) -> BurstDetector | None:
    """Train and evaluate the heads on a recipe's features; None where it names no bursts."""
    if prepared.bursts is None:
        return None
    rows = _rows(prepared, prepared.bursts, cache, progress_bar)
    fold, burst = rows.folds(), rows.kind == "burst"
    mine = rows.part(burst)
    with progress_bar("vocal bursts") as progress:
        odds = log_odds(_held_out(rows, fold, _fit_kinds))
        progress(1, 3)
        named = _held_out(mine, fold[burst], _fit_emotions)
        progress(2, 3)
        labels, truth = np.unique(mine.emotion, return_inverse=True)
        temperature = fit_temperature(named, truth)
        kinds = _linear(_fit_kinds(rows.part(rows.trained)))
        arrays = np.concatenate([kinds, _linear(_fit_emotions(mine)) / temperature])
        progress(3, 3)
    threshold = _threshold(rows, odds)
    arrays = arrays.astype(np.float32)
    heads = BurstHeads(tuple(labels.tolist()), threshold, arrays[:, :-1], arrays[:, -1])
    result = Result(
        "", heads.labels, truth, np.exp(log_softmax(named / temperature)), mine.group, fold[burst]
    )
    scores = result.subset(mine.condition == CLEAN).scores()
    bursts = prepared.bursts
    about = {"corpus": bursts.name, "licence": bursts.licence, "clips": len(bursts)}
    about |= {"duplicates": len(prepared.burst_duplicates)} if prepared.burst_duplicates else {}
    about |= {"speakers": len(bursts.speakers)} | {key: scores[key] for key in KEPT}
    return BurstDetector(heads, about | _rates(rows, odds >= threshold))


def _rows(
    prepared: Prepared, bursts: Corpus, cache: Path | None, progress_bar: ProgressBar
) -> _Rows:
    """Put bursts, speech and sounds together: as they are, augmented, with noise and cut short."""
    front = cast("Front", prepared.front)  # there is one: others are refused with the recipe
    generator = np.random.default_rng(prepared.recipe.protocol.seed)
    own = {clip.corpus for clip in bursts}
    speech = np.flatnonzero(~np.isin(prepared.origin, sorted(own)))
    clips = [prepared.corpus.utterances[row] for row in speech]
    chosen = _evenly([clip.corpus for clip in clips], generator)
    known = [clips[k] for k in chosen]
    vectors = stack(describe(bursts, front, cache, progress_bar), front)
    parts = [
        _labelled(
            prepared.voice[speech], clips, own, trained=np.isin(np.arange(len(clips)), chosen)
        ),
        _labelled(vectors, bursts.utterances, own),
    ]
    if prepared.augmented is not None:
        drawn = speech[chosen]
        first = {row: copy for copy, row in reversed(list(enumerate(prepared.augmented.parent)))}
        copies = prepared.augmented.X[[first[row] for row in drawn]]
        parts.append(_labelled(copies, known, own, condition="augmented"))
    mixed = [*_some(known, NOISY, generator), *_some(bursts.utterances, NOISY, generator)]
    cut = [*known, *_some(bursts.utterances, len(known), generator)]
    kinds = np.repeat(sorted(nonspeech.NOISES), SOUNDS).tolist()
    changed: list[Signal] = [
        *(draw_noisy(clip.path, generator) for clip in mixed),
        *(_draw_short(clip.path, generator) for clip in cut),
        *(nonspeech.draw(generator, kind) for kind in kinds),
    ]
    with progress_bar("bursts, speech and sounds") as progress, torch_threads(1):
        found = stack(describe_sounds(changed, front, progress), front)
    noisy, short, sounds = np.split(found, np.cumsum([len(mixed), len(cut)]))
    parts += [_labelled(noisy, mixed, own, condition="noisy")]
    parts += [_labelled(short, cut, own, condition="short"), _of_sounds(sounds, kinds)]
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return _Rows(*map(np.concatenate, columns))


def _labelled(
    X: Array,
    clips: Sequence[Utterance],
    own: Collection[str],
    *,
    condition: str = CLEAN,
    trained: Mask | None = None,
) -> _Rows:
    """Make rows of clips; those of the corpora `own` are bursts."""
    burst = np.array([clip.corpus in own for clip in clips])
    origin = np.array([clip.corpus for clip in clips])
    speakers = np.array([clip.speaker for clip in clips])
    return _Rows(
        X,
        np.where(burst, "burst", "speech"),
        origin,
        np.full(len(clips), condition),
        speakers,
        np.where(burst, [clip.emotion for clip in clips], ""),
        np.ones(len(clips), bool) if trained is None else trained,
    )


def _of_sounds(X: Array, kinds: Sequence[str]) -> _Rows:
    names, count = np.array(kinds), len(kinds)
    condition = np.full(count, CLEAN)
    return _Rows(
        *(X, np.full(count, "sound"), names, condition, names),
        *(np.full(count, ""), np.ones(count, bool)),
    )


def _evenly(corpora: Sequence[str], generator: np.random.Generator) -> npt.NDArray[np.intp]:
    """Draw at most `CLIPS` clips of each corpus."""
    drawn = generator.permutation(len(corpora))
    names = np.array(corpora)[drawn]
    return np.sort(np.concatenate([drawn[names == name][:CLIPS] for name in np.unique(names)]))


def _some(clips: Sequence[Utterance], most: int, generator: np.random.Generator) -> list[Utterance]:
    """Draw at most so many clips."""
    return [clips[row] for row in generator.permutation(len(clips))[:most]]


def _draw_short(file: Path, generator: np.random.Generator) -> ShortClip:
    return ShortClip(file, float(generator.uniform(*SHORT_S)), float(generator.random()))


def _fit_kinds(rows: _Rows) -> LinearClassifier:
    """Learn to tell `KINDS`; each weighs the same, and so does each corpus and kind of sound."""
    weight = balanced_weights(rows.kind.tolist(), rows.origin.tolist())
    return MaskedRidge().fit(rows.X, rows.kind, sample_weight=weight)


def _fit_emotions(rows: _Rows) -> LinearClassifier:
    """Learn the emotions of bursts; each weighs the same."""
    weight = balanced_weights(rows.kind.tolist(), rows.emotion.tolist())
    return MaskedRidge().fit(rows.X, rows.emotion, sample_weight=weight)


def _held_out(
    rows: _Rows, fold: npt.NDArray[np.intp], fit: Callable[[_Rows], LinearClassifier]
) -> Floats:
    """Return log probabilities of rows that were left out, (rows, classes)."""
    found = None
    for number in np.unique(fold):
        fitted = fit(rows.part(rows.trained & (fold != number)))
        logs = fitted.predict_log_proba(rows.X[fold == number])
        found = np.empty((len(fold), logs.shape[1])) if found is None else found
        found[fold == number] = logs
    return cast("Floats", found)


def _threshold(rows: _Rows, odds: Floats) -> float:
    """Choose from what log odds on it is a burst, so that little else is taken for one."""
    speech = rows.kind == "speech"
    each = [odds[speech & (rows.origin == name)] for name in np.unique(rows.origin[speech])]
    least = [np.quantile(part, 1 - SPEECH_TAKEN, method="higher") for part in each]
    sounds = odds[rows.kind == "sound"]
    least.append(np.quantile(sounds, 1 - SOUNDS_TAKEN, method="higher"))
    return round(float(max(LEAST_ODDS, *least)), 4)


def _rates(rows: _Rows, taken: Mask) -> dict[str, Any]:
    """Count what is taken for a burst: of bursts, of each corpus of speech, of sounds."""

    def shares(kind: str, key: str, condition: str | None = None) -> dict[str, float]:
        names = getattr(rows, key)
        mine = (rows.kind == kind) & ((rows.condition == condition) | (condition is None))
        return {
            str(name): round(float(taken[mine & (names == name)].mean()), 4)
            for name in np.unique(names[mine])
        }

    return {
        "bursts_recognised": shares("burst", "condition"),
        "speech_taken": shares("speech", "origin", CLEAN),
        "changed_speech_taken": shares("speech", "condition"),
        "sounds_taken": shares("sound", "origin"),
    }


def _linear(fitted: LinearClassifier) -> Floats:
    """Return weights and, in the last column, biases, for features that are not scaled."""
    weight = fitted.coef_ / fitted.scale_
    return np.column_stack([weight, fitted.intercept_ - weight @ fitted.mean_])
