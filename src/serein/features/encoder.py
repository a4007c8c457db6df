"""A pre-trained speech encoder as front end: hidden states, pooled over time. Extra [train].

The encoder is found in a local folder, in a folder of weights or, if allowed, on the model hub.
It is cut after the last layer used, and gives one vector a recording, mean and standard deviation
over time of the hidden states of each layer; or a series, their mean over the layers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Array
from serein.errors import EncoderError, MissingExtraError, renamed
from serein.features.frontend import FrontEnd

if TYPE_CHECKING:
    from torch import nn

WEIGHT_FILES = ("*.safetensors", "*.safetensors.index.json", "config.json")


@renamed(halve_after="pool_after")
class SpeechEncoder:
    """Hidden states of a pre-trained speech encoder, pooled over time or as a series.

    Parameters
    ----------
    name : str or path
        A folder in transformers' layout, or a name on the model hub, such as
        ``"openai/whisper-base"`` or ``"microsoft/wavlm-large"``.
    layers : sequence of int
        Layers whose hidden states are used, from 1.
    level, trim, trim_noise
        Settings of the `FrontEnd`.
    weights : path, optional
        A folder in which `name` is looked for first.
    pool_after : int
        For Whisper: temporal pooling with stride 2 after this layer (frames are averaged two by
        two), so that the layers after it take half the time; 0 for no pooling.
    frames : bool
        Whether the hidden states stay a series, for networks to learn from: the mean of the layers,
        their frames averaged two by two. Every family here then has 25 frames a second; of
        Whisper-base they take 1.5 MB a minute.
    download : bool
        Whether an encoder may be downloaded; if not, it must be on this machine.

    Attributes
    ----------
    front_end : FrontEnd
        Computes the network's input from a signal.
    network : torch.nn.Module
        (batch, time, band) or (batch, samples) in, (batch, dimensions) out; with `frames`, each
        series as one row, (batch, time x dimensions).
    dimensions : int
        Length of the vector, 2 x width x layers; with `frames`, of a frame, which is the width.
    weights_sha256 : dict of str
        sha256 of each file of the encoder's folder that was read, by its name.
    width : int or None
        Features a frame, with `frames`; else None.
    fingerprint : str
        Identifies weights and settings: equal fingerprints give equal vectors.

    Raises
    ------
    EncoderError
        If the encoder cannot be found, is of an unknown family, lacks a layer or cannot pool.
    MissingExtraError
        If torch and transformers are not installed.
    """

    def __init__(
        self,
        name: str | Path,
        *,
        layers: Sequence[int] = (2, 3, 4),
        level: str = "as_recorded",
        trim: bool = False,
        trim_noise: bool = False,
        weights: str | Path | None = None,
        pool_after: int = 0,
        frames: bool = False,
        download: bool = False,
    ) -> None:
        folder = find_encoder(name, weights)
        self.name = str(name)
        self.layers = tuple(sorted(layers))
        self.pool_after = pool_after
        self.network, self.front_end, self.dimensions = _build(
            folder,
            self.layers,
            pool_after,
            FrontEnd(level=level, trim=trim, trim_noise=trim_noise),
            frames=frames,
            download=download,
        )
        self.weights_sha256 = _hashes(Path(folder))
        self.width = self.dimensions if frames else None
        settings = [self.layers, *filter(None, [pool_after, frames and "frames"])]
        settings.append(self.front_end.cache_key())
        self.fingerprint = _fingerprint(settings, self.weights_sha256 or {folder: ""})

    def __call__(self, signal: Array) -> Array:
        """Compute the vector or the series of a signal.

        Parameters
        ----------
        signal : numpy.ndarray
            Shape (samples,), float32, mono at 16 kHz.

        Returns
        -------
        numpy.ndarray
            Shape (dimensions,), float32; with `frames` (time, width), float16, to save space.
        """
        import torch

        with torch.inference_mode():
            row = self.network(torch.from_numpy(self.front_end(signal)[None]))[0]
        return shaped(row.numpy(), self.width)

    def columns(self) -> dict[str, npt.NDArray[np.intp]]:
        """Return the columns of a vector that hold each layer's mean and deviation."""
        names = [
            f"layer {layer}, {kind}" for layer in self.layers for kind in ("mean", "deviation")
        ]
        blocks = np.array_split(np.arange(self.dimensions), len(names))
        return dict(zip(names, blocks, strict=True))


def shaped(row: Array, width: int | None) -> np.ndarray[Any, Any]:
    """Return a vector as it is, or a series of `width` features a frame as (time, width)."""
    return row if width is None else row.reshape(-1, width).astype(np.float16)


def find_encoder(name: str | Path, weights: str | Path | None = None) -> str:
    """Find an encoder: a local folder, else its name on the hub."""
    last = Path(name).name
    places = [Path(name)]
    if weights is not None:
        places += [Path(weights) / last, Path(weights) / f"{last}-encoder"]
    for place in places:
        if (place / "config.json").is_file():
            return str(place)
    text = str(name)
    if text.count("/") != 1 or text.startswith((".", "~", "/")):
        raise EncoderError(
            f"no encoder at {text}: a folder with config.json and model.safetensors, or a hub name "
            "such as openai/whisper-base, is needed"
        )
    return text


def _build(
    source: str,
    layers: tuple[int, ...],
    pool_after: int,
    front_end: FrontEnd,
    *,
    frames: bool,
    download: bool,
) -> tuple[nn.Module, FrontEnd, int]:
    try:
        from transformers import AutoConfig
        from transformers.utils import logging

        from serein.features import encoder_networks as networks
    except ImportError as error:
        raise MissingExtraError("a pre-trained encoder", "train") from error
    logging.disable_progress_bar()
    find = partial(AutoConfig.from_pretrained, local_files_only=not download)
    config = _loaded(find, source, download=download)
    if config.model_type == "whisper":
        build: Callable[..., nn.Module] = networks.whisper
        depth, width = config.encoder_layers, config.d_model
        options: dict[str, Any] = {"pool_after": pool_after}
        front_end = replace(front_end, bands=config.num_mel_bins)
    elif config.model_type in networks.WAVEFORM_FAMILIES:
        build, options = networks.waveform, {}
        depth, width = config.num_hidden_layers, config.hidden_size
        if pool_after:
            raise EncoderError(
                f"pool_after is {pool_after}; only a Whisper encoder pools its frames"
            )
        front_end = replace(
            front_end,
            inputs="waveform",
            utterance_normalisation=config.feat_extract_norm == "layer",
        )
    else:
        known = ", ".join(("whisper", *networks.WAVEFORM_FAMILIES))
        raise EncoderError(f"{source} is of the family {config.model_type!r}; known: {known}")
    if not layers or min(layers) < 1 or max(layers) > depth or len(set(layers)) != len(layers):
        raise EncoderError(f"layers are {list(layers)}; {source} has the layers 1 to {depth}")
    if not 0 <= pool_after <= depth:
        raise EncoderError(f"pool_after is {pool_after}; allowed: 0 (no pooling) to {depth}")
    options |= {"frames": frames, "download": download}
    network = _loaded(lambda place: build(place, layers, **options), source, download=download)
    return network, front_end, width if frames else 2 * width * len(layers)


def _loaded(load: Callable[[str], Any], source: str, *, download: bool) -> Any:
    from safetensors import SafetensorError

    try:
        return load(source)
    except EncoderError:
        raise
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if isinstance(error, OSError) and not download and not Path(source).is_dir():
            raise EncoderError(
                f"the encoder {source} is not on this machine, and nothing is fetched unasked: "
                "give its folder, or a folder of weights (--weights), or say --download"
            ) from error
        raise EncoderError(f"cannot load the encoder {source}: {error}") from error


def _hashes(folder: Path) -> dict[str, str]:
    """Hash what is read of an encoder's folder."""
    files = sorted(file for pattern in WEIGHT_FILES for file in folder.glob(pattern))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _fingerprint(settings: list[Any], hashes: dict[str, str]) -> str:
    """Hash settings and weights, or the name of weights that lie in no folder."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, sha256 in hashes.items():
        digest.update(bytes.fromhex(sha256) or name.encode())
    return digest.hexdigest()[:20]
