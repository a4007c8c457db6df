"""The recogniser: a recording in, its emotion out. Needs numpy, soundfile, soxr, onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import numpy as np
import numpy.typing as npt

from serein.audio.read import RATE_HZ, Signal, read_audio
from serein.defaults import (
    DEFAULT_LIMITS,
    DEFAULT_MODEL,
    DEFAULT_PROVIDER,
    DEFAULT_UNSURE_BELOW,
    UNSURE_RANGE,
    Limits,
)
from serein.errors import AudioError, BundleError, SereinError, unknown_name
from serein.features.frontend import FrontEnd, frame_rms, loud_rms
from serein.inference.bundle import Bundle, read_bundle
from serein.inference.network import open_network
from serein.inference.prediction import Prediction, Segment
from serein.inference.speaker import Speaker
from serein.inference.timeline import (
    averaged,
    check_window,
    labelled,
    segment_bounds,
    window_starts,
)
from serein.models.speaker_prior import SpeakerPrior
from serein.recordings import recordings

PRETRAINED = Path(__file__).parent / "pretrained"
SILENCE_RMS = 1e-4  # -80 dB of full scale: under this, the louder frames are silence

Source = str | os.PathLike[str] | bytes | BinaryIO | npt.NDArray[Any]


def load(
    model: str | Path = DEFAULT_MODEL,
    *,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    unsure_below: float = DEFAULT_UNSURE_BELOW,
    provider: str = DEFAULT_PROVIDER,
) -> Recognizer:
    """Load a recogniser.

    Parameters
    ----------
    model : str or path
        Name of a bundled model, or the folder or zip of a bundle.
    threads : int, optional
        CPU threads for the network; all cores, at most 4, if not given.
    limits : Limits
        What is accepted as a recording.
    unsure_below : float
        Where the likeliest emotion's confidence, 0 to 1, is below this, the answer is ``unsure``.
    provider : str
        What computes the network, by onnxruntime: ``cpu``, ``cuda``, ``cuda:1``, ``coreml`` …

    Returns
    -------
    Recognizer
        Ready to predict.

    Raises
    ------
    BundleError
        If there is no such model, or its bundle is not sound.
    EngineError
        If the installed onnxruntime has no such provider, or it cannot be started.
    """
    bundle = read_bundle(find_model(model))
    return Recognizer(
        bundle, threads=threads, limits=limits, unsure_below=unsure_below, provider=provider
    )


def bundled_models() -> list[str]:
    """Name the models that come with serein, the default first."""
    names = sorted(place.parent.name for place in PRETRAINED.glob("*/manifest.json"))
    return sorted(names, key=lambda name: name != DEFAULT_MODEL)


def find_model(model: str | Path) -> Path:
    """Say where a model's bundle is."""
    if str(model) in bundled_models():
        return PRETRAINED / str(model)
    if Path(model).exists():
        return Path(model)
    raise BundleError(
        f"{unknown_name('model', str(model), bundled_models())}; or give the path of a bundle"
    )


class Recognizer:
    """Tells what emotion a listener would hear in a recording.

    Parameters
    ----------
    bundle : Bundle
        The trained model.
    threads : int, optional
        CPU threads for the network; all cores, at most 4, if not given.
    limits : Limits
        What is accepted as a recording.
    unsure_below : float
        Answers of less confidence, 0 to 1, are ``unsure``.
    provider : str
        What computes the network: see `load`.

    Attributes
    ----------
    labels : tuple of str
        The emotions it knows, in the order of its probabilities.
    window_s, hop_s : float
        How long the windows of its timeline are, and how far apart they begin, in seconds.
    speaker : Speaker
        Whom it answers for.
    manifest : dict
        What the model is: licence, scores, training speakers.

    Raises
    ------
    BundleError
        If the graph or its settings cannot be used.
    EngineError
        If the provider cannot.
    ValueError
        If `unsure_below` is not from 0 to 1.

    Examples
    --------
    >>> recognizer = load()
    >>> silence = np.zeros(16000, dtype=np.float32)
    >>> recognizer.predict(silence, rate=16000).speech
    False
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        unsure_below: float = DEFAULT_UNSURE_BELOW,
        provider: str = DEFAULT_PROVIDER,
    ) -> None:
        UNSURE_RANGE.check("unsure_below", unsure_below)
        self.manifest = bundle.manifest
        self.name: str = bundle.manifest["name"]
        self.labels = bundle.labels
        self.limits = limits
        self.unsure_below = unsure_below
        self.window_s: float = self.manifest["window_s"]
        self.hop_s: float = self.manifest["hop_s"]
        self._front_end = _front_end(bundle)
        self._model = open_network(bundle, threads, provider)
        self.speaker = Speaker(_speaker_prior(bundle))

    @property
    def utterances_known(self) -> int:
        """By how many utterances of the speaker it is adapted; 0 for a stranger."""
        return self.speaker.utterances_known

    def predict(
        self,
        source: Source,
        *,
        rate: int | None = None,
        window_s: float | None = None,
        hop_s: float | None = None,
    ) -> Prediction:
        """Answer for one recording."""
        own, asked = self._grid(None, None), self._grid(window_s, hop_s)
        signal = read_audio(source, rate=rate, limits=self.limits)
        usual = self._timeline(signal, *own)
        timeline = usual if asked == own else self._timeline(signal, *asked)
        file = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        whole = averaged((0.0, usual[-1].end), usual, self.unsure_below)
        return Prediction(
            *(whole.start, whole.end, whole.emotion, whole.confidence, whole.probabilities),
            *(file, self.name, timeline),
            self.utterances_known,
        )

    def adapt(self, recordings: Source | Iterable[Source], *, rate: int | None = None) -> Self:
        """Learn what is particular to a speaker; answers are for this speaker from then on.

        No emotion need be known. Each window with speech is an utterance; the more there are, and
        the more varied in emotion, the more is learnt, and little from what may be one emotion.
        What earlier calls learnt of the speaker is kept.

        Parameters
        ----------
        recordings : path, bytes, binary file, array; or an iterable of them
            Of one speaker; a folder is all recordings in it.
        rate : int, optional
            Sampling rate in Hz, for arrays.

        Returns
        -------
        Recognizer
            Itself.

        Raises
        ------
        AudioError
            If one cannot be read, or none holds speech: then nothing has been learnt.
        BundleError
            If the model was trained without what adaptation needs.
        """
        self.check_adapts()
        sources = list(_each(recordings))
        found = [row for source in sources for row in self._utterances(source, rate)]
        if not found:
            raise AudioError(
                f"no speech in {len(sources)} recording(s): nothing can be learnt of the speaker"
            )
        self.speaker.learn(found)
        return self

    def check_adapts(self) -> None:
        """Raise BundleError if the model did not learn how speakers differ."""
        if self.speaker.prior is None:
            raise BundleError(
                f"the model {self.name!r} did not learn how speakers differ, so it cannot adapt: "
                "train it again with protocol.calibration_folds of 2 or more"
            )

    def forget_speaker(self) -> None:
        """Answer for a stranger again."""
        self.speaker.forget()

    def predict_all(
        self, files: Iterable[str | Path]
    ) -> Iterator[tuple[Path, Prediction | SereinError]]:
        """Answer for many files; a bad one does not stop the others.

        Parameters
        ----------
        files : iterable of path
            Recordings, or folders of recordings.

        Yields
        ------
        tuple of path and (Prediction or SereinError)
            In the order given; for a bad file, the error instead of an answer.
        """
        for entry in files:
            try:
                found = recordings(entry)
            except SereinError as error:
                yield Path(entry), error
                continue
            for file in found:
                yield file, answer_or_error(self.predict, file)

    def probabilities(self, signal: Signal) -> npt.NDArray[np.float32]:
        """Ask the network alone about the first window of a signal, speech or not.

        Parameters
        ----------
        signal : numpy.ndarray
            Shape (samples,), float32, mono at 16 kHz.

        Returns
        -------
        numpy.ndarray
            Shape (labels,), float32.
        """
        window, _ = self._grid(None, None)
        return self.answer_features(self._front_end(signal[:window]))[0]

    def answer_features(
        self, features: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], float]:
        """Ask the network about what the front end made of one window.

        Parameters
        ----------
        features : numpy.ndarray
            As the bundle's `FrontEnd` gives them.

        Returns
        -------
        probability : numpy.ndarray
            Shape (labels,), float32.
        speech : float
            Probability of speech, 0 to 1.
        """
        probability, speech = self._model.answer(features)
        return self.speaker.own(probability), speech

    def hear(self, window: Signal) -> npt.NDArray[np.float32] | None:
        """Answer for a window as for a stranger.

        Parameters
        ----------
        window : numpy.ndarray
            Shape (samples,), float32, mono at 16 kHz.

        Returns
        -------
        numpy.ndarray or None
            Shape (labels,), float32; None without speech.
        """
        if loud_rms(frame_rms(window)) < SILENCE_RMS:
            return None
        probability, speech = self._model.answer(self._front_end(window))
        return None if speech < self.manifest["speech_threshold"] else probability

    def segment(self, window: Signal, bounds: tuple[float, float]) -> Segment:
        """Answer for a window as for its speaker.

        Parameters
        ----------
        window : numpy.ndarray
            Shape (samples,), float32, mono at 16 kHz.
        bounds : tuple of float
            Which stretch it stands for: start and end in seconds.

        Returns
        -------
        Segment
            Its emotion is None where there is no speech.
        """
        answer = self.hear(window)
        named = {} if answer is None else self.named(self.speaker.own(answer))
        return labelled(bounds, named, self.unsure_below)

    def named(self, probability: npt.NDArray[np.float32]) -> dict[str, float]:
        """Return probabilities, shape (labels,), by the names of their emotions."""
        return dict(zip(self.labels, probability.tolist(), strict=True))

    def _timeline(self, signal: Signal, window: int, hop: int) -> tuple[Segment, ...]:
        """Answer for each window of a recording, its lengths in samples."""
        starts = window_starts(signal.size, window, hop)
        bounds = segment_bounds(starts, window, signal.size)
        return tuple(
            self.segment(signal[start : start + window], span)
            for start, span in zip(starts, bounds, strict=True)
        )

    def _grid(self, window_s: float | None, hop_s: float | None) -> tuple[int, int]:
        """Return window and hop in samples."""
        if window_s is None and hop_s is None:
            return round(self.window_s * RATE_HZ), round(self.hop_s * RATE_HZ)
        window_s = self.window_s if window_s is None else window_s
        return check_window(window_s, window_s if hop_s is None else hop_s)

    def _utterances(self, source: Source, rate: int | None) -> Iterator[npt.NDArray[np.float32]]:
        """Answer for each window with speech as for a stranger."""
        signal = read_audio(source, rate=rate, limits=self.limits)
        window, hop = self._grid(None, None)
        for start in window_starts(signal.size, window, hop):
            probability = self.hear(signal[start : start + window])
            if probability is not None:
                yield probability


def answer_or_error(predict: Callable[[Path], Prediction], file: Path) -> Prediction | SereinError:
    """Answer for a file, or give back what is wrong with it."""
    try:
        return predict(file)
    except SereinError as error:
        return error


def _each(given: Source | Iterable[Source]) -> Iterator[Source]:
    """List single recordings, folders opened."""
    one = isinstance(given, (str, os.PathLike, bytes, np.ndarray)) or hasattr(given, "read")
    for entry in cast("Iterable[Source]", [given] if one else given):
        if isinstance(entry, (str, os.PathLike)):
            yield from recordings(Path(entry))
        else:
            yield entry


def _speaker_prior(bundle: Bundle) -> SpeakerPrior | None:
    values = bundle.manifest.get("adaptation")
    if values is None:
        return None
    try:
        return SpeakerPrior.from_dict(values, len(bundle.labels))
    except (TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{bundle.place}: adaptation: {error}") from error


def _front_end(bundle: Bundle) -> FrontEnd:
    try:
        return FrontEnd.from_dict(bundle.manifest["front_end"])
    except (TypeError, ValueError) as error:
        raise BundleError(f"{bundle.place}: {error}; update serein") from error
