from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from serein.errors import BundleError
from serein.evaluation.search.tuned import Tuned
from serein.experiment.export import OPSET
from serein.experiment.export.estimator_graph import join, speech_graph, to_graph
from serein.experiment.export.quantise import quantise
from serein.experiment.export.torch_graph import module_graph, to_onnx
from serein.models import classical
from serein.models.architectures import ARCHITECTURES
from serein.models.calibration import TemperatureScaled
from serein.models.ensembles import GroupedStacking, boosting
from serein.models.linear import MaskedLogisticRegression
from serein.models.network_classifier import NetworkClassifier
from serein.models.padding import pad
from serein.models.pipelines import Pooled, Pooling
from serein.training.balance import Balanced
from serein.training.plan import Training

FEATURES, WIDTH, LONGEST = 6, 4, 120
CLASSES = np.array(["sad", "angry", "happy"])


def vectors(classes: int, samples: int = 90) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    which = np.arange(samples) % classes
    centres = generator.standard_normal((classes, FEATURES))
    X = 1.5 * centres[which] + generator.standard_normal((samples, FEATURES))
    return (10 * X + 3).astype(np.float32), CLASSES[which]


def largest_gap(model: onnx.ModelProto, estimator: Any, X: np.ndarray) -> float:
    """How far a classifier's graph is from the classifier: largest difference of probabilities."""
    rows = np.asarray(X, dtype=np.float32)
    (given,) = run(model.SerializeToString(), rows)
    return float(np.abs(given - estimator.predict_proba(rows)).max())


def series(samples: int = 24) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    which = np.arange(samples) % 3
    lengths = generator.integers(5, 20, samples)
    lengths[0] = LONGEST
    rows = [generator.standard_normal((n, WIDTH)) + k for n, k in zip(lengths, which, strict=True)]
    return pad(rows), CLASSES[which]


def voting() -> VotingClassifier:
    members = [
        ("a", MaskedLogisticRegression()),
        ("b", classical.naive_bayes()),
        ("c", classical.knn()),
    ]
    return VotingClassifier(members, voting="soft", weights=[1, 2, 1])


def members() -> list[tuple[str, Any]]:
    return [("svm", classical.svm()), ("voting", voting())]


KINDS: dict[str, Any] = {
    "masked": MaskedLogisticRegression,
    "logistic": classical.logistic,
    "ridge": classical.ridge,
    "svm": classical.svm,
    "svm linear": lambda: classical.svm(kernel="linear"),
    "svm poly": lambda: classical.svm(kernel="poly"),
    "naive bayes": classical.naive_bayes,
    "naive bayes without scaling": GaussianNB,
    "forest": lambda: classical.random_forest(trees=10, random_state=0),
    "knn": classical.knn,
    "knn manhattan": lambda: classical.knn(weights="uniform", metric="manhattan"),
    "gradient boosting": lambda: classical.gradient_boosting(trees=5, random_state=0),
    "boosted trees": lambda: AdaBoostClassifier(
        DecisionTreeClassifier(max_depth=2), n_estimators=5, random_state=0
    ),
    "boosted ours": lambda: boosting(MaskedLogisticRegression(), count=3),
    "boosted svm": lambda: AdaBoostClassifier(classical.svm(), n_estimators=3, random_state=0),
    "bagging of pipelines": lambda: BaggingClassifier(
        make_pipeline(StandardScaler(), GaussianNB()), 3, max_features=0.5, random_state=0
    ),
    "bags that lack classes": lambda: BaggingClassifier(
        classical.knn(neighbours=2), 6, max_samples=4, random_state=1
    ),
    "voting": voting,
    "stacking": lambda: StackingClassifier(members(), MaskedLogisticRegression(), cv=2),
    "stacking by speakers": lambda: GroupedStacking(
        members(), LogisticRegression(), cv=2, stack_method="predict_proba"
    ),
    "stacking with the features": lambda: StackingClassifier(
        [("svm", classical.svm()), ("knn", classical.knn())],
        classical.logistic(),
        cv=2,
        passthrough=True,
    ),
    "bagging of voting": lambda: BaggingClassifier(voting(), 2, random_state=0),
    "pooled": lambda: Pooled(classical.svm()),
    "balanced": lambda: Balanced(classical.svm(), "over", random_state=0),
    "bagging of balanced": lambda: BaggingClassifier(
        Balanced(classical.naive_bayes(), "class_weights"), 2, random_state=0
    ),
}


def cooled(fitted: Any, temperature: float) -> TemperatureScaled:
    result = TemperatureScaled(fitted)
    result.estimator_, result.classes_, result.temperature_ = fitted, fitted.classes_, temperature
    return result


def run(model: onnx.ModelProto | bytes, X: np.ndarray) -> list[np.ndarray]:
    content = model if isinstance(model, bytes) else model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": X})


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_answers_as_the_classifier(kind: str, classes: int) -> None:
    X, y = vectors(classes)
    fitted = KINDS[kind]().fit(X[:60], y[:60])
    model = to_graph(fitted, FEATURES)
    assert [output.name for output in model.graph.output] == ["probability"]
    assert largest_gap(model, fitted, X[60:]) < 1e-4


@pytest.mark.parametrize("temperature", [0.3, 4.0])
@pytest.mark.parametrize("kind", KINDS)
def test_temperature_around_each(kind: str, temperature: float) -> None:
    X, y = vectors(3)
    fitted = KINDS[kind]().fit(X[:60], y[:60])
    with np.errstate(divide="ignore"):
        logits = np.log(fitted.predict_proba(X[60:]))
    (given,) = run(to_graph(cooled(fitted, temperature), FEATURES), X[60:])
    np.testing.assert_allclose(given, softmax(logits / temperature, axis=1), atol=1e-4)


@pytest.mark.parametrize("kind", ["naive bayes", "logistic", "masked", "ridge", "svm"])
def test_what_float32_takes_for_impossible_is_cooled_rightly(kind: str) -> None:
    X, y = vectors(3)
    fitted = KINDS[kind]().fit(X, y)
    far = 30 * X
    if kind == "naive bayes":
        assert fitted.predict_proba(far).min() < 1e-60
    assert largest_gap(to_graph(cooled(fitted, 20.0), FEATURES), cooled(fitted, 20.0), far) < 1e-4


def test_probabilities_of_exactly_zero_stay_finite() -> None:
    X, y = vectors(3)
    forest = classical.random_forest(trees=3, random_state=0).fit(X, y)
    assert (forest.predict_proba(X) == 0).any()
    for temperature in (0.05, 20.0):
        (given,) = run(to_graph(cooled(forest, temperature), FEATURES), X)
        assert np.isfinite(given).all()
        assert (given[forest.predict_proba(X) == 0] == 0).all()


def test_a_bag_did_lack_a_class() -> None:
    X, y = vectors(3)
    fitted = KINDS["bags that lack classes"]().fit(X[:60], y[:60])
    assert min(len(part.classes_) for part in fitted.estimators_) == 2


def test_neighbours_at_the_same_place_decide_alone() -> None:
    X, y = vectors(3)
    fitted = KNeighborsClassifier(5, weights="distance").fit(X, y)
    assert largest_gap(to_graph(fitted, FEATURES), fitted, X) < 1e-6


def test_a_wrapper_that_only_trains_is_written_as_what_it_holds() -> None:
    X, y = vectors(3)
    tuned = Tuned(classical.svm(), {"estimator__C": [1.0, 2.0]}, method="grid", trials=2, folds=2)
    tuned.fit(X, y)
    (given,) = run(to_graph(cooled(tuned, 2.0), FEATURES), X)
    wanted = cooled(tuned.estimator_, 2.0).predict_proba(X)
    np.testing.assert_allclose(given, wanted, atol=1e-4)


def test_speech_is_the_probability_of_true() -> None:
    X, y = vectors(2)
    for detector in (MaskedLogisticRegression(), classical.random_forest(trees=5, random_state=0)):
        fitted = detector.fit(X, y == "sad")
        (speech,) = run(speech_graph(fitted, FEATURES), X)
        assert speech.shape == (len(X),)
        np.testing.assert_allclose(speech, fitted.predict_proba(X)[:, 1], atol=1e-4)


def test_speech_of_three_classes_is_refused() -> None:
    with pytest.raises(BundleError, match="2 classes"):
        speech_graph(MaskedLogisticRegression().fit(*vectors(3)), FEATURES)


@pytest.mark.parametrize("frames", [1, 7, 120])
def test_pooled_series(frames: int) -> None:
    fitted = make_pipeline(Pooling(WIDTH), classical.logistic()).fit(*series())
    X = np.random.default_rng(1).standard_normal((3, frames * WIDTH)).astype(np.float32)
    (given,) = run(to_graph(fitted, None), X)
    np.testing.assert_allclose(given, fitted.predict_proba(padded(X)), atol=1e-4)


def padded(X: np.ndarray) -> np.ndarray:
    """Put NaN behind series, up to the columns of `series`, on which scikit-learn insists."""
    filled = np.full((len(X), LONGEST * WIDTH), np.nan, dtype=np.float32)
    filled[:, : X.shape[1]] = X
    return filled


def network(name: str, width: int | None = WIDTH) -> NetworkClassifier:
    plan = Training(epochs=1, batch_size=8, patience=0)
    return NetworkClassifier(ARCHITECTURES[name](), plan, width=width, random_state=0)


def pooled() -> Any:
    return make_pipeline(Pooling(WIDTH), classical.logistic())


@pytest.mark.parametrize(
    "make",
    [
        lambda: network("lstm"),  # torch's newer exporter
        lambda: network("rnn"),  # its older one
        lambda: BaggingClassifier(network("mlp"), 2, random_state=0),
        lambda: VotingClassifier([("n", network("mlp")), ("p", pooled())], voting="soft"),
        lambda: StackingClassifier(
            [("n", network("mlp")), ("p", pooled())], LogisticRegression(), cv=2
        ),
    ],
    ids=["lstm", "rnn", "bagging", "voting", "stacking"],
)
def test_networks_alone_and_in_ensembles(make: Any) -> None:
    torch.set_num_threads(1)
    fitted = make().fit(*series())
    model = to_graph(cooled(fitted, 2.0), None)
    generator = np.random.default_rng(1)
    for frames in (1, 7, 120):
        X = generator.standard_normal((3, frames * WIDTH)).astype(np.float32)
        (given,) = run(model, X)
        with np.errstate(divide="ignore"):
            logits = np.log(fitted.predict_proba(padded(X)))
        np.testing.assert_allclose(given, softmax(logits / 2, axis=1), atol=1e-4)


def test_a_network_of_vectors() -> None:
    X, y = vectors(3)
    fitted = network("lstm", width=None).fit(X, y)
    assert largest_gap(to_graph(fitted, FEATURES), fitted, X) < 1e-4


class Branching(torch.nn.Module):
    """Goes another way for other numbers, which no graph of ours can."""

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        return series.mean(1) if series.sum() > 0 else series.amax(1)


def test_a_network_whose_graph_is_wrong_is_refused() -> None:
    with pytest.raises(BundleError, match=r"Branching cannot be exported.*other results"):
        module_graph(Branching(), WIDTH)


class Encoder(torch.nn.Module):
    """(batch, time) to (batch, FEATURES)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(FEATURES, FEATURES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.unfold(1, FEATURES, 2).mean(1))


def test_heads_behind_an_encoder() -> None:
    torch.manual_seed(0)
    X, y = vectors(3)
    emotions = cooled(MaskedLogisticRegression().fit(X, y), 1.5)
    speech = classical.random_forest(trees=3, random_state=0).fit(X, y == "sad")
    encoder = Encoder().eval()
    sound = np.random.default_rng(2).standard_normal((2, 40)).astype(np.float32)
    joined = join(
        to_onnx(encoder, sound, ["vector"]),
        {"probability": to_graph(emotions, FEATURES), "speech": speech_graph(speech, FEATURES)},
    )
    model = onnx.load_from_string(joined)
    assert model.ir_version <= 10
    opsets = sorted((entry.domain, entry.version) for entry in model.opset_import)
    assert opsets == [("", OPSET), ("ai.onnx.ml", 3)]
    with torch.no_grad():
        vector = encoder(torch.from_numpy(sound)).numpy()
    probability, heard = run(joined, sound)
    np.testing.assert_allclose(probability, emotions.predict_proba(vector), atol=1e-4)
    np.testing.assert_allclose(heard, speech.predict_proba(vector)[:, 1], atol=1e-4)
    shapes = {output.name: output.type.tensor_type.shape for output in model.graph.output}
    assert shapes["probability"].dim[1].dim_value == 3
    assert len(shapes["speech"].dim) == 1


def test_int8_spares_the_heads() -> None:
    X, y = vectors(3)
    encoder = to_onnx(Encoder().eval(), np.zeros((2, 40), dtype=np.float32), ["vector"])
    head = to_graph(MaskedLogisticRegression().fit(X, y), FEATURES)
    with pytest.raises(BundleError, match="no float32 matrix"):
        quantise(join(None, {"probability": head}))
    assert quantise(join(_with_matmul(encoder), {"probability": head}))


def _with_matmul(encoder: bytes) -> bytes:
    model = onnx.load_from_string(encoder)
    weight = onnx.numpy_helper.from_array(np.eye(FEATURES, dtype=np.float32), "weight")
    model.graph.initializer.append(weight)
    for node in model.graph.node:
        node.output[:] = ["before" if name == "vector" else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("MatMul", ["before", "weight"], ["vector"]))
    return model.SerializeToString()


def test_heads_side_by_side_on_series() -> None:
    X, y = series()
    emotions, speech = pooled().fit(X, y), pooled().fit(X, y == "sad")
    heads = {"probability": to_graph(emotions, None), "speech": speech_graph(speech, None)}
    rows = np.random.default_rng(1).standard_normal((2, 9 * WIDTH)).astype(np.float32)
    answers = run(join(None, heads), rows)
    np.testing.assert_allclose(answers[0], emotions.predict_proba(padded(rows)), atol=1e-4)
    np.testing.assert_allclose(answers[1], speech.predict_proba(padded(rows))[:, 1], atol=1e-4)


def test_an_older_encoder_is_brought_to_the_same_operators() -> None:
    X, y = vectors(3)
    fitted = MaskedLogisticRegression().fit(X, y)
    node = onnx.helper.make_node("Neg", ["input"], ["vector"])
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node], "old", [value("input", 1, ["n", FEATURES])], [value("vector", 1, ["n", FEATURES])]
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    old = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    (given,) = run(join(old, {"probability": to_graph(fitted, FEATURES)}), X)
    np.testing.assert_allclose(given, fitted.predict_proba(-X), atol=1e-4)


def test_a_head_with_another_output_is_refused() -> None:
    head = to_graph(MaskedLogisticRegression().fit(*vectors(3)), FEATURES)
    with pytest.raises(BundleError, match="'speech' alone"):
        join(None, {"speech": head})


@pytest.mark.parametrize(
    ("estimator", "match"),
    [
        (VotingClassifier([("a", GaussianNB())], flatten_transform=False), "hard voting"),
        (KNeighborsClassifier(metric="chebyshev"), "metric 'chebyshev'"),
        (CalibratedClassifierCV(GaussianNB(), cv=2), "use TemperatureScaled"),
        (HistGradientBoostingClassifier(max_iter=2), "HistGradientBoostingClassifier cannot"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_exported_says_so(estimator: Any, match: str) -> None:
    with pytest.raises(BundleError, match=match):
        to_graph(estimator.fit(*vectors(3)), FEATURES)


def test_an_estimator_that_nobody_can_write() -> None:
    class Unheard(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Any:
            self.classes_ = np.unique(y)
            return self

    with pytest.raises(BundleError, match="Unheard"):
        to_graph(Unheard().fit(*vectors(3)), FEATURES)
