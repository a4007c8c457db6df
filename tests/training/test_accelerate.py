"""What accelerate trains is what the CPU trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skorch.callbacks import Callback

from serein.errors import MissingExtraError
from serein.models.architectures import CNN, MLP
from serein.models.network_classifier import NetworkClassifier
from serein.training.accelerated import make_accelerator
from serein.training.plan import Training

pytest.importorskip("accelerate")
Y = np.tile([0, 1], 30)
X = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32) + Y[:, None]


def fit(device: str, architecture: object = None, **options: object) -> NetworkClassifier:
    settings = {"epochs": 4, "batch_size": 16, "patience": 0} | options
    return NetworkClassifier(
        MLP() if architecture is None else architecture,
        Training(device=device, **settings),  # type: ignore[arg-type]
        random_state=0,
    ).fit(X, Y)


@pytest.mark.parametrize("options", [{}, {"patience": 2}, {"precision": "bfloat16"}])
def test_the_same_network_on_one_device(options: dict[str, object]) -> None:
    plain, accelerated = fit("cpu", **options), fit("accelerate", **options)
    np.testing.assert_allclose(
        accelerated.predict_proba(X), plain.predict_proba(X), rtol=0, atol=1e-6
    )
    assert [epoch["train_loss"] for epoch in accelerated.history_] == pytest.approx(
        [epoch["train_loss"] for epoch in plain.history_], abs=1e-6
    )


def test_series_too() -> None:
    rows = np.random.default_rng(1).normal(size=(60, 12 * 8)).astype(np.float32)
    models = [
        NetworkClassifier(
            CNN(channels=(4,), dense=8), Training(epochs=2, device=device), width=8, random_state=0
        ).fit(rows, Y)
        for device in ("cpu", "accelerate")
    ]
    plain, accelerated = (model.predict_proba(rows) for model in models)
    np.testing.assert_allclose(accelerated, plain, rtol=0, atol=1e-6)


class Kill(Callback):  # type: ignore[misc]
    def on_epoch_begin(self, net: Any, **kwargs: object) -> None:
        if len(net.history) == 2:
            raise KeyboardInterrupt


def test_a_killed_training_goes_on(tmp_path: Path) -> None:
    plan = Training(epochs=3, batch_size=16, device="accelerate")
    whole = NetworkClassifier(MLP(), plan, random_state=0).fit(X, Y)
    stopped = NetworkClassifier(
        MLP(), plan, random_state=0, checkpoint=tmp_path, callbacks=[Kill()]
    )
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(X, Y)
    assert list(tmp_path.glob("*.safetensors"))
    resumed = NetworkClassifier(MLP(), plan, random_state=0, checkpoint=tmp_path).fit(X, Y)
    assert len(resumed.history_) == 3
    np.testing.assert_array_equal(resumed.predict_proba(X), whole.predict_proba(X))


def test_without_the_extra_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'serein\[gpu\]'"):
        make_accelerator()


SCRIPT = """
import os, sys
import numpy as np
from serein.models.architectures import MLP
from serein.models.network_classifier import NetworkClassifier
from serein.training.plan import Training

X, y = np.load(sys.argv[1]), np.tile([0, 1], 30)
plan = Training(epochs=8, batch_size=16, device="accelerate")
model = NetworkClassifier(MLP(dropout=0.0), plan, random_state=0).fit(X, y)
np.save(sys.argv[2] + os.environ["RANK"], model.predict_proba(X))
plan.patience = 2
try:
    NetworkClassifier(MLP(), plan, random_state=0).fit(X, y)
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_two_processes_end_with_one_network(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*launch, tmp_path / "script.py", tmp_path / "X.npy", tmp_path / "rank"],
        env=os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "patience is 2 with 2 processes" in done.stdout
    first, second = (np.load(tmp_path / f"rank{rank}.npy") for rank in range(2))
    np.testing.assert_array_equal(first, second)
    plain = fit("cpu", MLP(dropout=0.0), epochs=8)
    np.testing.assert_allclose(first, plain.predict_proba(X), rtol=0, atol=0.15)
    assert np.mean(first.argmax(axis=1) == Y) > 0.7
