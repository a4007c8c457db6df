"""Any network as a scikit-learn classifier of vectors or series."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from serein.engine import torch_threads
from serein.errors import SettingError
from serein.models.architectures import ARCHITECTURES
from serein.models.padding import SeriesInput, unpad
from serein.models.scaled_network import ScaledNetwork
from serein.training.callbacks import loggers
from serein.training.checkpoint import DAMAGE, fingerprint, read_state, warn_of_damage
from serein.training.contract import Floats, LogProbabilityClassifier, check_weights, class_index
from serein.training.device import find_device, seeded
from serein.training.factory import make_trainer
from serein.training.holdout import Labelled, Samples, held_out, split
from serein.training.initialise import initialise
from serein.training.plan import Training
from serein.training.trainer import Trainer, best_epoch, threads_for

BATCH = 64  # samples a batch, in prediction


class NetworkClassifier(SeriesInput, LogProbabilityClassifier):
    """A neural network as a classifier: early stopping, resumed training, searchable settings.

    `architecture`: its ``build(inputs, classes)`` returns a torch module that takes series of shape
    (samples, time, inputs) and their lengths, and gives logits; ``attentive_statistics`` of
    `ARCHITECTURES` if None.
    `width`: features a frame, of rows made by `serein.models.padding.pad`; rows are vectors if it
    is None.
    `random_state`: seeds all but differential privacy's noise and batches.
    `checkpoint`: folder for the state after each epoch: the same `fit`, called again, resumes to
    the same result. `random_state` must then be an int. Not used with ``privacy_epsilon``.
    `scaling`: other samples, laid out as X, whose mean and deviation scale the features.

    Fitted: `module_` is the scaling and the network, `history_` a dict per epoch, `best_epoch_` the
    epoch of the weights, `n_parameters_` their number, `privacy_` the privacy loss spent or None.
    """

    def __init__(
        self,
        architecture: Any = None,
        training: Training | None = None,
        *,
        width: int | None = None,
        random_state: Any = None,
        checkpoint: str | Path | None = None,
        callbacks: list[Any] | None = None,
        scaling: npt.ArrayLike | None = None,
    ) -> None:
        self.architecture = architecture
        self.training = training
        self.width = width
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.callbacks = callbacks
        self.scaling = scaling

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn from labelled vectors or series; each class needs two samples.

        Early stopping holds out whole `groups`, but never samples of group ``""``: synthetic ones.
        """
        plan = Training() if self.training is None else self.training
        plan.check()
        self._check_settings()
        if plan.privacy_epsilon and sample_weight is not None:
            raise SettingError(
                "sample_weight is given; privacy_epsilon needs recordings that all count the same"
            )
        rows, labels = validate_data(self, X, y, dtype=np.float32, ensure_all_finite=self._finite())
        self.classes_, index = _classes(labels)
        samples = self._samples(rows)
        weight = check_weights(sample_weight, len(index))
        # A mean of 1 keeps the learning rate's meaning.
        samples["weight"] = (weight / weight.mean()).astype(np.float32)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        aside = None
        if plan.patience > 0:
            aside = held_out(labels, groups, plan.held_out, np.random.RandomState(seed))
        self.width_ = samples["series"].shape[2]
        device = find_device(plan.device)
        given = (rows, labels, groups, sample_weight, self.scaling)
        with seeded(device, seed):
            self._train(plan, device, split(samples, index, aside), given)
        return self

    def _train(
        self,
        plan: Training,
        device: torch.device,
        parts: tuple[Labelled, Labelled | None],
        given: tuple[Any, ...],
    ) -> None:
        (samples, index), valid = parts
        network = self._architecture().build(self.width_, len(self.classes_))
        initialise(network, plan.initialisation)
        reference = self._scaling_samples(samples)
        self.module_ = ScaledNetwork.fitted(
            network, reference["series"], reference["lengths"], spec_augment=plan.spec_augment
        ).to(device)
        self.n_parameters_ = sum(weight.numel() for weight in self.module_.parameters())
        path = self._checkpoint_path(plan, network, given)
        curves = Path("runs") if path is None else path.parent / "log"
        make = partial(
            make_trainer,
            self.module_,
            plan,
            len(index),
            device=device,
            valid=valid,
            save_to=path,
            callbacks=[*(self.callbacks or []), *loggers(plan.log, curves)],
        )
        trainer = make() if path is None else _resumed(make, self.module_, path)
        trainer.learn(samples, index)
        self._record(trainer)

    def _record(self, trainer: Trainer) -> None:
        self.history_ = trainer.curves()
        loss = getattr(trainer, "privacy_loss_", None)
        self.privacy_ = None
        if loss is not None:
            scaling = "the recordings, without noise" if self.scaling is None else "others"
            self.privacy_ = loss.to_dict() | {"scaling_of": scaling}
        self.best_epoch_ = len(self.history_)
        if trainer.best_ is not None:
            self.best_epoch_ = best_epoch(self.history_)

    def _architecture(self) -> Any:
        if self.architecture is None:
            return ARCHITECTURES["attentive_statistics"]()
        return self.architecture

    def _checkpoint_path(
        self, plan: Training, network: torch.nn.Module, given: tuple[Any, ...]
    ) -> Path | None:
        if self.checkpoint is None or plan.privacy_epsilon:
            return None
        settings = (self._architecture(), plan, self.width, self.random_state, str(network))
        return Path(self.checkpoint) / f"{fingerprint(settings, given)}.safetensors"

    def _check_settings(self) -> None:
        if self.width is not None and not (isinstance(self.width, Integral) and self.width > 0):
            raise SettingError(f"width is {self.width!r}; need a whole number above 0, or None")
        if self.checkpoint is not None and not isinstance(self.random_state, Integral):
            raise SettingError(
                f"random_state is {self.random_state!r}; a checkpoint needs an int, or a resumed "
                "training would differ"
            )
        if self.architecture is not None and not hasattr(self.architecture, "build"):
            raise SettingError(
                f"architecture is {self.architecture!r}; need settings with build, such as "
                f"ARCHITECTURES[name]() with one of {', '.join(ARCHITECTURES)}"
            )

    def _samples(self, rows: npt.NDArray[np.float32]) -> Samples:
        if self.width is None:
            return {"series": rows[:, None, :], "lengths": np.ones(len(rows), dtype=np.int64)}
        series, lengths = unpad(rows, int(self.width))
        return {"series": series, "lengths": lengths}

    def _scaling_samples(self, samples: Samples) -> Samples:
        """Return the samples whose mean and deviation scale the features."""
        if self.scaling is None:
            return samples
        rows = check_array(self.scaling, dtype=np.float32, ensure_all_finite=self._finite())
        if self.width is None and rows.shape[1] != self.n_features_in_:
            raise SettingError(f"scaling has {rows.shape[1]} columns, and X {self.n_features_in_}")
        return self._samples(rows)

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        check_is_fitted(self)
        if self.width is None:
            rows = validate_data(self, X, dtype=np.float32, reset=False)
        else:  # other samples may be longer
            rows = check_array(X, dtype=np.float32, ensure_all_finite="allow-nan")
        samples = self._samples(rows)
        device = self.module_.mean.device
        parts = []
        for start in range(0, len(rows), BATCH):
            lengths = samples["lengths"][start : start + BATCH]
            series = samples["series"][start : start + BATCH, : lengths.max()]
            threads = threads_for(self.module_, float(lengths.sum()))
            with torch.inference_mode(), torch_threads(threads):
                logits = self.module_(
                    torch.as_tensor(series, device=device), torch.as_tensor(lengths, device=device)
                )
            parts.append(logits.double().cpu().numpy())
        return log_softmax(np.concatenate(parts), axis=1)


def _resumed(make: Callable[[], Trainer], network: torch.nn.Module, path: Path) -> Trainer:
    """Make a trainer that goes on from a checkpoint, or begins where that is missing or damaged."""
    trainer, state = make(), read_state(path)
    if state is None:
        return trainer
    untrained = {name: value.clone() for name, value in network.state_dict().items()}
    try:
        trainer.restore(state)
    except DAMAGE as error:
        warn_of_damage(path, error)
        network.load_state_dict(untrained)
        return make()
    return trainer


def _classes(labels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    classes, index = class_index(labels)
    counts = np.bincount(index)
    if counts.min() < 2:
        rare = classes[counts.argmin()]
        raise SettingError(
            f"class {rare} has a single sample; give each class at least 2, or leave it out"
        )
    return classes, index.astype(np.int64)
