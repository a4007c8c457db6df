"""Speaker normalisation as a scikit-learn step. Extra [sound].

Features are scaled by statistics of different sets of clips:

- feature scaling: scikit-learn's `StandardScaler`, fitted on the training speakers;
- utterance normalisation: `serein.features.functionals.normalise_utterance`, of one series;
- speaker normalisation: `SpeakerNormaliser`, of the clips of each speaker.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Doubles
from serein.errors import MissingExtraError, SettingError

try:
    from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingExtraError("normalisation", "sound") from error


class SpeakerNormaliser(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Scale the clips of each speaker by their own mean and deviation; no labels are used.

    It needs several clips of a speaker at once, at inference too, so scores with it are not those
    for an unseen speaker. Speakers with one clip, and calls without speakers, are scaled by the
    statistics of the training clips.

    `mean_, scale_`: shape (features,), of all training clips.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Compute the statistics for unknown speakers.

        `X`: shape (clips, features); `y`: not used: pipelines give it.
        """
        del y
        X = validate_data(self, X, dtype=np.float64)
        self.mean_, self.scale_ = _statistics(X)
        return self

    def transform(self, X: Any, speakers: npt.ArrayLike | None = None) -> Doubles:
        """Scale clips.

        `X`: shape (clips, features); `speakers`: shape (clips,), the speaker of each clip.
        Returns: shape (clips, features), float64.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        scaled: Doubles = (X - self.mean_) / self.scale_
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


def _statistics(X: Doubles) -> tuple[Doubles, Doubles]:
    scale = X.std(axis=0)
    return X.mean(axis=0), np.where(scale > 1e-12, scale, 1.0)
