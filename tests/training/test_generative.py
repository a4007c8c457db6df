"""The generative network: samples hold their label, are not copies, and move no global seed."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from imblearn.utils.estimator_checks import parametrize_with_checks as parametrize_with_imblearns
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.training.generative import ConditionalWGAN, _BalancedBatches, _gradient_penalty

Array = npt.NDArray[Any]
SHORT = {"epochs": 1, "hidden": (8,), "random_state": 0}


@pytest.fixture
def quality(load_bench: Callable[[str], ModuleType]) -> ModuleType:
    return load_bench("generative_quality")


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def clouds(counts: tuple[int, ...] = (80, 60, 12), features: int = 6) -> tuple[Array, Array]:
    """A cloud a class, on features of different scale and offset."""
    random = np.random.default_rng(0)
    y = np.repeat([f"class {number}" for number in range(len(counts))], counts)
    centres = 2.5 * np.eye(len(counts), features)
    X = np.repeat(centres, counts, axis=0) + random.standard_normal((len(y), features))
    return X * np.logspace(-2, 2, features) + np.linspace(-50, 50, features), y


# --- contract ---


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([ConditionalWGAN(**SHORT)])
def test_scikit_learns_contract(estimator, check):
    check(estimator)


NOT_MET = {"check_samplers_pandas_sparse": "networks see dense vectors; sparse ones are refused"}
IMBALANCED_LEARNS = parametrize_with_imblearns(
    [ConditionalWGAN(**SHORT)], expected_failed_checks=lambda estimator: NOT_MET
).args[1]


@pytest.mark.parametrize(("estimator", "check"), list(IMBALANCED_LEARNS))
def test_imbalanced_learns_contract(estimator, check):
    check(estimator)


# --- what it makes ---


@pytest.mark.parametrize("components", [None, 0.99])
def test_samples_hold_their_label_and_are_not_copies(components: float | None, quality: ModuleType):
    X, y = clouds()
    fitted = ConditionalWGAN(
        epochs=80,
        hidden=(32,),
        learning_rate=2e-3,
        critic_steps=3,
        components=components,
        random_state=0,
    ).fit(X, y)
    made = np.concatenate([fitted.sample(label, 60, 1) for label in fitted.classes_])
    asked = np.repeat(fitted.classes_, 60)
    unseen_X, unseen_y = clouds((200, 200, 200))
    assert quality.label_agreement(unseen_X, unseen_y, made, asked) > 0.8
    assert quality.nearest_distance_ratio(X, y, made, asked) > 0.3
    assert quality.spread_ratio(X, y, made, asked) > 0.5
    untrained = ConditionalWGAN(**SHORT).fit(X, y)
    noise = np.concatenate([untrained.sample(label, 60, 1) for label in fitted.classes_])
    assert quality.label_agreement(unseen_X, unseen_y, noise, asked) < 0.6


def test_the_gradient_penalty_is_the_distance_of_a_slope_from_1():
    X, label = torch.randn(7, 2), torch.zeros(7, 1)
    for slope, expected in (((0.6, 0.8), 0.0), ((3.0, 4.0), 16.0)):
        weights = torch.tensor(slope)
        penalty = _gradient_penalty(lambda x, label, w=weights: x @ w, X, X + 1.0, label)
        assert penalty.item() == pytest.approx(expected, abs=1e-6)


def test_classes_are_drawn_equally_often_however_rare():
    X, index = np.arange(100.0)[:, None], np.repeat([0, 1, 2], [90, 8, 2])
    rows, labels = _BalancedBatches(X, index).draw(3000)
    assert (np.abs(labels.sum(0).numpy() - 1000) < 150).all()
    np.testing.assert_array_equal(index[rows[:, 0].long()], labels.argmax(1))
    assert len(np.unique(rows)) == 100


def test_a_curve_has_a_value_an_epoch():
    history = ConditionalWGAN(**SHORT | {"epochs": 3}).fit(*clouds()).history_
    assert [len(values) for values in history.values()] == [3, 3]
    assert np.isfinite([*history.values()]).all()


def test_every_class_is_brought_up_to_the_largest_and_the_given_samples_stay():
    X, y = clouds()
    more, labels = ConditionalWGAN(**SHORT).fit_resample(X.astype(np.float32), y)
    assert dict(zip(*np.unique(labels, return_counts=True), strict=True)) == {
        "class 0": 80,
        "class 1": 80,
        "class 2": 80,
    }
    assert more.dtype == np.float32
    np.testing.assert_array_equal(more[: len(y)], X.astype(np.float32))
    np.testing.assert_array_equal(labels[: len(y)], y)


def test_same_seed_same_samples_and_torchs_own_state_stays():
    X, y = clouds()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (ConditionalWGAN(**SHORT).fit_resample(X, y)[0] for _ in range(2))
    other = ConditionalWGAN(**SHORT | {"random_state": 1}).fit_resample(X, y)[0]
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 0
    assert torch.equal(before, torch.get_rng_state())


# --- quality ---


def test_copies_noise_and_repetition_are_told_apart(quality: ModuleType):
    X, y = clouds((100, 100, 100))
    real, rest = np.arange(300) % 2 == 0, np.arange(300) % 2 == 1
    as_good_as_real = (X[real], y[real], X[rest], y[rest])
    assert quality.label_agreement(*as_good_as_real) > 0.9
    assert 0.8 < quality.nearest_distance_ratio(*as_good_as_real) < 1.2
    assert 0.8 < quality.spread_ratio(*as_good_as_real) < 1.2
    assert quality.nearest_distance_ratio(X[real], y[real], X[real], y[real]) == 0.0
    same = np.repeat(X[rest][:1], 9, axis=0)
    assert quality.spread_ratio(X[real], y[real], same, y[:9]) == pytest.approx(0.0, abs=1e-6)
    assert quality.label_agreement(X[real], y[real], X[rest], np.roll(y[rest], 50)) < 0.1


def test_quality_is_blind_to_units(quality: ModuleType):
    X, y = clouds((50, 50, 50))
    made = X + 0.1 * X.std(axis=0) * np.random.default_rng(1).standard_normal(X.shape)
    in_other_units = (1000 * X, y, 1000 * made, y)
    for measure in (quality.label_agreement, quality.nearest_distance_ratio, quality.spread_ratio):
        assert measure(*in_other_units) == pytest.approx(measure(X, y, made, y))


# --- what is refused ---


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0; allowed: 1 or more"),
        ({"critic_steps": 0}, "critic_steps is 0; allowed: 1 or more"),
        ({"penalty": -1.0}, "penalty is -1.0; allowed: 0 or more"),
        ({"learning_rate": np.nan}, "learning_rate is nan"),
        ({"hidden": ()}, r"hidden is \(\); need widths"),
        ({"sampling_strategy": {"class 9": 100}}, "class 9"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        ConditionalWGAN(**SHORT | settings).fit(*clouds())


def test_samples_that_are_refused(quality: ModuleType):
    X, y = clouds()
    with pytest.raises(ValueError, match="class class 2 has a single sample"):
        ConditionalWGAN(**SHORT).fit(*clouds((9, 9, 1)))
    with pytest.raises(ValueError, match="NaN"):
        ConditionalWGAN(**SHORT).fit(np.full_like(X, np.nan), y)
    with pytest.raises(ValueError, match="unknown class 'class 22'; known: class 2, "):
        ConditionalWGAN(**SHORT).fit(X, y).sample("class 22", 3)
    with pytest.raises(ValueError, match="count is 0; allowed: 1 or more"):
        ConditionalWGAN(**SHORT).fit(X, y).sample("class 2", 0)
    with pytest.raises(ValueError, match="0 synthetic samples with 0 labels"):
        quality.label_agreement(X, y, X[:0], y[:0])
    with pytest.raises(ValueError, match="class class 2 has fewer than 2 real samples"):
        quality.nearest_distance_ratio(X[:141], y[:141], X, y)
