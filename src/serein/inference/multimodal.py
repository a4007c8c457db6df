"""A recording with all that can be made out in it: the voice, the face of a video, the words.

Needs the extra [face] for videos and the extra [text] for words.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from serein.audio.read import RATE_HZ, Signal, read_audio
from serein.audio.video_sound import has_sound, is_video, read_video_sound
from serein.errors import SettingError, unknown_name
from serein.features.video import is_still
from serein.inference.prediction import UNSURE, Prediction, Segment
from serein.inference.timeline import segment_bounds, window_starts

if TYPE_CHECKING:
    from serein.features.face import FaceSeries
    from serein.features.transcript import Transcriber, Transcript
    from serein.inference.recognizer import Recognizer
    from serein.inference.words import WordsRecognizer


class MultimodalRecognizer:
    """Tells what voice, face and words say, each by itself and together, on one timeline.

    Parameters
    ----------
    voice : Recognizer
        Judges the sound; its windows are the timeline.
    trust : mapping of str to float, optional
        How much ``voice``, ``face`` and ``words`` count, where it is not
        `serein.inference.multimodal.TRUST`.
    frames_per_s : float
        How many frames of a video are looked at.
    speech_model : path, optional
        Folder of a faster-whisper model for transcripts; the one that is installed, if not given.

    Raises
    ------
    ValueError
        If `trust` names no modality, or a number is not 0 to 10.
    """

    def __init__(
        self,
        voice: Recognizer,
        *,
        trust: Mapping[str, float] | None = None,
        frames_per_s: float = 5.0,
        speech_model: str | Path | None = None,
    ) -> None:
        self.voice = voice
        self.trust = check_trust(trust or {})
        self.frames_per_s = frames_per_s
        self.speech_model = speech_model

    @cached_property
    def words(self) -> WordsRecognizer:
        """Judges what is said."""
        from serein.inference.words import load_words

        return load_words()

    @cached_property
    def transcriber(self) -> Transcriber:
        """Writes down what is said."""
        from serein.features.transcript import Transcriber

        return Transcriber(self.speech_model)

    def predict(
        self,
        source: str | os.PathLike[str],
        *,
        text: str | None = None,
        transcribe: bool = False,
        window_s: float | None = None,
        hop_s: float | None = None,
    ) -> Prediction:
        """Answer for one recording or video."""
        voice = partial(self.voice.predict, window_s=window_s, hop_s=hop_s)
        if is_still(source) or is_video(source):
            return self._of_pictures(source, voice, text, transcribe=transcribe)
        heard = voice(source)
        if text is None and not transcribe:
            return heard
        return self._joined(heard, None, self._said(source, text, transcribe=transcribe))

    def adapt(self, source: str | os.PathLike[str]) -> None:
        """Learn what is particular to the voice of a speaker, as `Recognizer.adapt` does.

        Parameters
        ----------
        source : path
            A sound file or a video.

        Raises
        ------
        AudioError
            If it cannot be read, or holds no speech.
        """
        if is_video(source):
            self.voice.adapt(read_video_sound(source, limits=self.voice.limits), rate=RATE_HZ)
        else:
            self.voice.adapt(source)

    def _of_pictures(
        self,
        source: str | os.PathLike[str],
        voice: Callable[..., Prediction],
        text: str | None,
        *,
        transcribe: bool,
    ) -> Prediction:
        """Answer for a video or a still image."""
        from serein.features.face import describe_face

        face = describe_face(source, per_s=self.frames_per_s)
        file = os.fspath(source)
        sound: Signal | None = None
        if not is_still(source) and has_sound(source):
            sound = read_video_sound(source, limits=self.voice.limits)
            heard = replace(voice(sound, rate=RATE_HZ), file=file)
        else:
            heard = self._unheard(file, float(face.time_s[-1]) if len(face.time_s) else 0.0)
        said = self._said(sound, text, transcribe=transcribe and sound is not None)
        return self._joined(heard, face, said)

    def _unheard(self, file: str, duration: float) -> Prediction:
        """Lay out the timeline of what has no sound, in windows as long as the voice's."""
        window = round(self.voice.manifest["window_s"] * RATE_HZ)
        samples = max(1, round(duration * RATE_HZ))
        bounds = segment_bounds(window_starts(samples, window, window), window, samples)
        timeline = tuple(Segment(*span, None, None, {}) for span in bounds)
        return Prediction(0.0, duration, None, None, {}, file, self.voice.name, timeline)

    def _said(
        self, source: str | os.PathLike[str] | Signal | None, text: str | None, *, transcribe: bool
    ) -> str | Transcript | None:
        """Take the words that are given, or write down those that are heard."""
        if text is not None or not transcribe or source is None:
            return text
        if not isinstance(source, np.ndarray):
            source = read_audio(source, limits=self.voice.limits)
        return self.transcriber(source)

    def _joined(
        self, heard: Prediction, face: FaceSeries | None, said: str | Transcript | None
    ) -> Prediction:
        """Fuse the modalities for the whole and for each segment."""
        timed = said if not isinstance(said, str) else None
        timeline = tuple(
            self._fused(segment, face, timed.between(segment.start, segment.end) if timed else None)
            for segment in heard.timeline
        )
        words = said if said is None or isinstance(said, str) else said.text
        return replace(self._fused(heard, face, words), timeline=timeline)

    def _fused(self, heard: AnySegment, face: FaceSeries | None, words: str | None) -> AnySegment:
        """Fuse the modalities of one stretch; which of them take part does not change over time."""
        start, end = heard.start, heard.end
        modalities = {
            "voice": Segment(start, end, heard.emotion, heard.confidence, heard.probabilities)
        }
        if face is not None:
            whole = isinstance(heard, Prediction)  # a still image is of no length
            seen = face.pooled() if whole else face.pooled(start, end)
            modalities["face"] = _segment(start, end, seen)
        if words is not None:
            named = self.words.predict(words).probabilities if words.strip() else None
            modalities["words"] = replace(_segment(start, end, named), text=words)
        return fuse(heard, modalities, self.trust, self.voice.unsure_below)


def _segment(start: float, end: float, probabilities: Mapping[str, float] | None) -> Segment:
    """Make the segment of one modality."""
    if not probabilities:
        return Segment(start, end, None, None, {})
    emotion = max(probabilities, key=probabilities.__getitem__)
    return Segment(start, end, emotion, probabilities[emotion], probabilities)


MODALITIES = ("voice", "face", "words")
TRUST = {"voice": 1.0, "face": 0.5, "words": 0.5}
"""Exponents of the product rule. The voice's probabilities are calibrated on speakers like the
user's; those of faces on photographs, those of words on one television series: they count half."""
MIN_PROBABILITY = 0.01  # where modalities are fused, so that none can veto the others
MIN_ALONE = 1e-9  # where there is only one

AnySegment = TypeVar("AnySegment", bound=Segment)


def check_trust(trust: Mapping[str, float]) -> dict[str, float]:
    """Complete and check how much each modality counts."""
    for name, value in trust.items():
        if name not in MODALITIES:
            raise SettingError(unknown_name("modality", name, MODALITIES))
        if not 0 <= value <= 10:
            raise SettingError(f"trust in {name} is {value}; allowed: 0 to 10, where 1 is in full")
    return TRUST | dict(trust)


def fuse(
    whole: AnySegment,
    modalities: Mapping[str, Segment],
    trust: Mapping[str, float] = TRUST,
    unsure_below: float = 0.0,
) -> AnySegment:
    """Fuse the predictions of one stretch by the product rule.

    The joint probability of an emotion is proportional to the product of each modality's ratio of
    probability to chance, to the power of the trust in that modality. A missing modality, or one
    without this emotion, contributes a factor of 1.
    """
    given = {
        name: segment.probabilities
        for name, segment in modalities.items()
        if trust[name] > 0 and segment.probabilities
    }
    floor = MIN_PROBABILITY if len(given) > 1 else MIN_ALONE
    evidence = {
        name: _evidence(probabilities, trust[name], floor) for name, probabilities in given.items()
    }
    labels = list(dict.fromkeys(label for found in evidence.values() for label in found))
    joint = replace(
        whole,
        emotion=None,
        confidence=None,
        probabilities={},
        modalities=modalities,
        contributions={},
    )
    if not labels:
        return joint
    total = {label: sum(found.get(label, 0.0) for found in evidence.values()) for label in labels}
    probabilities = _softmax(total)
    emotion = max(probabilities, key=probabilities.__getitem__)
    confidence = probabilities[emotion]
    return replace(
        joint,
        emotion=UNSURE if confidence < unsure_below else emotion,
        confidence=confidence,
        probabilities=probabilities,
        contributions=_contributions(evidence, emotion, labels),
    )


def _evidence(probabilities: Mapping[str, float], trust: float, floor: float) -> dict[str, float]:
    """Return the weighted log ratio of each emotion's probability to chance."""
    chance = log(1 / len(probabilities))
    return {k: trust * (log(max(value, floor)) - chance) for k, value in probabilities.items()}


def _softmax(scores: Mapping[str, float]) -> dict[str, float]:
    highest = max(scores.values())
    raised = {label: exp(score - highest) for label, score in scores.items()}
    total = sum(raised.values())
    return {label: value / total for label, value in raised.items()}


def _contributions(
    evidence: Mapping[str, Mapping[str, float]], emotion: str, labels: list[str]
) -> dict[str, float]:
    """Return each modality's lead of the emotion over the mean of the others, as a share."""
    others = [label for label in labels if label != emotion]
    leads = {
        name: found.get(emotion, 0.0)
        - sum(found.get(label, 0.0) for label in others) / max(1, len(others))
        for name, found in evidence.items()
    }
    total = sum(map(abs, leads.values()))
    return {name: lead / total if total else 0.0 for name, lead in leads.items()}
