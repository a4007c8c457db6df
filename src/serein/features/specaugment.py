"""SpecAugment: masks over time and frequency, to teach a recogniser not to lean on one place.

As in `serein.audio.augment`, drawing is apart from applying.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
SEEDS = 2**31


@dataclass(frozen=True)
class SpecAugment:
    """Masks over frames and over bands of a series; what they hide becomes the series' mean.

    Widths are concrete, the seed places them. A mask hides at most half of a short series.

    D. S. Park et al., "SpecAugment: a simple data augmentation method for automatic speech
    recognition", Interspeech 2019, section 2.
    """

    frames: tuple[int, ...]
    bands: tuple[int, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        for width in (*self.frames, *self.bands):
            if width < 0:
                raise ValueError(f"width of a mask is {width}; need 0 or more")

    @classmethod
    def draw(
        cls,
        generator: np.random.Generator,
        *,
        frame_masks: int = 2,
        max_frames: int = 40,
        band_masks: int = 2,
        max_bands: int = 15,
    ) -> SpecAugment:
        """Draw so many masks with widths of 0 to a maximum."""
        frames = generator.integers(0, max_frames, frame_masks, endpoint=True)
        bands = generator.integers(0, max_bands, band_masks, endpoint=True)
        return cls(tuple(frames.tolist()), tuple(bands.tolist()), int(generator.integers(SEEDS)))

    def apply(self, series: Array) -> Array:
        """Mask a series, shape (frames, bands), float32; give a masked copy."""
        if series.ndim != 2 or series.dtype.kind != "f" or not series.size:
            raise ValueError(
                f"series is {series.dtype} {series.shape}; need floats (frames, bands)"
            )
        if not np.isfinite(series).all():
            raise ValueError("series holds NaN or infinite values; need finite ones")
        masked, mean = series.astype(np.float32), float(series.mean(dtype=np.float64))
        generator = np.random.default_rng(self.seed)
        for view, widths in [(masked, self.frames), (masked.T, self.bands)]:
            for width in widths:
                _mask(generator, view, width, mean)
        return masked


def _mask(generator: np.random.Generator, series: Array, width: int, value: float) -> None:
    """Overwrite so many rows in place."""
    width = min(width, len(series) // 2)
    first = int(generator.integers(0, len(series) - width, endpoint=True))
    series[first : first + width] = value
