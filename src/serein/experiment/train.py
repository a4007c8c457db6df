"""The training story: judge on unseen speakers, fit on everything, export, pack."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from serein.corpora import Corpus
from serein.experiment.card import model_card, notice
from serein.experiment.evaluate import Evaluation, versions
from serein.experiment.prepare import Prepared, Progress, make_classifier, no_progress
from serein.experiment.speech import SpeechDetector, train_speech_detector
from serein.inference.bundle import write_bundle
from serein.inference.export import example_input, to_onnx
from serein.inference.network import Linear, RecognizerNetwork
from serein.inference.recognizer import OUTPUTS
from serein.models.calibration import TemperatureScaled


@dataclass(frozen=True)
class Fitted:
    """A recipe fitted on all its speakers.

    Attributes
    ----------
    classifier : TemperatureScaled
        Vectors to emotions.
    speech : SpeechDetector
        Vectors to speech or not.
    network : torch.nn.Module
        Encoder, classifier and detector in one.
    """

    classifier: TemperatureScaled
    speech: SpeechDetector
    network: nn.Module


def fit(prepared: Prepared, *, progress: Progress = no_progress) -> Fitted:
    """Fit a recipe on all its speakers.

    Parameters
    ----------
    prepared : Prepared
        The recipe with its data.
    progress : callable
        Makes a progress bar with a title.

    Returns
    -------
    Fitted
        Classifier, speech detector, and the network they make with the encoder.
    """
    with progress("final fit") as tick:
        classifier = make_classifier(prepared.recipe).fit(
            prepared.X, prepared.emotions, groups=prepared.speakers, **prepared.per_sample()
        )
        tick(1, 1)
    seed = prepared.recipe.protocol.seed
    speech = train_speech_detector(prepared, seed=seed, progress=progress)
    network = RecognizerNetwork(
        prepared.encoder.network, emotion_head(classifier), speech.head, classifier.temperature_
    )
    return Fitted(classifier, speech, network.eval())


def pack(fitted: Fitted, prepared: Prepared, evaluation: Evaluation, folder: str | Path) -> Path:
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

    Returns
    -------
    pathlib.Path
        The bundle's folder.

    Raises
    ------
    BundleError
        If the folder holds other things.
    """
    model = to_onnx(fitted.network, example_input(prepared.encoder.front_end), OUTPUTS)
    manifest = make_manifest(prepared, evaluation, fitted.classifier, fitted.speech)
    return write_bundle(
        folder, manifest, model=model, card=model_card(manifest), notice=notice(manifest)
    )


def emotion_head(fitted: TemperatureScaled) -> Linear:
    """Take scaling and weights out of a fitted classifier."""
    linear = fitted.estimator_
    return Linear(linear.mean_, linear.scale_, linear.coef_, linear.intercept_)


def make_manifest(
    prepared: Prepared,
    evaluation: Evaluation,
    fitted: TemperatureScaled,
    speech: SpeechDetector,
) -> dict[str, Any]:
    """Write down what a recogniser is and how it was judged.

    Parameters
    ----------
    prepared : Prepared
        The recipe with its data.
    evaluation : Evaluation
        Scores on unseen speakers.
    fitted : TemperatureScaled
        The final classifier.
    speech : SpeechDetector
        The final detector.

    Returns
    -------
    dict
        Plain values for `manifest.json`.
    """
    recipe = prepared.recipe
    return {
        "name": recipe.name,
        "precision": "float32",
        "labels": fitted.classes_.tolist(),
        "front_end": prepared.encoder.front_end.to_dict(),
        "window_s": recipe.bundle.window_s,
        "hop_s": recipe.bundle.hop_s,
        "temperature": round(fitted.temperature_, 6),
        "speech_threshold": round(speech.threshold, 6),
        "speech_heard_unseen_speakers": round(speech.speech_heard, 4),
        "sounds_refused_unseen_kinds": round(speech.sounds_refused, 4),
        "encoder": {"name": _hub_name(prepared), "layers": list(prepared.encoder.layers)},
        "trained_on": [_described(source, prepared.corpus) for source in prepared.sources],
        "scores": _scores(evaluation),
        "licence": recipe.bundle.licence,
        "seed": recipe.protocol.seed,
        "versions": versions(),
    }


def _hub_name(prepared: Prepared) -> str:
    """Name the encoder without telling where on this machine it lay."""
    name = prepared.encoder.name
    return Path(name).name if Path(name).is_absolute() else name


def _described(source: Corpus, used: Corpus) -> dict[str, Any]:
    names = {clip.corpus for clip in source}
    clips = [clip for clip in used if clip.corpus in names]
    return {
        "corpus": source.name,
        "licence": source.licence,
        "clips": len(clips),
        "emotions": dict(Counter(clip.emotion for clip in clips).most_common()),
        "languages": sorted({clip.language for clip in clips if clip.language}),
        "speakers": sorted({clip.speaker for clip in clips}),
    }


def _scores(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One row a corpus and precision: pooled answers for speakers not heard in training."""
    kept = ("uar", "uar_interval_95", "accuracy", "expected_calibration_error", "clips", "speakers")
    return [
        {"corpus": corpus, "protocol": evaluation.result.protocol, "precision": precision}
        | {key: scores[key] for key in kept}
        for precision in ("float32", "int8")
        for corpus, scores in evaluation.by_corpus(int8=precision == "int8").items()
    ]
