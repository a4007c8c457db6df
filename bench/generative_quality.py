"""Quality of synthetic samples: whether they are of the class asked for, and not copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Array = npt.NDArray[Any]


def label_agreement(
    real_X: npt.ArrayLike,
    real_y: npt.ArrayLike,
    fake_X: npt.ArrayLike,
    fake_y: npt.ArrayLike,
    *,
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """Share of synthetic samples that a classifier trained on real ones predicts as asked for."""
    fake_X, fake_y = _made(fake_X, fake_y)
    judge = make_pipeline(
        StandardScaler(),
        LogisticRegression(
            C=0.1, class_weight="balanced", max_iter=1000, random_state=random_state
        ),
    ).fit(real_X, real_y)
    return float(np.mean(judge.predict(fake_X) == fake_y))


def nearest_distance_ratio(
    real_X: npt.ArrayLike, real_y: npt.ArrayLike, fake_X: npt.ArrayLike, fake_y: npt.ArrayLike
) -> float:
    """Distance of synthetic samples to the nearest real one, over that of real neighbours.

    Within each class, the distance of a synthetic sample to its nearest real one is divided by the
    median distance of a real sample to its nearest real neighbour; features are scaled first.
    """
    ratios = []
    for real, fake in _by_class(real_X, real_y, fake_X, fake_y):
        among_real = pairwise_distances(real)
        np.fill_diagonal(among_real, np.inf)
        ratios.append(
            pairwise_distances(fake, real).min(axis=1) / np.median(among_real.min(axis=1))
        )
    return float(np.median(np.concatenate(ratios)))


def spread_ratio(
    real_X: npt.ArrayLike, real_y: npt.ArrayLike, fake_X: npt.ArrayLike, fake_y: npt.ArrayLike
) -> float:
    """Distance of synthetic samples from each other, over that of real ones."""
    ratios = []
    for real, fake in _by_class(real_X, real_y, fake_X, fake_y):
        medians = [
            np.median(pairwise_distances(rows)[np.triu_indices(len(rows), 1)])
            for rows in (fake, real)
        ]
        ratios.append(medians[0] / medians[1])
    return float(np.mean(ratios))


def _made(fake_X: npt.ArrayLike, fake_y: npt.ArrayLike) -> tuple[Array, Array]:
    made, labels = np.asarray(fake_X), np.asarray(fake_y)
    if len(made) == 0 or len(made) != len(labels):
        raise ValueError(
            f"{len(made)} synthetic samples with {len(labels)} labels; need as many, at least 1"
        )
    return made, labels


def _by_class(
    real_X: npt.ArrayLike, real_y: npt.ArrayLike, fake_X: npt.ArrayLike, fake_y: npt.ArrayLike
) -> list[tuple[Array, Array]]:
    """Scaled real and made samples of each class that was generated."""
    made, labels = _made(fake_X, fake_y)
    scaler = StandardScaler().fit(real_X)
    real, made, truth = scaler.transform(real_X), scaler.transform(made), np.asarray(real_y)
    for label in np.unique(labels):
        if (truth == label).sum() < 2:
            raise ValueError(f"class {label} has fewer than 2 real samples; no distance to compare")
    return [(real[truth == label], made[labels == label]) for label in np.unique(labels)]
