"""The smallest recogniser that answers: loudness in, one of two emotions out, in microseconds."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from functools import cache
from typing import Any

MANIFEST: dict[str, Any] = {
    "format": "serein-bundle",
    "version": 1,
    "name": "tiny",
    "precision": "float32",
    "labels": ["anger", "neutral"],
    "front_end": {"inputs": "waveform", "normalise": False, "level": "speech_rms", "trim": True},
    "window_s": 1.0,
    "hop_s": 0.5,
    "speech_threshold": 0.5,
    "trained_on": [],
    "scores": [],
    "licence": "CC0-1.0",
    "adaptation": {
        "means": [[1.0, -1.0], [-1.0, 1.0]],
        "within": [[1.0, 0.0], [0.0, 1.0]],
        "between": [[0.5, 0.1], [0.1, 0.5]],
    },
}


@cache
def graph() -> bytes:
    """Make the network."""
    import made_graphs

    return bytes(made_graphs.sound().SerializeToString())


def manifest(**values: Any) -> bytes:
    """Write the manifest, with some values changed."""
    return json.dumps(MANIFEST | values).encode()


def packed(changed: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Pack the bundle as a zip whose checksums fit, with some files changed."""
    model = {} if "model.npz" in changed else {"model.onnx": graph()}
    files = {"manifest.json": manifest(), **model, "CARD.md": b"", "NOTICE": b""} | changed
    sums = [
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in files.items()
        if name != "SHA256SUMS"
    ]
    files = {"SHA256SUMS": "".join(sums).encode()} | files
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=compression)
    return file.getvalue()


def wave(seconds: float = 0.2) -> bytes:
    """Make a WAV of noise."""
    import numpy as np
    import soundfile

    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * 8000))
    file = io.BytesIO()
    soundfile.write(file, noise, 8000, format="WAV", subtype="PCM_16")
    return file.getvalue()
