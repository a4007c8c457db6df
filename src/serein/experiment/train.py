"""Fits a recipe on all its speakers, exports it and packs it as a bundle with its scores."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from serein.errors import RecipeError, renamed
from serein.evaluation.confidence import THRESHOLDS, reliability, risk_coverage
from serein.evaluation.cross_validation import fit_part
from serein.evaluation.result import Result
from serein.evaluation.search.tuned import Tuned
from serein.experiment.bursts import BurstDetector, train_burst_detector
from serein.experiment.card import model_card, notice
from serein.experiment.evaluate import Evaluation, training_folder, versions
from serein.experiment.export.estimator_graph import join, speech_graph, to_graph
from serein.experiment.export.torch_graph import encoder_graph
from serein.experiment.fusion import fusion_manifest
from serein.experiment.prepare import (
    Front,
    Prepared,
    ProgressBar,
    inside,
    make_classifier,
    named_errors,
    no_progress_bar,
    temperature_of,
)
from serein.experiment.recipe import Augmentation, Recipe
from serein.experiment.speech import SpeechDetector, train_speech_detector
from serein.features.encoder import SpeechEncoder
from serein.inference.arrays import ArraysModel
from serein.inference.bundle import ARRAYS, MODEL, write_bundle
from serein.models.baseline import KINDS, AdaptiveHeads
from serein.models.catalogue import member_names

KEPT = ("uar", "uar_interval_95", "accuracy", "expected_calibration_error", "clips", "speakers")


@dataclass(frozen=True)
class Fitted:
    """A recipe fitted on all its speakers; `bursts` where it names vocal bursts."""

    classifier: Any
    speech: SpeechDetector
    bursts: BurstDetector | None = None


def refuse_unpackable(recipe: Recipe) -> None:
    """Raise, before any time is spent, if a recipe can be evaluated but makes no bundle."""
    if "gmm_hmm" in member_names(recipe.model.name, recipe.model.settings):
        raise RecipeError(
            f"{recipe.name}: an ensemble with gmm_hmm in it makes no bundle, for hidden Markov "
            "models are no graph: evaluate it, or leave gmm_hmm out"
        )
    if recipe.features and recipe.features.table:
        raise RecipeError(
            f"{recipe.name}: features read from a table make no bundle, since a voice cannot go "
            "through one: evaluate it, or name sets in place of table"
        )


@renamed(progress="progress_bar")
def fit(
    prepared: Prepared, *, cache: Path | None = None, progress_bar: ProgressBar = no_progress_bar
) -> Fitted:
    """Fit a recipe on all its speakers.

    Parameters
    ----------
    prepared : Prepared
        The recipe with its data.
    cache : path, optional
        Folder for checkpoints of networks.
    progress_bar : callable
        Makes a progress bar with a title.

    Returns
    -------
    Fitted
        Classifier, speech detector, and what tells vocal bursts.

    Raises
    ------
    RecipeError
        If the model cannot learn from the data, or the features were read from a table.
    """
    refuse_unpackable(prepared.recipe)
    with progress_bar("final fit") as progress, named_errors(prepared.recipe):
        classifier = fit_part(
            make_classifier(prepared, checkpoint=training_folder(cache)),
            prepared.X,
            np.array(prepared.emotions),
            np.array(prepared.speakers),
            np.arange(len(prepared.X)),
            per_sample=prepared.per_sample(),
            augmented=prepared.augmented,
        )
        progress(1, 1)
    if isinstance(classifier, Tuned):  # the best settings are packed, not the search
        classifier = classifier.estimator_
    seed = prepared.recipe.protocol.seed
    speech = train_speech_detector(prepared, seed=seed, progress_bar=progress_bar)
    bursts = train_burst_detector(prepared, cache=cache, progress_bar=progress_bar)
    return Fitted(classifier, speech, bursts)


def pack(
    fitted: Fitted,
    prepared: Prepared,
    evaluation: Evaluation,
    folder: str | Path,
    *,
    unseen: Evaluation | None = None,
) -> Path:
    """Write a fitted recipe as a bundle.

    Parameters
    ----------
    fitted : Fitted
        The recogniser.
    prepared : Prepared
        What it was fitted on.
    evaluation : Evaluation
        The recipe's scores on unseen speakers, for the card.
    folder : str or path
        The bundle's folder.
    unseen : Evaluation, optional
        Its scores on corpora that were left out, from `on_unseen_corpora`.

    Returns
    -------
    pathlib.Path
        The bundle's folder.

    Raises
    ------
    BundleError
        If the folder holds other things.
    """
    manifest, arrays = make_manifest(prepared, evaluation, fitted), arrays_of(fitted)
    manifest["reliability"] = {"unseen speakers": _reliability(evaluation.result)}
    if unseen is not None:
        manifest["scores"] = _scores(unseen) + manifest["scores"]
        manifest["reliability"] |= {"unseen corpora": _reliability(unseen.result)}
    heads: AdaptiveHeads | None = inside(fitted.classifier, "heads_")
    return write_bundle(
        folder,
        manifest,
        model=arrays.to_bytes() if arrays else graph_of(fitted, prepared),
        card=model_card(manifest),
        notice=notice(manifest),
        model_file=ARRAYS if arrays else MODEL,
        adaptation=None if heads is None else heads.to_bytes(),
        bursts=None if fitted.bursts is None else fitted.bursts.heads.to_bytes(),
    )


def arrays_of(fitted: Fitted) -> ArraysModel | None:
    """Return hidden Markov models as arrays; None for a classifier that becomes a graph."""
    arrays = inside(fitted.classifier, "arrays_")
    if arrays is None:
        return None
    speech = fitted.speech.classifier.estimator_  # under the pooling
    weight = (speech.coef_[1] - speech.coef_[0]) / speech.scale_
    bias = float(speech.intercept_[1] - speech.intercept_[0] - speech.mean_ @ weight)
    return ArraysModel(arrays, getattr(fitted.classifier, "temperature_", 1.0), weight, bias)


def graph_of(fitted: Fitted, prepared: Prepared) -> bytes:
    """Export a fitted recipe as one ONNX graph."""
    columns = None if prepared.width else prepared.X.shape[1]
    voice = None if prepared.width else prepared.voice.shape[1]
    heads = {
        "probability": to_graph(fitted.classifier, columns),
        "speech": speech_graph(fitted.speech.classifier, voice),
    }
    front = prepared.front
    encoder = encoder_graph(front) if isinstance(front, SpeechEncoder) else None
    others = prepared.X.shape[1] - prepared.voice.shape[1]
    vector = fitted.bursts is not None or inside(fitted.classifier, "heads_") is not None
    return join(encoder, heads, others=others, vector=vector)


def make_manifest(prepared: Prepared, evaluation: Evaluation, fitted: Fitted) -> dict[str, Any]:
    """Describe a recognizer and its scores, as the bundle's manifest does."""
    recipe, speech = prepared.recipe, fitted.speech
    front = cast("Front", prepared.front)  # features of a table were refused before
    manifest = {
        "name": recipe.name,
        "precision": "float32",
        "labels": fitted.classifier.classes_.tolist(),
        "front_end": (front.front_end if isinstance(front, SpeechEncoder) else front).to_dict(),
        "window_s": recipe.bundle.window_s,
        "hop_s": recipe.bundle.hop_s,
        "temperature": temperature_of(fitted.classifier),
        "speech_threshold": round(speech.threshold, 6),
        "speech_heard_unseen_speakers": round(speech.speech_heard, 4),
        "sounds_refused_unseen_kinds": round(speech.sounds_refused, 4),
        "model": {"name": recipe.model.name, **recipe.model.settings},
        "trained_on": prepared.corpora,
        "scores": _scores(evaluation),
        "licence": recipe.bundle.licence,
        "seed": recipe.protocol.seed,
        "versions": versions(),
    }
    if recipe.fusion:
        manifest |= fusion_manifest(recipe, prepared.widths)
        if recipe.fusion.method == "hybrid":  # its network stands in place of the model
            del manifest["model"]
    if recipe.augmentation.per_clip:
        manifest["augmentation"] = _augmentation(recipe.augmentation)
    spent = inside(fitted.classifier, "privacy_")
    if spent:
        manifest["privacy"] = spent | {"public": list(recipe.data.public)}
    heads = inside(fitted.classifier, "heads_")
    if heads is not None:
        manifest["confidence"] = {
            kind: line.astype(float).round(4).tolist()
            for kind, line in zip(KINDS, heads.confidence, strict=True)
        }
    if fitted.bursts is not None:
        manifest["bursts"] = fitted.bursts.to_dict()
    own = {k: asdict(one) for k, one in recipe.emotions.items() if k in fitted.classifier.classes_}
    if own:
        manifest["emotions"] = own
    prior = None if recipe.fusion else inside(fitted.classifier, "speaker_prior_")
    if prior is not None:
        manifest["adaptation"] = prior.to_dict()
    if isinstance(front, SpeechEncoder):
        manifest["encoder"] = _encoder(front)
    return manifest


def _encoder(front: SpeechEncoder) -> dict[str, Any]:
    """Describe an encoder; its place on this machine is private."""
    path = Path(front.name)
    about: dict[str, Any] = {"name": path.name if path.is_absolute() else front.name}
    about |= {"layers": list(front.layers), "weights_sha256": front.weights_sha256}
    if front.pool_after:
        about["pool_after"] = front.pool_after
    if front.width:
        about["frames"] = True
    return about


def _augmentation(augmentation: Augmentation) -> dict[str, Any]:
    """Describe augmentation; where a folder of noise lies on this machine is private."""
    described = asdict(augmentation)
    for options in described["ranges"].values():
        if "folder" in options:
            options["folder"] = Path(options["folder"]).name
    return described


def _scores(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return a row for each corpus and precision: scores on unseen speakers."""
    results = [("float32", evaluation.result, ""), ("int8", evaluation.int8, "")]
    results += [("float32", case.result, case.to) for case in evaluation.adapted if case.whole]
    rows = []
    for precision, result, to in results:
        if result is None:
            continue
        for corpus in np.unique(result.about["corpus"]):
            part = result.subset(result.about["corpus"] == corpus)
            scores = part.scores()
            row = {"corpus": str(corpus), "protocol": part.title, "precision": precision}
            row |= {key: scores[key] for key in KEPT} | {"doubt": _doubt(part)}
            rows.append(row | {"adapted": bool(to)} | ({"adapted_to": to} if to else {}))
    return rows


def _reliability(result: Result) -> list[dict[str, Any]]:
    """Return the points of a reliability diagram; each corpus counts the same."""
    origin = result.about["corpus"]
    parts = [result.subset(origin == name) for name in np.unique(origin)]
    bins = [reliability(part.truth, part.probabilities) for part in parts]
    share = np.array([one.count / one.count.sum() for one in bins])
    filled = share > 0
    weight = share / np.maximum(share.sum(axis=0), 1e-12)
    points = [
        (weight * np.where(filled, [getattr(one, name) for one in bins], 0.0)).sum(axis=0)
        for name in ("confidence", "accuracy")
    ]
    return [
        {"confidence": round(sure, 4), "right": round(right, 4), "share": round(of, 4)}
        for sure, right, of in zip(*points, share.mean(axis=0), strict=True)
        if of > 0
    ]


def _doubt(result: Result) -> list[dict[str, Any]]:
    """Return coverage and accuracy where less confident predictions are left unsure."""
    curve = risk_coverage(result.truth, result.probabilities)
    found = ((threshold, *curve.at(threshold)) for threshold in THRESHOLDS)
    return [
        {
            "unsure_below": threshold,
            "answered": round(coverage, 4),
            "right": None if accuracy is None else round(accuracy, 4),
        }
        for threshold, coverage, accuracy in found
    ]
