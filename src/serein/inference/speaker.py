"""What is known of one speaker, and posteriors without that speaker's bias."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from serein.models.speaker_prior import SpeakerPrior, remove_bias

Array = npt.NDArray[np.float32]


class Speaker:
    """One speaker, unseen at first; `memory` is how many utterances are kept at most."""

    def __init__(self, prior: SpeakerPrior | None, memory: int | None = None) -> None:
        self.prior = prior
        self._posteriors: deque[Array] = deque(maxlen=memory)
        self._bias: npt.NDArray[np.float64] | None = None

    @property
    def utterances_known(self) -> int:
        """How many utterances are kept."""
        return len(self._posteriors)

    def add(self, posteriors: Iterable[Array]) -> None:
        """Keep the posteriors of utterances, each of shape (labels,), not adapted."""
        self._posteriors.extend(posteriors)
        self._bias = None

    def forget(self) -> None:
        """Become an unseen speaker again."""
        self._posteriors.clear()
        self._bias = None

    def adapt(self, posteriors: Array) -> Array:
        """Remove the speaker's bias."""
        if self.prior is None or not self._posteriors:
            return posteriors
        if self._bias is None:
            self._bias = self.prior.bias(np.array(self._posteriors))
        return remove_bias(posteriors[None], self._bias)[0].astype(np.float32)
