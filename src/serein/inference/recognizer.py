"""The recognizer: a recording in, its emotion out. The core install is enough."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, TypeGuard, cast

import numpy as np
import numpy.typing as npt

from serein.audio.channels import Channels, Sound
from serein.audio.media import VideoSource
from serein.audio.read import RATE_HZ, is_array, read_audio, read_sound
from serein.defaults import (
    DEFAULT_LIMITS,
    DEFAULT_PROVIDER,
    DEFAULT_UNSURE_BELOW,
    Limits,
)
from serein.errors import AudioError, SereinError, SettingError
from serein.inference.adaptation import Adaptation
from serein.inference.bundle import Bundle
from serein.inference.lanes import PLAIN, Cut, Telling, predict_sound
from serein.inference.network import Output
from serein.inference.prediction import Prediction
from serein.inference.speakers import Speakers
from serein.inference.timeline import check_window, window_starts
from serein.inference.window_model import WindowModel, checked_labels, possible_emotions
from serein.recordings import list_recordings, recordings
from serein.tables import write_whole

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
    emotions : sequence of str, optional
        Those that can occur; probabilities are renormalised among them.

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
    >>> import numpy as np
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
        emotions: Sequence[str] | None = None,
    ) -> None:
        settings: dict[str, Any] = {
            **{"threads": threads, "unsure_below": unsure_below, "provider": provider},
            "emotions": emotions,
        }
        self._model = model = WindowModel.of(bundle, **settings)
        self._pickled: tuple[Any, ...] = (
            bundle.place.absolute(),
            bundle.sha256,
            settings | {"limits": limits},
        )
        self.manifest = bundle.manifest
        self.name: str = self.manifest["name"]
        self.labels = tuple(model.named(model.possible))
        self.limits = limits
        self.window_s: float = self.manifest["window_s"]
        self.hop_s: float = self.manifest["hop_s"]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle where the bundle is, its hash and the settings; and what `adapt` found."""
        from serein.inference.load import load_again

        if not self._pickled:
            raise SettingError(
                "what was learnt is in memory alone: write it as a bundle with "
                "serein.inference.personalise.personalise, and load that"
            )
        return load_again, (*self._pickled, self._model.adaptation.known())

    @property
    def unsure_below(self) -> float:
        """The emotion of a lower confidence is ``unsure``."""
        return self._model.unsure_below

    @property
    def utterances_known(self) -> int:
        """By how many utterances it is adapted: windows with speech; 0 for unseen recordings."""
        return self._model.adaptation.utterances_known

    def predict(
        self,
        source: Source,
        *,
        rate: int | None = None,
        window_s: float | None = None,
        hop_s: float | None = None,
        channels: Channels = "mix",
        segments: Cut = "windows",
        speakers: Speakers | None = None,
        adapt: bool = False,
    ) -> Prediction:
        """Predict the emotion of one recording.

        Parameters
        ----------
        source : path, bytes, binary file or array
            WAV, FLAC, Ogg, MP3, AIFF …; with the extra [media] M4A, WebM, 3GP, AMR, WMA and the
            sound of a video; or samples, shape (samples,) or (samples, channels).
        rate : int, optional
            Sampling rate in Hz, for an array.
        window_s, hop_s : float, optional
            How long the windows of the timeline are, 0.5 to 10 s, and how far apart they begin, 0.1
            s to a window; the model's own, if not given. A finer timeline has less context around
            each moment, and takes longer; the prediction for the whole stays the same.
        channels : {"mix", "each", "left", "right"} or int
            What is predicted of several channels: their average; each for itself, in a lane of its
            own; or one, by its name or its number from 1.
        segments : {"windows", "utterances"}
            What the timeline is made of: windows; or utterances, found by voice activity and
            pauses and predicted as a `Stream` predicts them.
        speakers : "auto" or int, optional
            How many speakers are told apart, at most 20, in each channel that is taken (extra
            [speakers]); the timeline is of what each says without a pause. None are, if not given.
        adapt : bool
            Whether each voice, that of a channel or speaker, is adapted to all that it says here,
            in place of what `adapt` was given; without labels.

        Returns
        -------
        Prediction
            Emotion, confidence, probabilities and timeline; its `emotion` is None if there is
            neither speech nor a vocal burst. Where the timeline is of utterances, it is for these
            alone.

        Raises
        ------
        AudioError
            If it cannot be read, or is outside the limits.
        MissingExtraError
            If it needs PyAV, and that is not installed; or what `segments` or `speakers` needs.
        SettingError
            If `window_s` or `hop_s` is outside its range, or comes with utterances; or `channels`,
            `segments` or `speakers` is none of these.
        BundleError
            If it is to adapt, and the model was trained without what that needs.
        """
        telling = Telling(channels, segments, speakers, adapt)
        grid = self._grid(window_s, hop_s, telling)
        sound = read_sound(source, rate=rate, limits=self.limits, channels=channels)
        file = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        return self._predict(sound, file, grid, telling)

    def _predict(
        self, sound: Sound, file: str | None, grid: tuple[int, int], telling: Telling
    ) -> Prediction:
        """Predict what was taken of a recording."""
        told = predict_sound(self._model, sound, grid, telling)
        whole, notice = told.whole, sound.notice
        return Prediction(
            *(whole.start, whole.end, whole.emotion, whole.confidence, whole.probabilities),
            *(file, self.name, told.timeline),
            told.utterances_known if telling.adapt else self.utterances_known,
            told.lanes,
            () if notice is None else (notice,),
            burst=whole.burst,
            own=whole.own,
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

    def adapt(
        self,
        recordings: Source | Iterable[Source],
        *,
        to: Literal["speaker", "recordings"] = "speaker",
        rate: int | None = None,
    ) -> Self:
        """Adapt to recordings without labels; predictions are for more of the same then.

        What the recordings have in common, such as a voice, a microphone or a language, is
        estimated and taken away: `serein.models.baseline`, or for models without a head for it
        `serein.models.speaker_prior`. Each window with speech is an utterance; the more there are,
        and the more varied in emotion, the better the estimate; what may be a single emotion
        changes little. What earlier calls added is kept.

        Parameters
        ----------
        recordings : path, bytes, binary file, array; or an iterable of them
            A folder is all recordings and videos in it.
        to : {"speaker", "recordings"}
            Whether they are of one speaker; or of any number, at one place or of one kind.
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
        self._model.adaptation.check(to)
        sources = list(_each(recordings))
        found = [row for source in sources for row in self._outputs(source, rate)]
        if not found:
            raise AudioError(f"no speech in {len(sources)} recording(s): cannot adapt to them")
        self._model.adaptation.add(found, to)
        return self

    def learn(
        self,
        recordings: Iterable[Source],
        emotions: Sequence[str],
        *,
        rate: int | None = None,
    ) -> Self:
        """Learn from a few labelled recordings; a label that the model lacks is added to its own.

        The model's heads are moved by maximum a posteriori: `serein.models.personal`. Each
        recording of a label counts the same, and so does each label. What earlier calls learnt is
        where the next one starts. `serein.inference.personalise.personalise` keeps it as a bundle.

        Parameters
        ----------
        recordings : iterable of path, bytes, binary file or array
            As `predict` takes them; 1 to 10 of a label do.
        emotions : sequence of str
            The label of each: an emotion, or a word of your own, such as ``frustrated``.
        rate : int, optional
            Sampling rate in Hz, for arrays.

        Returns
        -------
        Recognizer
            Itself.

        Raises
        ------
        AudioError
            If one cannot be read or holds no speech: then nothing is changed.
        BundleError
            If the model was trained without what this needs.
        SettingError
            If there are not as many labels as recordings, or fewer than two different ones.
        """
        self._model.adaptation.personal_heads()
        named, labels = checked_labels(emotions, self._model.labels)
        one = isinstance(recordings, (str, os.PathLike))
        sources: list[Any] = [recordings] if one else list(recordings)
        if len(sources) != len(named):
            raise SettingError(f"{len(sources)} recordings and {len(named)} emotions: give as many")
        outputs, of = [], []
        for number, source in enumerate(sources):
            found = list(self._outputs(source, rate))
            if not found:
                what = source if isinstance(source, (str, os.PathLike)) else f"recording {number}"
                raise AudioError(f"{what}: no speech, so nothing can be learnt from it")
            outputs += found
            of += [number] * len(found)
        truth = np.array([labels.index(name) for name in named])[of]
        adaptation = self._model.adaptation.personalised(outputs, truth, of)
        self._model = self._model.with_label_set(labels, adaptation)
        self._pickled = ()
        self.labels = tuple(self._model.named(self._model.possible))
        return self

    def forget_speaker(self) -> None:
        """Adapt to nothing again."""
        self._model.adaptation.forget()

    def save_adaptation(self, file: str | Path) -> Path:
        """Write what `adapt` found as JSON, for `load_adaptation`; no recording is in it.

        Parameters
        ----------
        file : str or path
            Written at once, or not at all.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        SettingError
            If the recognizer is not adapted, or the model has no head for it.
        """
        text = json.dumps(self._model.adaptation.to_dict()) + "\n"
        return write_whole(Path(file), text.encode())

    def load_adaptation(self, file: str | Path) -> Self:
        """Adapt by what `save_adaptation` wrote, with the same model.

        Parameters
        ----------
        file : str or path
            The JSON file.

        Returns
        -------
        Recognizer
            Itself.

        Raises
        ------
        SettingError
            If it cannot be read, or was made with another model.
        """
        self._model.adaptation.read_file(file)
        return self

    def _grid(
        self, window_s: float | None, hop_s: float | None, telling: Telling = PLAIN
    ) -> tuple[int, int]:
        """Return window and hop of a timeline in samples."""
        if window_s is None and hop_s is None:
            return self._model.window, self._model.hop
        if telling.utterances:
            raise SettingError("window_s and hop_s are for windows: leave them out of utterances")
        window_s = self.window_s if window_s is None else window_s
        return check_window(window_s, window_s if hop_s is None else hop_s)

    def _outputs(self, source: Source, rate: int | None) -> Iterator[Output]:
        """Compute the network's output for each window with speech."""
        model, signal = self._model, read_audio(source, rate=rate, limits=self.limits)
        for start in window_starts(signal.size, model.window, model.hop):
            row = model.output(signal[start : start + model.window])
            if row is not None and row.burst is None:
                yield row


def model_of(recognizer: Recognizer) -> WindowModel:
    """Return what predicts window by window, for other rooms of this package."""
    return recognizer._model


def for_request(
    recognizer: Recognizer,
    *,
    unsure_below: float | None = None,
    emotions: Sequence[str] | None = None,
    adaptation: Adaptation | None = None,
    before_window: Callable[[], None] | None = None,
) -> Recognizer:
    """Return a recognizer for one request of a service; it shares whatever is not given."""
    own, labels = object.__new__(type(recognizer)), recognizer._model.labels
    vars(own).update(vars(recognizer))  # copy.copy would read the bundle again, as pickling does
    given = {
        "unsure_below": unsure_below,
        "possible": None if emotions is None else possible_emotions(emotions, labels),
        "adaptation": adaptation,
        "before_window": before_window,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    own._model = replace(recognizer._model, **changes)
    own.labels = tuple(own._model.named(own._model.possible))
    return own


def predict_decoded(
    recognizer: Recognizer,
    sound: Sound,
    telling: Telling,
    *,
    window_s: float | None = None,
    hop_s: float | None = None,
) -> Prediction:
    """Predict what a service has decoded elsewhere, as `Recognizer.predict` does."""
    checked = [read_sound(one, rate=RATE_HZ, limits=recognizer.limits) for one in sound.signals]
    sound = replace(sound, signals=tuple(one.signals[0] for one in checked))
    return recognizer._predict(sound, None, recognizer._grid(window_s, hop_s, telling), telling)


def predict_files(
    predict: Callable[[Path], Prediction], files: Iterable[str | Path]
) -> Iterator[tuple[Path, Prediction | SereinError]]:
    """Predict files, and those of folders; for a bad one yield the error."""
    for entry in files:
        try:
            found = list_recordings(entry)
        except SereinError as error:
            yield Path(entry), error
            continue
        for file in found.files:
            yield file, prediction_or_error(predict, file)
        for other in found.not_read:
            yield other.path, AudioError(f"{other.path}: {other.reason}")


def prediction_or_error(
    predict: Callable[[Any], Prediction], file: Path | None
) -> Prediction | SereinError:
    """Predict a file, or return what is wrong with it."""
    try:
        return predict(file)
    except SereinError as error:
        return error


def is_rereadable(source: Source) -> TypeGuard[VideoSource]:
    """Tell whether a source is of bytes that can be looked at more than once."""
    if is_array(source):
        return False
    return not hasattr(source, "read") or (hasattr(source, "seekable") and source.seekable())


def _each(given: Source | Iterable[Source]) -> Iterator[Source]:
    """List single recordings, folders opened."""
    kinds = (str, os.PathLike, bytes, bytearray, memoryview)
    one = isinstance(given, kinds) or hasattr(given, "read") or hasattr(given, "__array__")
    for entry in cast("Iterable[Source]", [given] if one else given):
        if isinstance(entry, (str, os.PathLike)):
            yield from recordings(os.fspath(entry))
        else:
            yield entry
