"""Networks as classifiers: contract, training, early stopping, and what is refused."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback
from torch import Tensor, nn

from serein.errors import MissingExtraError
from serein.models.network_classifier import NetworkClassifier
from serein.models.padding import pad
from serein.training.plan import LOSSES, OPTIMISERS, SCHEDULES, Training

Array = npt.NDArray[Any]

NOT_MET = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a sample of weight 2 is met once an epoch, a repeated one twice, in other batches; "
        "test_weights_decide asks for what remains true"
    ),
}


class MaskedMean(nn.Module):
    """A small network: mean over time, dropout, two layers."""

    def __init__(self, inputs: int, hidden: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)
        )

    def forward(self, series: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            return self.layers(series.mean(dim=1))
        return self.layers(series.sum(dim=1) / lengths[:, None])


@dataclass(eq=False, repr=False)
class Tiny(BaseEstimator):
    """Settings of `MaskedMean`."""

    hidden: int = 16
    dropout: float = 0.1

    def build(self, inputs: int, classes: int) -> nn.Module:
        return MaskedMean(inputs, self.hidden, classes, self.dropout)


QUICK: dict[str, Any] = {"epochs": 6, "batch_size": 16, "learning_rate": 0.03}


def model(random_state: Any = 0, **given: Any) -> NetworkClassifier:
    """Make a small, quick classifier; settings of the training go to `Training`."""
    own = ("checkpoint", "callbacks", "width", "architecture")
    options: dict[str, Any] = {"architecture": Tiny()}
    options |= {name: given.pop(name) for name in own if name in given}
    return NetworkClassifier(
        training=Training(**(QUICK | given)), random_state=random_state, **options
    )


def vectors(samples: int = 90, seed: int = 0) -> tuple[Array, Array]:
    """Three classes on features of different scale and offset."""
    generator = np.random.default_rng(seed)
    y = np.arange(samples) % 3
    X = 3 * np.eye(3, 4)[y] + generator.standard_normal((samples, 4))
    return X * [1, 10, 100, 0.1] + [0, 50, -300, 5], np.array(["fear", "anger", "joy"])[y]


def recordings(samples: int = 60) -> tuple[list[Array], Array]:
    """Series of different length whose class is their mean."""
    generator = np.random.default_rng(0)
    y = np.arange(samples) % 2
    lengths = generator.integers(3, 20, samples)
    return [generator.standard_normal((n, 3)) + 2 * k for n, k in zip(lengths, y, strict=True)], y


def weights(fitted: NetworkClassifier) -> dict[str, Tensor]:
    return fitted.module_.state_dict()


def same(one: NetworkClassifier, other: NetworkClassifier) -> bool:
    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [model(None, epochs=12)],
    expected_failed_checks=lambda estimator: NOT_MET,
)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


# --- learning ---


def test_it_learns_and_tells_what_it_did():
    X, y = vectors()
    fitted = model().fit(X, y)
    assert fitted.score(X, y) > 0.9
    assert fitted.classes_.tolist() == ["anger", "fear", "joy"]
    assert fitted.n_parameters_ == 4 * 16 + 16 + 16 * 3 + 3
    assert (fitted.width_, fitted.n_features_in_, fitted.best_epoch_) == (4, 4, 6)
    assert [row["epoch"] for row in fitted.history_] == [1, 2, 3, 4, 5, 6]
    assert set(fitted.history_[0]) == {"epoch", "train_loss", "learning_rate", "seconds"}
    assert {type(value) for row in fitted.history_ for value in row.values()} == {int, float}
    assert fitted.history_[-1]["train_loss"] < fitted.history_[0]["train_loss"]
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.log(probabilities), fitted.predict_log_proba(X))
    assert (fitted.classes_[probabilities.argmax(axis=1)] == fitted.predict(X)).all()


def test_without_settings_it_takes_an_architecture_of_the_package():
    X, y = vectors(30)
    fitted = NetworkClassifier(training=Training(epochs=1), random_state=0).fit(X, y)
    assert fitted.predict_proba(X).shape == (30, 3)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_learns(name: str):
    X, y = vectors()
    rate = 0.3 if name in ("sgd", "adagrad") else 0.01
    fitted = model(optimiser=name, learning_rate=rate, epochs=10).fit(X, y)
    assert fitted.score(X, y) > 0.85


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_trains(name: str):
    X, y = vectors()
    fitted = model(schedule=name, patience=6, epochs=4, every=2).fit(X, y)
    assert np.isfinite(fitted.predict_log_proba(X)).all()
    rates = {row["learning_rate"] for row in fitted.history_}
    assert (len(rates) == 1) == (name in ("fixed", "plateau"))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_learns(name: str):
    X, y = vectors()
    assert model(loss=name, label_smoothing=0.1).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize(
    "setting",
    [
        {"l1": 0.1},
        {"l2": 1.0},
        {"clip": 1e-4},
        {"label_smoothing": 0.3},
        {"loss": "focal"},
        {"spec_augment": True},
        {"initialisation": "orthogonal"},
        {"precision": "bfloat16"},
        {"warm_up": 2.0},
        {"batch_size": 30},
    ],
)
def test_every_setting_reaches_the_training(setting: dict[str, Any]):
    recorded, y = recordings()
    X = pad([np.tile(one, (1, 2)) for one in recorded])  # six features, so that one can be masked
    plain = model(width=6, optimiser="sgd").fit(X, y)
    changed = model(width=6, optimiser="sgd", **setting).fit(X, y)
    assert not same(plain, changed)
    assert np.isfinite(changed.predict_log_proba(X)).all()


def test_l1_makes_weights_smaller():
    X, y = vectors()
    sizes = [
        sum(w.abs().sum() for w in model(l1=l1).fit(X, y).module_.parameters()) for l1 in (0, 0.1)
    ]
    assert sizes[1] < 0.7 * sizes[0]


def test_weights_decide():
    X, y = vectors()
    X, y = np.vstack([X, X]), np.append(y, np.roll(y, 1))  # each vector with a right and a wrong
    right = np.repeat([1.0, 0.0], 90)
    assert model().fit(X, y, sample_weight=right).score(X[:90], y[:90]) > 0.9
    assert model().fit(X, y, sample_weight=1 - right).score(X[90:], y[90:]) > 0.9


def test_the_scale_of_weights_does_not_count():
    X, y = vectors()
    assert same(model().fit(X, y), model().fit(X, y, sample_weight=np.full(90, 4.0)))


# --- series ---


def test_series_are_scaled_over_their_own_frames():
    series, y = recordings()
    fitted = model(width=3).fit(pad(series), y)
    frames = np.concatenate(series)
    np.testing.assert_allclose(fitted.module_.mean, frames.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(fitted.module_.scale, frames.std(axis=0), rtol=1e-5)
    assert fitted.width_ == 3
    assert fitted.score(pad(series), y) > 0.9


def test_an_answer_does_not_depend_on_its_batch():
    series, y = recordings(70)
    X = pad(series)
    fitted = model(width=3).fit(X, y)
    together = fitted.predict_log_proba(X)
    alone = np.concatenate([fitted.predict_log_proba(pad([one])) for one in series])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    padded = np.hstack([X, np.full((70, 30), np.nan)])
    np.testing.assert_allclose(together, fitted.predict_log_proba(padded), atol=1e-6)


# --- early stopping ---


def test_early_stopping_keeps_the_weights_of_its_best_epoch():
    X, y = vectors(60)
    noise = np.random.default_rng(0).permutation(y)  # nothing to learn: the held-out loss rises
    stopped = model(patience=3, epochs=60, schedule="fixed").fit(X, noise)
    losses = [row["valid_loss"] for row in stopped.history_]
    assert len(losses) < 60
    assert len(losses) - 3 == stopped.best_epoch_ == 1 + int(np.argmin(losses))
    assert all(0 <= row["valid_uar"] <= 1 for row in stopped.history_)
    ended = model(patience=9, epochs=stopped.best_epoch_, schedule="fixed").fit(X, noise)
    assert ended.best_epoch_ == stopped.best_epoch_
    assert same(stopped, ended)


def test_held_out_speakers_are_not_learnt_from():
    X, y = vectors(80)
    speakers = np.arange(80) // 20
    seen: set[int] = set()

    class Look(Callback):
        def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
            rows = X["series"][:, 0]
            seen.update(int(speakers[np.flatnonzero((all_rows == row).all(1))[0]]) for row in rows)

    all_rows = X.astype(np.float32)
    fitted = model(patience=2, held_out=0.25, callbacks=[Look()]).fit(X, y, groups=speakers)
    assert len(seen) == 3
    learnt = np.isin(speakers, list(seen))
    np.testing.assert_allclose(fitted.module_.mean, X[learnt].mean(axis=0), rtol=1e-4)


def test_groups_without_early_stopping_change_nothing():
    X, y = vectors()
    assert same(model().fit(X, y), model().fit(X, y, groups=np.arange(90) % 5))


# --- same seed, same result ---


def test_the_same_seed_gives_the_same_network_and_leaves_global_states_alone():
    X, y = vectors()
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    one = model(spec_augment=True).fit(X, y)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()
    torch.rand(5)
    assert same(one, model(spec_augment=True).fit(X, y))
    assert not same(one, model(1, spec_augment=True).fit(X, y))


def test_its_settings_are_searched_as_parameters():
    X, y = vectors()
    grid = {"training__learning_rate": [1e-6, 0.03], "architecture__hidden": [4]}
    found = GridSearchCV(model(), grid, cv=3).fit(X, y)
    assert found.best_params_ == {"training__learning_rate": 0.03, "architecture__hidden": 4}


# --- learning curves ---


def test_curves_go_to_tensorboard(tmp_path: Path):
    pytest.importorskip("tensorboard")
    X, y = vectors()
    model(checkpoint=tmp_path, log="tensorboard", epochs=2).fit(X, y)
    assert list((tmp_path / "log").glob("events.*"))


def test_curves_go_to_mlflow(monkeypatch: pytest.MonkeyPatch):
    mlflow = MagicMock()
    mlflow.active_run.return_value = None
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    X, y = vectors()
    fitted = model(log="mlflow", epochs=2).fit(X, y)
    client = mlflow.MlflowClient()
    run = client.create_run().info.run_id
    logged = [(call.args, call.kwargs) for call in client.log_metric.call_args_list]
    assert ((run, "train_loss", fitted.history_[1]["train_loss"]), {"step": 2}) in logged
    client.set_terminated.assert_called_once_with(run)
    client.log_artifact.assert_not_called()


@pytest.mark.parametrize(
    ("log", "module"), [("tensorboard", "torch.utils.tensorboard"), ("mlflow", "mlflow")]
)
def test_a_missing_logger_is_named(monkeypatch: pytest.MonkeyPatch, log: str, module: str):
    monkeypatch.setitem(sys.modules, module, None)
    X, y = vectors()
    with pytest.raises(MissingExtraError, match=rf"log {log} needs the extra \[track\]"):
        model(log=log).fit(X, y)


# --- what is refused ---


@dataclass(eq=False, repr=False)
class NeverBuilt(BaseEstimator):
    """Settings that fail the test when they are used."""

    def build(self, inputs: int, classes: int) -> nn.Module:
        raise AssertionError("time was spent")


@pytest.mark.parametrize(
    ("changed", "settings", "message"),
    [
        ({"y": ["joy"] * 6}, {}, r"y has 1 class \(joy\)"),
        ({"y": ["joy"] * 5 + ["fear"]}, {}, "class fear has a single sample"),
        ({"y": [0.5, 1.5, 2.5] * 2}, {}, "Unknown label type"),
        ({"X": [[0.0]] * 5 + [[np.nan]]}, {}, "contains NaN"),
        ({"X": [[0.0, np.nan]] * 5 + [[np.nan, 1]]}, {"width": 1}, "NaN inside a series"),
        ({"X": np.zeros((6, 5))}, {"width": 2}, "need a multiple of the width, which is 2"),
        ({"sample_weight": [1, 1, -1, 1, 1, 1]}, {}, "6 numbers, finite and not negative"),
        ({"sample_weight": np.ones(5)}, {}, "sample_weight must be 6 numbers"),
        ({"sample_weight": np.zeros(6)}, {}, "zero for every sample"),
        ({"groups": ["ann"] * 6}, {"patience": 1}, "early stopping needs at least 2 speakers"),
        ({"groups": ["ann"] * 5}, {"patience": 1}, "groups has shape"),
        ({}, {"schedule": "plateau"}, "give patience, at least 1"),
        ({}, {"schedule": "plateau", "patience": 1, "decay": 1.0}, "needs one below 1"),
        ({}, {"optimiser": "lion"}, "unknown optimiser 'lion'; known: "),
        ({}, {"epochs": 0}, "epochs is 0; allowed: 1 to"),
        ({}, {"width": 0}, "width is 0; need a whole number above 0"),
        ({}, {"width": 1.5}, r"width is 1\.5; need a whole number"),
        ({}, {"random_state": None, "checkpoint": "x"}, "a checkpoint needs an int"),
        ({}, {"architecture": "cnn"}, "architecture is 'cnn'; need settings with build"),
    ],
)
def test_what_is_refused_before_any_time_is_spent(
    changed: dict[str, Any], settings: dict[str, Any], message: str
):
    given = {"X": np.arange(6.0)[:, None], "y": ["joy", "fear"] * 3} | changed
    with pytest.raises(ValueError, match=message):
        model(**({"architecture": NeverBuilt()} | settings)).fit(**given)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    X, y = vectors()
    with pytest.raises(ValueError, match="torch sees no GPU here; take auto or cpu"):
        model(device="cuda").fit(X, y)


def test_a_training_that_runs_away_says_so():
    X, y = vectors()
    with pytest.raises(ValueError, match=r"diverged: train_loss is (nan|inf) in epoch \d+; take a"):
        model(optimiser="sgd", learning_rate=100.0, clip=0, l2=90.0, epochs=30).fit(X, y)
