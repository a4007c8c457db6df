"""A recipe's scores on unseen speakers, and the files they are written to."""

from __future__ import annotations

import hashlib
import platform
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from serein.errors import RecipeError, renamed
from serein.evaluation.cross_validation import FittedFolds, cross_validate
from serein.evaluation.importance import permutation_importance
from serein.evaluation.result import Result
from serein.evaluation.result_file import write_predictions, write_record
from serein.evaluation.search.tuned import Tuned
from serein.experiment.adapted_scores import FUSED, NO_PRIOR, Adapted, adapt, can_adapt
from serein.experiment.export.torch_graph import quantised_encoder
from serein.experiment.prepare import (
    Prepared,
    ProgressBar,
    describe,
    inside,
    make_classifier,
    named_errors,
    no_progress_bar,
    stack,
    temperature_of,
)
from serein.experiment.splits import make_folds
from serein.features.encoder import SpeechEncoder
from serein.features.feature_cache import default_cache
from serein.features.feature_sets import group_columns
from serein.private_files import kept_or_not, private_folder
from serein.tables import write_rows

VERSIONED = (
    *("serein", "numpy", "scikit-learn", "scipy", "torch", "skorch", "imbalanced-learn"),
    *("hmmlearn", "transformers", "onnxruntime"),
)
KEPT_S = 14 * 24 * 3600  # how long checkpoints are kept


@dataclass(frozen=True)
class Evaluation:
    """A recipe's scores on unseen speakers.

    Attributes
    ----------
    prepared : Prepared
        The recipe with its data.
    fitted : FittedFolds
        The classifiers of the folds.
    result : Result
        Their pooled predictions, features in float32.
    int8 : Result or None
        Their predictions from features of the int8 encoder.
    importance : list of dict
        As `serein.evaluation.importance.permutation_importance` gives it; empty if not asked for.
    adapted : tuple of Adapted
        Predictions with some utterances of the speaker known; empty if not asked for.
    """

    prepared: Prepared
    fitted: FittedFolds
    result: Result
    int8: Result | None = None
    importance: list[dict[str, Any]] = field(default_factory=list)
    adapted: tuple[Adapted, ...] = ()

    @property
    def curves(self) -> list[list[dict[str, Any]]]:
        """Learning curves of networks: a list a fold, an entry an epoch."""
        return [learning_curve(member) for member, _ in self.fitted.members]

    @property
    def fingerprint(self) -> str:
        """A hash of front end, labels and predictions, 20 letters."""
        front = self.prepared.front.fingerprint if self.prepared.front else ""
        content = "\n".join([front, *self.result.labels, *self.result.about["file"]]).encode()
        return hashlib.sha256(content + self.result.probabilities.tobytes()).hexdigest()[:20]

    def by_corpus(self, *, int8: bool = False) -> dict[str, dict[str, Any]]:
        """Return the scores of each corpus; of the int8 encoder there may be none."""
        result = self.int8 if int8 else self.result
        if result is None:
            return {}
        origin = result.about["corpus"]
        return {str(name): result.subset(origin == name).scores() for name in np.unique(origin)}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, as `result.json` holds it beside the protocol."""
        prepared, recipe = self.prepared, self.prepared.recipe
        document: dict[str, Any] = {"name": recipe.name} | self.result.scores()
        document["by_corpus"] = self.by_corpus()
        if self.int8:
            document["int8"] = self.int8.scores() | {"by_corpus": self.by_corpus(int8=True)}
        spent = [inside(member, "privacy_") for member, _ in self.fitted.members]
        if any(spent):
            document["privacy"] = spent
        if self.adapted:
            document["adapted"] = [case.to_dict() for case in self.adapted]
        return document | {
            "by_speaker": self.result.by_speaker(),
            "folds": self.result.folds(),
            "chosen": chosen(self),
            "importance": self.importance,
            "corpora": prepared.corpora,
            "left_out": prepared.left_out,
            "licence": recipe.bundle.licence,
            "seed": recipe.protocol.seed,
            "recipe": asdict(recipe),
            "versions": versions(),
        }


@renamed(progress="progress_bar")
def evaluate(
    prepared: Prepared,
    *,
    int8: bool = False,
    importance: bool = False,
    adaptation: bool | None = False,
    cache: Path | None = None,
    progress_bar: ProgressBar = no_progress_bar,
) -> Evaluation:
    """Cross-validate a recipe over speakers.

    Parameters
    ----------
    prepared : Prepared
        The recipe with its data.
    int8 : bool
        Whether to test on features of the quantised encoder as well.
    importance : bool
        Whether to measure the importance of features, where they have names.
    adaptation : bool or None
        Whether to evaluate with some of each speaker's other utterances known, without labels, as
        well; None for where the classifiers allow it.
    cache : path, optional
        Folder of the feature cache.
    progress_bar : callable
        Makes a progress bar with a title.

    Returns
    -------
    Evaluation
        Scores on unseen speakers.

    Raises
    ------
    ProtocolError
        If the speakers do not allow the recipe's protocol.
    RecipeError
        If the model cannot learn from the data; for `int8` without an encoder; for `adaptation`
        without calibration, or with fusion.
    """
    front = prepared.front
    if int8 and not isinstance(front, SpeechEncoder):
        raise RecipeError(f"{prepared.recipe.name}: int8 is for recipes with an [encoder]")
    if adaptation and prepared.recipe.fusion:
        raise RecipeError(f"{prepared.recipe.name}: {FUSED}")
    if adaptation and not prepared.recipe.protocol.calibration_folds:
        raise RecipeError(f"{prepared.recipe.name}: {NO_PRIOR}")
    fitted = fit_folds(prepared, cache=cache, progress_bar=progress_bar)
    seed = prepared.recipe.protocol.seed
    evaluation = Evaluation(prepared, fitted, fitted.predict(prepared.X))
    groups = feature_groups(prepared) if importance else {}
    if groups:
        with progress_bar("importance of features") as progress:
            found = permutation_importance(
                fitted, prepared.X, groups, random_state=seed, progress=progress
            )
        evaluation = replace(evaluation, importance=found)
    if adaptation or (adaptation is None and can_adapt(fitted)):
        with progress_bar("adaptation") as progress:
            cases = adapt(fitted, evaluation.result, prepared.X, seed=seed, progress=progress)
        evaluation = replace(evaluation, adapted=tuple(cases))
    if int8 and isinstance(front, SpeechEncoder):
        vectors = describe(prepared.corpus, quantised_encoder(front), cache, progress_bar)
        evaluation = replace(
            evaluation, int8=fitted.predict(prepared.with_voice(stack(vectors, front)))
        )
    return evaluation


def on_unseen_corpora(
    prepared: Prepared, *, cache: Path | None = None, progress_bar: ProgressBar = no_progress_bar
) -> Evaluation | None:
    """Evaluate with each corpus left out in turn; None where a recipe has no head for that."""
    recipe = prepared.recipe
    if not recipe.adaptation.relative or len(set(prepared.origin)) < 2:
        return None
    prepared = _of_several_corpora(prepared)
    protocol = replace(recipe.protocol, split="leave_one_corpus_out", emotions="all", test=())
    folds, words = make_folds(protocol, prepared.corpus)
    recipe = replace(recipe, protocol=protocol)
    unseen = replace(prepared, recipe=recipe, folds=folds, protocol=words)
    fitted = fit_folds(unseen, cache=cache, progress_bar=progress_bar, title="unseen corpora")
    result = fitted.predict(unseen.X)
    with progress_bar("adaptation") as progress:
        cases = adapt(fitted, result, unseen.X, counts=(None,), progress=progress)
    return Evaluation(unseen, fitted, result, adapted=tuple(cases))


def _of_several_corpora(prepared: Prepared) -> Prepared:
    """Leave out the emotions that one corpus alone has: without it none is learnt."""
    pairs = set(zip(prepared.origin, prepared.emotions, strict=True))
    corpora = Counter(emotion for _, emotion in pairs)
    return prepared.part(np.array([corpora[emotion] > 1 for emotion in prepared.emotions]))


def fit_folds(
    prepared: Prepared,
    *,
    cache: Path | None = None,
    progress_bar: ProgressBar = no_progress_bar,
    title: str = "cross-validation",
) -> FittedFolds:
    """Fit a recipe's classifier once for each fold of unseen speakers."""
    with progress_bar(title) as progress, named_errors(prepared.recipe):
        return cross_validate(
            make_classifier(prepared, checkpoint=training_folder(cache)),
            prepared.X,
            prepared.emotions,
            prepared.speakers,
            prepared.folds,
            protocol=prepared.protocol,
            per_sample=prepared.per_sample(),
            augmented=prepared.augmented,
            about=prepared.about,
            speaker_overlap=prepared.recipe.protocol.speaker_overlap,
            progress=progress,
        )


def learning_curve(fitted: Any) -> list[dict[str, Any]]:
    """Return the learning curve of a fitted network, under what is wrapped around it."""
    return list(inside(fitted, "history_") or [])


def feature_groups(prepared: Prepared) -> dict[str, list[int]]:
    """Group the columns of a recipe's vectors by the measure or encoder layer they come from."""
    front = prepared.front
    if front is None or front.width is not None:
        return {}
    if isinstance(front, SpeechEncoder):
        groups = {name: columns.tolist() for name, columns in front.columns().items()}
    else:
        groups = group_columns(front.sets, front.functionals)
    first = 0
    for name, width in prepared.widths.items():
        if name != "voice":
            groups[name] = [*range(first, first + width)]
        first += width
    return groups


def chosen(evaluation: Evaluation) -> list[dict[str, Any]]:
    """List what each fold chose from data: settings, temperature, epochs; and from which data."""
    recipe = evaluation.prepared.recipe
    rows: list[dict[str, Any]] = []
    for fold, (member, _) in enumerate(evaluation.fitted.members):
        inner = member
        if isinstance(inner, Tuned):
            on = (
                f"{inner.search_.tried} trials in {inner.folds} inner folds of the training "
                f"speakers (UAR there {inner.search_.best_score:.3f})"
            )
            best = inner.best_params_ or {"nothing": "the recipe as it stands was best"}
            rows += [
                {"fold": fold, "what": what, "value": value, "on": on}
                for what, value in best.items()
            ]
            inner = inner.estimator_
        if recipe.protocol.calibration_folds:
            on = f"{recipe.protocol.calibration_folds} inner folds of the training speakers"
            found = temperature_of(inner)
            each = found if isinstance(found, dict) else {"": found}
            rows += [
                {
                    "fold": fold,
                    "what": f"temperature of {name}" if name else "temperature",
                    "value": round(value, 4),
                    "on": on,
                }
                for name, value in each.items()
            ]
        epochs = len(learning_curve(inner))
        if recipe.training.patience and epochs:
            on = "held-out training speakers (early stopping)"
            rows.append({"fold": fold, "what": "epochs", "value": epochs, "on": on})
    return rows


def training_folder(cache: Path | None) -> Path | None:
    """Return the folder of checkpoints, after deleting those that are weeks old, if it can be."""
    folder = (cache or default_cache()) / "training"
    with kept_or_not(folder):
        private_folder(folder)
        for file in folder.glob("*.safetensors"):
            if time.time() - file.lstat().st_mtime > KEPT_S:
                file.unlink(missing_ok=True)
        return folder
    return None


def write_evaluation(evaluation: Evaluation, folder: str | Path) -> Path:
    """Write ``result.json`` and the raw ``predictions.csv`` it is computed from.

    Also ``curves.csv`` of networks, and ``predictions-int8.csv`` and ``predictions-adapted.csv``
    where they were asked for.

    Parameters
    ----------
    evaluation : Evaluation
        What `evaluate` returned.
    folder : str or path
        Created if missing.

    Returns
    -------
    pathlib.Path
        Of ``result.json``.
    """
    folder = Path(folder)
    target = write_record(evaluation.result, evaluation.to_dict(), folder)
    if evaluation.int8:
        write_predictions(evaluation.int8, folder / "predictions-int8.csv")
    for case in evaluation.adapted:
        if case.whole:
            ending = "" if case.to == "speaker" else f"-{case.to}"
            write_predictions(case.result, folder / f"predictions-adapted{ending}.csv")
    _write_curves(evaluation, folder / "curves.csv")
    return target


def _write_curves(evaluation: Evaluation, target: Path) -> None:
    columns = [name for curve in evaluation.curves for name in (curve[0] if curve else ())]
    if not columns:
        target.unlink(missing_ok=True)  # of an earlier evaluation
        return
    columns = list(dict.fromkeys(columns))
    rows = (
        [fold, *(epoch.get(name, "") for name in columns)]
        for fold, curve in enumerate(evaluation.curves)
        for epoch in curve
    )
    write_rows(target, ["fold", *columns], rows)


def versions() -> dict[str, str]:
    """Return the versions of Python and of every package that shapes a score."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
