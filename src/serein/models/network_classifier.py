"""Any network as a scikit-learn classifier of vectors or series."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from serein.models.architectures import ARCHITECTURES
from serein.models.padding import unpad
from serein.models.scaled_network import ScaledNetwork
from serein.training.accelerated import make_accelerator
from serein.training.callbacks import best_epoch, generators, loggers
from serein.training.checkpoint import fingerprint, read_state
from serein.training.factory import make_trainer
from serein.training.holdout import held_out
from serein.training.initialise import initialise
from serein.training.plan import Training
from serein.training.trainer import Samples, Trainer

BATCH = 64

Floats = npt.NDArray[np.float64]


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A neural network that is trained, stopped, resumed and searched by its settings.

    Parameters
    ----------
    architecture : object, optional
        Settings with `build(inputs, classes)`, which returns a torch module that takes series of
        shape (samples, time, inputs) and their lengths, and gives logits. If not given,
        ``attentive_statistics`` of `serein.models.architectures.ARCHITECTURES`.
    training : Training, optional
        How it learns; ``Training()`` if not given.
    width : int, optional
        Features a frame, for rows that are series as `serein.models.padding.pad` lays them out. If
        not given, a row is a vector: a series of one frame.
    random_state : int, RandomState or None
        Decides the weights drawn, the order of samples, dropout, and who is held out; not the noise
        of privacy, nor whom it draws. Must be an int for a checkpoint.
    checkpoint : str or path, optional
        Folder where the state is written after every epoch. The same `fit`, called again, goes on
        from there to the same result; one that is finished is read. Not used with privacy.
    callbacks : list of skorch.callbacks.Callback, optional
        Told of every batch and epoch.
    scaling : array_like, optional
        Shape (others, columns), laid out as X: where mean and deviation of each feature are taken
        from; X itself if not given.

    Attributes
    ----------
    classes_ : numpy.ndarray
        Shape (classes,), sorted labels.
    module_ : torch.nn.Module
        Scaling and network: series (samples, time, features), lengths -> logits.
    history_ : list of dict
        For each epoch: ``epoch``, ``train_loss``, ``learning_rate`` of its last batch, ``seconds``;
        with held-out samples also ``valid_loss`` and ``valid_uar``.
    best_epoch_ : int
        Whose weights are kept, from 1: with early stopping that of the lowest held-out loss, else
        the last.
    privacy_ : dict or None
        What the training gave away, as `serein.training.privacy.Spent` says; None without privacy.
    n_parameters_ : int
        Weights that were learnt.
    width_ : int
        Features a frame.
    n_features_in_ : int
        Columns of X.

    Examples
    --------
    >>> X = np.array([[0.0], [0.1], [1.0], [1.1]] * 4)
    >>> plan = Training(epochs=10, batch_size=8, learning_rate=0.01)
    >>> model = NetworkClassifier(training=plan, random_state=0).fit(X, [0, 0, 1, 1] * 4)
    >>> model.predict([[0.05], [1.05]]).tolist()
    [0, 1]
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
        """Learn from labelled vectors or series."""
        plan = Training() if self.training is None else self.training
        plan.check()
        self._check_settings()
        if plan.privacy_epsilon and sample_weight is not None:
            raise ValueError(
                "sample_weight is given; privacy_epsilon needs recordings that all count the same"
            )
        checked = validate_data(self, X, y, dtype=np.float32, ensure_all_finite=self._finite())
        rows, labels = checked
        check_classification_targets(labels)
        self.classes_, index = _classes(labels)
        samples = self._samples(rows)
        samples["weight"] = _weights(sample_weight, len(index))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        aside = None
        if plan.patience > 0:
            aside = held_out(labels, groups, plan.held_out, np.random.RandomState(seed))
        self.width_ = samples["series"].shape[2]
        device = _device(plan.device)
        with torch.random.fork_rng(devices=generators(device)):
            torch.default_generator.manual_seed(seed)
            if device.type == "cuda":
                torch.cuda.manual_seed(seed)
            self._learn(
                plan,
                device,
                samples,
                index,
                aside,
                (rows, labels, groups, sample_weight, self.scaling),
            )
        return self

    def _learn(
        self,
        plan: Training,
        device: torch.device,
        samples: Samples,
        index: npt.NDArray[np.int64],
        aside: npt.NDArray[np.bool_] | None,
        told: tuple[Any, ...],
    ) -> None:
        valid = None
        if aside is not None:
            valid = ({name: values[aside] for name, values in samples.items()}, index[aside])
            samples = {name: values[~aside] for name, values in samples.items()}
            index = index[~aside]
        network = self._architecture().build(self.width_, len(self.classes_))
        initialise(network, plan.initialisation)
        known = self._scaled_by(samples)
        self.module_ = ScaledNetwork.learnt(
            network, known["series"], known["lengths"], spec_augment=plan.spec_augment
        ).to(device)
        self.n_parameters_ = sum(weight.numel() for weight in self.module_.parameters())
        path = self._checkpoint_path(plan, network, told)
        curves = Path("runs") if path is None else path.parent / "log"
        trainer = make_trainer(
            self.module_,
            plan,
            len(index),
            device=device,
            valid=valid,
            save_to=path,
            callbacks=[*(self.callbacks or []), *loggers(plan.log, curves)],
        )
        if path is not None and path.exists():
            trainer.restore(read_state(path))
        trainer.learn(samples, index)
        self._note(trainer)

    def _note(self, trainer: Trainer) -> None:
        self.history_ = trainer.curves()
        spent = getattr(trainer, "spent_", None)
        self.privacy_ = None
        if spent is not None:
            scaling = "the recordings, without noise" if self.scaling is None else "others"
            self.privacy_ = spent.to_dict() | {"scaling_of": scaling}
        self.best_epoch_ = len(self.history_)
        if trainer.best_ is not None:
            self.best_epoch_ = best_epoch(self.history_)

    def _architecture(self) -> Any:
        if self.architecture is None:
            return ARCHITECTURES["attentive_statistics"]()
        return self.architecture

    def _checkpoint_path(
        self, plan: Training, network: torch.nn.Module, told: tuple[Any, ...]
    ) -> Path | None:
        if self.checkpoint is None or plan.privacy_epsilon:
            return None
        settings = (self._architecture(), plan, self.width, self.random_state, str(network))
        return Path(self.checkpoint) / f"{fingerprint(settings, told)}.safetensors"

    def _check_settings(self) -> None:
        if self.width is not None and not (isinstance(self.width, Integral) and self.width > 0):
            raise ValueError(f"width is {self.width!r}; need a whole number above 0, or None")
        if self.checkpoint is not None and not isinstance(self.random_state, Integral):
            raise ValueError(
                f"random_state is {self.random_state!r}; a checkpoint needs an int, or a resumed "
                "training would differ"
            )
        if self.architecture is not None and not hasattr(self.architecture, "build"):
            raise ValueError(
                f"architecture is {self.architecture!r}; need settings with build, such as "
                f"ARCHITECTURES[name]() with one of {', '.join(ARCHITECTURES)}"
            )

    def _finite(self) -> Any:
        return True if self.width is None else "allow-nan"

    def _samples(self, rows: npt.NDArray[np.float32]) -> Samples:
        if self.width is None:
            return {"series": rows[:, None, :], "lengths": np.ones(len(rows), dtype=np.int64)}
        series, lengths = unpad(rows, int(self.width))
        return {"series": series, "lengths": lengths}

    def _scaled_by(self, samples: Samples) -> Samples:
        """Return the samples whose mean and deviation count."""
        if self.scaling is None:
            return samples
        rows = check_array(self.scaling, dtype=np.float32, ensure_all_finite=self._finite())
        if self.width is None and rows.shape[1] != self.n_features_in_:
            raise ValueError(f"scaling has {rows.shape[1]} columns, and X {self.n_features_in_}")
        return self._samples(rows)

    def _logits(self, X: npt.ArrayLike) -> Floats:
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
            with torch.inference_mode():
                logits = self.module_(
                    torch.as_tensor(series, device=device), torch.as_tensor(lengths, device=device)
                )
            parts.append(logits.double().cpu().numpy())
        result: Floats = np.concatenate(parts)
        return result

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        result: Floats = log_softmax(self._logits(X), axis=1)
        return result

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return probabilities, shape (samples, classes), rows summing to 1."""
        result: Floats = np.exp(self.predict_log_proba(X))
        return result

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the likeliest label of each sample, shape (samples,)."""
        best = self._logits(X).argmax(axis=1)
        return self.classes_[best]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.width is not None
        return tags


def _classes(labels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    classes, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"y has 1 class ({classes[0]}); a classifier needs samples of at least 2")
    if counts.min() < 2:
        rare = classes[counts.argmin()]
        raise ValueError(
            f"class {rare} has a single sample; give each class at least 2, or leave it out"
        )
    return classes, index.astype(np.int64)


def _weights(sample_weight: npt.ArrayLike | None, samples: int) -> npt.NDArray[np.float32]:
    """Scale weights to a mean of 1, so that they leave the learning rate its meaning."""
    if sample_weight is None:
        return np.ones(samples, dtype=np.float32)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (samples,) or not np.isfinite(weight).all() or weight.min() < 0:
        raise ValueError(f"sample_weight must be {samples} numbers, finite and not negative")
    if weight.sum() == 0:
        raise ValueError("sample_weight is zero for every sample; at least one must count")
    scaled: npt.NDArray[np.float32] = (weight / weight.mean()).astype(np.float32)
    return scaled


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "accelerate":
        device: torch.device = make_accelerator().device
        return device
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, but torch sees no GPU here; take auto or cpu")
    return torch.device(name)
