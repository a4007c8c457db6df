"""What an untrusted ONNX graph may hold: read from its bytes, before onnxruntime sees them.

The core install has no onnx package, and onnxruntime follows references to other files, so the
protobuf is read here. Field numbers: onnx.proto of https://github.com/onnx/onnx.
"""

from __future__ import annotations

import re

from serein.errors import BundleError

VALUE = ""  # a field that is a number, a text or a message without tensors
FIELDS: dict[str, dict[int, str]] = {
    "model": dict.fromkeys((1, 2, 3, 4, 5, 6, 8, 14), VALUE) | {7: "graph"},
    "graph": dict.fromkeys((2, 10, 11, 12, 13, 14, 16), VALUE) | {1: "node", 5: "tensor"},
    "node": dict.fromkeys((1, 2, 3, 4, 6, 7, 9), VALUE) | {5: "attribute"},
    "attribute": dict.fromkeys((1, 2, 3, 4, 7, 8, 9, 13, 20), VALUE) | {5: "tensor", 10: "tensor"},
    "tensor": dict.fromkeys((1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16), VALUE),
}
"""Message -> number of an allowed field -> the message that the field is."""

EXTERNAL = ("tensor", 13)
REFUSED = {
    ("model", 20): "a graph of training",
    ("model", 25): "a function",
    ("graph", 15): "a sparse tensor",
    ("attribute", 6): "a graph inside an operator",
    ("attribute", 11): "graphs inside an operator",
    ("attribute", 22): "a sparse tensor",
    ("attribute", 23): "sparse tensors",
    EXTERNAL: "data that lie in another file",
}
OP_TYPE, DOMAIN, DATA_LOCATION = ("node", 4), ("node", 7), ("tensor", 14)

STANDARD = """
Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant
ConstantOfShape Conv Cos CumSum DequantizeLinear Div DynamicQuantizeLinear Einsum Elu Equal Erf Exp
Expand Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool
Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization
IsNaN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul MatMulInteger Max
MaxPool Mean Min Mish Mod Mul Neg Not Or PRelu Pad Pow QuantizeLinear RNN Range Reciprocal ReduceL1
ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu
Reshape Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus
Softsign Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Trilu Unsqueeze Where Xor
"""
OF_SCIKIT_LEARN = """
ArrayFeatureExtractor Binarizer Imputer LabelEncoder LinearClassifier LinearRegressor Normalizer
SVMClassifier SVMRegressor Scaler TreeEnsembleClassifier TreeEnsembleRegressor
"""
FUSED = """
Attention BiasGelu BiasSoftmax DynamicQuantizeMatMul FastGelu FusedConv FusedGemm FusedMatMul Gelu
MatMulIntegerToFloat QAttention QuickGelu SkipLayerNormalization
"""
OPERATORS = {
    b"": frozenset(STANDARD.encode().split()),
    b"ai.onnx": frozenset(STANDARD.encode().split()),
    b"ai.onnx.ml": frozenset(OF_SCIKIT_LEARN.encode().split()),
    b"com.microsoft": frozenset(FUSED.encode().split()),
}
"""Domain -> operators that an export of scikit-learn, PyTorch or int8 has; none has a loop."""

MAX_FIELDS = 1_000_000  # some 1 s
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
_SHORT = b"|".join(b"\\x%02x.{%d}" % (size, size) for size in range(20))
_NUMBERS = (
    re.compile(  # a run of an attribute's floats, ints and short strings: trees have millions
        rb"(?s:\x3d.{4}|\x40[\x80-\xff]{0,9}[\x00-\x7f]|\x4a(?:" + _SHORT + rb"))++"
    )
)


def check_graph(model: bytes) -> None:
    """Refuse a graph that reads other files, or has anything that serein's exporters do not make.

    Raises: BundleError.
    """
    if model[4:8] == b"ORTM":  # onnxruntime's own format, whatever else the bytes may be
        raise BundleError("the graph is not in ONNX's format")
    _Check(model).message("model", 0, len(model))


class _Check:
    """Reads protobuf messages whose fields are known, and no more than `MAX_FIELDS`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MAX_FIELDS

    def message(self, kind: str, at: int, end: int) -> None:
        """Check the message that lies from `at` to `end`."""
        found: dict[tuple[str, int], bytes] = {}
        while at < end:
            if kind == "attribute" and (run := _NUMBERS.match(self._data, at, end)):
                at = run.end()
                continue
            number, start, at, value = self._field(at, end)
            place = (kind, number)
            if number not in FIELDS[kind]:
                odd = REFUSED.get(place, f"field {number} of a {kind}")
                raise BundleError(f"the graph has {odd}, which is not allowed")
            if place == DATA_LOCATION and value != 0:
                raise BundleError(f"the graph has {REFUSED[EXTERNAL]}, which is not allowed")
            if place in (OP_TYPE, DOMAIN):
                if place in found:
                    raise BundleError("the graph has a node of two operators")
                found[place] = self._data[start:at]
            if FIELDS[kind][number] and value is None:
                self.message(FIELDS[kind][number], start, at)
        if kind == "node":
            _check_operator(found.get(DOMAIN, b""), found.get(OP_TYPE, b""))

    def _field(self, at: int, end: int) -> tuple[int, int, int, int | None]:
        """Read a field: its number, where its content begins and ends, its value if a varint."""
        self._left -= 1
        if self._left < 0:
            raise BundleError(f"the graph has more than {MAX_FIELDS} fields")
        key, start = self._varint(at, end)
        number, wire = key >> 3, key & 7
        value = None
        if wire == VARINT:
            value, stop = self._varint(start, end)
        elif wire == BYTES:
            size, start = self._varint(start, end)
            stop = start + size
        elif wire in (FIXED32, FIXED64):
            stop = start + (4 if wire == FIXED32 else 8)
        else:
            raise BundleError(f"the graph is damaged: wire type {wire}")
        if stop > end:
            raise BundleError("the graph is cut short")
        return number, start, stop, value

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for place in range(at, min(at + 10, end)):
            byte = self._data[place]
            value |= (byte & 0x7F) << (7 * (place - at))
            if byte < 0x80:
                return value, place + 1
        raise BundleError("the graph is damaged: a number does not end")


def _check_operator(domain: bytes, operator: bytes) -> None:
    if operator not in OPERATORS.get(domain, ()):
        name = f"{domain[:40].decode(errors='replace')}:{operator[:40].decode(errors='replace')}"
        raise BundleError(
            f"the graph has the operator {name.removeprefix(':')!r}, which is not allowed"
        )
