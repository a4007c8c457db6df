"""A recognizer kept as arrays: hidden Markov models and the speech detector beside them."""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from serein.archives import read_arrays
from serein.errors import BundleError, SettingError
from serein.inference.network import Output
from serein.models.hmm_forward import HmmArrays

Array = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
MAX_STATES = 128  # of an emotion; each frame takes their square
UNREADABLE = (  # what zipfile and NumPy raise on untrusted files
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, TypeError, MemoryError),
    *(RuntimeError, NotImplementedError, tokenize.TokenError, SyntaxError),
)


@dataclass(frozen=True, eq=False)
class ArraysModel:
    """Hidden Markov models with a temperature, and a linear speech detector on pooled frames."""

    hmm: HmmArrays
    temperature: float
    speech_weight: Floats
    speech_bias: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise SettingError(f"temperature is {self.temperature}; need a number above 0")
        wanted = (4 * len(self.hmm.centre),)
        if self.speech_weight.shape != wanted or not np.isfinite(self.speech_weight).all():
            raise SettingError(f"speech_weight must be {wanted[0]} finite numbers")
        if self.hmm.log_start.shape[1] > MAX_STATES:
            raise SettingError(f"an emotion has more than {MAX_STATES} states")
        if not np.isfinite(self.speech_bias):
            raise SettingError("speech_bias must be finite")

    def predict(self, features: Array) -> Output:
        """Predict one window: probability of each label, and of speech."""
        logits = self.hmm.log_probabilities(features) / self.temperature
        likely = np.exp(logits - np.logaddexp.reduce(logits)).astype(np.float32)
        frames = features.astype(np.float64)
        pooled = [frames.mean(axis=0), frames.std(axis=0), frames.min(axis=0), frames.max(axis=0)]
        logit = np.concatenate(pooled) @ self.speech_weight + self.speech_bias
        return Output(likely, float(np.exp(-np.logaddexp(0.0, -logit))))

    def to_bytes(self) -> bytes:
        """Write everything as NumPy's npz, without pickle."""
        file = io.BytesIO()
        arrays: dict[str, Any] = {f"hmm_{n}": values for n, values in self.hmm.to_arrays().items()}
        np.savez(
            file,
            temperature=np.float64(self.temperature),
            speech_weight=self.speech_weight,
            speech_bias=np.float64(self.speech_bias),
            **arrays,
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        try:
            arrays = read_arrays(content)
            own = {
                name: arrays.pop(name) for name in ("temperature", "speech_weight", "speech_bias")
            }
            hmm = {name.removeprefix("hmm_"): values for name, values in arrays.items()}
            return cls(
                HmmArrays.from_arrays(hmm),
                float(own["temperature"]),
                np.asarray(own["speech_weight"], dtype=np.float64),
                float(own["speech_bias"]),
            )
        except UNREADABLE as error:
            raise BundleError(f"not the arrays of a recognizer: {error}") from error
