"""A recognizer trained on voice, face and text together, any of which a recording may lack."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from math import log
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from serein.audio.read import RATE_HZ, Signal, read_audio
from serein.errors import BundleError, SettingError
from serein.features.openface import ACTION_UNITS, ActionUnits, read_openface
from serein.inference.bundle import Bundle
from serein.inference.lanes import Telling, check_voice_alone
from serein.inference.prediction import Prediction, Segment
from serein.inference.recognizer import Recognizer, Source
from serein.inference.timeline import make_segment, segment_bounds, window_starts
from serein.inference.window_model import is_silent
from serein.models.shapley import shapley, subsets

if TYPE_CHECKING:
    from serein.features.text import SentenceEncoder
    from serein.inference.network import FusedNetwork

Array = npt.NDArray[np.float32]
Subsets = dict[tuple[str, ...], Array]  # modalities -> probabilities from these alone
Span = tuple[float, float]
Window = tuple[Span, Signal | None, Sequence[Mapping[str, Array]]]  # and what is beside its sound
FaceSource = str | os.PathLike[str] | ActionUnits
BATCH = 64  # windows without sound in one run
TITLES = {"voice": "voice", "face": "face", "text": "words"}  # as `Segment.modalities` says them


class FusionRecognizer(Recognizer):
    """Predicts emotion from voice, face and text by a fusion that was trained on them.

    With the voice alone it is a `Recognizer` like any other.

    `bundle`: made by ``serein train`` from a recipe with ``[face]`` or ``[text]``; `**options`: as
    `Recognizer` takes them; `widths`: the modalities that it was trained on, and how many features
    each has.
    """

    def __init__(self, bundle: Bundle, **options: Any) -> None:
        super().__init__(bundle, **options)
        self.widths = _widths(bundle)
        first = 1  # after whether the voice counts
        self._columns: dict[str, slice] = {}
        for name in list(self.widths)[1:]:
            self._columns[name] = slice(first, first + self.widths[name])
            first += self.widths[name]
        self._width = first
        taken = cast("FusedNetwork", self._model.network).others_width
        if taken != first:
            raise BundleError(
                f"{bundle.place}: the graph takes {taken} columns beside the voice, and the "
                f"modalities of the manifest have {first}"
            )

    @cached_property
    def sentence_encoder(self) -> SentenceEncoder:
        """Makes vectors of texts; set it where the recipe named another than the packaged one."""
        from serein.features.text import SentenceEncoder

        return SentenceEncoder()

    def predict(
        self,
        source: Source | None = None,
        *,
        rate: int | None = None,
        window_s: float | None = None,
        hop_s: float | None = None,
        face: FaceSource | None = None,
        text: str | None = None,
        **telling: Any,
    ) -> Prediction:
        """Predict for one recording and what else is known of it; one of the three may be enough.

        `source`: the recording; `rate, window_s, hop_s`, and for a recording alone `telling`
        (`channels` …): as `Recognizer.predict` takes them;
        `face`: A table of OpenFace 2, of the same stretch of time; `text`: what is said. It counts
        for the whole, not for the segments of the timeline.
        Returns: its `modalities` hold the prediction from each alone.
        """
        self._check_given(source, face, text)
        if source is not None and face is None and text is None:
            return super().predict(source, rate=rate, window_s=window_s, hop_s=hop_s, **telling)
        check_voice_alone(Telling(**telling), alone=False)
        signal = None if source is None else read_audio(source, rate=rate, limits=self.limits)
        units = read_openface(face) if isinstance(face, (str, os.PathLike)) else face
        samples = signal.size if signal is not None else _samples(units)
        model, grid = self._model, self._grid(window_s, hop_s)
        known = _face(units) | ({} if text is None else {"text": self._sentence(text)})
        usual = self._each(
            (span, sound, [known, _face(units, *span)])
            for span, sound in _windows(signal, samples, model.window, model.hop)
        )
        whole = _averaged([(end - start, found[0]) for (start, end), found in usual])
        parts = [(span, found[1]) for span, found in usual]
        if grid != (model.window, model.hop):
            windows = _windows(signal, samples, *grid)
            each = self._each((span, sound, [_face(units, *span)]) for span, sound in windows)
            parts = [(span, found[0]) for span, found in each]
        timeline = tuple(self._segment(span, found) for span, found in parts)
        joint = self._segment((0.0, samples / RATE_HZ), whole)
        if text is not None:
            said = replace(joint.modalities["words"], text=text)
            joint = replace(joint, modalities={**joint.modalities, "words": said})
        return Prediction(
            *(joint.start, joint.end, joint.emotion, joint.confidence, joint.probabilities),
            os.fspath(source) if isinstance(source, (str, os.PathLike)) else None,
            *(self.name, timeline),
            modalities=joint.modalities,
            contributions=joint.contributions,
            own=joint.own,
        )

    def _check_given(self, source: Any, face: Any, text: Any) -> None:
        given = [name for name, value in (("face", face), ("text", text)) if value is not None]
        for name in given:
            if name not in self.widths:
                raise SettingError(
                    f"the model {self.name!r} was trained on {' and '.join(self.widths)}, not on "
                    f"{name}: leave {name} out"
                )
        if source is None and not given:
            raise SettingError("nothing to predict from: give a recording, a face or a text")

    def _sentence(self, text: str) -> Array:
        wanted = self.manifest["modalities"]["text"]
        encoder, width = self.sentence_encoder, self.widths["text"]
        if (encoder.fingerprint, encoder.dimensions) != (wanted["fingerprint"], width):
            raise BundleError(
                f"the model {self.name!r} was trained with the sentence encoder "
                f"{wanted.get('encoder')} of {width} dimensions, which this one is not: set its "
                "sentence_encoder"
            )
        vector: Array = encoder([text])[0]
        return vector

    def _each(self, windows: Iterable[Window]) -> list[tuple[Span, list[Subsets]]]:
        """Predict for each window; those without sound many in a run, for the encoder is slow."""
        cut = list(windows)
        silent = [one for _, sound, given in cut if sound is None for one in given]
        parts = range(0, len(silent), BATCH)
        without = (found for n in parts for found in self._subsets(None, silent[n : n + BATCH]))
        return [
            (span, [*islice(without, len(given))] if sound is None else self._subsets(sound, given))
            for span, sound, given in cut
        ]

    def _subsets(self, sound: Signal | None, given: Sequence[Mapping[str, Array]]) -> list[Subsets]:
        """Predict with one sound from every set of modalities; without speech there is no voice."""
        model, network = self._model, cast("FusedNetwork", self._model.network)
        voice = () if sound is None else ("voice",)
        parts = [
            (number, part) for number, one in enumerate(given) for part in subsets([*voice, *one])
        ]
        rows = np.full((len(parts), self._width), np.nan, np.float32)
        for row, (number, part) in zip(rows, parts, strict=True):
            row[0] = "voice" in part
            for name in set(part) - {"voice"}:
                row[self._columns[name]] = given[number][name]
        features = model.front_end(_some_sound() if sound is None else sound)
        probabilities, speech = network.predict_fused(features, rows)[:2]
        found: list[Subsets] = [{} for _ in given]
        for (number, part), row in zip(parts, probabilities, strict=True):
            if "voice" not in part or speech >= model.speech_threshold:
                found[number][part] = model.restricted(row)
        return found

    def _segment(self, bounds: tuple[float, float], given: Subsets) -> Segment:
        """Say what the modalities of one stretch say, together and each alone."""
        names = max(given, key=len)
        if not names:
            return make_segment(bounds, {}, self.unsure_below)
        named = self._model.named
        own = self._model.own
        joint = make_segment(bounds, named(given[names]), self.unsure_below, own=own)
        best = int(given[names].argmax())
        values = shapley({part: log(max(row[best], 1e-12)) for part, row in given.items()})
        total = sum(map(abs, values.values()))
        alone = {name: make_segment(bounds, named(given[(name,)]), 0.0, own=own) for name in names}
        return replace(
            joint,
            modalities={TITLES[name]: segment for name, segment in alone.items()},
            contributions={
                TITLES[name]: value / total if total else 0.0 for name, value in values.items()
            },
        )


def _windows(
    signal: Signal | None, samples: int, window: int, hop: int
) -> Iterator[tuple[Span, Signal | None]]:
    """Cut a recording into windows: the stretch each stands for, and its sound if it has any."""
    starts = window_starts(samples, window, hop)
    for start, span in zip(starts, segment_bounds(starts, window, samples), strict=True):
        sound = None if signal is None else signal[start : start + window]
        yield span, None if sound is None or is_silent(sound) else sound


def face_features(means: npt.ArrayLike) -> Array:
    """Return the square roots of mean action units, whose distributions are skewed."""
    return np.sqrt(np.maximum(np.asarray(means, np.float32), 0.0))


def _face(units: ActionUnits | None, start: float = 0.0, end: float = np.inf) -> dict[str, Array]:
    """Describe the face in one stretch of time; nothing, if it was not followed there."""
    if units is None:
        return {}
    there = (units.time_s >= start) & (units.time_s < end)
    mean = replace(units, **{name: getattr(units, name)[there] for name in vars(units)}).mean()
    return {} if np.isnan(mean).any() else {"face": face_features(mean)}


def _samples(units: ActionUnits | None) -> int:
    """Say how long a face lasts, in samples of sound; at least one."""
    return 1 if units is None else max(1, round(float(units.time_s[-1]) * RATE_HZ))


def _some_sound() -> Signal:
    """Make something for the front end where there is no voice; the graph does not use it."""
    noise = np.random.default_rng(0).standard_normal(RATE_HZ)
    return (0.1 * noise).astype(np.float32)


def _averaged(windows: list[tuple[float, Subsets]]) -> Subsets:
    """Average windows, each by its length: those with speech, or all if there are none."""
    most = max(len(found) for _, found in windows)
    kept = [(length, found) for length, found in windows if len(found) == most]
    lengths = np.array([max(length, 1e-9) for length, _ in kept])
    return {
        subset: np.average([found[subset] for _, found in kept], axis=0, weights=lengths)
        for subset in kept[0][1]
    }


def _widths(bundle: Bundle) -> dict[str, int]:
    given: Any = bundle.manifest.get("modalities")
    known = {"face": len(ACTION_UNITS)}
    try:
        widths = {name: int(about["features"]) for name, about in given.items()}
        right = all(known.get(name, width) == width > 0 for name, width in widths.items())
        named = next(iter(widths)) == "voice" and set(widths) <= set(TITLES) and len(widths) > 1
        if "text" in widths:
            named = named and isinstance(given["text"]["fingerprint"], str)
    except (AttributeError, KeyError, TypeError, ValueError, StopIteration) as error:
        raise BundleError(f"{bundle.place}: modalities: {error!r}") from error
    if not (right and named):
        raise BundleError(f"{bundle.place}: modalities are {given}; need voice, face and text")
    return widths
