"""A recording with all its modalities: the voice, the face of a video, the words.

Needs the extra [face] for videos and the extra [text] for words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeGuard, TypeVar, cast

from serein.audio.channels import Channels
from serein.audio.media import VideoSource, has_sound, is_video
from serein.audio.read import RATE_HZ, read_audio
from serein.defaults import Limits
from serein.emotions import UNSURE
from serein.errors import SereinError, SettingError, check_name, check_range
from serein.features.video import is_still
from serein.inference.fusion import FaceSource, FusionRecognizer
from serein.inference.lanes import PLAIN, Cut, Telling, check_voice_alone
from serein.inference.prediction import Prediction, Segment
from serein.inference.recognizer import (
    Recognizer,
    Source,
    is_rereadable,
    predict_files,
)
from serein.inference.speakers import Speakers
from serein.inference.timeline import make_segment, segment_bounds, window_starts

if TYPE_CHECKING:
    from serein.features.face import FaceSeries
    from serein.features.transcript import Transcriber, Transcript
    from serein.inference.words import WordsRecognizer


class MultimodalRecognizer:
    """Predicts from voice, face and words, each by itself and fused, on one timeline.

    Attributes and methods are those of `Recognizer`.

    Parameters
    ----------
    voice : Recognizer
        Predicts from the sound; its windows are the timeline.
    trust : mapping of str to float, optional
        How much ``voice``, ``face`` and ``words`` count, 0 to 10, where it is not
        `serein.inference.multimodal.TRUST`.
    frames_per_s : float
        How many frames of a video are looked at.
    speech_model : path, optional
        Folder of a faster-whisper model for transcripts; the one that is installed, if not given.

    Attributes
    ----------
    name, labels, manifest, limits, window_s, hop_s, unsure_below, utterances_known
        Those of `voice`. A face or words may add emotions to the joint probabilities.

    Raises
    ------
    SettingError
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
        self.name = voice.name
        self.labels = voice.labels
        self.manifest: dict[str, Any] = voice.manifest
        self.limits: Limits = voice.limits
        self.window_s, self.hop_s = voice.window_s, voice.hop_s

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is loaded again where it is needed."""
        lazy = ("_words", "_transcriber")
        return {name: value for name, value in vars(self).items() if name not in lazy}

    @property
    def unsure_below(self) -> float:
        """The emotion of a lower confidence is ``unsure``."""
        return self.voice.unsure_below

    @property
    def utterances_known(self) -> int:
        """By how many utterances the voice is adapted: windows with speech; 0 for none."""
        return self.voice.utterances_known

    def predict(
        self,
        source: Source | None,
        *,
        rate: int | None = None,
        face: FaceSource | None = None,
        text: str | None = None,
        transcribe: bool = False,
        window_s: float | None = None,
        hop_s: float | None = None,
        channels: Channels = "mix",
        segments: Cut = "windows",
        speakers: Speakers | None = None,
        adapt: bool = False,
    ) -> Prediction:
        """Predict the emotion of one recording, video or picture.

        Parameters
        ----------
        source : path, bytes, binary file or array
            As `Recognizer.predict` takes it; of a video or picture, the face is used too, by a
            recognizer of its own, unless a table `face` is given.
        rate : int, optional
            Sampling rate in Hz, for an array.
        face : path or ActionUnits, optional
            A table of OpenFace 2, for a voice that is a `FusionRecognizer` trained on faces.
        text : str, optional
            The transcript, in English.
        transcribe : bool
            Whether to transcribe the speech, where no `text` is given.
        window_s, hop_s : float, optional
            Windows of the timeline, as in `Recognizer.predict`.
        channels, segments, speakers, adapt
            What is told apart, as in `Recognizer.predict`; if anything is, the sound alone counts.

        Returns
        -------
        Prediction
            As `Recognizer.predict` gives it for a voice alone; else the joint prediction, with
            `modalities` and `contributions` for the whole and for each segment. A given `text` has
            no times, so it counts for the whole only.

        Raises
        ------
        AudioError, VideoError, TextError
            If the file or the text cannot be used. A video without sound or without a face is no
            error: that modality is missing.
        MissingExtraError
            If what a video or words need is not installed.
        SettingError
            If `window_s` or `hop_s` is outside its range, or the model was not trained on faces; or
            voices are to be told apart, and a face or words are given.
        """
        telling = Telling(channels, segments, speakers, adapt)
        grid: Any = {"window_s": window_s, "hop_s": hop_s}
        if telling != PLAIN:
            alone = face is None and text is None and not transcribe and source is not None
            check_voice_alone(telling, alone=alone)
            return self.voice.predict(cast("Source", source), rate=rate, **grid, **vars(telling))
        if source is not None and face is None and _has_pictures(source):
            return self._of_pictures(source, text, transcribe, window_s, hop_s)
        trained = isinstance(self.voice, FusionRecognizer) and "text" in self.voice.widths
        if (trained and (text is not None or transcribe)) or face is not None or source is None:
            if transcribe and text is None and source is not None:
                text = self._said(source, rate).text.strip() or None
            return self._trained(source, rate=rate, face=face, text=text, **grid)
        voice = self.voice.predict(source, rate=rate, **grid)
        if text is None and not transcribe:
            return voice
        return self._joined(voice, None, text if text is not None else self._said(source, rate))

    def predict_all(
        self, files: Iterable[str | Path]
    ) -> Iterator[tuple[Path, Prediction | SereinError]]:
        """Predict many recordings and videos, as `Recognizer.predict_all` does."""
        return predict_files(self.predict, files)

    def adapt(
        self,
        recordings: Source | Iterable[Source],
        *,
        to: Literal["speaker", "recordings"] = "speaker",
        rate: int | None = None,
    ) -> Self:
        """Adapt the voice to recordings without labels, as `Recognizer.adapt` does.

        Of a video the sound is taken; a face or words are not adapted.
        """
        self.voice.adapt(recordings, to=to, rate=rate)
        return self

    def learn(
        self,
        recordings: Iterable[Source],
        emotions: Sequence[str],
        *,
        rate: int | None = None,
    ) -> Self:
        """Learn from a few labelled recordings, as `Recognizer.learn` does.

        Of a video the sound is taken; of a face or words nothing is learnt.
        """
        self.labels = self.voice.learn(recordings, emotions, rate=rate).labels
        return self

    def forget_speaker(self) -> None:
        """Adapt to nothing again."""
        self.voice.forget_speaker()

    def save_adaptation(self, file: str | Path) -> Path:
        """Write what `adapt` found, as `Recognizer.save_adaptation` does."""
        return self.voice.save_adaptation(file)

    def load_adaptation(self, file: str | Path) -> Self:
        """Adapt by what was saved, as `Recognizer.load_adaptation` does."""
        self.voice.load_adaptation(file)
        return self

    def _trained(self, source: Source | None, **given: Any) -> Prediction:
        """Predict by the fusion that the model was trained with."""
        if not isinstance(self.voice, FusionRecognizer):
            raise SettingError(
                f"the model {self.name!r} was trained on voices alone: a table of a face, or no "
                "recording at all, is for a model trained with [face] or [text]"
            )
        return self.voice.predict(source, **given)

    @cached_property
    def _words(self) -> WordsRecognizer:
        from serein.inference.words import load_words

        return load_words()

    @cached_property
    def _transcriber(self) -> Transcriber:
        from serein.features.transcript import Transcriber

        return Transcriber(self.speech_model)

    def _said(self, source: Source, rate: int | None = None) -> Transcript:
        return self._transcriber(read_audio(source, rate=rate, limits=self.limits))

    def _of_pictures(
        self,
        source: VideoSource,
        text: str | None,
        transcribe: bool,
        window_s: float | None,
        hop_s: float | None,
    ) -> Prediction:
        """Predict a video or a still image."""
        from serein.features.face import describe_face

        face = describe_face(source, per_s=self.frames_per_s)
        if is_still(source) or not has_sound(source):
            file = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
            voice = self._silent(file, float(face.time_s[-1]) if len(face.time_s) else 0.0)
            return self._joined(voice, face, text)
        voice = self.voice.predict(source, window_s=window_s, hop_s=hop_s)
        said = self._said(source) if text is None and transcribe else text
        return self._joined(voice, face, said)

    def _silent(self, file: str | None, duration: float) -> Prediction:
        """Lay out the timeline of what has no sound, in windows as long as the voice's."""
        window = round(self.window_s * RATE_HZ)
        samples = max(1, round(duration * RATE_HZ))
        bounds = segment_bounds(window_starts(samples, window, window), window, samples)
        timeline = tuple(Segment(*span, None, None, {}) for span in bounds)
        return Prediction(0.0, duration, None, None, {}, file, self.name, timeline)

    def _joined(
        self, voice: Prediction, face: FaceSeries | None, said: str | Transcript | None
    ) -> Prediction:
        """Fuse the modalities for the whole and for each segment."""
        timed = said if not isinstance(said, str) else None
        timeline = tuple(
            self._fused(segment, face, timed.between(segment.start, segment.end) if timed else None)
            for segment in voice.timeline
        )
        words = said if said is None or isinstance(said, str) else said.text
        return replace(self._fused(voice, face, words), timeline=timeline)

    def _fused(self, voice: AnySegment, face: FaceSeries | None, words: str | None) -> AnySegment:
        """Fuse the modalities of one stretch; which of them take part does not change over time."""
        start, end = voice.start, voice.end
        modalities = {
            "voice": Segment(
                *(start, end, voice.emotion, voice.confidence, voice.probabilities),
                burst=voice.burst,
                own=voice.own,
            )
        }
        if face is not None:
            whole = isinstance(voice, Prediction)  # a still image is of no length
            seen = face.pooled() if whole else face.pooled(start, end)
            modalities["face"] = make_segment((start, end), seen or {})
        if words is not None:
            found = self._words.predict(words) if words.strip() else None
            named = found.probabilities if found and found.readable else {}
            modalities["words"] = replace(make_segment((start, end), named), text=words)
            if found and found.warning and isinstance(voice, Prediction):
                voice = replace(voice, notices=(*voice.notices, f"words: {found.warning}"))
        return fuse(voice, modalities, self.trust, self.unsure_below)


def _has_pictures(source: Source) -> TypeGuard[VideoSource]:
    return is_rereadable(source) and (is_still(source) or is_video(source))


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
        check_name("modality", name, MODALITIES)
        check_range(f"trust in {name}", value, 0, 10)
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
    without this emotion, contributes a factor of 1. A vocal burst is no voice that says something:
    it is the prediction only where nothing else is.
    """
    given = {
        name: segment.probabilities
        for name, segment in modalities.items()
        if trust[name] > 0 and segment.probabilities and not segment.burst
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
        burst=False,
    )
    if not labels:
        return replace(whole, modalities=modalities) if whole.burst else joint
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
