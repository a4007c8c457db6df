"""Settings of a network's training, the same words in Python and in a recipe."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

from serein.errors import SettingError, check_name, check_range

OPTIMISERS = ("adamw", "adam", "sgd", "rmsprop", "adagrad")
SCHEDULES = (
    *("fixed", "step", "exponential", "inverse_time", "cosine", "cosine_restarts"),
    *("plateau", "one_cycle"),
)
LOSSES = ("cross_entropy", "focal")
INITIALISATIONS = ("default", "normal", "xavier", "he", "orthogonal")
PRECISIONS = ("float32", "bfloat16")
DEVICES = ("auto", "cpu", "cuda", "accelerate")
LOGS = ("none", "tensorboard", "mlflow")


@dataclass(repr=False)
class Training:
    """Settings of a network's training: a parameter of a classifier, each searchable.

    Parameters
    ----------
    optimiser : str
        One of `OPTIMISERS`.
    learning_rate : float
        Maximum rate of the schedule.
    momentum : float
        Of ``sgd`` and ``rmsprop``.
    schedule : str
        One of `SCHEDULES`.
    warm_up : float
        Epochs over which the rate rises linearly from 0, before the schedule.
    decay : float
        ``step``, ``plateau``: factor of each step; ``exponential``: factor an epoch;
        ``inverse_time``: the rate falls as 1 / (1 + decay · epoch).
    every : int
        ``step``: epochs between steps; ``cosine_restarts``: epochs of a period; ``plateau``: epochs
        without a better held-out loss before a step.
    epochs : int
        Passes over the training samples, at most.
    batch_size : int
        Samples a step.
    loss : str
        One of `LOSSES`.
    focal_gamma : float
        How much ``focal`` down-weights easy samples; 0 is cross-entropy.
    label_smoothing : float
        Share of each target that is spread over all classes, from 0 to below 1.
    l1, l2 : float
        Regularisation: l1 · Σ|w| is added to the loss; l2 is the optimiser's weight decay.
    clip : float
        Maximum norm of the gradient; 0 for no limit.
    patience : int
        Early stopping: epochs without a lower loss on held-out speakers before training ends with
        the best weights; 0 trains all epochs on all samples.
    held_out : float
        Share of the training speakers held out for early stopping and ``plateau``.
    spec_augment : bool
        Whether SpecAugment masks a stretch of time and one of features in every batch anew.
    initialisation : str
        One of `INITIALISATIONS`; ``default`` is torch's own.
    precision : str
        One of `PRECISIONS`: ``bfloat16`` runs the large products in 16 bits.
    device : str
        One of `DEVICES`; ``auto`` takes a GPU where there is one, ``accelerate`` what
        ``accelerate launch`` says, several GPUs too.
    log : str
        One of `LOGS`: where curves are written beside `history_`.
    privacy_epsilon : float
        Differential privacy: ε of (ε, δ), with a recording as the unit; 0 for none.
    privacy_delta : float
        Its δ, below 1 / samples.
    privacy_clip : float
        Its bound on the norm of each recording's gradient; `clip` is not used then.

    References
    ----------
    Focal loss: T.-Y. Lin et al., "Focal loss for dense object detection", ICCV 2017, eq. 4.
    One cycle: L. N. Smith, N. Topin, "Super-convergence", arXiv:1708.07120. Cosine and restarts: I.
    Loshchilov, F. Hutter, "SGDR", ICLR 2017, eq. 5. Label smoothing: C. Szegedy et al.,
    "Rethinking the Inception architecture", CVPR 2016, section 7. Differential privacy: M. Abadi et
    al., "Deep learning with differential privacy", CCS 2016, algorithm 1.
    """

    optimiser: str = "adamw"
    learning_rate: float = 3e-3
    momentum: float = 0.9
    schedule: str = "one_cycle"
    warm_up: float = 0.0
    decay: float = 0.5
    every: int = 10
    epochs: int = 30
    batch_size: int = 32
    loss: str = "cross_entropy"
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0
    l1: float = 0.0
    l2: float = 0.01
    clip: float = 1.0
    patience: int = 0
    held_out: float = 0.2
    spec_augment: bool = False
    initialisation: str = "default"
    precision: str = "float32"
    device: str = "auto"
    log: str = "none"
    privacy_epsilon: float = 0.0
    privacy_delta: float = 1e-5
    privacy_clip: float = 1.0

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return all settings, as scikit-learn's estimators do: it need not be imported here.

        Parameters
        ----------
        deep : bool
            Changes nothing.

        Returns
        -------
        dict
            Name to value.
        """
        return dict(vars(self))

    def set_params(self, **settings: Any) -> Self:
        """Change settings, as scikit-learn's estimators do.

        Parameters
        ----------
        **settings
            By their names.

        Returns
        -------
        Training
            Itself.

        Raises
        ------
        SettingError
            If there is no such setting.
        """
        for name, value in settings.items():
            check_name("setting of training", name, vars(self))
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Write the settings that are not the default."""
        changed = [one for one in fields(self) if getattr(self, one.name) != one.default]
        return f"Training({', '.join(f'{o.name}={getattr(self, o.name)!r}' for o in changed)})"

    def check(self) -> None:
        """Raise if a setting is not allowed.

        Raises
        ------
        SettingError
            Naming the setting, what it is and what it may be.
        """
        names = {
            "optimiser": OPTIMISERS,
            "schedule": SCHEDULES,
            "loss": LOSSES,
            "initialisation": INITIALISATIONS,
            "precision": PRECISIONS,
            "device": DEVICES,
            "log": LOGS,
        }
        for name, allowed in names.items():
            check_name(name, getattr(self, name), allowed)
        bounds = {
            "learning_rate": (0.0, 100.0),
            "momentum": (0.0, 1.0),
            "warm_up": (0.0, float(self.epochs)),
            "decay": (0.0, 100.0),
            "every": (1, 10**6),
            "epochs": (1, 10**6),
            "batch_size": (1, 10**6),
            "focal_gamma": (0.0, 100.0),
            "label_smoothing": (0.0, 0.99),
            "l1": (0.0, 100.0),
            "l2": (0.0, 100.0),
            "clip": (0.0, 1e9),
            "patience": (0, 10**6),
            "held_out": (0.01, 0.9),
            "privacy_epsilon": (0.0, 1e6),
            "privacy_delta": (1e-30, 0.1),
            "privacy_clip": (1e-6, 1e6),
        }
        for name, (low, high) in bounds.items():
            check_range(name, getattr(self, name), low, high)
        if self.schedule == "plateau" and self.decay >= 1:
            raise SettingError(f"decay is {self.decay}; schedule plateau needs one below 1")
        if self.schedule == "plateau" and self.patience == 0:
            raise SettingError(
                "schedule plateau watches held-out speakers: give patience, at least 1"
            )
        if self.privacy_epsilon > 0:
            self._check_privacy()

    def _check_privacy(self) -> None:
        """Refuse settings that the privacy accounting does not cover."""
        refused = {
            "patience": (0, "held-out recordings would choose the epoch, without noise"),
            "l1": (0.0, "its gradient is of no recording: take l2"),
            "precision": ("float32", "gradients of single recordings are not taken in 16 bits"),
        }
        for name, (needed, why) in refused.items():
            if getattr(self, name) != needed:
                raise SettingError(
                    f"{name} is {getattr(self, name)}; privacy_epsilon needs {needed}: {why}"
                )
        if self.device == "accelerate":
            raise SettingError("device is accelerate; privacy_epsilon needs auto, cpu or cuda")
