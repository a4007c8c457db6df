"""The bundle loader: a zip, or one file of a bundle whose checksums are made to fit."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path

from hostile import tiny

MEMBERS = ("manifest.json", "model.onnx", "model.npz", "SHA256SUMS")


class BundleTarget:
    """`read_bundle`, `Recognizer` and one answer.

    An input whose first line is the name of a member is that member, in a bundle that is else
    sound; any other is the zip.
    """

    tokens = (
        *(b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"),
        *(b"manifest.json", b"model.npz", b"../model.onnx", b'{"a":' * 900, b'"log_mel"'),
        *(b'"features"', b'"labels"', b'"\\ud800"', b"[[1e308, 0], [0, 1e308]]", b"0.3", b"1e-9"),
        *(b'["anger", "anger"]', b"\x93NUMPY\x01\x00", b"'descr': '|O'", b"Conv", b"Loop"),
        *(b"location", b"../key", b"\x70\x01"),
    )

    def __init__(self) -> None:
        import numpy as np

        from serein.errors import AudioError, BundleError
        from serein.inference.bundle import read_bundle
        from serein.inference.recognizer import Recognizer

        self._read, self._recognizer, self._error = read_bundle, Recognizer, BundleError
        self._refused = (BundleError, AudioError)
        self._signal = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
        self._folder = tempfile.TemporaryDirectory(prefix="serein-fuzz-")
        self._file = Path(self._folder.name) / "bundle.zip"
        self.seeds = [
            tiny.packed({}),
            tiny.packed({}, compression=zipfile.ZIP_DEFLATED),
            b"manifest.json\n" + tiny.manifest(),
            b"manifest.json\n" + json.dumps(tiny.MANIFEST, indent=2).encode(),
            b"manifest.json\n" + tiny.manifest(front_end=_features()),
            *(b"model.onnx\n" + graph for graph in _graphs()),
            b"model.npz\n" + _arrays(),
            b"SHA256SUMS\n" + _sums(tiny.packed({})),
        ]

    def __call__(self, data: bytes) -> str:
        name, _, content = data.partition(b"\n")
        if name.decode("latin-1") in MEMBERS:
            changed = {name.decode(): content}
            if name == b"model.npz":
                changed["manifest.json"] = tiny.manifest(front_end={"bands": 1})
            data = tiny.packed(changed)
        self._file.write_bytes(data)
        try:
            recognizer = self._recognizer(self._read(self._file), threads=1)
            if recognizer.manifest.get("adaptation") is not None:
                recognizer.adapt([self._signal], rate=16_000)
            answer = recognizer.predict(self._signal, rate=16_000).to_dict()
        except self._refused as error:
            return type(error).__name__
        json.dumps([answer, recognizer.manifest], ensure_ascii=False, allow_nan=False).encode()
        return "ok"

    def close(self) -> None:
        self._folder.cleanup()


def _graphs() -> list[bytes]:
    """Make a sound graph, and ones that ask for another file at each place where a graph can."""
    from made_graphs import with_external_data

    return [tiny.graph(), *with_external_data("key").values()]


def _features() -> dict[str, object]:
    return {"inputs": "features", "sets": ["mfcc"], "functionals": [], "step": 4}


def _arrays() -> bytes:
    """Make hidden Markov models of one feature, two emotions and a state."""
    import numpy as np

    file = io.BytesIO()
    half = np.log(np.full(2, 0.5))
    np.savez(
        file,
        temperature=np.float64(1),
        speech_weight=np.zeros(4),
        speech_bias=np.float64(9),
        hmm_centre=np.zeros(1),
        hmm_scale=np.ones(1),
        hmm_log_prior=half,
        hmm_log_start=np.zeros((2, 1)),
        hmm_log_transition=np.zeros((2, 1, 1)),
        hmm_log_weight=np.zeros((2, 1, 1)),
        hmm_mean=np.zeros((2, 1, 1, 1)),
        hmm_variance=np.ones((2, 1, 1, 1)),
    )
    return file.getvalue()


def _sums(packed: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return archive.read("SHA256SUMS")
