"""A training that was killed at any moment ends as one that never was, bit for bit."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from serein.models.architectures import ARCHITECTURES
from serein.models.network_classifier import NetworkClassifier
from serein.models.padding import pad
from serein.training.plan import Training

QUICK: dict[str, Any] = {"epochs": 6, "batch_size": 16, "learning_rate": 0.03}


def model(random_state: int = 0, **given: Any) -> NetworkClassifier:
    """Make a small network of series with batch norm and dropout."""
    options: dict[str, Any] = {"architecture": ARCHITECTURES["light_cnn"](channels=(6, 8))}
    own = ("checkpoint", "callbacks", "architecture")
    options |= {name: given.pop(name) for name in own if name in given}
    training = Training(**(QUICK | given))
    return NetworkClassifier(training=training, width=3, random_state=random_state, **options)


def recordings() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Series of different length whose class is, mostly, their mean."""
    generator = np.random.default_rng(0)
    y = np.arange(60) % 2
    lengths = generator.integers(3, 20, 60)
    series = [generator.standard_normal((n, 3)) + k for n, k in zip(lengths, y, strict=True)]
    return pad(series), y


def same(one: NetworkClassifier, other: NetworkClassifier) -> bool:
    ours, theirs = one.module_.state_dict(), other.module_.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


class KillAt(Callback):
    """Kills its own process, or raises, in the middle of an epoch."""

    def __init__(self, epoch: int, kill: bool = False) -> None:
        self.epoch = epoch
        self.kill = kill

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) == self.epoch and len(net.history[-1]["batches"]) == 2:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise KeyboardInterrupt


HARD: dict[str, Any] = {"spec_augment": True, "l1": 1e-4}
RESUMED: list[dict[str, Any]] = [
    {"schedule": "one_cycle"},
    {"schedule": "plateau", "every": 1, "patience": 4, "learning_rate": 0.2, "warm_up": 1.5},
    {"schedule": "cosine_restarts", "every": 2, "optimiser": "sgd", "precision": "bfloat16"},
    {"schedule": "step", "every": 2, "optimiser": "rmsprop", "patience": 2, "loss": "focal"},
]


def killed(folder: str) -> None:
    """Run in a process of its own."""
    X, y = recordings()
    model(checkpoint=folder, callbacks=[KillAt(4, kill=True)], **HARD).fit(X, y)


def test_a_killed_training_goes_on_to_the_same_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    command = (
        f"import sys, torch; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
        f"torch.set_num_threads({torch.get_num_threads()}); "  # the order of sums depends on it
        f"import test_network_classifier_resume as here; here.killed({str(tmp_path)!r})"
    )
    ended = subprocess.run([sys.executable, "-c", command], timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL
    (file,) = tmp_path.iterdir()
    epochs: list[int] = []
    caplog.set_level("INFO")

    class Count(Callback):
        def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
            epochs.append(len(net.history))

    X, y = recordings()
    resumed = model(checkpoint=tmp_path, callbacks=[Count()], **HARD).fit(X, y)
    assert epochs == [4, 5, 6]
    assert caplog.messages == ["goes on from epoch 4"]
    assert list(tmp_path.iterdir()) == [file]
    whole = model(**HARD).fit(X, y)
    assert same(resumed, whole)
    np.testing.assert_array_equal(resumed.predict_log_proba(X), whole.predict_log_proba(X))


@pytest.mark.parametrize("settings", RESUMED)
def test_stopped_in_every_epoch_it_ends_the_same(tmp_path: Path, settings: dict[str, Any]):
    X, y = recordings()
    whole = model(**HARD, **settings).fit(X, y)
    for epoch in range(1, len(whole.history_) + 1):
        with pytest.raises(KeyboardInterrupt):
            model(**HARD, **settings, checkpoint=tmp_path, callbacks=[KillAt(epoch)]).fit(X, y)
    resumed = model(**HARD, **settings, checkpoint=tmp_path).fit(X, y)
    assert same(resumed, whole)
    assert resumed.best_epoch_ == whole.best_epoch_
    timeless = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in fitted.history_]
        for fitted in (resumed, whole)
    ]
    assert timeless[0] == timeless[1]


def test_a_finished_training_is_read_and_not_run(tmp_path: Path):
    X, y = recordings()
    first = model(checkpoint=tmp_path, patience=2).fit(X, y)
    # It would raise in the first batch.
    again = model(checkpoint=tmp_path, patience=2, callbacks=[KillAt(1)]).fit(X, y)
    assert same(first, again)
    assert first.history_ == again.history_


def test_another_training_is_not_resumed(tmp_path: Path):
    X, y = recordings()
    model(checkpoint=tmp_path).fit(X, y)
    others = [model(7), model(l2=0.5), model(architecture=ARCHITECTURES["rnn"](hidden=4))]
    for count, other in enumerate(others, start=2):
        clone(other).set_params(checkpoint=tmp_path).fit(X, y)
        assert len(list(tmp_path.iterdir())) == count
    model(checkpoint=tmp_path).fit(X, np.roll(y, 1))
    assert len(list(tmp_path.iterdir())) == 5


def test_after_a_damaged_checkpoint_training_starts_anew(tmp_path: Path):
    X, y = recordings()
    whole = model(checkpoint=tmp_path).fit(X, y)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.warns(UserWarning, match=r"\.safetensors is damaged .*: training starts anew"):
        again = model(checkpoint=tmp_path).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), whole.predict_proba(X))
