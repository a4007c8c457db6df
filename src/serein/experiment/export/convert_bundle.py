"""One bundle into another: to int8, to a zip file, with the parity measured."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from serein.audio import nonspeech
from serein.audio.read import read_audio
from serein.errors import BundleError
from serein.experiment.export.quantise import quantise
from serein.inference.bundle import (
    ADAPTATION,
    ARRAYS,
    BURSTS,
    CARD,
    MODEL,
    NOTICE,
    PERSONAL,
    Bundle,
    check_bundle_folder,
    read_bundle,
    write_bundle,
    zip_bundle,
)
from serein.inference.load import find_model
from serein.inference.recognizer import Recognizer, model_of
from serein.recordings import recordings
from serein.tables import check_writable
from serein.untrusted import printable

Array = npt.NDArray[np.float32]


def convert(model: str | Path, out: Path, *, int8: bool, audio: Sequence[Path] = ()) -> str:
    """Write a bundle anew."""
    original = read_bundle(find_model(model))
    if int8 and ARRAYS in original.files:
        raise BundleError(f"{original.place} holds arrays, not a network: nothing to quantise")
    if out.exists() and out.resolve() == original.place.resolve():
        raise BundleError(f"{out} is the bundle itself; name another folder or .zip file")
    if out.suffix == ".zip":
        check_writable(out.parent)
    else:
        check_bundle_folder(out)
    file = ARRAYS if ARRAYS in original.files else MODEL
    graph = quantise(original.files[file]) if int8 else original.files[file]
    with tempfile.TemporaryDirectory() as work:
        folder = out if out.suffix != ".zip" else Path(work) / "bundle"
        made = read_bundle(_written(original, folder, graph, int8=int8))
        if out.suffix == ".zip":
            zip_bundle(folder, out)
    parity = _parity(Recognizer(original), Recognizer(made), _test_signals(audio))
    before, after = len(original.files[file]), len(graph)
    return f"written: {printable(out)} ({after / 1e6:.1f} MB, was {before / 1e6:.1f} MB)\n{parity}"


def _parity(first: Recognizer, second: Recognizer, signals: Sequence[Array]) -> str:
    """Compare two recognizers of the same labels, without the gates for silence and speech."""
    models = [model_of(one) for one in (first, second)]
    rows = [np.stack([model.of_signal(signal) for signal in signals]) for model in models]
    gap = np.abs(rows[0] - rows[1])
    same = np.mean(rows[0].argmax(axis=1) == rows[1].argmax(axis=1))
    return (
        f"parity over {len(signals)} signals: largest probability difference {gap.max():.2g}, "
        f"mean {gap.mean():.2g}, same prediction {same:.1%}"
    )


def _test_signals(audio: Sequence[Path]) -> list[Array]:
    """Read the given recordings, or make artificial sounds."""
    files = [file for entry in audio for file in recordings(entry)]
    if files:
        return [read_audio(file) for file in files]
    generator = np.random.default_rng(0)
    return [nonspeech.draw(generator, kind).signal() for kind in nonspeech.KINDS for _ in range(5)]


def _written(original: Bundle, folder: Path, graph: bytes, *, int8: bool) -> Path:
    manifest = dict(original.manifest)
    card = original.files[CARD].decode()
    if int8:
        manifest["precision"] = "int8"
        card = card.replace(
            "Precision: float32.", "Precision: int8 (matrices), float32 (the rest)."
        )
    notice = original.files[NOTICE].decode()
    file = ARRAYS if ARRAYS in original.files else MODEL
    return write_bundle(
        folder,
        manifest,
        model=graph,
        card=card,
        notice=notice,
        model_file=file,
        adaptation=original.files.get(ADAPTATION),
        personal=original.files.get(PERSONAL),
        bursts=original.files.get(BURSTS),
    )
