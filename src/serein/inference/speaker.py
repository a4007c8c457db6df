"""What a recogniser knows of one speaker, and answers that take it into account."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from serein.models.speaker_prior import SpeakerPrior, remove_bias

Array = npt.NDArray[np.float32]


class Speaker:
    """One speaker, a stranger at first."""

    def __init__(self, prior: SpeakerPrior | None, memory: int | None = None) -> None:
        self.prior = prior
        self._heard: deque[Array] = deque(maxlen=memory)
        self._lean: npt.NDArray[np.float64] | None = None

    @property
    def utterances_known(self) -> int:
        """How many utterances are remembered."""
        return len(self._heard)

    def learn(self, answers: Iterable[Array]) -> None:
        """Remember what was answered for utterances as for a stranger, each of shape (labels,)."""
        self._heard.extend(answers)
        self._lean = None

    def forget(self) -> None:
        """Become a stranger again."""
        self._heard.clear()
        self._lean = None

    def own(self, answer: Array) -> Array:
        """Adapt an answer for a stranger to the speaker."""
        if self.prior is None or not self._heard:
            return answer
        if self._lean is None:
            self._lean = self.prior.bias(np.array(self._heard))
        return remove_bias(answer[None], self._lean)[0].astype(np.float32)
