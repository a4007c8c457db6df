"""What leaks would do to a recipe's score: the honest one beside two that are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.errors import ProtocolError, RecipeError, SereinError
from serein.evaluation.cross_validation import cross_validate
from serein.evaluation.protocol import random_k_fold
from serein.evaluation.result import Result
from serein.experiment.evaluate import training_folder
from serein.experiment.prepare import Prepared, ProgressBar, make_classifier, no_progress_bar
from serein.experiment.recipe import uncalibrated

COPIES = 3  # of each clip, in the split that is made too late
JITTER = 0.1  # of each feature's deviation: noise that makes a copy look like a new clip


@dataclass(frozen=True)
class LeakCheck:
    """A recipe judged three times."""

    name: str
    honest: Result
    random_split: Result
    copies_first: Result

    def rows(self) -> list[dict[str, Any]]:
        """Return ``split``, ``uar``, ``uar_interval_95``, ``inflation`` and ``leaks`` of each."""
        found = []
        base = None
        for name, result in (
            ("honest", self.honest),
            ("random split", self.random_split),
            ("copies before the split", self.copies_first),
        ):
            scores = result.scores()
            base = scores["uar"] if base is None else base
            found.append(
                {
                    "split": name,
                    "protocol": result.protocol,
                    "uar": scores["uar"],
                    "uar_interval_95": scores["uar_interval_95"],
                    "inflation": scores["uar"] - base,
                    "leaks": list(result.leaks),
                }
            )
        return found


def check_leaks(
    prepared: Prepared, *, cache: Path | None = None, progress_bar: ProgressBar = no_progress_bar
) -> LeakCheck:
    """Judge a recipe honestly, with a random split, and with copies made before the split."""
    recipe = prepared.recipe
    if recipe.protocol.speaker_overlap == "allow":
        raise ProtocolError(
            f"{recipe.name} allows leaks itself: check a recipe whose speaker_overlap is refuse"
        )
    plain = replace(prepared, recipe=uncalibrated(recipe))
    estimator = make_classifier(plain, checkpoint=training_folder(cache))
    folds, seed = len(prepared.folds), recipe.protocol.seed
    strata = [f"{clip.corpus} {clip.emotion}" for clip in prepared.corpus]
    deal: dict[str, Any] = {"folds": folds, "random_state": seed, "speaker_overlap": "allow"}

    def judged(title: str, data: Prepared, split: Any, words: str, **options: Any) -> Result:
        with progress_bar(title) as progress:
            return _judged(data, estimator, split, words, progress, **options)

    honest = judged("honest", plain, prepared.folds, prepared.protocol)
    at_random = judged(
        "random split",
        plain,
        random_k_fold(strata, **deal),
        f"{folds} random folds, speakers known",
        speaker_overlap="allow",
    )
    copied = _copied(plain.X, seed)
    times = COPIES + 1
    copies = judged(
        "copies before the split",
        replace(plain, X=copied, augmented=None),
        random_k_fold(strata * times, **deal),
        f"{COPIES} jittered copies of each clip, then {folds} random folds",
        speaker_overlap="allow",
        times=times,
    )
    return LeakCheck(recipe.name, honest, at_random, copies.subset(np.arange(len(strata))))


def _judged(
    data: Prepared,
    estimator: Any,
    folds: Any,
    words: str,
    progress: Callable[[int, int], None],
    *,
    speaker_overlap: str = "refuse",
    times: int = 1,
) -> Result:
    told = {name: np.tile(values, times) for name, values in data.per_sample().items()}
    try:
        fitted = cross_validate(
            estimator,
            data.X,
            data.emotions * times,
            data.speakers * times,
            folds,
            protocol=words,
            per_sample=told,
            augmented=data.augmented,
            speaker_overlap=speaker_overlap,
            progress=progress,
        )
    except ValueError as error:
        if isinstance(error, SereinError):
            raise
        raise RecipeError(f"{data.recipe.name}: {error}") from error
    return fitted.predict(data.X)


def _copied(X: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    """Put jittered copies of all samples below them."""
    generator = np.random.default_rng(seed)
    deviation = np.nanstd(X, axis=0)
    copies = [
        X + np.float32(JITTER) * deviation * generator.standard_normal(X.shape, dtype=np.float32)
        for _ in range(COPIES)
    ]
    return np.concatenate([X, *copies]).astype(np.float32)
