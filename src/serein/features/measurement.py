"""Measures: named features of recordings, one after the other. numpy alone.

`serein features` computes them; `serein.features.extractor.FeatureExtractor` is the same for
scikit-learn, whose import takes more memory than an hour of features.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Self

from serein.audio.frames import Array
from serein.audio.read import check_signal
from serein.engine import each
from serein.errors import SereinError, SettingError, check_name
from serein.features.feature_cache import cached_features, default_cache
from serein.features.feature_sets import SETS, describe
from serein.features.functionals import DEFAULT_FUNCTIONALS

Recording = str | os.PathLike[str] | Array
EDITION = 1  # raised when the same settings give other numbers


@dataclass(frozen=True)
class Measures:
    """What is measured: the settings of a `FeatureExtractor` that change its numbers."""

    sets: Sequence[str] = ("mfcc",)
    pooled: bool = True
    functionals: Sequence[str] = DEFAULT_FUNCTIONALS
    utterance_normalisation: bool = False

    def check(self) -> Self:
        """Check the names of the feature sets."""
        if isinstance(self.sets, str) or not self.sets:
            raise SettingError(f"sets is {self.sets!r}; need a list of names: {', '.join(SETS)}")
        if len(set(self.sets)) < len(self.sets):
            raise SettingError(f"sets is {', '.join(self.sets)}; name each once")
        for name in self.sets:
            check_name("feature set", name, SETS)
            if not self.pooled and SETS[name].vector is not None:
                raise SettingError(f"{name} describes whole recordings; it has no frames")
        return self

    @property
    def columns(self) -> list[str]:
        """The names of the columns, with their units."""
        return [name for key in self.sets for name in self._names(key)]

    def _names(self, key: str) -> list[str]:
        columns = SETS[key].columns
        if not self.pooled or SETS[key].vector is not None:
            return list(columns)
        return [f"{column}_{word}" for word in self.functionals for column in columns]

    def each(
        self,
        recordings: Iterable[Recording],
        *,
        jobs: int | None = None,
        cache: str | Path | bool | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Array | SereinError]:
        """Yield the features of each recording, or the error that it ends in.

        `jobs`, `cache`, `progress`: as of `FeatureExtractor`.
        """
        entries = list(recordings)
        work = partial(_measured, measures=self.check(), folder=self._folder(cache))
        for number, row in enumerate(
            each(work, entries, jobs=1 if jobs is None else jobs), start=1
        ):
            if progress:
                progress(number, len(entries))
            yield row

    def of(self, signal: Array) -> Array:
        """Compute the features of a signal, (features,), or (time, feature) if not pooled."""
        return describe(
            signal,
            self.sets,
            functionals=self.functionals if self.pooled else None,
            utterance_normalisation=self.utterance_normalisation,
        )

    def _folder(self, cache: str | Path | bool | None) -> Path | None:
        """Return the folder of the cache that belongs to these settings."""
        if cache is False:
            return None
        root = default_cache() if cache in {None, True} else Path(str(cache))
        settings = asdict(self) | {"edition": EDITION}
        settings["per_utterance"] = settings.pop("utterance_normalisation")  # as in older caches
        key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        return root / "features" / key[:20]


def _measured(entry: Recording, measures: Measures, folder: Path | None) -> Array | SereinError:
    """Compute the features of one recording; at module level, for other processes."""
    try:
        if isinstance(entry, (str, os.PathLike)):
            return cached_features(Path(entry), measures.of, folder)
        return measures.of(check_signal(entry))
    except SereinError as error:
        return error
