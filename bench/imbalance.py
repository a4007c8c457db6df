"""What to do about rare emotions: seven methods side by side, on unseen speakers.

    python bench/imbalance.py --data FOLDER_OF_CORPORA

Three emotions are thinned to a tenth in the training part of each fold, drawn from a seed; the test
part is left as it is. Rows are written as they finish; a second run leaves out those that are there
with the same settings.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from generative_quality import (
    label_agreement,
    nearest_distance_ratio,
    spread_ratio,
)
from library import Row, read_json, write_json
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serein.corpora import Corpus
from serein.evaluation.intervals import speaker_interval
from serein.evaluation.metrics import recalls, uar
from serein.evaluation.protocol import Fold, leave_one_speaker_out, ravdess_actor_folds
from serein.features.extractor import FeatureExtractor
from serein.models.architectures import MLP
from serein.models.linear import MaskedLogisticRegression
from serein.models.network_classifier import NetworkClassifier
from serein.training.balance import Balanced
from serein.training.generative import ConditionalWGAN
from serein.training.plan import Training

Array = npt.NDArray[Any]

RARE = {  # thinned to a tenth; each is confused with emotions that stay common
    "ravdess": ("disgust", "fear", "surprise"),
    "emodb": ("disgust", "fear", "happiness"),
}
KEPT = 0.1
SEED = 0
C = 0.1  # of the logistic regression
WGAN = ConditionalWGAN(epochs=100, random_state=SEED)
MADE = 200  # samples of each rare emotion and fold that are judged
EPOCHS = 30  # of the networks


def main() -> None:
    """Print and write a row a method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--out", type=Path, default=Path("results/imbalance.json"))
    parser.add_argument("--corpus", choices=RARE, default="ravdess")
    options = parser.parse_args()
    corpus = Corpus.load(options.corpus, options.data)
    X = FeatureExtractor(["expert"], jobs=-1).fit_transform(corpus.paths).astype(np.float64)
    study = Study(options.corpus, X, corpus)
    table = Table(options.out)
    print(f"{options.corpus}: {', '.join(study.rare)} thinned to {KEPT:.0%}: {study.kept} clips")
    for method, (classifier, estimator) in candidates().items():
        key = study.key(method, classifier, estimator)
        table.once(key, lambda estimator=estimator: study.score(estimator))
    key = study.key("gan quality", "", WGAN) | {"made": MADE}
    table.once(key, study.quality)


def candidates() -> dict[str, tuple[str, Any]]:
    """Name the methods, each with the classifier it works on."""
    linear = make_pipeline(StandardScaler(), MaskedLogisticRegression(C))
    methods: dict[str, Any] = {
        name: name for name in ("none", "over", "under", "smote", "class_weights")
    }
    methods["gan"] = WGAN
    found: dict[str, tuple[str, Any]] = {
        name: ("logistic regression", Balanced(linear, method, random_state=SEED))
        for name, method in methods.items()
    }
    found["none (network)"] = ("perceptron", network("cross_entropy"))
    found["focal loss"] = ("perceptron", network("focal"))
    return found


def network(loss: str) -> Any:
    """Make a perceptron that learns with a loss."""
    plan = Training(loss=loss, epochs=EPOCHS)
    return make_pipeline(StandardScaler(), NetworkClassifier(MLP(), plan, random_state=SEED))


class Study:
    """A corpus whose rare emotions are rarer in training than in life."""

    def __init__(self, name: str, X: Array, corpus: Corpus) -> None:
        self.name, self.X = name, X
        self.emotions = np.array([clip.emotion for clip in corpus])
        self.speakers = np.array([clip.speaker for clip in corpus])
        self.labels, self.truth = np.unique(self.emotions, return_inverse=True)
        self.rare = RARE[name]
        folds = (ravdess_actor_folds if name == "ravdess" else leave_one_speaker_out)(
            self.speakers.tolist()
        )
        self.folds = self.thinned(folds)
        self.kept = sum(np.isin(self.emotions[train], self.rare).sum() for train, _ in self.folds)

    def thinned(self, folds: Sequence[Fold]) -> list[Fold]:
        """Leave a tenth of the rare emotions in each training part, at least 2 clips of each."""
        random = np.random.default_rng(SEED)
        thin = []
        for train, test in folds:
            rows = [train[~np.isin(self.emotions[train], self.rare)]]
            for emotion in self.rare:
                clips = train[self.emotions[train] == emotion]
                count = max(2, round(KEPT * len(clips)))
                rows.append(random.choice(clips, count, replace=False))
            thin.append((np.sort(np.concatenate(rows)), test))
        return thin

    def key(self, method: str, classifier: str, estimator: Any) -> Row:
        """Say in full what a row measures."""
        return {
            "method": method,
            "classifier": classifier,
            "corpus": self.name,
            "folds": len(self.folds),
            "rare": list(self.rare),
            "kept": KEPT,
            "seed": SEED,
            "settings": {
                name: str(value)
                for name, value in sorted(estimator.get_params().items())
                if isinstance(value, (int, float, str, tuple, type(None)))
            },
        }

    def score(self, estimator: Any) -> Row:
        """Cross-validate: recall of the rare emotions and UAR, with intervals by speaker."""
        answer = np.empty_like(self.truth)
        begin = time.perf_counter()
        for train, test in self.folds:
            fitted = clone(estimator).fit(self.X[train], self.emotions[train])
            answer[test] = np.searchsorted(self.labels, fitted.predict(self.X[test]))
        seconds = time.perf_counter() - begin
        return {
            **self.scores("minority_recall", self.minority_recall, answer),
            **self.scores("uar", uar, answer),
            "seconds": round(seconds, 1),
        }

    def scores(self, name: str, score: Callable[[Array, Array], float], answer: Array) -> Row:
        """Give a score with its 95 % interval."""
        interval = speaker_interval(score, self.truth, answer, self.speakers)
        return {
            name: round(score(self.truth, answer), 4),
            f"{name}_interval_95": [round(end, 4) for end in interval],
        }

    def minority_recall(self, truth: Array, answer: Array) -> float:
        """Average the recalls of the rare emotions; resamples may lack one."""
        columns = np.searchsorted(self.labels, self.rare)
        return float(np.nanmean(recalls(truth, answer, len(self.labels))[columns]))

    def quality(self) -> Row:
        """Judge samples of the generative network, averaged over folds.

        One judge learns from what the network learnt from; the other from all training speakers'
        clips, unthinned, nine tenths of which the network never saw in the rare emotions.
        """
        found = []
        begin = time.perf_counter()
        for train, test in self.folds:
            real = self.X[train], self.emotions[train]
            everything = np.setdiff1d(np.arange(len(self.X)), test)
            unthinned = self.X[everything], self.emotions[everything]
            wgan = clone(WGAN).fit(*real)
            vectors = [wgan.sample(emotion, MADE, SEED) for emotion in self.rare]
            made = np.concatenate(vectors), np.repeat(self.rare, MADE)
            held_out = np.setdiff1d(everything, train)
            found.append(
                {
                    "label_agreement": label_agreement(*real, *made),
                    "label_agreement_unthinned_judge": label_agreement(*unthinned, *made),
                    "label_agreement_of_real_clips_left_out": label_agreement(
                        *real, self.X[held_out], self.emotions[held_out]
                    ),
                    "nearest_distance_ratio": nearest_distance_ratio(*real, *made),
                    "spread_ratio": spread_ratio(*real, *made),
                }
            )
        means = {name: round(float(np.mean([f[name] for f in found])), 4) for name in found[0]}
        return {**means, "seconds": round(time.perf_counter() - begin, 1)}


class Table:
    """Rows in a JSON file; those that are there are not measured again."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: list[Row] = read_json(file)

    def once(self, key: Row, measure: Callable[[], Row]) -> None:
        """Measure and write a row, unless it is there; print it."""
        known = [row for row in self.rows if key.items() <= row.items()]
        row = known[0] if known else {**key, **measure()}
        if not known:
            same = {"method", "corpus"}
            self.rows = [old for old in self.rows if any(old[name] != key[name] for name in same)]
            self.rows.append(row)
            write_json(self.file, self.rows)
        scores = {name: value for name, value in row.items() if name not in key}
        print(f"{row['method']:15} {row['classifier']:20} {scores}", flush=True)


if __name__ == "__main__":
    main()
