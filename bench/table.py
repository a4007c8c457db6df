"""Every model family on EmoDB and RAVDESS, on unseen speakers: `make table`.

Writes results/models.json, a row a recipe, as each is done, and results/models.md. A row whose
recipe has not changed is not measured again; a run that was killed goes on from the last epoch.
Confidence is not calibrated here: the temperature changes neither UAR nor accuracy.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from library import (
    RESULTS,
    ROOT,
    Row,
    line,
    parser,
    read_json,
    rounded,
    uar,
    uar_of,
    write_between,
    write_json,
)
from library import table as markdown_table

from serein.audio.read import RATE_HZ, read_audio
from serein.cli.progress import progress_bar
from serein.evaluation.cross_validation import FittedFolds
from serein.experiment.evaluate import fit_folds, learning_curve
from serein.experiment.export.estimator_graph import join, to_graph
from serein.experiment.export.torch_graph import encoder_graph
from serein.experiment.prepare import Prepared, prepare
from serein.experiment.recipe import Model, Recipe, uncalibrated
from serein.experiment.recipe_file import read_recipe, short_recipe
from serein.features.encoder import SpeechEncoder
from serein.models.catalogue import MODELS
from serein.models.hmm import GaussianMixtureHMM

CORPORA = ("emodb", "ravdess")
TIMED_CLIPS = 20
MARK = "<!-- make table -->"
HEADS = (
    "model",
    "UAR (95 % interval)",
    "accuracy",
    "parameters",
    "epochs",
    "training of a fold, s",
    "inference, s per s",
)
LATER = {  # keys that came after rows were measured, which their default leaves as they were
    "data": {"public": (), "unlabelled": (), "folders": {}},
    "training": {"privacy_epsilon": 0.0, "privacy_delta": 1e-5, "privacy_clip": 1.0},
    "protocol": {"named": {}, "test": (), "speaker_overlap": "refuse", "emotions": "common"},
    "encoder": {"pool_after": 0, "trim_noise": False, "frames": False},
    "augmentation": {"probability": {}, "weight": 1.0},
    "balance": {"weight": {}},
}

FRAMED = ("mlp", "cnn_lstm_attention", "lstm", "transformer")  # on the encoder's frames

OLD_NAMES = {
    "per_clip": "copies",
    "pool_after": "halve_after",
    "utterance_normalisation": "normalise",
}


def main() -> None:
    """Measure what is missing, then write table and document."""
    arguments = parser(__doc__, "data", out=RESULTS / "models.json", document=RESULTS / "models.md")
    arguments.add_argument("--corpora", nargs="*", default=CORPORA)
    arguments.add_argument("--only", nargs="*", help="models, if not all")
    options = arguments.parse_args()
    for recipe in recipes(options.corpora, options.only):
        mark = fingerprint(recipe)
        if not any(row["recipe"] == mark for row in read_json(options.out)):
            add_row(options.out, measure(recipe, options.data) | {"recipe": mark})
    write_document(options.document, read_json(options.out))


def add_row(file: Path, row: Row) -> None:
    """Put a row in the place of the one of the same model and corpus, if any."""
    kept = [old for old in read_json(file) if key(old) != key(row)]
    rows = sorted([*kept, row], key=lambda row: (row["corpus"], -row["uar"]))
    write_json(file, rows)
    print(line(cells(row)), flush=True)


def key(row: Row) -> tuple[str, str]:
    """Say which row it is."""
    return row["model"], row["corpus"]


def recipes(corpora: list[str], only: list[str] | None) -> list[Recipe]:
    """Make the recipe of every corpus and model, quick ones first; read those of the encoder."""
    names = sorted(MODELS, key=lambda name: (MODELS[name].slow, name))
    found = [short_recipe(corpus, name) for corpus in corpora for name in names]
    files = [f"{corpus}{end}.toml" for end in ("-probe", "") for corpus in corpora]
    found += [read_recipe(ROOT / "recipes" / file) for file in files]
    found += [on_frames(corpus, name) for corpus in corpora for name in FRAMED]
    return [
        uncalibrated(recipe)
        for recipe in found
        if not only or {recipe.name, recipe.name.partition("-")[2]} & set(only)
    ]


def on_frames(corpus: str, name: str) -> Recipe:
    """Make the recipe of a network on the encoder's frames, as recipes/emodb-frames.toml has it."""
    recipe = read_recipe(ROOT / "recipes/emodb-frames.toml")
    plain = read_recipe(ROOT / f"recipes/{corpus}.toml")
    model = recipe.model if name == recipe.model.name else Model(name)  # "mlp", pooled attentively
    named = f"{corpus}-{name}-frames"
    return replace(recipe, name=named, data=plain.data, protocol=plain.protocol, model=model)


def fingerprint(recipe: Recipe) -> str:
    """Name what a row depends on, wherever the data lie."""
    settings = asdict(recipe)
    del settings["data"]["folder"], settings["search"], settings["bundle"]
    if settings["encoder"]:
        del settings["encoder"]["weights"]
    for section in ("fusion", "face", "text", "bursts", "emotions"):
        if not settings[section]:
            del settings[section]
    for section, defaults in LATER.items():
        for name, default in defaults.items():
            if settings[section] and settings[section][name] == default:
                del settings[section][name]
    if not settings["adaptation"]["relative"]:
        del settings["adaptation"]
    settings = with_old_names(settings)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def with_old_names(settings: Row) -> Row:
    """Give keys the names that they had when the rows were measured."""
    return {
        name: {OLD_NAMES.get(key, key): entry for key, entry in values.items()}
        if isinstance(values, dict)
        else values
        for name, values in settings.items()
    }


def measure(recipe: Recipe, data: Path) -> Row:
    """Judge a recipe on unseen speakers, and time it."""
    prepared = prepare(recipe, data=data, progress_bar=progress_bar)
    fitted = fit_folds(prepared, progress_bar=progress_bar)
    scores = fitted.predict(prepared.X).scores()
    last = fitted.members[-1][0]
    row = {
        "model": model_name(recipe),
        "corpus": recipe.data.corpora[0],
        "protocol": prepared.protocol,
        **uar_of(scores),
        "accuracy": scores["accuracy"],
        "parameters": parameters(last, prepared),
        "epochs": len(learning_curve(last)) or None,
        "train_s": round(training_seconds(fitted), 1),
    }
    return rounded(row) | {"infer_s_per_s": float(f"{inference(last, prepared):.2g}")}


def model_name(recipe: Recipe) -> str:
    """Name a row."""
    if recipe.encoder is None:
        return recipe.model.name
    encoder = Path(recipe.encoder.name).name
    if not recipe.encoder.frames:
        return f"{recipe.model.name} on {encoder}"
    return f"{recipe.model.name} on frames of {encoder}"


def training_seconds(fitted: FittedFolds) -> float:
    """Mean over the folds; of networks what their epochs took, for a run may have been resumed."""
    curves = [learning_curve(member) for member, _ in fitted.members]
    epochs = sum(epoch["seconds"] for curve in curves for epoch in curve)
    return (epochs or fitted.seconds) / len(fitted.members)


def graph(fitted: Any, prepared: Prepared) -> bytes:
    """Turn a fold's classifier into the graph that a bundle would hold."""
    columns = None if prepared.width else prepared.X.shape[1]
    front = prepared.front
    encoder = encoder_graph(front) if isinstance(front, SpeechEncoder) else None
    return join(encoder, {"probability": to_graph(fitted, columns)})


def parameters(fitted: Any, prepared: Prepared) -> int:
    """Count the weights of a network, or the numbers that another model stores."""
    if hasattr(fitted, "n_parameters_"):
        return int(fitted.n_parameters_)
    if isinstance(fitted, GaussianMixtureHMM):
        return sum(array.size for array in fitted.arrays_.to_arrays().values())
    model = onnx.load_from_string(graph(fitted, prepared))
    constants = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    return constants + sum(
        len(attribute.floats) for node in model.graph.node for attribute in node.attribute
    )


def inference(fitted: Any, prepared: Prepared) -> float:
    """Time front end and model on one thread, seconds per second of sound; the least of three."""
    signals = [read_audio(path) for path in prepared.corpus.paths[:TIMED_CLIPS]]
    answer, front = answering(fitted, prepared), prepared.front
    front_end = front.front_end if isinstance(front, SpeechEncoder) else front
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        for signal in signals:
            answer(front_end(signal))
        taken.append(time.perf_counter() - start)
    return min(taken) / (sum(signal.size for signal in signals) / RATE_HZ)


def answering(fitted: Any, prepared: Prepared) -> Any:
    """Make the function from the front end's output to probabilities that a bundle runs."""
    if isinstance(fitted, GaussianMixtureHMM):
        return fitted.arrays_.log_probabilities
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        graph(fitted, prepared), settings, providers=["CPUExecutionProvider"]
    )
    flat = len(session.get_inputs()[0].shape) == 2
    return lambda features: session.run(
        None, {"input": features.reshape(1, -1) if flat else features[None]}
    )


def cells(row: Row) -> list[str]:
    """Write the cells of a row."""
    return [
        row["model"],
        uar(row),
        f"{row['accuracy']:.3f}",
        f"{row['parameters']:,}".replace(",", " "),
        str(row["epochs"] or ""),
        f"{row['train_s']:g}",
        f"{row['infer_s_per_s']:g}",
    ]


def write_document(document: Path, rows: list[Row]) -> None:
    """Put the tables between the marks of the document."""
    parts = []
    for corpus in CORPORA:
        mine = [row for row in rows if row["corpus"] == corpus]
        if mine:
            written = markdown_table(HEADS, map(cells, mine))
            parts.append(f"**{corpus}**, {mine[0]['protocol']}:\n\n{written}\n")
    if document.exists():
        write_between(document, MARK, "\n".join(parts).removesuffix("\n"))


if __name__ == "__main__":
    main()
