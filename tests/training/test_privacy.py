"""A private training spends no more than it may, hides each recording, and says so."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from skorch.dataset import Dataset

from serein.errors import MissingExtraError
from serein.models.architectures import ARCHITECTURES, MLP, TextbookCNN
from serein.models.network_classifier import NetworkClassifier
from serein.models.scaled_network import ScaledNetwork
from serein.training.factory import make_trainer
from serein.training.plan import Training
from serein.training.privacy import PRIVATE_MODELS, BatchDataset, load_opacus, refuse_layers

pytest.importorskip("opacus")
Y = np.tile([0, 1], 30)
X = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32) + Y[:, None]
ONE_STEP = {  # of plain gradient descent over all samples, at rate 1
    **{"optimiser": "sgd", "momentum": 0.0, "l2": 0.0, "schedule": "fixed", "learning_rate": 1.0},
    **{"epochs": 1, "batch_size": 60},
}


def fit(seed: int = 0, **settings: Any) -> NetworkClassifier:
    plan = Training(**{"epochs": 3, "batch_size": 20} | settings)
    return NetworkClassifier(MLP(dropout=0.0), plan, random_state=seed).fit(X, Y)


def weights(model: NetworkClassifier) -> np.ndarray:
    return np.concatenate([part.detach().numpy().ravel() for part in model.module_.parameters()])


def moved(**settings: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Give what one step changes, and what it gave away."""
    start = weights(fit(**ONE_STEP | {"learning_rate": 0.0}))
    model = fit(**ONE_STEP | settings)
    return weights(model) - start, model.privacy_ or {}


def test_off_nothing_changes() -> None:
    plain, off = fit(), fit(privacy_delta=1e-3, privacy_clip=0.1)
    np.testing.assert_array_equal(weights(plain), weights(off))
    assert plain.privacy_ is None


@pytest.mark.parametrize("epsilon", [0.5, 8.0])
def test_it_spends_what_it_may_and_no_more(epsilon: float) -> None:
    spent = fit(privacy_epsilon=epsilon).privacy_
    assert spent is not None
    assert 0.9 * epsilon <= spent["epsilon"] <= epsilon
    assert (spent["delta"], spent["rate"], spent["steps"]) == (1e-5, 1 / 3, 9)
    assert spent["unit"] == "recording"


def test_the_sum_is_that_of_the_gaussian_mechanism() -> None:
    spent = fit(privacy_epsilon=2.0, batch_size=60, epochs=5).privacy_
    assert spent is not None
    # I. Mironov, "Rényi differential privacy", CSF 2017, proposition 7; B. Balle et al., AISTATS
    # 2020, theorem 21
    order = np.arange(1.01, 200, 0.01)
    divergence = 5 * order / (2 * spent["noise"] ** 2)
    bound = (
        divergence + np.log1p(-1 / order) - (np.log(spent["delta"]) + np.log(order)) / (order - 1)
    )
    assert spent["epsilon"] == pytest.approx(bound.min(), rel=0.01)


def test_no_recording_moves_the_weights_further_than_the_clip() -> None:
    free, _ = moved(clip=0.0)
    step, spent = moved(privacy_epsilon=1e5, privacy_clip=1e-3)
    noise = spent["noise"] * 1e-3 / 60 * np.sqrt(step.size)
    assert np.linalg.norm(free) > 0.1
    assert np.linalg.norm(step) < 1e-3 + 2 * noise


def test_the_noise_is_as_large_as_the_sums_suppose() -> None:
    step, spent = moved(privacy_epsilon=0.1, privacy_clip=0.5)
    assert step.std() == pytest.approx(spent["noise"] * 0.5 / 60, rel=0.1)


def test_without_noise_and_bound_it_is_the_plain_step() -> None:
    plain, _ = moved(clip=0.0)
    step, spent = moved(privacy_epsilon=1e6, privacy_clip=100.0)
    scatter = spent["noise"] * 100.0 / 60
    np.testing.assert_allclose(step, plain, rtol=0, atol=6 * scatter)


def private_trainer(samples: int, batch_size: int) -> tuple[Any, dict[str, np.ndarray], np.ndarray]:
    """Make a trainer of one epoch, and samples with labels for it."""
    plan = Training(epochs=1, batch_size=batch_size, privacy_epsilon=8.0)
    trainer = make_trainer(MLP().build(6, 2), plan, samples, device=torch.device("cpu"))
    series, ones = np.zeros((samples, 1, 6), np.float32), np.ones(samples, np.float32)
    data = {"series": series, "lengths": ones.astype(np.int64), "weight": ones}
    return trainer, data, np.arange(samples) % 2


def batch_sizes(samples: int, batch_size: int, epochs: int) -> np.ndarray:
    """Count the recordings in each training batch."""
    trainer, data, labels = private_trainer(samples, batch_size)
    sizes = []
    for _ in range(epochs):
        for values, _ in trainer.get_iterator(Dataset(data, labels), training=True):
            sizes.append(float(sum(values["weight"])))
    return np.array(sizes)


def test_each_recording_joins_each_batch_by_chance_as_the_accountant_supposes() -> None:
    """Poisson sampling: the sizes of batches are binomial, not those of a shuffled partition."""
    sizes = batch_sizes(samples=200, batch_size=50, epochs=500)
    assert len(sizes) == 2000  # the bounds below are over 4 standard errors wide
    assert sizes.mean() == pytest.approx(50, abs=0.6)
    assert sizes.var() == pytest.approx(200 * 1 / 4 * 3 / 4, rel=0.15)
    trainer, data, labels = private_trainer(200, 50)
    trainer.learn(data, labels)
    assert [(rate, steps) for _, rate, steps in trainer.accountant_.history] == [(1 / 4, 4)]


def test_batches_can_be_empty() -> None:
    sizes = batch_sizes(samples=4, batch_size=1, epochs=250)
    assert (sizes == 0).mean() == pytest.approx((3 / 4) ** 4, abs=0.07)


def test_the_seed_does_not_tell_the_noise() -> None:
    first, again = (fit(seed=1, privacy_epsilon=8.0) for _ in range(2))
    assert not np.array_equal(weights(first), weights(again))


def test_an_empty_batch_is_a_step_of_noise() -> None:
    values, labels = BatchDataset(Dataset({"weight": np.ones(3)}, Y[:3])).__getitems__([])
    assert (values["weight"], labels) == ([0.0], [0])
    model = fit(privacy_epsilon=8.0, batch_size=1)
    assert model.privacy_ is not None
    assert model.privacy_["steps"] == 180
    assert np.isfinite(weights(model)).all()


def test_nothing_of_the_sums_stays_in_the_network() -> None:
    model = fit(privacy_epsilon=8.0)
    assert isinstance(model.module_, ScaledNetwork)
    assert not model.module_.training
    assert not any(hasattr(weight, "grad_sample") for weight in model.module_.parameters())


def test_series_too() -> None:
    rows = np.random.default_rng(1).normal(size=(60, 12 * 8)).astype(np.float32)
    rows[::3, 8 * 8 :] = np.nan  # shorter ones
    plan = Training(epochs=1, batch_size=20, privacy_epsilon=8.0)
    model = NetworkClassifier(TextbookCNN((2, 2), 8), plan, width=8, random_state=0).fit(rows, Y)
    assert model.privacy_ is not None
    assert model.predict_proba(rows).shape == (60, 2)


def test_the_scaling_can_be_that_of_others() -> None:
    others = 5 + 2 * np.random.default_rng(2).normal(size=(500, 6)).astype(np.float32)
    plan = Training(epochs=1, privacy_epsilon=8.0)
    model = NetworkClassifier(MLP(), plan, random_state=0, scaling=others).fit(X, Y)
    np.testing.assert_allclose(model.module_.mean, others.mean(axis=0), rtol=1e-5)
    assert model.privacy_ is not None
    assert model.privacy_["scaling_of"] == "others"
    with pytest.raises(ValueError, match="scaling has 5 columns, and X 6"):
        NetworkClassifier(MLP(), plan, scaling=others[:, :5]).fit(X, Y)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_networks_that_mix_recordings_are_refused(name: str) -> None:
    network = ARCHITECTURES[name]().build(16, 2)
    if name in PRIVATE_MODELS:
        assert refuse_layers(network) is None
    else:
        with pytest.raises(ValueError, match=f"take {' or '.join(PRIVATE_MODELS)}"):
            refuse_layers(network)


def test_the_layers_are_named() -> None:
    with pytest.raises(ValueError, match="this network has BatchNorm1d, LSTM"):
        refuse_layers(torch.nn.Sequential(torch.nn.LSTM(2, 2), torch.nn.BatchNorm1d(2)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": 3}, "patience is 3; privacy_epsilon needs 0"),
        ({"l1": 0.1}, "l1 is 0.1; privacy_epsilon needs 0"),
        ({"precision": "bfloat16"}, "privacy_epsilon needs float32"),
        ({"device": "accelerate"}, "privacy_epsilon needs auto, cpu or cuda"),
        ({"privacy_delta": 0.02}, "with 60 recordings it must be below 1 / 60 = 0.017"),
        ({"privacy_epsilon": 1e-4}, "privacy_epsilon is 0.0001; no noise is enough"),
        ({"privacy_epsilon": -1.0}, "privacy_epsilon is -1.0; allowed: 0 to 1e"),
        ({"privacy_clip": 0.0}, "privacy_clip is 0.0; allowed: 1e-06"),
    ],
)
def test_what_it_does_not_account_for_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(**{"privacy_epsilon": 1.0} | settings)


def test_weights_are_refused() -> None:
    model = NetworkClassifier(MLP(), Training(privacy_epsilon=1.0))
    with pytest.raises(ValueError, match="recordings that all count the same"):
        model.fit(X, Y, sample_weight=np.ones(60))


def test_without_the_extra_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opacus", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'serein\[privacy\]'"):
        load_opacus()
    with pytest.raises(MissingExtraError):
        fit(privacy_epsilon=1.0)
