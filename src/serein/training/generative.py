"""A conditional generative adversarial network that generates feature vectors of rare classes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_sampling_strategy
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from serein.engine import torch_threads
from serein.errors import SettingError, check_name

Array = npt.NDArray[Any]
History = dict[str, list[float]]


class ConditionalWGAN(BaseOverSampler):  # type: ignore[misc]
    """Over-sampling by a Wasserstein GAN with gradient penalty, one generator for all classes.

    Generator and critic are perceptrons conditioned on the class, and see every class equally
    often, however rare it is. A linear classifier fitted to the same training vectors, and then
    frozen, pulls the generator towards the class asked for.

    `sampling_strategy`: as imbalanced-learn takes it: how many vectors each class gets.
    `latent`: size of the noise vector; `hidden`: sizes of the hidden layers of both perceptrons.
    `components`: of a PCA before the network: a count, or below 1 the share of variance; None: no
    PCA.
    `critic_steps`: batches of the critic for one of the generator.
    `penalty`: weight of the gradient penalty.
    `label_weight`: weight of the linear classifier's cross-entropy in the generator's loss.
    `generator_` gives vectors scaled by `scaling_`; `history_` holds the losses of each epoch.

    I. Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017, algorithm 1.
    M. Mirza, S. Osindero, "Conditional generative adversarial nets", arXiv:1411.1784.
    A. Odena, C. Olah, J. Shlens, "Conditional image synthesis with auxiliary classifier GANs",
    ICML 2017.
    """

    def __init__(
        self,
        *,
        sampling_strategy: str | float | dict[Any, int] = "auto",
        epochs: int = 200,
        batch_size: int = 128,
        latent: int = 32,
        hidden: Sequence[int] = (128, 128),
        components: float | None = None,
        learning_rate: float = 5e-4,
        critic_steps: int = 5,
        penalty: float = 10.0,
        label_weight: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.epochs = epochs
        self.batch_size = batch_size
        self.latent = latent
        self.hidden = hidden
        self.components = components
        self.learning_rate = learning_rate
        self.critic_steps = critic_steps
        self.penalty = penalty
        self.label_weight = label_weight
        self.random_state = random_state

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Train generator and critic."""
        vectors, labels, _ = self._check_X_y(X, y)
        self.sampling_strategy_ = check_sampling_strategy(
            self.sampling_strategy, labels, self._sampling_type
        )
        self._learn(vectors, labels, check_random_state(self.random_state))
        return self

    def sample(
        self, label: Any, count: int, random_state: int | np.random.RandomState | None = None
    ) -> Array:
        """Generate vectors of a class."""
        check_is_fitted(self)
        check_name("class", str(label), [str(name) for name in self.classes_])
        if count < 1:
            raise SettingError(f"count is {count}; allowed: 1 or more")
        random = check_random_state(random_state)
        noise = torch.from_numpy(random.standard_normal((count, self.latent)).astype(np.float32))
        index = torch.full((count,), int(np.searchsorted(self.classes_, label)))
        with torch.inference_mode():
            made = self.generator_(noise, _one_hot(index, len(self.classes_))).numpy()
        return self.scaling_.inverse_transform(made.astype(np.float64))

    def _check_X_y(  # noqa: N802
        self, X: Any, y: Any, accept_sparse: Any = False
    ) -> tuple[Array, Array, bool]:
        return super()._check_X_y(X, y, accept_sparse=False)

    def _fit_resample(self, X: Array, y: Array) -> tuple[Array, Array]:
        random = check_random_state(self.random_state)
        self._learn(X, y, random)
        wanted = [(label, count) for label, count in self.sampling_strategy_.items() if count > 0]
        made = [self.sample(label, count, random) for label, count in wanted]
        labels = [np.full(count, label, y.dtype) for label, count in wanted]
        return np.concatenate([X, *made]).astype(X.dtype), np.concatenate([y, *labels])

    def _learn(self, X: Array, y: Array, random: np.random.RandomState) -> None:
        self._check_settings()
        self.classes_, index, counts = np.unique(y, return_inverse=True, return_counts=True)
        if counts.min() < 2:
            raise SettingError(
                f"class {self.classes_[counts.argmin()]} has a single sample; the network needs at "
                "least 2 of each: add samples or leave the class out"
            )
        self.scaling_ = _scaling(self.components, X.shape, random).fit(X)
        real = self.scaling_.transform(X)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(random.randint(2**31)))
            width, classes = real.shape[1], len(self.classes_)
            self.generator_ = _ConditionalPerceptron(self.latent, classes, self.hidden, width)
            critic = _ConditionalPerceptron(width, classes, self.hidden, 1)
            classifier = _linear_classifier(real, index) if self.label_weight > 0 else None
            data = _BalancedBatches(real, index)
            with torch_threads(1):  # more cost networks so small more time than they save
                self.history_ = self._train(self.generator_, critic, classifier, data)
        self.generator_.eval()

    def _train(
        self,
        generator: _ConditionalPerceptron,
        critic: _ConditionalPerceptron,
        classifier: nn.Module | None,
        data: _BalancedBatches,
    ) -> History:
        """Run algorithm 1 of Gulrajani et al."""
        of_generator, of_critic = (
            torch.optim.Adam(network.parameters(), self.learning_rate, betas=(0.0, 0.9))
            for network in (generator, critic)
        )
        history: History = {"critic_loss": [], "wasserstein": []}
        for _ in range(self.epochs):
            seen: list[tuple[float, float]] = []
            for _ in range(-(-len(data) // self.batch_size)):
                for _ in range(self.critic_steps):
                    real, label = data.draw(self.batch_size)
                    made = generator(torch.randn(len(real), self.latent), label).detach()
                    distance = critic(real, label).mean() - critic(made, label).mean()
                    loss = self.penalty * _gradient_penalty(critic, real, made, label) - distance
                    _step(of_critic, loss)
                    seen.append((loss.item(), distance.item()))
                label = data.draw(self.batch_size)[1]
                made = generator(torch.randn(len(label), self.latent), label)
                loss = -critic(made, label).mean()
                if classifier is not None:
                    wrong = nn.functional.cross_entropy(classifier(made), label)
                    loss = loss + self.label_weight * wrong
                _step(of_generator, loss)
            for values, value in zip(history.values(), np.mean(seen, axis=0), strict=True):
                values.append(float(value))
        return history

    def _check_settings(self) -> None:
        whole = ("epochs", "batch_size", "latent", "critic_steps")
        for name in whole:
            if getattr(self, name) < 1:
                raise SettingError(f"{name} is {getattr(self, name)}; allowed: 1 or more")
        for name in ("learning_rate", "penalty", "label_weight"):
            if not 0 <= getattr(self, name) < np.inf:
                raise SettingError(f"{name} is {getattr(self, name)}; allowed: 0 or more")
        if not self.hidden or min(self.hidden) < 1:
            raise SettingError(f"hidden is {self.hidden!r}; need widths, such as (128,)")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags


class _ConditionalPerceptron(nn.Module):
    """A perceptron whose input has the one-hot class beside it."""

    def __init__(self, width: int, classes: int, hidden: Sequence[int], out: int) -> None:
        super().__init__()
        widths = [width + classes, *hidden]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], out))

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return self.layers(torch.cat([x, label], dim=1))


class _BalancedBatches:
    """Training samples in batches that hold each class equally often."""

    def __init__(self, X: Array, index: Array) -> None:
        order = np.argsort(index, kind="stable")
        self.X = torch.from_numpy(X[order].astype(np.float32))
        self.counts = torch.from_numpy(np.bincount(index))
        self.starts = self.counts.cumsum(0) - self.counts

    def __len__(self) -> int:
        return len(self.X)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Draw samples and their one-hot labels."""
        index = torch.randint(len(self.counts), (count,))
        row = self.starts[index] + (torch.rand(count) * self.counts[index]).long()
        return self.X[row], _one_hot(index, len(self.counts))


def _one_hot(index: Tensor, classes: int) -> Tensor:
    return nn.functional.one_hot(index, classes).float()


def _gradient_penalty(critic: nn.Module, real: Tensor, made: Tensor, label: Tensor) -> Tensor:
    share = torch.rand(len(real), 1)
    between = (share * real + (1 - share) * made).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between, label).sum(), between, create_graph=True)
    return (gradient.norm(dim=1) - 1).square().mean()


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _scaling(
    components: float | None, shape: tuple[int, ...], random: np.random.RandomState
) -> Pipeline:
    if components is None:
        return make_pipeline(StandardScaler())
    count = min(components, *shape) if components >= 1 else components
    return make_pipeline(StandardScaler(), PCA(count, svd_solver="full", random_state=random))


def _linear_classifier(X: Array, index: Array) -> nn.Module:
    """Fit a linear classifier to the training samples and freeze it as a layer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it need not be at its optimum
        fitted = LogisticRegression(C=0.1, class_weight="balanced").fit(X, index)
    weight, bias = fitted.coef_, fitted.intercept_
    if len(weight) == 1:  # two classes: one row, the other's logit is 0
        weight, bias = np.stack([0 * weight[0], weight[0]]), np.array([0.0, bias[0]])
    layer = nn.Linear(weight.shape[1], len(weight))
    layer.load_state_dict(
        {"weight": torch.from_numpy(weight).float(), "bias": torch.from_numpy(bias).float()}
    )
    return layer.requires_grad_(False)
