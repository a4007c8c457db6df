"""What leaks do to a score: a speaker-independent evaluation beside two that leak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.errors import ProtocolError
from serein.evaluation.protocol import random_k_fold
from serein.evaluation.result import Result
from serein.experiment.evaluate import fit_folds
from serein.experiment.prepare import Prepared, ProgressBar, no_progress_bar
from serein.experiment.recipe import uncalibrated
from serein.experiment.splits import strata

COPIES = 3  # of each clip, made before the split
JITTER = 0.1  # of each feature's deviation: noise that makes a copy look like a new clip


def check_leaks(
    prepared: Prepared, *, cache: Path | None = None, progress_bar: ProgressBar = no_progress_bar
) -> list[dict[str, Any]]:
    """Evaluate on the recipe's folds, on a random split, and with copies made before the split."""
    if prepared.recipe.protocol.speaker_overlap == "allow":
        raise ProtocolError(
            f"{prepared.recipe.name} allows leaks itself: check a recipe whose speaker_overlap is "
            "refuse"
        )
    plain = replace(prepared, recipe=uncalibrated(prepared.recipe))
    count, seed = len(prepared.folds), prepared.recipe.protocol.seed
    allowed = replace(plain.recipe.protocol, speaker_overlap="allow")
    leaking = replace(plain, recipe=replace(plain.recipe, protocol=allowed))
    times = COPIES + 1
    corpus = replace(prepared.corpus, utterances=prepared.corpus.utterances * times)
    cases = {
        "speaker-independent": plain,
        "random split": _at_random(leaking, count, f"{count} random folds, speakers known"),
        "augmentation before the split": _at_random(
            replace(leaking, corpus=corpus, X=_with_copies(plain.X, seed), augmented=None),
            count,
            f"{COPIES} jittered copies of each clip, then {count} random folds",
        ),
    }
    results = {}
    for name, case in cases.items():
        fitted = fit_folds(case, cache=cache, progress_bar=progress_bar, title=name)
        results[name] = fitted.predict(case.X).subset(np.arange(len(plain.X)))
    return _rows(results)


def _at_random(data: Prepared, count: int, words: str) -> Prepared:
    folds = random_k_fold(
        strata(data.corpus),
        folds=count,
        random_state=data.recipe.protocol.seed,
        speaker_overlap="allow",
    )
    return replace(data, folds=folds, protocol=words)


def _with_copies(X: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    """Put jittered copies of all samples below them."""
    generator = np.random.default_rng(seed)
    deviation = np.nanstd(X, axis=0)
    copies = [
        X + np.float32(JITTER) * deviation * generator.standard_normal(X.shape, dtype=np.float32)
        for _ in range(COPIES)
    ]
    return np.concatenate([X, *copies]).astype(np.float32)


def _rows(results: dict[str, Result]) -> list[dict[str, Any]]:
    scores = {name: result.scores() for name, result in results.items()}
    base = next(iter(scores.values()))["uar"]
    return [
        {
            "split": name,
            "protocol": result.protocol,
            "uar": scores[name]["uar"],
            "uar_interval_95": scores[name]["uar_interval_95"],
            "inflation": scores[name]["uar"] - base,
            "leaks": list(result.leaks),
        }
        for name, result in results.items()
    ]
