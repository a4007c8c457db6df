"""Every model by its name: it is built, learns from vectors and from series, and is refused."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from serein.errors import SettingError
from serein.models.catalogue import (
    MEMBERS,
    MODELS,
    VECTORS_ONLY,
    make_model,
    member_names,
    search_space,
    takes_series,
)
from serein.models.classical import CLASSICAL
from serein.models.ensembles import ENSEMBLES
from serein.models.hmm import GaussianMixtureHMM
from serein.models.network_classifier import NetworkClassifier
from serein.models.padding import pad
from serein.models.pipelines import Pooled
from serein.training.plan import Training

Array = npt.NDArray[Any]
WIDTH = 3
SHORT = Training(epochs=1, batch_size=16)
SMALL: dict[str, dict[str, Any]] = {
    "random_forest": {"trees": 5},
    "gradient_boosting": {"trees": 5},
    "gmm_hmm": {"states": 2, "mixtures": 1, "iterations": 2},
    "bagging": {"count": 3},
    "boosting": {"count": 3},
    "voting": {"random_forest": {"trees": 5}},
    "stacking": {"random_forest": {"trees": 5}, "folds": 2},
}
NAMES = np.array(["anger", "fear", "joy"])


def vectors(samples: int = 24) -> tuple[Array, Array]:
    y = np.arange(samples) % 3
    noise = np.random.default_rng(0).standard_normal((samples, 6))
    return (3 * np.eye(6)[y] + noise).astype(np.float32), NAMES[y]


def series(samples: int = 24) -> tuple[Array, Array]:
    generator = np.random.default_rng(0)
    y = np.arange(samples) % 3
    frames = [
        3 * np.eye(WIDTH)[emotion] + generator.standard_normal((generator.integers(5, 9), WIDTH))
        for emotion in y
    ]
    return pad(frames), NAMES[y]


def kinds(kind: str) -> list[str]:
    return [name for name, family in MODELS.items() if family.kind == kind]


# --- every entry ---


@pytest.mark.parametrize("width", [None, WIDTH], ids=["vectors", "series"])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns_and_gives_probabilities(name: str, width: int | None):
    X, y = vectors() if width is None else series()
    model = make_model(name, SMALL.get(name), training=SHORT, width=width)
    fitted = clone(model).fit(X, y)
    probabilities = fitted.predict_proba(X)
    assert fitted.classes_.tolist() == NAMES.tolist()
    assert probabilities.shape == (len(y), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert probabilities.min() >= 0
    best = fitted.classes_[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(best, fitted.predict(X))
    if name not in kinds("network"):  # an epoch of two steps teaches a network nothing
        assert np.mean(best == y) > 0.8
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize("name", MODELS)
def test_a_clone_has_the_same_settings(name: str):
    model = make_model(name, SMALL.get(name), training=SHORT, width=WIDTH, random_state=5)
    assert repr(clone(model)) == repr(model)
    assert set(clone(model).get_params()) == set(model.get_params())


@pytest.mark.parametrize("name", ["mlp", "random_forest", "gmm_hmm", "bagging"])
def test_the_seed_decides(name: str):
    X, y = series()

    def probabilities(seed: int) -> Array:
        settings = SMALL.get(name, {}) | ({"mixtures": 2} if name == "gmm_hmm" else {})
        model = make_model(name, settings, training=SHORT, width=WIDTH, random_state=seed)
        return model.fit(X, y).predict_proba(X)

    np.testing.assert_array_equal(probabilities(1), probabilities(1))
    assert np.abs(probabilities(1) - probabilities(2)).max() > 1e-9


def test_kinds_say_what_is_built():
    for name, family in MODELS.items():
        model = make_model(name, training=SHORT, width=WIDTH)
        expected = {
            "network": NetworkClassifier,
            "hmm": GaussianMixtureHMM,
            "classical": Pooled,
        }
        kind = Pipeline if name == "knn" else expected.get(family.kind, object)  # takes no weights
        assert isinstance(model, kind), name
        assert family.slow is (family.kind in {"network", "ensemble"})
    assert sorted(kinds("classical")) == sorted(CLASSICAL)
    assert sorted(kinds("ensemble")) == sorted(ENSEMBLES)


def test_vectors_are_not_pooled():
    for name in kinds("classical"):
        assert not isinstance(make_model(name), Pooled)


def test_networks_are_told_how_to_train_and_where_to_keep_it(tmp_path):
    model = make_model("mlp", {"dense": 7}, training=SHORT, width=2, checkpoint=tmp_path)
    parameters = model.get_params()
    assert SHORT in parameters.values()
    assert tmp_path in parameters.values()
    assert 7 in parameters.values()
    assert parameters["width"] == 2


# --- what is refused ---


def test_an_unknown_name_lists_the_near_ones():
    with pytest.raises(ValueError, match="unknown model 'svn'; known: svm, "):
        make_model("svn")
    with pytest.raises(ValueError, match="unknown model 'bilsm'; known: bilstm, "):
        make_model("voting", {"members": ["svm", "bilsm"]})


@pytest.mark.parametrize("width", [None, WIDTH])
@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("svm", {"C": -1.0}, "C is -1.0; must be above 0"),
        ("logistic", {"C": -1.0}, "C is -1.0; must be above 0"),
        ("knn", {"neighbours": 0}, "'n_neighbors' parameter"),
        ("knn", {"metric": "miles"}, "'metric' parameter"),
        ("random_forest", {"trees": 0}, "'n_estimators' parameter"),
        ("random_forest", {"features": 2.0}, "'max_features' parameter"),
        ("naive_bayes", {"smoothing": -1.0}, "'var_smoothing' parameter"),
        ("gradient_boosting", {"depth": 0}, "'max_depth' parameter"),
        ("cnn", {"kernel": 2}, "kernel is 2; need an odd number"),
        ("mlp", {"dense": 0}, "dense is 0; allowed: a whole number from 1"),
        ("lstm", {"pooling": "lest"}, "unknown pooling 'lest'; known: last"),
        ("voting", {"members": []}, "needs at least 1 member; got none"),
        ("voting", {"weights": [1.0]}, "1 weights for 3 members; need one a member"),
        ("stacking", {"folds": 1}, "folds is 1; need at least 2"),
        ("bagging", {"base": "knn", "knn": {"neighbours": 0}}, "'n_neighbors' parameter"),
        ("voting", {"members": ["cnn"], "cnn": {"kernel": 4}}, "kernel is 4; need an odd"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_learnt(
    name: str, settings: dict[str, Any], message: str, width: int | None
):
    with pytest.raises(ValueError, match=message):
        make_model(name, settings, width=width)


def test_boosting_needs_a_member_that_takes_weights():
    with pytest.raises(ValueError, match="boosting needs a classifier whose fit takes"):
        make_model("boosting", {"base": "knn"})
    with pytest.raises(ValueError, match="boosting needs a classifier whose fit takes"):
        make_model("boosting", {"base": "gmm_hmm"}, width=WIDTH)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("svm", {"CC": 1.0}),
        ("cnn", {"kernal": 3}),
        ("voting", {"knn": {"neighbours": 3}}),
        ("voting", {"members": ["svm"], "svm": {"CC": 1.0}}),
    ],
)
def test_unknown_settings_are_refused(name: str, settings: dict[str, Any]):
    with pytest.raises(ValueError, match="unknown"):
        make_model(name, settings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("svm", {"kernel": "magic"}),
        ("gmm_hmm", {"states": 0}),
        ("gmm_hmm", {"topology": "ring"}),
        ("bagging", {"count": 0}),
        ("boosting", {"count": 0}),
        ("stacking", {"C": -1.0}),
    ],
)
def test_settings_of_all_models_are_refused_before_anything_is_learnt(
    name: str, settings: dict[str, Any]
):
    with pytest.raises(ValueError, match=next(iter(settings))):
        make_model(name, settings)


# --- ensembles ---


def test_neighbours_of_series_can_be_bagged():
    X, y = series()
    settings = {"base": "knn", "count": 2, "knn": {"neighbours": 3}}
    model = make_model("bagging", settings, width=WIDTH)
    assert model.fit(X, y).predict_proba(X).shape == (len(y), 3)


def test_boosting_of_series_refuses_neighbours_before_anything_is_learnt():
    with pytest.raises(ValueError, match="boosting needs a classifier whose fit takes"):
        make_model("boosting", {"base": "knn"}, width=WIDTH)


def test_settings_of_members_reach_them():
    settings = {
        "members": ["svm", "knn", "mlp"],
        "weights": [3.0, 2.0, 1.0],
        "svm": {"C": 0.125},
        "knn": {"neighbours": 4},
    }
    before = {key: value for key, value in settings.items()}
    model = make_model("voting", settings, training=SHORT, width=WIDTH)
    parts = dict(model.estimators)
    assert list(parts) == ["svm", "knn", "mlp"]
    assert parts["svm"].get_params()["estimator__estimator__C"] == 0.125
    assert parts["knn"].steps[-1][1].steps[-1][1].n_neighbors == 4
    assert parts["mlp"].get_params()["width"] == WIDTH
    assert SHORT in parts["mlp"].get_params().values()
    assert model.weights == [3.0, 2.0, 1.0]
    assert settings == before


def test_the_base_of_bagging_and_boosting():
    bagging = make_model("bagging", {"count": 4, "svm": {"kernel": "linear"}})
    assert bagging.n_estimators == 4
    assert bagging.estimator.estimator.kernel == "linear"
    boosting = make_model("boosting", {"base": "logistic", "logistic": {"C": 0.5}}, random_state=3)
    assert boosting.estimator.C == 0.5
    assert boosting.random_state == 3
    tree = make_model("boosting", {"depth": 2}, width=WIDTH)
    assert isinstance(tree, Pooled)
    assert tree.estimator.estimator.max_depth == 2


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("voting", {}, list(MEMBERS)),
        ("stacking", {"members": ["knn", "svm", "knn"]}, ["knn", "svm"]),
        ("bagging", {}, ["svm"]),
        ("bagging", {"base": "cnn"}, ["cnn"]),
        ("boosting", {}, []),
        ("boosting", {"base": "logistic"}, ["logistic"]),
        ("svm", {"members": ["knn"]}, []),
        ("cnn", {}, []),
    ],
)
def test_member_names(name: str, settings: dict[str, Any], expected: list[str]):
    assert member_names(name, settings) == expected


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("cnn", {}, True),
        ("gmm_hmm", {}, True),
        ("mlp", {}, False),
        ("svm", {}, False),
        ("voting", {}, False),
        ("voting", {"members": ["svm", "lstm"]}, True),
        ("voting", {"members": ["svm", "unknown"]}, False),
        ("bagging", {"base": "gmm_hmm"}, True),
        ("boosting", {}, False),
        ("stacking", {"members": ["bagging"], "bagging": {"base": "cnn"}}, True),
        ("stacking", {"members": ["bagging"]}, False),
    ],
)
def test_takes_series(name: str, settings: dict[str, Any], expected: bool):
    assert takes_series(name, settings) is expected


def test_what_takes_series_is_not_pooled_first():
    for name in MODELS:
        model = make_model(name, training=SHORT, width=WIDTH)
        if takes_series(name, {}) or name in VECTORS_ONLY:
            assert not isinstance(model, Pooled)
            assert model.get_params()["width"] == WIDTH


# --- search ---


def test_what_is_searched_unless_told_otherwise():
    for name, family in MODELS.items():
        if name == "voting":
            continue
        space = search_space(name, {})
        assert space == dict(family.space)
        assert space
        space["model.more"] = [1]
        assert "model.more" not in family.space


def test_what_was_asked_for_is_searched():
    asked = {"model.C": {"low": 1.0, "high": 2.0}}
    assert search_space("svm", asked) == asked
    assert search_space("voting", asked) == asked


def test_nothing_to_search_is_refused():
    with pytest.raises(ValueError, match="voting has nothing to search by default: name it under"):
        search_space("voting", {})


@pytest.mark.parametrize("name", [name for name, family in MODELS.items() if family.space])
def test_what_is_searched_is_a_setting_of_the_model(name: str):
    for key, span in MODELS[name].space.items():
        place, setting = key.split(".")
        low = span[0] if isinstance(span, list) else span["low"]
        if place == "training":
            assert hasattr(Training(), setting)
        else:
            assert "random_state" not in setting
            make_model(name, SMALL.get(name, {}) | {setting: low})


def test_the_old_name_of_a_setting_is_refused_by_the_new_one():
    with pytest.raises(SettingError, match="penalty is now called alpha"):
        make_model("ridge", {"penalty": 1e-3})
