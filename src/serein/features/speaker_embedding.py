"""Speaker embeddings: vectors that are near for one voice, whatever it says. The core is enough.

The network is GE2E as resemblyzer trained it, as ONNX (`bench/speaker_weights.py` wrote it).
Source: L. Wan, Q. Wang, A. Papir, I. L. Moreno, "Generalized end-to-end loss for speaker
verification", ICASSP 2018.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Array, per_block
from serein.features.spectral import mel_spectrogram
from serein.onnx_session import open_session

WEIGHTS = Path(__file__).with_name("speaker.onnx")
WIDTH = 256  # of a vector
BANDS = 40
WINDOW = 160  # frames of 10 ms that the network takes
TARGET_POWER = 1e-3  # -30 dB of full scale, to which each window is brought
BATCH = 64


class SpeakerEncoder:
    """Computes vectors of windows of one signal; `log_power` is that of its frames."""

    def __init__(self, signal: Array) -> None:
        self._mel = mel_spectrogram(signal, bands=BANDS)
        self._power = per_block(signal, lambda cut: np.mean(cut**2, axis=1))

    def __call__(self, spans: npt.NDArray[np.int64]) -> Array:
        """Compute a vector of length 1 for each span of frames.

        `spans`: (spans, 2), first frame and the one after the last; of a longer span than `WINDOW`
        the beginning counts, a shorter one is repeated.
        Returns: (spans, 256), float32.
        """
        offsets = np.arange(WINDOW)
        places = [first + offsets % min(WINDOW, end - first) for first, end in spans.tolist()]
        batches = [places[start : start + BATCH] for start in range(0, len(places), BATCH)]
        found = [self._run(np.array(batch)) for batch in batches]
        return np.concatenate(found) if found else np.empty((0, WIDTH), np.float32)

    def _run(self, places: npt.NDArray[np.int64]) -> Array:
        """Run the network for windows, (windows, WINDOW) frames each."""
        power = self._power[places].mean(axis=1)
        gain = TARGET_POWER / np.maximum(power, np.float32(1e-12))
        mel = self._mel[places] * gain[:, None, None].astype(np.float32)
        vectors: Array = _network().run(None, {"mel": mel})[0]
        return np.nan_to_num(vectors)


@cache
def _network() -> Any:
    """Open the network, once a process."""
    return open_session(WEIGHTS)
