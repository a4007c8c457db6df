"""Classical classifiers: the estimator contract, scikit-learn as oracle, weights and seeds."""

import inspect
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import softmax
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.models.classical import CLASSICAL, MarginSVM, knn, logistic, svm
from serein.models.pipelines import Scaled

Array = npt.NDArray[Any]
WEIGHED = sorted(set(CLASSICAL) - {"knn"})
NOT_MET = {
    MarginSVM: {
        "check_sample_weight_equivalence_on_dense_data": (
            "libsvm stops at a tolerance, and gamma 'scale' knows no weights; "
            "test_integer_weights_are_repetitions asks for two digits"
        ),
    },
    Scaled: {},
}


def corpus(samples: int = 90, features: int = 5, classes: int = 3, seed: int = 0) -> Any:
    """Samples around one centre a class, on features of very different scale and offset."""
    generator = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    centres = 1.5 * generator.standard_normal((classes, features))
    X = centres[y] + generator.standard_normal((samples, features))
    return X * np.logspace(-2, 2, features) + 10, np.array(["joy", "anger", "fear", "calm"])[y]


def small(name: str, **parameters: Any) -> Any:
    if name in {"random_forest", "gradient_boosting"}:
        parameters = {"trees": 10, "random_state": 3} | parameters
    return CLASSICAL[name](**parameters)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [Scaled(LogisticRegression()), MarginSVM()],
    expected_failed_checks=lambda estimator: NOT_MET[type(estimator)],
)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_model_learns_gives_probabilities_and_repeats_itself(name: str):
    X, y = corpus(180)
    fitted = [small(name).fit(X[60:], y[60:]) for _ in range(2)]
    probabilities = fitted[0].predict_proba(X[:60])
    assert fitted[0].classes_.tolist() == ["anger", "fear", "joy"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert (fitted[0].classes_[probabilities.argmax(axis=1)] == fitted[0].predict(X[:60])).all()
    assert np.mean(fitted[0].predict(X[:60]) == y[:60]) > 0.8
    np.testing.assert_array_equal(probabilities, fitted[1].predict_proba(X[:60]))


@pytest.mark.parametrize("name", CLASSICAL)
def test_scale_of_features_changes_nothing(name: str):
    X, y = corpus(180)
    other = X * 2.0 ** np.arange(-2, 3) + 2.0
    predictions = [small(name).fit(V[60:], y[60:]).predict_proba(V[:60]) for V in (X, other)]
    np.testing.assert_allclose(predictions[0], predictions[1], atol=1e-3)


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_setting_has_a_default_and_what_is_random_a_seed(name: str):
    parameters = inspect.signature(CLASSICAL[name]).parameters
    assert ("random_state" in parameters) is (name in {"random_forest", "gradient_boosting"})
    assert all(one.default is not inspect.Parameter.empty for one in parameters.values())
    assert all(one.kind is inspect.Parameter.KEYWORD_ONLY for one in parameters.values())


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_setting_arrives(name: str):
    """Another value of a setting makes another estimator."""
    other = {
        "C": 0.5,
        "alpha": 0.01,
        "kernel": "poly",
        "gamma": 0.25,
        "degree": 2,
        "smoothing": 0.5,
        "trees": 7,
        "depth": 2,
        "leaf": 9,
        "features": 0.5,
        "neighbours": 4,
        "weights": "uniform",
        "metric": "manhattan",
        "learning_rate": 0.7,
        "subsample": 0.9,
    }
    for setting in set(inspect.signature(CLASSICAL[name]).parameters) - {"random_state"}:
        default, changed = CLASSICAL[name](), CLASSICAL[name](**{setting: other[setting]})
        assert repr(changed) != repr(default), setting


def test_scaled_is_a_pipeline_of_scaling_and_classifier():
    X, y = corpus()
    ours = Scaled(LogisticRegression(C=0.1)).fit(X, y)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))
    np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X))


def test_logistic_takes_label_sets():
    X, y = corpus()
    assert logistic(C=0.1).fit(X, y, label_set=["ravdess"] * len(y)).C == 0.1


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
def test_svm_ranks_as_its_margins_do(kernel: str, classes: int):
    X, y = corpus(80, classes=classes)
    ours = svm(kernel=kernel, C=2.0, gamma=0.1, degree=2).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    theirs = SVC(kernel=kernel, C=2.0, gamma=0.1, degree=2).fit(scaled, y)
    margins = theirs.decision_function(scaled)
    if classes == 2:
        margins = np.column_stack([-margins, margins])
    np.testing.assert_allclose(ours.predict_proba(X), softmax(margins, axis=1))
    assert (ours.predict(X) == theirs.classes_[margins.argmax(axis=1)]).all()
    np.testing.assert_array_equal(
        ours.estimator_.decision_function(scaled), theirs.decision_function(scaled)
    )


@pytest.mark.parametrize("name", WEIGHED)
def test_weights_that_silence_a_class_make_it_rare(name: str):
    X, y = corpus(150, seed=1)
    X = X + np.random.default_rng(0).standard_normal(X.shape) * 2 * X.std(axis=0)  # hard to tell
    light = np.where(y == "joy", 0.05, 1.0)
    weighted = small(name).fit(X[:100], y[:100], sample_weight=light[:100])
    plain = small(name).fit(X[:100], y[:100])
    joy = [np.mean(fitted.predict(X[100:]) == "joy") for fitted in (weighted, plain)]
    assert joy[0] < joy[1]


@pytest.mark.parametrize("model", [logistic(C=1.0), svm(kernel="linear", C=1.0)])
def test_integer_weights_are_repetitions(model: Any):
    X, y = corpus(60)
    times = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = model.fit(X, y, sample_weight=times).predict_proba(X)
    repeated = model.fit(np.repeat(X, times, axis=0), y.repeat(times)).predict_proba(X)
    plain = model.fit(X, y).predict_proba(X)
    np.testing.assert_allclose(weighted, repeated, atol=0.01)
    assert np.abs(weighted - plain).max() > 0.02


def test_knn_can_be_bagged_though_it_knows_no_weights():
    X, y = corpus(120)
    bagged = BaggingClassifier(knn(), n_estimators=3, random_state=0).fit(X[40:], y[40:])
    assert bagged.score(X[:40], y[:40]) > 0.8
    with pytest.raises(ValueError, match="does not accept the sample_weight parameter"):
        knn().fit(X, y, sample_weight=np.ones(len(y)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": ["joy"] * 6}, r"y has 1 class \(joy\); a classifier needs samples of at least 2"),
        ({"sample_weight": np.ones(5)}, "sample_weight must be 6 numbers"),
        ({"sample_weight": [1, 1, -1, 1, 1, 1]}, "(?i)negative"),
        ({"X": [[1.0], [2.0], [np.nan], [3.0], [4.0], [5.0]]}, "contains NaN"),
        ({"y": [0.5, 1.5, 2.5, 3.5, 4.5, 5.25]}, "Unknown label type"),
    ],
)
@pytest.mark.parametrize("model", [MarginSVM(), svm()])
def test_what_is_refused(model: Any, changed: dict[str, Any], message: str):
    given = {"X": np.arange(6.0)[:, None], "y": ["joy", "fear"] * 3} | changed
    with pytest.raises(ValueError, match=message):
        model.fit(**given)


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ValueError, match="unknown kernel 'rfb'; known: rbf, "):
        MarginSVM("rfb").fit([[0.0], [1.0]], ["joy", "fear"])
