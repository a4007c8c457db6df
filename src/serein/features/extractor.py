"""FeatureExtractor: a scikit-learn transformer of recordings to named features. Extra [sound]."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Array
from serein.engine import check_jobs
from serein.errors import MissingExtraError, SereinError, renamed
from serein.features.functionals import DEFAULT_FUNCTIONALS
from serein.features.measurement import Measures, Recording

try:
    from sklearn.base import BaseEstimator, TransformerMixin
except ImportError as error:
    raise MissingExtraError("feature extraction", "sound") from error


@renamed(per_utterance="utterance_normalisation")
class FeatureExtractor(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Compute features of signals or files; it learns nothing, so nothing can leak.

    Parameters
    ----------
    sets : sequence of str
        Keys of `serein.features.feature_sets.SETS`: ``mfcc``, ``f0``, ``expert`` and so on.
    pooled : bool
        Whether the result is one vector a recording; else a series at 100 frames a second.
    functionals : sequence of str
        How series are pooled: keys of `serein.features.functionals.FUNCTIONALS`.
    utterance_normalisation : bool
        Whether each series is first brought to mean 0 and variance 1, each recording by itself.
    jobs : int or None
        Parallel processes, as joblib counts them: None is 1, -1 is all cores.
    cache : path, False or None
        Folder in which features of files are cached by content; None is the user's cache folder,
        False is no cache. Features of signals are not cached.
    progress : callable, optional
        Called with (recordings done, recordings in all).

    Examples
    --------
    >>> extractor = FeatureExtractor(["mfcc", "f0"], functionals=["mean"])
    >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000).astype(np.float32)
    >>> extractor.fit_transform([tone]).shape
    (1, 15)
    >>> extractor.get_feature_names_out()[-2:].tolist()
    ['f0_hz_mean', 'voicing_mean']
    """

    def __init__(
        self,
        sets: Sequence[str] = ("mfcc",),
        *,
        pooled: bool = True,
        functionals: Sequence[str] = DEFAULT_FUNCTIONALS,
        utterance_normalisation: bool = False,
        jobs: int | None = None,
        cache: str | Path | bool | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.sets = sets
        self.pooled = pooled
        self.functionals = functionals
        self.utterance_normalisation = utterance_normalisation
        self.jobs = jobs
        self.cache = cache
        self.progress = progress

    def fit(self, X: Iterable[Recording] | None = None, y: Any = None) -> Self:
        """Check the settings; nothing is learned.

        Parameters
        ----------
        X, y : ignored
            For pipelines.

        Returns
        -------
        FeatureExtractor
            Itself.

        Raises
        ------
        SettingError
            If a feature set is unknown, named twice or has no series, or `jobs` is no number of
            processes.
        """
        del X, y
        check_jobs(self.jobs)
        self._measures().check()
        return self

    def transform(self, X: Iterable[Recording]) -> Array | list[Array]:
        """Compute the features of recordings.

        Parameters
        ----------
        X : iterable of array or path
            Signals, shape (samples,), float32, mono at 16 kHz, or audio files.

        Returns
        -------
        numpy.ndarray or list of numpy.ndarray
            Shape (recordings, features), float32; without `pooled`, a list of (time, feature).

        Raises
        ------
        AudioError
            If a recording cannot be read; `each` yields the error instead.
        """
        found = []
        for row in self.each(X):
            if isinstance(row, SereinError):
                raise row
            found.append(row)
        if not self.pooled:
            return found
        return np.array(found, np.float32).reshape(-1, len(self.get_feature_names_out()))

    def each(self, X: Iterable[Recording]) -> Iterator[Array | SereinError]:
        """Compute the features of recordings one by one; errors do not stop the others.

        Parameters
        ----------
        X : iterable of array or path
            As in `transform`.

        Yields
        ------
        numpy.ndarray or SereinError
            The features or the error of each recording, in order.
        """
        entries = [X] if isinstance(X, (str, os.PathLike)) else X
        yield from self._measures().each(
            entries, jobs=self.jobs, cache=self.cache, progress=self.progress
        )

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns, with their units.

        Parameters
        ----------
        input_features : ignored
            For pipelines.

        Returns
        -------
        numpy.ndarray of str
            Shape (features,).
        """
        del input_features
        return np.array(self._measures().columns, dtype=object)

    def _measures(self) -> Measures:
        sets = self.sets if isinstance(self.sets, str) else list(self.sets)
        return Measures(sets, self.pooled, list(self.functionals), self.utterance_normalisation)

    def __sklearn_is_fitted__(self) -> bool:
        return True
