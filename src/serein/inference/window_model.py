"""What predicts one window: a bundle's front end, network and thresholds, and the speaker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from serein.audio.read import RATE_HZ, Signal
from serein.defaults import UNSURE_RANGE
from serein.emotions import OwnEmotion, canonical_emotion, label_name, own_emotions
from serein.errors import (
    BundleError,
    CorpusError,
    SettingError,
    check_name,
    check_range,
)
from serein.features.frontend import FrontEnd, frame_rms, loud_rms
from serein.inference.adaptation import Adaptation, Learnt
from serein.inference.bundle import ADAPTATION, BURSTS, PERSONAL, Bundle
from serein.inference.network import Network, Output, open_network
from serein.inference.prediction import Segment
from serein.inference.timeline import make_segment, segment_bounds, window_starts
from serein.models.baseline import AdaptiveHeads
from serein.models.bursts import BurstHeads
from serein.models.personal import PersonalHeads
from serein.models.speaker_prior import SpeakerPrior

Array = npt.NDArray[np.float32]

MIN_POSSIBLE = 1e-9  # of an emotion that can occur, where others cannot
MAX_TEMPERATURE = 100.0  # in a manifest
SILENCE_RMS = 1e-4  # -80 dB of full scale: under this, the louder frames are silence


def is_silent(window: Signal) -> bool:
    """Tell whether there is too little sound to predict from."""
    return loud_rms(frame_rms(window)) < SILENCE_RMS


@dataclass(frozen=True, eq=False)
class WindowModel:
    """Predicts window by window; `window` and `hop` are in samples.

    `possible`: (labels,), 1 for the emotions that can occur, 0 for the others.

    A variant for other recordings, threshold or caller is made by `dataclasses.replace`; it shares
    the network. `before_window`, if there, is called before each window and may raise.
    """

    labels: tuple[str, ...]
    window: int
    hop: int
    front_end: FrontEnd
    network: Network
    speech_threshold: float
    unsure_below: float
    adaptation: Adaptation
    possible: Array
    bursts: BurstHeads | None = None
    own: Mapping[str, OwnEmotion] = field(default_factory=dict)
    before_window: Callable[[], None] | None = None

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        *,
        threads: int | None,
        unsure_below: float,
        provider: str,
        emotions: Sequence[str] | None,
    ) -> Self:
        """Make a bundle ready to predict."""
        check_range("unsure_below", unsure_below, *UNSURE_RANGE)
        manifest = bundle.manifest
        return cls(
            labels=bundle.labels,
            window=round(manifest["window_s"] * RATE_HZ),
            hop=round(manifest["hop_s"] * RATE_HZ),
            front_end=_front_end(bundle),
            network=open_network(bundle, threads, provider),
            speech_threshold=manifest["speech_threshold"],
            unsure_below=unsure_below,
            adaptation=Adaptation(learnt_of(bundle)),
            possible=possible_emotions(emotions, bundle.labels),
            bursts=_bursts(bundle),
            own=own_of(bundle),
        )

    def output(self, window: Signal) -> Output | None:
        """Compute the network's output for a window, not adapted; None without speech or burst."""
        if self.before_window is not None:
            self.before_window()
        if is_silent(window):
            return None
        output = self.network.predict(self.front_end(window))
        burst = None if self.bursts is None else _burst(self.bursts, output)
        if burst is not None:
            return output._replace(burst=burst)
        return output if output.speech >= self.speech_threshold else None

    def of_features(self, features: Array) -> Array:
        """Predict from the front end's output, adapted, speech or not."""
        return self.adapted(self.network.predict(features))

    def adapted(self, output: Output) -> Array:
        """Return the probabilities of a window, adapted, among the emotions that can occur."""
        return self.restricted(self.adaptation.predict(output))

    def restricted(self, probabilities: Array) -> Array:
        """Renormalise probabilities, (labels,), among the emotions that can occur."""
        if self.possible.all():
            return probabilities
        kept = np.maximum(probabilities, MIN_POSSIBLE) * self.possible
        return kept / kept.sum()

    def of_signal(self, signal: Signal) -> Array:
        """Predict the first window of a signal, adapted, speech or not."""
        return self.of_features(self.front_end(signal[: self.window]))

    def named(self, probabilities: Array) -> dict[str, float]:
        """Return probabilities, shape (labels,), by the names of the emotions that can occur."""
        every = zip(self.labels, probabilities.tolist(), self.possible, strict=True)
        return {label: value for label, value, possible in every if possible}

    def timeline(self, signal: Signal, window: int, hop: int) -> tuple[Segment, ...]:
        """Predict each window of a recording, adapted."""
        starts = window_starts(signal.size, window, hop)
        rows = [self.output(signal[start : start + window]) for start in starts]
        return self.segments(rows, starts, window, signal.size)

    def segments(
        self, outputs: Sequence[Output | None], starts: list[int], window: int, samples: int
    ) -> tuple[Segment, ...]:
        """Make a timeline of what the network gave for its windows, adapted."""
        bounds = segment_bounds(starts, window, samples)
        return tuple(self._segment(*pair) for pair in zip(bounds, outputs, strict=True))

    def _segment(self, bounds: tuple[float, float], output: Output | None) -> Segment:
        if output is None:
            return make_segment(bounds, {}, self.unsure_below)
        if output.burst is None or self.bursts is None:
            named = self.named(self.adapted(output))
            return make_segment(bounds, named, self.unsure_below, own=self.own)
        named = dict(zip(self.bursts.labels, output.burst.tolist(), strict=True))
        return make_segment(bounds, named, self.unsure_below, burst=True)

    def with_label_set(self, labels: Sequence[str], adaptation: Adaptation) -> Self:
        """Return the model with other labels, of which those that are new can occur."""
        possible = np.ones(len(labels), np.float32)
        possible[: len(self.labels)] = self.possible
        return replace(self, labels=tuple(labels), possible=possible, adaptation=adaptation)


def possible_emotions(emotions: Sequence[str] | None, labels: Sequence[str]) -> Array:
    """Return 1 for each of a model's emotions that can occur; for all, if none are named."""
    if emotions is None:
        return np.ones(len(labels), np.float32)
    found: list[str] = []
    for name in [emotions] if isinstance(emotions, str) else emotions:
        found.append(label_name(name))
        check_name("emotion", found[-1], labels)
    if len(set(found)) < 2:
        raise SettingError(f"name at least 2 emotions that can occur, of {', '.join(labels)}")
    return np.array([label in found for label in labels], np.float32)


def checked_labels(emotions: Sequence[str], labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Check the labels of recordings; return them, and all that a model has then."""
    own = {label_name(label): label for label in labels}
    given = [emotions] if isinstance(emotions, str) else emotions
    named = [own.get(name, name) for name in map(label_name, given)]
    if len(set(named)) < 2:
        raise SettingError(
            f"the recordings are of {', '.join(sorted(set(named))) or 'no emotion'}: to learn, "
            "recordings of at least 2 are needed"
        )
    return named, list(dict.fromkeys([*labels, *named]))


def own_of(bundle: Bundle) -> dict[str, OwnEmotion]:
    """Read what a bundle says of labels of its own."""
    try:
        described = dict(bundle.manifest.get("emotions", {}))
        return own_emotions({label: OwnEmotion(**one) for label, one in described.items()})
    except (TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{bundle.place}: emotions: {error}") from error


def learnt_of(bundle: Bundle) -> Learnt:
    """Read what a bundle learnt of how recordings differ."""
    manifest, labels = bundle.manifest, bundle.known
    values, arrays = manifest.get("adaptation"), bundle.files.get(ADAPTATION)
    try:
        prior = None if values is None else SpeakerPrior.from_dict(values, labels)
        heads = None if arrays is None else AdaptiveHeads.from_bytes(arrays)
        temperature = 1.0 if heads is None else float(manifest["temperature"])
        moved = bundle.files.get(PERSONAL)
        personal = None if moved is None else PersonalHeads.from_bytes(moved)
        if not 0 < temperature < MAX_TEMPERATURE or (heads and len(heads.bias) != labels):
            raise SettingError("it is not of this model")
        if personal and not (heads and personal.matches(heads, len(bundle.labels))):
            raise SettingError("its personal heads are not of this model")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{bundle.place}: adaptation: {error}") from error
    return Learnt(manifest["name"], labels, temperature, prior, heads, personal)


def _burst(bursts: BurstHeads, output: Output) -> Array | None:
    """Return the probability of each emotion of bursts; None where a window is none."""
    if output.vector is None or output.vector.shape != bursts.weight.shape[1:]:
        raise BundleError("the graph gives no vector of the length that bursts are told by")
    return bursts.predict(output.vector)


def _bursts(bundle: Bundle) -> BurstHeads | None:
    """Read by what a bundle tells vocal bursts."""
    arrays = bundle.files.get(BURSTS)
    if arrays is None:
        return None
    try:
        about = bundle.manifest["bursts"]
        labels = [canonical_emotion(label) for label in about["labels"]]
        return BurstHeads.from_bytes(arrays, labels, about["threshold"])
    except (CorpusError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{bundle.place}: bursts: {error}") from error


def _front_end(bundle: Bundle) -> FrontEnd:
    try:
        return FrontEnd.from_dict(bundle.manifest["front_end"])
    except (TypeError, ValueError) as error:
        raise BundleError(f"{bundle.place}: {error}; update serein") from error
