"""Scores with some utterances of the test speaker known, without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.errors import RecipeError
from serein.evaluation.cross_validation import FittedFolds
from serein.evaluation.result import Result
from serein.evaluation.search.tuned import Tuned
from serein.experiment.prepare import Progress, inside
from serein.models.baseline import MIN_PROBABILITY, AdaptiveHeads, Baseline
from serein.models.fusion import ColumnFusion
from serein.models.speaker_prior import SpeakerPrior, remove_bias

NO_PRIOR = (
    "to adapt, a recognizer must know how speakers differ, which it learns while confidence is "
    "calibrated: give protocol.calibration_folds of 2 or more"
)
FUSED = "fused predictions do not adapt to a speaker: leave adaptation out"
KNOWN = (1, 2, 5, 10, None)  # other utterances of the speaker; None for all of them


@dataclass(frozen=True)
class Adapted:
    """Predictions adapted to each test speaker, or to all recordings of a test corpus in a fold."""

    known: int | None
    one_emotion: bool
    result: Result
    to: str = "speaker"

    @property
    def whole(self) -> bool:
        """Whether all other utterances of the speaker were known, of whatever emotion."""
        return self.known is None and not self.one_emotion

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain values."""
        scores = self.result.scores()
        kept = ("uar", "uar_interval_95", "accuracy", "expected_calibration_error")
        case = {"to": self.to, "known": self.known, "one_emotion": self.one_emotion}
        return case | {"protocol": self.result.title} | {key: scores[key] for key in kept}


def adapt(
    fitted: FittedFolds,
    result: Result,
    X: npt.NDArray[np.float32],
    *,
    counts: Sequence[int | None] = KNOWN,
    seed: int = 0,
    progress: Progress,
) -> list[Adapted]:
    """Predict again, with some of the recordings' like known, without their labels."""
    vectors = X[np.sort(np.concatenate([test for _, test in fitted.members]))]
    relative = all(inside(member, "heads_") for member, _ in fitted.members)
    cases: list[tuple[str, int | None, bool]] = [("speaker", known, False) for known in counts]
    cases.append(("speaker", None, True))
    if relative:
        cases += [("recordings", None, False), ("recordings", None, True)]
    found = []
    for done, (to, known, one_emotion) in enumerate(cases, start=1):
        probabilities = result.probabilities.copy()
        together = relative and known is None
        for rows, others in _evidence(result, to, known, one_emotion, seed, together=together):
            if len(others):
                member = fitted.members[result.fold[rows[0]]][0]
                _adapt_rows(member, probabilities, result, vectors, rows, others, to)
        words = f"{result.protocol}; {_words(to, known, one_emotion, together=together)}"
        adapted = replace(result, protocol=words, probabilities=probabilities)
        found.append(Adapted(known, one_emotion, adapted, to))
        progress(done, len(cases))
    return found


def adapted_to(
    fitted: FittedFolds,
    result: Result,
    X: npt.NDArray[np.float32],
    rows: npt.NDArray[np.intp],
    to: str,
) -> Result:
    """Predict some samples of one fold as a set of recordings, or of one speaker.

    `X` holds the samples of `result`, in their order.
    """
    probabilities = result.probabilities.copy()
    member, _ = fitted.members[result.fold[rows[0]]]
    _adapt_rows(member, probabilities, result, X, rows, rows, to)
    return replace(result, probabilities=probabilities).subset(rows)


def _adapt_rows(
    member: Any,
    probabilities: npt.NDArray[np.float64],
    result: Result,
    vectors: npt.NDArray[np.float32],
    rows: npt.NDArray[np.intp],
    others: npt.NDArray[np.intp],
    to: str,
) -> None:
    """Set the probabilities of some rows, adapted to others as the classifier learnt to."""
    heads: AdaptiveHeads | None = inside(member, "heads_")
    plain = result.probabilities
    if heads is None:
        bias = speaker_prior(member).bias(plain[others])
        probabilities[rows] = remove_bias(plain[rows], bias)
        return
    columns = np.searchsorted(result.labels, member.classes_)
    baseline = Baseline(to, len(columns))
    baseline.add(heads, vectors[others], plain[np.ix_(others, columns)])
    logs = np.log(np.maximum(plain[np.ix_(rows, columns)], MIN_PROBABILITY))
    probabilities[np.ix_(rows, columns)] = np.exp(heads.adapted(logs, vectors[rows], baseline))


def can_adapt(fitted: FittedFolds) -> bool:
    """Say whether all classifiers know how speakers differ."""
    return all(
        (inside(member, "heads_") or inside(member, "speaker_prior_")) and not _fuses(member)
        for member, _ in fitted.members
    )


def speaker_prior(classifier: Any) -> SpeakerPrior:
    """Find what a fitted classifier learned of speakers, under what is wrapped around it."""
    if _fuses(classifier):
        raise RecipeError(FUSED)
    prior: SpeakerPrior | None = inside(classifier, "speaker_prior_")
    if prior is None:
        raise RecipeError(
            f"{NO_PRIOR}; an emotion that a single speaker has must be left out, for it does not "
            "occur for a speaker held out in calibration"
        )
    return prior


def _fuses(classifier: Any) -> bool:
    """Say whether a classifier fuses: a calibrated part of it knows speakers by its part alone."""
    return isinstance(
        classifier.estimator_ if isinstance(classifier, Tuned) else classifier, ColumnFusion
    )


def _evidence(
    result: Result,
    to: str,
    known: int | None,
    one_emotion: bool,
    seed: int,
    *,
    together: bool,
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Draw, for samples, those that are known: of the same speaker, or corpus and fold.

    With `together` all of them are known, as where a folder is predicted; else a sample itself is
    not among them.
    """
    generator = np.random.default_rng(seed)
    emotions = result.truth if one_emotion else np.zeros_like(result.truth)
    of = result.speakers if to == "speaker" else result.about["corpus"]
    if together:
        groups = np.stack([result.fold.astype(str), of, emotions.astype(str)], axis=1)
        _, which = np.unique(groups, axis=0, return_inverse=True)
        for number in range(which.max() + 1):
            mine = np.flatnonzero(which.ravel() == number)
            yield mine, mine
        return
    for row, name in enumerate(of):
        others = np.flatnonzero((of == name) & (emotions == emotions[row]))
        others = others[others != row]
        if known is not None and known < len(others):
            others = generator.choice(others, known, replace=False)
        yield np.array([row]), others


def _words(to: str, known: int | None, one_emotion: bool, *, together: bool) -> str:
    which = "of the same emotion, " if one_emotion else ""
    if together:
        whose = "speaker's utterances" if to == "speaker" else "recordings of a corpus"
        return f"adapted to the {whose}, {which}without labels"
    count = "all other" if known is None else f"{known} other"
    noun = "utterance" if known == 1 else "utterances"
    return f"adapted to the speaker by {count} {noun}, {which}without labels"
