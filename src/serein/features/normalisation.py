"""Normalisation and reduction of feature vectors, as scikit-learn steps. Needs an extra.

Three ways to normalise, by what the statistics are taken from:

- per corpus: scikit-learn's `StandardScaler`, fitted on the training speakers;
- per utterance: `serein.features.functionals.standardise`, on a series, before pooling;
- per speaker: `SpeakerScaler`, on the clips of each speaker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from serein.errors import MissingExtraError, SettingError, check_name

try:
    from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.feature_selection import SelectKBest
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingExtraError("normalisation", "sound") from error

Matrix = npt.NDArray[np.float64]


class SpeakerScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Scale the clips of each speaker by that speaker's own mean and deviation; no labels are used.

    It needs several clips of a speaker at once, also when recognising: scores with it are those of
    a recogniser that has met the voice, and must say so. Speakers with a single clip, and calls
    without speakers, are scaled by the statistics of the training clips.

    Attributes
    ----------
    mean_, scale_ : numpy.ndarray
        Shape (features,), of all training clips.

    Examples
    --------
    >>> X = np.array([[1.0], [3.0], [101.0], [103.0]])
    >>> SpeakerScaler().fit(X).transform(X, speakers=["ann", "ann", "bob", "bob"]).ravel().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what to use for speakers of whom nothing is known."""
        del y
        X = validate_data(self, X, dtype=np.float64)
        self.mean_, self.scale_ = _statistics(X)
        return self

    def transform(self, X: Any, speakers: npt.ArrayLike | None = None) -> Matrix:
        """Scale."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        scaled: Matrix = (X - self.mean_) / self.scale_
        if speakers is None:
            return scaled
        names = np.asarray(speakers)
        if names.shape != (len(X),):
            raise SettingError(f"speakers has shape {names.shape}; X has {len(X)} clips")
        for name in np.unique(names):
            clips = names == name
            if clips.sum() > 1:
                mean, scale = _statistics(X[clips])
                scaled[clips] = (X[clips] - mean) / scale
        return scaled


def _statistics(X: Matrix) -> tuple[Matrix, Matrix]:
    scale = X.std(axis=0)
    return X.mean(axis=0), np.where(scale > 1e-12, scale, 1.0)


REDUCTIONS: dict[str, Callable[[int], Any]] = {
    "pca": lambda count: PCA(count, random_state=0),
    "lda": lambda count: LinearDiscriminantAnalysis(n_components=count),
    "select": lambda count: SelectKBest(k=count),
}
"""Name -> scikit-learn step: principal components, linear discriminants, best by F test."""


def reduction(name: str, count: int) -> Pipeline:
    """Make a step that scales features and leaves few of them."""
    check_name("reduction", name, REDUCTIONS)
    if count < 1:
        raise SettingError(f"count is {count}; need at least 1")
    return make_pipeline(StandardScaler(), REDUCTIONS[name](count))
