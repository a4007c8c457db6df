"""Hidden Markov models with Gaussian mixtures, one an emotion: GMM-HMM."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from hmmlearn.base import ConvergenceMonitor
from hmmlearn.hmm import GMMHMM
from sklearn.cluster import kmeans_plusplus
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from serein.errors import SettingError, check_name
from serein.models.hmm_forward import HmmArrays
from serein.models.padding import SeriesInput, unpad
from serein.training.contract import Floats, LogProbabilityClassifier, class_index

TOPOLOGIES = ("left_right", "ergodic")
PRIORS = ("uniform", "data")


class GaussianMixtureHMM(SeriesInput, LogProbabilityClassifier):
    """A hidden Markov model of each emotion's series; the most likely model's emotion is predicted.

    Features are scaled by the training frames. Probabilities come from the mean log-likelihood of a
    frame and are not calibrated: temperature scaling does that.

    `width`: features a frame, of rows made by `serein.models.padding.pad`; each row is a series of
    one frame if None.
    `topology`: ``left_right`` (a state is followed by itself or the next) or ``ergodic`` (any by
    any).
    `states`: states of each model; no more are made than the longest series has frames.
    `mixtures`: Gaussians of each state; an emotion with few frames gets fewer.
    `iterations`: maximum iterations of expectation-maximisation.
    `variance_floor`: minimum variance of a scaled feature.
    `prior`: ``uniform``, or ``data`` (the emotions' shares in training).
    `models_`: one per class, of frames scaled by `centre_` and `scale_`.
    Source: B. Schuller, G. Rigoll, M. Lang, "Hidden Markov model-based speech emotion recognition",
    ICASSP 2003.
    """

    def __init__(
        self,
        width: int | None = None,
        *,
        topology: str = "left_right",
        states: int = 4,
        mixtures: int = 2,
        iterations: int = 15,
        variance_floor: float = 1e-2,
        prior: str = "uniform",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.width = width
        self.topology = topology
        self.states = states
        self.mixtures = mixtures
        self.iterations = iterations
        self.variance_floor = variance_floor
        self.prior = prior
        self.random_state = random_state

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Learn a model of each emotion."""
        self.check()
        rows, labels = validate_data(self, X, y, dtype=np.float64, ensure_all_finite=self._finite())
        self.classes_, index = class_index(labels)
        series = self._series(rows)
        frames = np.concatenate(series)
        self.centre_ = frames.mean(axis=0)
        deviation = frames.std(axis=0)
        self.scale_ = np.where(deviation > 1e-12, deviation, 1.0)
        shares = np.bincount(index) / len(index)
        uniform = np.full(len(shares), 1 / len(shares))
        self.log_prior_ = np.log(shares if self.prior == "data" else uniform)
        random = check_random_state(self.random_state)
        states = min(self.states, max(map(len, series)))
        self.models_ = []
        for number, name in enumerate(self.classes_):
            own = [
                (series[row] - self.centre_) / self.scale_
                for row in np.flatnonzero(index == number)
            ]
            self.models_.append(self._model(name, own, states, random))
        return self

    def check(self) -> None:
        """Raise SettingError if a parameter is not allowed, as `fit` does."""
        check_name("topology", self.topology, TOPOLOGIES)
        check_name("prior", self.prior, PRIORS)
        for name in ("states", "mixtures", "iterations"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} is {getattr(self, name)}; need at least 1")
        if not 0 < self.variance_floor <= 1:
            raise SettingError(
                f"variance_floor is {self.variance_floor}; allowed: above 0, up to 1"
            )

    def _series(self, X: Floats) -> list[Floats]:
        if self.width is None:
            return list(X[:, None, :])
        batch, lengths = unpad(X, self.width)
        return [one[:length].astype(np.float64) for one, length in zip(batch, lengths, strict=True)]

    def _model(
        self, name: Any, series: list[Floats], states: int, random: np.random.RandomState
    ) -> _FlooredGMMHMM:
        lengths = [len(one) for one in series]
        frames = np.concatenate(series)
        if len(frames) < states:
            raise SettingError(
                f"class {name} has {len(frames)} frames in training, and {states} states need at "
                "least one each: give longer or more series, or fewer states"
            )
        mixtures = min(self.mixtures, len(frames) // states)
        model = _FlooredGMMHMM(self.variance_floor, states, mixtures, self.iterations, len(frames))
        model.startprob_, model.transmat_ = _topology(self.topology, states)
        if self.topology == "left_right":
            state = np.concatenate([np.arange(count) * states // count for count in lengths])
        else:
            state = _nearest(frames, kmeans_plusplus(frames, states, random_state=random)[0])
        model.start_from(frames, state, random)
        return model.fit(frames, lengths)

    @property
    def arrays_(self) -> HmmArrays:
        """Feature scaling, prior and models, stacked by class, for the forward algorithm."""
        check_is_fitted(self)
        mixtures = max(model.n_mix for model in self.models_)
        with np.errstate(divide="ignore"):
            return HmmArrays(
                centre=self.centre_,
                scale=self.scale_,
                log_prior=self.log_prior_,
                log_start=np.log([model.startprob_ for model in self.models_]),
                log_transition=np.log([model.transmat_ for model in self.models_]),
                log_weight=np.log([_padded(m.weights_, mixtures, 0.0) for m in self.models_]),
                mean=np.stack([_padded(m.means_, mixtures, 0.0) for m in self.models_]),
                variance=np.stack([_padded(m.covars_, mixtures, 1.0) for m in self.models_]),
            )

    def predict_log_proba(self, X: npt.ArrayLike) -> Floats:
        """Return log probabilities, shape (samples, classes)."""
        check_is_fitted(self)
        rows = validate_data(
            self, X, dtype=np.float64, ensure_all_finite=self._finite(), reset=False
        )
        arrays = self.arrays_
        return np.stack([arrays.log_probabilities(one) for one in self._series(rows)])


class _FlooredGMMHMM(GMMHMM):  # type: ignore[misc]
    """hmmlearn's training, with an initialisation of our own and a floor under the variances.

    Weak priors (a hundredth of a frame, and for the variances one frame of variance 1) keep states
    and mixtures alive to which no frame is assigned.
    """

    def __init__(
        self, floor: float, states: int, mixtures: int, iterations: int, frames: int
    ) -> None:
        super().__init__(
            n_components=states,
            n_mix=mixtures,
            covariance_type="diag",
            min_covar=floor,
            startprob_prior=1.01,
            transmat_prior=1.01,
            weights_prior=1.01,
            means_prior=0.0,
            means_weight=0.01,
            covars_prior=-1.0,  # hmmlearn's names: the inverse gamma's alpha
            covars_weight=0.5,  # and its beta
        )
        self.monitor_ = _Silent(tol=1e-4 * frames, n_iter=iterations, verbose=False)
        self.n_iter = iterations

    def start_from(
        self, frames: Floats, state: npt.NDArray[np.intp], random: np.random.RandomState
    ) -> None:
        """Initialise each state's mixtures from the frames assigned to it, by k-means++."""
        self.weights_ = np.full((self.n_components, self.n_mix), 1 / self.n_mix)
        means, variances = [], []
        for number in range(self.n_components):
            own = frames[state == number]
            if len(own) < self.n_mix:
                own = frames
            means.append(kmeans_plusplus(own, self.n_mix, random_state=random)[0])
            variances.append(np.tile(np.maximum(own.var(axis=0), self.min_covar), (self.n_mix, 1)))
        self.means_, self.covars_ = np.stack(means), np.stack(variances)

    def _init(self, X: Floats, lengths: Any = None) -> None:
        """Keep our initialisation: hmmlearn's is slow and has no left-right order."""
        self.n_features = X.shape[1]

    def _do_mstep(self, stats: dict[str, Any]) -> None:
        super()._do_mstep(stats)
        self.covars_ = np.maximum(self.covars_, self.min_covar)


class _Silent(ConvergenceMonitor):  # type: ignore[misc]
    """Stops as hmmlearn's does, without a warning where the likelihood falls, as priors make it."""

    def report(self, log_prob: float) -> None:
        self.history.append(log_prob)
        self.iter += 1


def _topology(name: str, states: int) -> tuple[Floats, Floats]:
    """Return start and transition probabilities; what is 0 stays 0 in training."""
    if name == "ergodic":
        return np.full(states, 1 / states), np.full((states, states), 1 / states)
    start = np.eye(states)[0]
    transition = 0.8 * np.eye(states) + 0.2 * np.eye(states, k=1)
    transition[-1, -1] = 1.0
    return start, transition


def _nearest(frames: Floats, centres: Floats) -> npt.NDArray[np.intp]:
    distance = np.square(centres).sum(axis=1) - 2 * frames @ centres.T
    return distance.argmin(axis=1)


def _padded(values: Floats, mixtures: int, value: float) -> Floats:
    """Add unused mixtures along the second axis."""
    missing = np.full((len(values), mixtures - values.shape[1], *values.shape[2:]), value)
    return np.concatenate([values, missing], axis=1)
