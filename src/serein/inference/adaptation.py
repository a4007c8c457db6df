"""What is known of a speaker, or of recordings of one place, and predictions adapted to it."""

from __future__ import annotations

import copy
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from serein.errors import BundleError, SettingError, reason_of
from serein.inference.network import Output
from serein.models.baseline import AdaptiveHeads, Baseline
from serein.models.personal import PersonalHeads, balanced
from serein.models.speaker_prior import SpeakerPrior, remove_bias

Array = npt.NDArray[np.float32]

TO = ("recordings", "speaker")
MIN_PROBABILITY = 1e-30  # before the logarithm
FORMAT, VERSION = "serein-adaptation", 1
MAX_BYTES = 2**24  # of a saved adaptation


@dataclass(frozen=True, eq=False)
class Learnt:
    """What a bundle learnt of how recordings differ; `temperature` is that of its graph.

    `labels`: how many the graph gives; personal heads may predict more.
    """

    name: str
    labels: int
    temperature: float
    prior: SpeakerPrior | None
    heads: AdaptiveHeads | None
    personal: PersonalHeads | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it can adapt to, of `TO`."""
        if self.heads is not None:
            return TO
        return () if self.prior is None else ("speaker",)

    def check(self, to: str) -> None:
        """Raise BundleError if the model was trained without what adaptation needs."""
        if to not in TO:
            raise SettingError(f"to is {to!r}; allowed: {', '.join(TO)}")
        if to not in self.kinds:
            what = "recordings" if to == "recordings" else "speakers"
            how = "relative = true under [adaptation]"
            if to == "speaker":
                how = f"protocol.calibration_folds of 2 or more, or {how}"
            raise BundleError(
                f"the model {self.name!r} did not learn how {what} differ, so it cannot adapt: "
                f"train it again with {how}"
            )


class Adaptation:
    """Recordings that predictions are adapted to: none at first.

    `memory`: about how many windows are kept, the latest; all, if not given.
    """

    def __init__(self, learnt: Learnt, memory: int | None = None) -> None:
        self.learnt = learnt
        self.to: str | None = None
        self._memory = memory
        self._posteriors: deque[Array] = deque(maxlen=memory)
        self._taken: set[bytes] = set()  # digests of windows
        self._baseline: Baseline | None = None
        self._bias: npt.NDArray[np.float64] | None = None

    @property
    def utterances_known(self) -> int:
        """By how many windows with speech predictions are adapted."""
        return self._baseline.count if self._baseline else len(self._posteriors)

    @property
    def counts(self) -> bool:
        """Whether what is known changes predictions much: one recording or emotion does not."""
        if self._baseline is None or self.learnt.heads is None:
            return bool(self._posteriors)
        return self._baseline.evidence(self.learnt.heads) > 0

    def check(self, to: str) -> None:
        """Raise BundleError if the model cannot adapt so, SettingError if it has otherwise."""
        self.learnt.check(to)
        if self.to not in (None, to):
            raise SettingError(f"adapted to {self.to} already: forget that first")

    def learning(self, to: str, memory: int | None = None) -> Adaptation:
        """Return one that adapts on its own: from here on if this is of the same kind, or anew."""
        self.learnt.check(to)
        found = Adaptation(self.learnt, memory)
        if self.to == to:
            found.to = to
            found._posteriors.extend(self._posteriors)
            found._baseline = self._baseline and self._baseline.with_memory(memory)
        return found

    def add(self, outputs: Iterable[Output], to: str) -> None:
        """Take in windows with speech, without labels; copies of what is known count once."""
        self.check(to)
        self.to = to
        heads = self.learnt.heads
        for output in self._unknown(outputs):
            if heads is None:
                self._posteriors.append(output.probability)
                self._bias = None
                continue
            if self._baseline is None:
                self._baseline = Baseline(to, self.learnt.labels, memory=self._memory)
            self._baseline.add(heads, _vectors(output), np.exp(self._single(output, heads)))

    def _unknown(self, outputs: Iterable[Output]) -> Iterator[Output]:
        """Leave out copies of what was taken in; a stream, whose memory is limited, has none."""
        if self._memory is not None:
            yield from outputs
            return
        for output in outputs:
            given = output.probability if output.vector is None else output.vector
            digest = sha256(given.tobytes()).digest()
            if digest not in self._taken:
                self._taken.add(digest)
                yield output

    def personalised(
        self, outputs: Sequence[Output], truth: npt.ArrayLike, recording: npt.ArrayLike
    ) -> Self:
        """Return a copy whose heads are moved by windows with labels.

        `truth`, `recording`: (windows,), numbers of their labels and recordings.
        """
        heads = self.personal_heads()
        single = np.concatenate([self._single(output, heads) for output in outputs])
        vectors = np.concatenate([_vectors(output) for output in outputs])
        start = self.learnt.personal or PersonalHeads.of(heads)
        weight = balanced(truth, recording)
        found = copy.copy(self)
        moved = start.learnt(heads, single, vectors, truth, weight=weight)
        found.learnt = replace(self.learnt, personal=moved)
        return found

    def personal_heads(self) -> AdaptiveHeads:
        """Return the bundle's own heads; raise BundleError if it has none that can be moved."""
        if self.learnt.heads is None:
            raise BundleError(
                f"the model {self.learnt.name!r} does not give the features that labelled "
                "recordings move its head by: take one that was trained with relative = true "
                "under [adaptation]"
            )
        return self.learnt.heads

    def forget(self) -> None:
        """Adapt to nothing again."""
        self.to = self._baseline = self._bias = None
        self._posteriors.clear()
        self._taken.clear()

    def predict(self, output: Output) -> Array:
        """Return the probability of each label, (labels,), as what is known makes it."""
        heads = self.learnt.heads
        if heads is not None:
            logs, personal = self._single(output, heads), self.learnt.personal
            if personal is not None:
                logs = personal.predict(heads, logs, _vectors(output), self._baseline)
            elif self._baseline is not None:
                logs = heads.adapted(logs, _vectors(output), self._baseline)
            return np.exp(logs[0]).astype(np.float32)
        if self.learnt.prior is None or not self._posteriors:
            return output.probability
        if self._bias is None:
            self._bias = self.learnt.prior.bias(np.array(self._posteriors))
        return remove_bias(output.probability[None], self._bias)[0].astype(np.float32)

    def _single(self, output: Output, heads: AdaptiveHeads) -> npt.NDArray[np.float64]:
        """Return log probabilities of a single recording, calibrated by its distance."""
        raised = np.maximum(output.probability[None].astype(np.float64), MIN_PROBABILITY)
        return heads.single(np.log(raised) * self.learnt.temperature, _vectors(output))

    def known(self) -> tuple[Any, ...]:
        """Return all that is known, for `take_over` of another process with the same model."""
        return self.to, list(self._posteriors), self._baseline

    def take_over(self, to: str | None, posteriors: list[Array], baseline: Baseline | None) -> None:
        """Know what another knew."""
        self.forget()
        self.to, self._baseline = to, baseline
        self._posteriors.extend(posteriors)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a file."""
        if self._baseline is None:
            raise SettingError("adapted to nothing that can be saved: adapt it first")
        about = {"format": FORMAT, "version": VERSION, "model": self.learnt.name}
        if self.learnt.heads is not None:
            about["heads"] = self.learnt.heads.fingerprint
        return about | self._baseline.to_dict()

    def read_file(self, file: str | Path) -> None:
        """Take over a file of what `to_dict` returned, for the same model."""
        try:
            with Path(file).open("rb") as opened:
                self.read(opened.read(MAX_BYTES))
        except OSError as error:
            raise SettingError(f"{file}: cannot be read: {reason_of(error)}") from error
        except SettingError as error:
            raise SettingError(f"{file}: {error}") from error

    def read(self, content: bytes) -> None:
        """Take over the JSON of what `to_dict` returned, for the same model."""
        try:
            values = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise SettingError(f"not JSON: {error}") from error
        heads = self.learnt.heads
        if not isinstance(values, Mapping) or values.get("format") != FORMAT:
            raise SettingError(f"not a {FORMAT}")
        if values.get("version") != VERSION:
            raise SettingError(f"version {values.get('version')!r}; this serein reads {VERSION}")
        if heads is None or values.get("heads") != heads.fingerprint:
            raise SettingError(
                f"made with another model or version ({values.get('model')!r}), not with this "
                f"{self.learnt.name!r}: adapt anew"
            )
        self._baseline = Baseline.from_dict(values, heads, self._memory)
        self.to = self._baseline.kind


def _vectors(output: Output) -> Array:
    """Return the features of a window as a row."""
    if output.vector is None:
        raise BundleError("the graph gives no vector to adapt by")
    return output.vector[None]
