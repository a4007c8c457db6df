"""Results made up from a seed, of the size of a real corpus: for tests of reports."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from serein.evaluation.comparison import change
from serein.evaluation.fairness import fairness
from serein.evaluation.metrics import uar
from serein.evaluation.result import Result
from serein.evaluation.result_file import write_record

EMOTIONS = ("anger", "calm", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
LONG = (*EMOTIONS[:6], "no speech", *EMOTIONS[6:], "a feeling that has a very long name indeed")
PROTOCOL = "8 folds of unseen speakers, stratified; scaling and temperature learnt inside each fold"
CONDITIONS = {
    "background noise": ("babble 20 dB", "babble 10 dB", "babble 0 dB", "white noise 20 dB",
                         "white noise 10 dB", "music 10 dB"),
    "telephone and codecs": ("telephone", "resampled 8 kHz", "MP3 16 kbit/s", "Opus 8 kbit/s"),
    "room": ("reverberation 0.3 s", "reverberation 0.8 s"),
    "small changes": ("gain -20 dB", "clipping 1 %", "clipping 10 %", "start cut 250 ms",
                      "silence 500 ms before", "additive tone", "highpass 150 Hz"),
    "spectral tilt": ("downward tilt", "upward tilt"),
}  # fmt: skip


def made_result(
    labels: tuple[str, ...] = EMOTIONS,
    *,
    speakers: int = 24,
    clips: int = 60,
    skill: float = 1.0,
    seed: int = 0,
    names: str = "actor {:02d}",
) -> Result:
    """Answers whose sureness differs by speaker and class; the more skill, the better."""
    generator = np.random.default_rng(seed)
    many = speakers * clips
    truth = np.tile(np.arange(clips) % len(labels), speakers)
    ease = (
        generator.normal(1.5, 0.5, speakers).repeat(clips)
        + generator.normal(0, 0.5, len(labels))[truth]
    )
    logits = np.random.default_rng([seed, 1]).normal(0, 1, (many, len(labels)))
    logits[np.arange(many), truth] += skill * ease
    logits[np.arange(many), (truth + 1) % len(labels)] += 0.5
    probabilities = np.exp(1.4 * logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    person = np.arange(speakers).repeat(clips)
    take = np.tile(np.arange(clips), speakers)
    about = {
        "file": [f"03-01-{t:02d}-01-{p + 1:02d}.wav" for t, p in zip(take, person, strict=True)],
        "corpus": ["ravdess"] * many,
        "gender": np.where(person % 2, "female", "male"),
        "language": ["en"] * many,
        "text": np.where(
            take // 10 % 2, "dogs are sitting by the door", "kids are talking by the door"
        ),
    }
    return Result(
        PROTOCOL,
        labels,
        truth,
        probabilities,
        np.array([names.format(number + 1) for number in person]),
        person % 8,
        {name: np.array(column) for name, column in about.items()},
    )


def scores_of(result: Result, name: str) -> dict[str, Any]:
    """What result.json must hold."""
    return {"name": name, **result.scores()}


def adapted(result: Result, known: int | None, one_emotion: bool) -> dict[str, Any]:
    """A row of a result adapted to speakers, in the shape of serein.experiment.adapted_scores."""
    gain = 0.0 if one_emotion else 0.01 * (known or 20) ** 0.5
    score = uar(result.truth, result.prediction) + gain
    return {
        "known": known,
        "one_emotion": one_emotion,
        "protocol": f"{result.title}; adapted",
        "uar": score,
        "uar_interval_95": [score - 0.03, score + 0.02],
        "accuracy": score,
        "expected_calibration_error": 0.05 - gain / 2,
    }


def document_of(result: Result, name: str) -> dict[str, Any]:
    """What result.json holds of an evaluation, with every section."""
    scores = result.scores()
    people = len(set(result.speakers.tolist()))
    chosen = [
        {"what": what, "value": value, "on": on, "fold": fold}
        for fold in range(8)
        for what, value, on in (
            ("epoch", 23 + fold, "18 held-out clips of 3 training speakers"),
            ("temperature", "1.31", "inner folds of the training speakers"),
        )
    ]
    corpus = {
        "corpus": "ravdess",
        "clips": len(result.truth),
        "speakers": people,
        "emotions": {
            label: int(np.sum(result.truth == n)) for n, label in enumerate(result.labels)
        },
        "languages": ["en"],
        "licence": "CC BY-NC-SA 4.0",
    }
    return {
        "name": name,
        **scores,
        "by_corpus": {"ravdess": scores, "emodb": scores},
        "int8": scores | {"by_corpus": {"ravdess": scores, "emodb": scores}},
        "adapted": [adapted(result, known, False) for known in (1, 2, 5, 10, None)]
        + [adapted(result, None, True)],
        "by_speaker": result.by_speaker(),
        "folds": result.folds(),
        "chosen": [*chosen, {"what": "features", "value": "88 of 120", "on": "all", "fold": None}],
        "importance": [
            {"feature": feature, "drop": drop, "low": drop - 0.01, "high": drop + 0.012}
            for feature, drop in zip(
                ("loudness, mean", "F0, 80th percentile", "MFCC 2, standard deviation", "jitter",
                 "alpha ratio, mean", "speech rate", "a feature with a much too long name, mean"),
                (0.081, 0.064, 0.031, 0.022, 0.011, 0.004, -0.003), strict=True,
            )
        ],
        "left_out": ["4 clips shorter than 0.1 s", "12 clips of emotions with too few speakers"],
        "corpora": [corpus, corpus | {"corpus": "emodb", "licence": "", "speakers": ["x"] * 10}],
        "seed": 7,
        "recipe": {
            "name": name,
            "data": {"corpora": ["ravdess"], "folder": None},
            "model": {"name": "cnn", "channels": [32, 64], "dropout": 0.2},
            "protocol": {"folds": 8, "seed": 7},
        },
        "versions": {"python": "3.11.9", "serein": "0.1.0", "numpy": "2.3.1", "torch": "2.9.0"},
        "licence": "CC BY-NC-SA 4.0, from the corpus",
        "made": "2026-11-24",
    }  # fmt: skip


def write_plain(folder: Path, *, name: str = "small", labels: tuple[str, ...] = ("a", "b")) -> Path:
    """Only what must be there: two classes, three speakers."""
    result = made_result(labels, speakers=3, clips=12)
    write_record(result, scores_of(result, name), folder)
    return folder


def write_full(folder: Path) -> Path:
    """Every section, ten classes, long names, and a leak."""
    result = made_result(LONG, clips=20, names="a speaker with quite a long name {:02d}")
    result = replace(result, leaks=(
        "fold 3 has actor 01 in training and test; a speaker may be on one side only",
        "the features are standardised over all samples: scale inside the pipeline",
    ))  # fmt: skip
    about = dict(result.about)
    long = f"{'a-very-long-folder-name-' * 3}/take"
    about["file"] = np.array([f"{long}-{number}.wav" for number in range(len(result.truth))])
    result = replace(result, about=about)
    name = "convolutional network over log-mel spectrograms, with attention"
    document = document_of(result, name)
    write_record(result, document, folder)
    write_curves(folder / "curves.csv")
    write_stress(result, folder / "stress.json", document["recall"])
    return folder


def write_ravdess(folder: Path, *, skill: float = 1.0, seed: int = 0, name: str = "cnn") -> Path:
    """A result as it usually is."""
    result = made_result(skill=skill, seed=seed)
    write_record(result, document_of(result, name), folder)
    write_curves(folder / "curves.csv")
    return folder


def write_curves(file: Path) -> None:
    """Learning curves of folds that ended early, each at another epoch."""
    generator = np.random.default_rng(0)
    with file.open("w", newline="", encoding="utf-8") as opened:
        rows = csv.writer(opened)
        names = ("train_loss", "valid_loss", "valid_uar", "learning_rate", "seconds")
        rows.writerow(["fold", "epoch", *names])
        for fold in range(8):
            for epoch in range(1, 25 + 2 * fold):
                falling = np.exp(-epoch / 12)
                train, valid = 2.1 * falling, 0.9 + 1.2 * falling + 0.003 * epoch
                recall = 0.7 - 0.5 * falling
                shake = generator.normal(0, 0.03, 3)
                values = np.array([train, valid, recall]) + shake + 0.02 * fold
                rows.writerow([fold, epoch, *values, 0.001, 1.5])


def write_stress(result: Result, file: Path, recall: dict[str, float] | None = None) -> None:
    """A stress test, in the shape of serein.analysis.robustness_report.StressReport.to_dict."""
    conditions = {}
    for test, names in CONDITIONS.items():
        for number, name in enumerate(names):
            mixed = np.random.default_rng(number).dirichlet(
                np.ones(len(result.labels)), len(result.truth)
            )
            share = 0.15 * (1 + number % 4)
            changed = replace(
                result, probabilities=(1 - share) * result.probabilities + share * mixed
            )
            entry = asdict(change(result, changed, draws=50))
            conditions[name] = {"settings": {"test": test, "kind": "Noise"}} | entry
    document = {
        "format": "serein-stress",
        "version": 1,
        "name": "cnn",
        "title": "cnn on ravdess: 400 clips, 24 unseen speakers",
        "labels": result.labels,
        "clips": len(result.truth),
        "speakers": 24,
        "clean": {"uar": uar(result.truth, result.prediction), "recall": recall or {}},
        "conditions": conditions,
        "fairness": {
            by: fairness(result, by, draws=300).to_dict()
            for by in ("gender", "language", "speaker", "sentence")
        },
        "notes": ["12 clips of emotions that are no labels are left out"],
    }
    text = json.dumps(document)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.replace("NaN", "null"), encoding="utf-8")
