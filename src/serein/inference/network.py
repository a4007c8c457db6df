"""A bundle's network: the front end's output of one window in, posteriors and speech out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt
import onnxruntime

from serein.engine import usable_cores
from serein.errors import BundleError, EngineError, unknown_name
from serein.inference.bundle import ARRAYS, MODEL, Bundle
from serein.onnx_session import CPU, UntrustedSession

Array = npt.NDArray[np.float32]
Provider = tuple[str, dict[str, Any]]

PROVIDERS = {
    "cpu": CPU,
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "MIGraphXExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
NUMBERED = ("cuda", "tensorrt", "rocm", "directml")  # there may be several GPUs
OUTPUTS = ("probability", "speech")
VECTOR = "vector"  # output of a graph whose bundle holds `AdaptiveHeads` or `BurstHeads`
OTHERS = "others"  # input of a graph that fuses modalities
MAX_OTHERS = 100_000  # columns of it
TOLERANCE, SUM_TOLERANCE = 1e-3, 1e-2  # of probabilities and of their sum, for float32 and int8


class Output(NamedTuple):
    """What a network gives for one window.

    `probability`: of each label, (labels,), for a single recording; `speech`: its probability;
    `vector`: the encoder's features, (columns,), where the bundle needs them; `burst`: where the
    window is a vocal burst and no speech, the probability of each emotion of bursts.
    """

    probability: Array
    speech: float
    vector: Array | None = None
    burst: Array | None = None


def spoken(outputs: Iterable[Output | None]) -> Iterator[Output]:
    """Yield what a network gave for windows with speech: neither silence nor bursts."""
    return (row for row in outputs if row is not None and row.burst is None)


class Network(Protocol):
    """Predicts from the front end's output of one window."""

    def predict(self, features: Array) -> Output:
        """Return the probabilities of the labels and of speech."""


class FusedNetwork(Network, Protocol):
    """Predicts from one window and other modalities, in `others_width` columns."""

    others_width: int

    def predict_fused(self, features: Array, others: Array) -> Output:
        """Return probabilities, shape (rows of `others`, labels), and that of speech."""


def open_network(bundle: Bundle, threads: int | None, provider: str) -> Network:
    """Make a bundle's network ready to run."""
    network = _arrays(bundle) if ARRAYS in bundle.files else _Graph(bundle, threads, provider)
    return _Checked(network, bundle)


def providers(name: str) -> list[Provider]:
    """List the execution providers of onnxruntime, the CPU last for what the first cannot."""
    short, _, number = name.partition(":")
    if short not in PROVIDERS:
        raise EngineError(unknown_name("provider", name, PROVIDERS))
    if ":" in name and not (short in NUMBERED and number.isdecimal()):
        raise EngineError(
            f"provider {name!r} is none; the number of a GPU follows {', '.join(NUMBERED)} alone, "
            "for instance cuda:0"
        )
    full = PROVIDERS[short]
    present = onnxruntime.get_available_providers()
    if full not in present:
        here = ", ".join(short for short, full in PROVIDERS.items() if full in present)
        raise EngineError(
            f"provider {short!r} is not in the installed onnxruntime, which has: {here}; install "
            "the build of onnxruntime that has it in place of this one, for instance "
            "onnxruntime-gpu for cuda"
        )
    if full == CPU:
        return [(CPU, {})]
    return [(full, {"device_id": int(number)} if number else {}), (CPU, {})]


def check_provider(session: onnxruntime.InferenceSession, name: str) -> None:
    """Refuse a session that quietly took the CPU, as onnxruntime does where a driver is missing."""
    if PROVIDERS[name.partition(":")[0]] not in session.get_providers():
        raise EngineError(
            f"provider {name!r} could not be started, so onnxruntime would take the CPU: is the "
            "GPU there, with the driver and libraries that this onnxruntime asks for?"
        )


class _Checked:
    """An untrusted model: what it raises is a BundleError, its outputs are probabilities."""

    def __init__(self, network: Network, bundle: Bundle) -> None:
        self._network = network
        self._place, self._known = bundle.place, bundle.known  # the bundle is as large as its graph
        self.others_width: int = getattr(network, "others_width", 0)

    def predict(self, features: Array) -> Output:
        """Predict from the front end's output of one window."""
        return self._run(lambda: self._network.predict(features), ())

    def predict_fused(self, features: Array, others: Array) -> Output:
        """Predict from one window with other modalities: see `_Graph.predict_fused`."""
        graph = cast("FusedNetwork", self._network)
        return self._run(lambda: graph.predict_fused(features, others), (len(others),))

    def _run(self, predict: Callable[[], Output], rows: tuple[int, ...]) -> Output:
        try:
            output = Output(*predict())
        except MemoryError:
            raise
        except Exception as error:  # onnxruntime's own errors share no other base
            raise BundleError(f"{self._place}: the model cannot predict: {error}") from error
        probability, speech, vector = output[:3]
        numbers = np.append(probability, speech)
        within = (numbers >= -TOLERANCE) & (numbers <= 1 + TOLERANCE)  # NaN is not, either
        shaped = probability.shape == (*rows, self._known)
        finite = vector is None or np.isfinite(vector).all()
        if not (shaped and within.all() and _sum_to_1(probability) and finite):
            raise BundleError(
                f"{self._place}: the model predicts {probability} and {speech}, not a probability "
                f"for each of {self._known} labels and one for speech"
            )
        return output


def _sum_to_1(probability: Array) -> bool:
    return bool((np.abs(probability.sum(axis=-1) - 1) <= SUM_TOLERANCE).all())


class _Graph:
    """An ONNX graph."""

    def __init__(self, bundle: Bundle, threads: int | None, provider: str) -> None:
        chosen = providers(provider)
        try:
            self._session: Any = UntrustedSession(
                bundle.files[MODEL],
                threads=threads or min(4, usable_cores()),
                providers=chosen,
            )
            outputs = {output.name: output.shape for output in self._session.get_outputs()}
            inputs = {given.name: given.shape for given in self._session.get_inputs()}
        except Exception as error:  # onnxruntime's own errors share no other base
            raise BundleError(f"{bundle.place}: {MODEL} cannot be run: {error}") from error
        check_provider(self._session, provider)
        self._outputs = [name for name in (*OUTPUTS, VECTOR) if name in outputs]
        known = len(self._outputs) == len(outputs) and self._outputs[:2] == list(OUTPUTS)
        if not known or outputs["probability"][-1:] != [bundle.known]:
            raise BundleError(
                f"{bundle.place}: {MODEL} gives {outputs}, not a probability for each of "
                f"{bundle.known} labels and speech"
            )
        if set(inputs) - {OTHERS} != {"input"}:
            raise BundleError(f"{bundle.place}: {MODEL} takes {inputs}, not one input")
        self._flat = len(inputs["input"]) == 2
        others = inputs.get(OTHERS)
        width = others[1] if others and len(others) == 2 else 0
        if others is not None and not (isinstance(width, int) and 0 < width <= MAX_OTHERS):
            raise BundleError(f"{bundle.place}: {MODEL} takes {OTHERS} of {others}, not rows")
        self.others_width: int = width

    def predict(self, features: Array) -> Output:
        """Predict from the front end's output of one window; the voice alone, if it fuses."""
        alone = np.full((1, self.others_width), np.nan, np.float32)
        alone[:, :1] = 1.0
        output = self.predict_fused(features, alone)
        return output._replace(probability=output.probability[0])

    def predict_fused(self, features: Array, others: Array) -> Output:
        """Predict from one window, once with each row of other modalities.

        A row of `others` is 1 where the voice counts or 0, then the features of the others, NaN
        where one is missing.
        """
        # One window a call: int8 scales depend on what else is in the batch.
        given = {"input": features.reshape(1, -1) if self._flat else features[None]}
        given |= {OTHERS: others} if self.others_width else {}
        probability, speech, *vectors = self._session.run(self._outputs, given)
        return Output(probability, float(speech[0]), vectors[0][0] if vectors else None)


def _arrays(bundle: Bundle) -> Network:
    from serein.inference.arrays import ArraysModel  # few bundles need it, every start would pay

    try:
        model = ArraysModel.from_bytes(bundle.files[ARRAYS])
    except ValueError as error:
        raise BundleError(f"{bundle.place}: {ARRAYS}: {error}") from error
    if len(model.hmm.log_prior) != bundle.known:
        raise BundleError(
            f"{bundle.place}: {ARRAYS} has {len(model.hmm.log_prior)} emotions and the manifest "
            f"{bundle.known} labels"
        )
    return model
