"""The recognizer: a recording in, its emotion out. The core install is enough."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeGuard, cast

import numpy as np
import numpy.typing as npt

from serein.audio.read import Signal, read_audio
from serein.audio.video_sound import VideoSource, is_video, read_video_sound
from serein.defaults import (
    DEFAULT_LIMITS,
    DEFAULT_PROVIDER,
    DEFAULT_UNSURE_BELOW,
    Limits,
)
from serein.errors import AudioError, BundleError, SereinError
from serein.inference.bundle import Bundle
from serein.inference.prediction import Prediction
from serein.inference.timeline import check_window, mean_segment, window_starts
from serein.inference.window_model import WindowModel
from serein.recordings import recordings

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | npt.NDArray[Any]


class Recognizer:
    """Predicts which emotion a listener would hear in a recording.

    `MultimodalRecognizer` has the same attributes and methods.

    Parameters
    ----------
    bundle : Bundle
        The trained model.
    threads : int, optional
        CPU threads for the network; all cores, at most 4, if not given.
    limits : Limits
        What is accepted as a recording.
    unsure_below : float
        The emotion of a lower confidence, 0 to 1, is ``unsure``.
    provider : str
        What computes the network: see `serein.load`.

    Attributes
    ----------
    name : str
        Name of the model.
    labels : tuple of str
        The emotions it knows, in the order of its probabilities.
    manifest : dict
        What the model is: licence, scores, training speakers.
    limits : Limits
        What is accepted as a recording.
    window_s, hop_s : float
        How long the windows of its timeline are, and how far apart they begin, in seconds.

    Raises
    ------
    BundleError
        If the graph or its settings cannot be used.
    EngineError
        If the provider cannot.
    SettingError
        If `unsure_below` is not from 0 to 1.

    Examples
    --------
    >>> import serein
    >>> recognizer = serein.load()
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
        self._model = WindowModel.of(
            bundle, threads=threads, unsure_below=unsure_below, provider=provider
        )
        self.manifest = bundle.manifest
        self.name: str = self.manifest["name"]
        self.labels = bundle.labels
        self.limits = limits
        self.window_s: float = self.manifest["window_s"]
        self.hop_s: float = self.manifest["hop_s"]

    @property
    def unsure_below(self) -> float:
        """The emotion of a lower confidence is ``unsure``."""
        return self._model.unsure_below

    @property
    def utterances_known(self) -> int:
        """By how many utterances of the speaker it is adapted; 0 for an unseen speaker."""
        return self._model.speaker.utterances_known

    def predict(
        self,
        source: Source,
        *,
        rate: int | None = None,
        window_s: float | None = None,
        hop_s: float | None = None,
    ) -> Prediction:
        """Predict the emotion of one recording.

        Parameters
        ----------
        source : path, bytes, binary file or array
            WAV, FLAC, Ogg, MP3 or AIFF; a video, of which the sound is taken (extra [face]); or
            samples, shape (samples,) or (samples, channels).
        rate : int, optional
            Sampling rate in Hz, for an array.
        window_s, hop_s : float, optional
            How long the windows of the timeline are, 0.5 to 10 s, and how far apart they begin, 0.1
            s to a window; the model's own, if not given. A finer timeline has less context around
            each moment, and takes longer; the prediction for the whole stays the same.

        Returns
        -------
        Prediction
            Emotion, confidence, probabilities and timeline; its `emotion` is None if there is no
            speech.

        Raises
        ------
        AudioError
            If it cannot be read, or is outside the limits.
        MissingExtraError
            If it is a video, and PyAV is not installed.
        SettingError
            If `window_s` or `hop_s` is outside its range.
        """
        model = self._model
        window, hop = self._grid(window_s, hop_s)
        signal = read_source(source, rate, self.limits)
        usual = timeline = model.timeline(signal, model.window, model.hop)
        if (window, hop) != (model.window, model.hop):
            timeline = model.timeline(signal, window, hop)
        file = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        whole = mean_segment((0.0, usual[-1].end), usual, model.unsure_below)
        return Prediction(
            *(whole.start, whole.end, whole.emotion, whole.confidence, whole.probabilities),
            *(file, self.name, timeline),
            self.utterances_known,
        )

    def predict_all(
        self, files: Iterable[str | Path]
    ) -> Iterator[tuple[Path, Prediction | SereinError]]:
        """Predict many files; a bad one does not stop the others.

        Parameters
        ----------
        files : iterable of path
            Recordings and videos, or folders of them.

        Yields
        ------
        tuple of path and (Prediction or SereinError)
            In the order given; for a bad file, the error in place of a prediction.
        """
        return predict_files(self.predict, files)

    def adapt(self, recordings: Source | Iterable[Source], *, rate: int | None = None) -> Self:
        """Adapt to a speaker, by recordings without labels; predictions are for this speaker then.

        The speaker's bias in the log-posteriors is estimated and removed: see
        `serein.models.speaker_prior.SpeakerPrior`. Each window with speech is an utterance; the
        more there are, and the more varied in emotion, the better the estimate; what may be a
        single emotion changes little. What earlier calls added is kept.

        Parameters
        ----------
        recordings : path, bytes, binary file, array; or an iterable of them
            Of one speaker; a folder is all recordings and videos in it.
        rate : int, optional
            Sampling rate in Hz, for arrays.

        Returns
        -------
        Recognizer
            Itself.

        Raises
        ------
        AudioError
            If one cannot be read, or none holds speech: then nothing is changed.
        BundleError
            If the model was trained without what adaptation needs.
        """
        check_adapts(self)
        sources = list(_each(recordings))
        found = [row for source in sources for row in self._posteriors(source, rate)]
        if not found:
            raise AudioError(
                f"no speech in {len(sources)} recording(s): cannot adapt to the speaker"
            )
        self._model.speaker.add(found)
        return self

    def forget_speaker(self) -> None:
        """Predict for an unseen speaker again."""
        self._model.speaker.forget()

    def _grid(self, window_s: float | None, hop_s: float | None) -> tuple[int, int]:
        """Return window and hop of a timeline in samples."""
        if window_s is None and hop_s is None:
            return self._model.window, self._model.hop
        window_s = self.window_s if window_s is None else window_s
        return check_window(window_s, window_s if hop_s is None else hop_s)

    def _posteriors(self, source: Source, rate: int | None) -> Iterator[npt.NDArray[np.float32]]:
        """Predict each window with speech as of an unseen speaker."""
        model, signal = self._model, read_source(source, rate, self.limits)
        for start in window_starts(signal.size, model.window, model.hop):
            row = model.posteriors(signal[start : start + model.window])
            if row is not None:
                yield row


def model_of(recognizer: Recognizer) -> WindowModel:
    """Return what predicts window by window, for other rooms of this package."""
    return recognizer._model


def for_request(
    recognizer: Recognizer, *, unsure_below: float, before_window: Callable[[], None] | None = None
) -> Recognizer:
    """Return a recognizer for one request of a service; it shares network and speaker."""
    own = copy.copy(recognizer)
    own._model = replace(recognizer._model, unsure_below=unsure_below, before_window=before_window)
    return own


def check_adapts(recognizer: Recognizer) -> None:
    """Raise BundleError if the model was trained without what adaptation needs."""
    if model_of(recognizer).speaker.prior is None:
        raise BundleError(
            f"the model {recognizer.name!r} did not learn how speakers differ, so it cannot adapt: "
            "train it again with protocol.calibration_folds of 2 or more"
        )


def predict_files(
    predict: Callable[[Path], Prediction], files: Iterable[str | Path]
) -> Iterator[tuple[Path, Prediction | SereinError]]:
    """Predict files, and those of folders; for a bad one yield the error."""
    for entry in files:
        try:
            found = recordings(entry, videos=True)
        except SereinError as error:
            yield Path(entry), error
            continue
        for file in found:
            yield file, prediction_or_error(predict, file)


def prediction_or_error(
    predict: Callable[[Any], Prediction], file: Path | None
) -> Prediction | SereinError:
    """Predict a file, or return what is wrong with it."""
    try:
        return predict(file)
    except SereinError as error:
        return error


def read_source(source: Source, rate: int | None, limits: Limits) -> Signal:
    """Read a recording, or the sound of a video."""
    if rate is None and is_rereadable(source) and is_video(source):
        return read_video_sound(source, limits=limits)
    return read_audio(source, rate=rate, limits=limits)


def is_rereadable(source: Source) -> TypeGuard[VideoSource]:
    """Tell whether a source is of bytes that can be looked at more than once."""
    if isinstance(source, np.ndarray):
        return False
    return not hasattr(source, "read") or (hasattr(source, "seekable") and source.seekable())


def _each(given: Source | Iterable[Source]) -> Iterator[Source]:
    """List single recordings, folders opened."""
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, np.ndarray)
    one = isinstance(given, kinds) or hasattr(given, "read")
    for entry in cast("Iterable[Source]", [given] if one else given):
        if isinstance(entry, (str, os.PathLike)):
            yield from recordings(Path(entry), videos=True)
        else:
            yield entry
