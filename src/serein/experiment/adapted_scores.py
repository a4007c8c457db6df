"""Scores with some utterances of the test speaker known, without labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.errors import RecipeError
from serein.evaluation.cross_validation import FittedFolds
from serein.evaluation.result import Result
from serein.evaluation.search.tuned import Tuned
from serein.experiment.prepare import Progress, inside
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
    """Predictions adapted to each test speaker."""

    known: int | None
    one_emotion: bool
    result: Result

    @property
    def whole(self) -> bool:
        """Whether all other utterances of the speaker were known, of whatever emotion."""
        return self.known is None and not self.one_emotion

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain values."""
        scores = self.result.scores()
        kept = ("uar", "uar_interval_95", "accuracy", "expected_calibration_error")
        case = {"known": self.known, "one_emotion": self.one_emotion}
        return case | {"protocol": self.result.title} | {key: scores[key] for key in kept}


def adapt(
    fitted: FittedFolds, result: Result, *, seed: int = 0, progress: Progress
) -> list[Adapted]:
    """Predict again, with some of the speaker's other utterances known, without their labels."""
    priors = [speaker_prior(member) for member, _ in fitted.members]
    cases = [(known, False) for known in KNOWN] + [(None, True)]
    found = []
    for done, (known, one_emotion) in enumerate(cases, start=1):
        probabilities = result.probabilities.copy()
        for row, others in _evidence(result, known, one_emotion, seed):
            if len(others):
                bias = priors[result.fold[row]].bias(result.probabilities[others])
                probabilities[row] = remove_bias(result.probabilities[[row]], bias)[0]
        words = f"{result.protocol}; {_words(known, one_emotion)}"
        adapted = replace(result, protocol=words, probabilities=probabilities)
        found.append(Adapted(known, one_emotion, adapted))
        progress(done, len(cases))
    return found


def can_adapt(fitted: FittedFolds) -> bool:
    """Say whether all classifiers know how speakers differ."""
    return all(
        inside(member, "speaker_prior_") and not _fuses(member) for member, _ in fitted.members
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
    result: Result, known: int | None, one_emotion: bool, seed: int
) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Draw, for each sample, other samples of its speaker."""
    generator = np.random.default_rng(seed)
    for row, speaker in enumerate(result.speakers):
        alike = result.speakers == speaker
        if one_emotion:
            alike = alike & (result.truth == result.truth[row])
        others = np.flatnonzero(alike)
        others = others[others != row]
        if known is not None and known < len(others):
            others = generator.choice(others, known, replace=False)
        yield row, others


def _words(known: int | None, one_emotion: bool) -> str:
    count = "all other" if known is None else f"{known} other"
    which = "of the same emotion, " if one_emotion else ""
    noun = "utterance" if known == 1 else "utterances"
    return f"adapted to the speaker by {count} {noun}, {which}without labels"
