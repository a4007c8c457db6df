"""Loads a recognizer: a bundled model by its name, or any bundle by its place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serein.defaults import (
    DEFAULT_LIMITS,
    DEFAULT_MODEL,
    DEFAULT_PROVIDER,
    DEFAULT_UNSURE_BELOW,
    Limits,
)
from serein.errors import BundleError, SettingError, unknown_name
from serein.inference.bundle import read_bundle
from serein.inference.recognizer import Recognizer, model_of

PRETRAINED = Path(__file__).parent / "pretrained"


def load(
    model: str | Path = DEFAULT_MODEL,
    *,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    unsure_below: float = DEFAULT_UNSURE_BELOW,
    provider: str = DEFAULT_PROVIDER,
    emotions: Sequence[str] | None = None,
) -> Recognizer:
    """Load a recognizer.

    Parameters
    ----------
    model : str or path
        Name of a bundled model, or the folder or zip of a bundle.
    threads : int, optional
        CPU threads for the network; all cores, at most 4, if not given.
    limits : Limits
        What is accepted as a recording.
    unsure_below : float
        Where the likeliest emotion's confidence, 0 to 1, is below this, the emotion is ``unsure``.
    provider : str
        What computes the network, by onnxruntime: ``cpu``, ``cuda``, ``cuda:1``, ``coreml`` …
    emotions : sequence of str, optional
        Those of the model that can occur, where that is known; probabilities are renormalised
        among them. All, if not given.

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
    SettingError
        If `unsure_below` is not from 0 to 1, `threads` is below 1, or the model lacks one of the
        emotions.
    """
    if threads is not None and not (isinstance(threads, int) and threads > 0):
        raise SettingError(f"threads is {threads!r}; allowed: a whole number from 1")
    bundle = read_bundle(find_model(model))
    kind = Recognizer
    if "modalities" in bundle.manifest:  # few bundles are; every start would pay
        from serein.inference.fusion import FusionRecognizer

        kind = FusionRecognizer
    return kind(
        bundle,
        threads=threads,
        limits=limits,
        unsure_below=unsure_below,
        provider=provider,
        emotions=emotions,
    )


def load_again(
    place: Path, sha256: str, settings: dict[str, Any], known: tuple[Any, ...]
) -> Recognizer:
    """Load what was pickled, in another process or later: the same bundle, or an error."""
    recognizer = load(place, **settings)
    if recognizer._pickled[1] != sha256:
        raise BundleError(f"{place}: is not the model that was pickled: its sha256 differs")
    model_of(recognizer).adaptation.take_over(*known)
    return recognizer


def bundled_models() -> list[str]:
    """Name the models that come with serein, the default first.

    Returns
    -------
    list of str
        Names that `load` takes.
    """
    names = sorted(place.parent.name for place in PRETRAINED.glob("*/manifest.json"))
    return sorted(names, key=lambda name: name != DEFAULT_MODEL)


def find_model(model: str | Path) -> Path:
    """Return the place of a model's bundle."""
    if str(model) in bundled_models():
        return PRETRAINED / str(model)
    if Path(model).exists():
        return Path(model)
    raise BundleError(
        f"{unknown_name('model', str(model), bundled_models())}; or give the path of a bundle"
    )
