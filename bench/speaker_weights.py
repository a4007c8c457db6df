"""Write resemblyzer's speaker encoder as ONNX: src/serein/features/speaker.onnx.

    python bench/speaker_weights.py Resemblyzer-0.1.4-py3-none-any.whl

The wheel is from PyPI (`pip download --no-deps resemblyzer==0.1.4`); its weights and code are under
the Apache License 2.0. They are of GE2E: L. Wan, Q. Wang, A. Papir, I. L. Moreno, "Generalized
end-to-end loss for speaker verification", ICASSP 2018. Weights are stored in half precision.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

PLACE = Path(__file__).parents[1] / "src" / "serein" / "features" / "speaker.onnx"
WEIGHTS = "resemblyzer/pretrained.pt"
SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
LAYERS, WIDTH, BANDS, FRAMES = 3, 256, 40, 160
GATES = (0, 3, 1, 2)  # torch has input, forget, cell, output; ONNX input, output, forget, cell


def main() -> None:
    """Read the wheel and write the graph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    with zipfile.ZipFile(parser.parse_args().wheel) as wheel:
        content = wheel.read(WEIGHTS)
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SystemExit(f"{WEIGHTS} is not that of resemblyzer 0.1.4")
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)["model_state"]
    PLACE.write_bytes(graph({name: value.numpy() for name, value in state.items()}))


def graph(state: dict[str, np.ndarray]) -> bytes:
    """Make the graph: (partials, 160, 40) mel power to (partials, 256) of length 1."""
    nodes, stored = [], []

    def weight(name: str, values: np.ndarray) -> str:
        stored.append(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
        return name

    def gates(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.split(values, 4)[gate] for gate in GATES])

    nodes.append(helper.make_node("Transpose", ["mel"], ["frames0"], perm=[1, 0, 2]))
    for layer in range(LAYERS):
        w, r, *biases = (
            gates(state[f"lstm.{kind}_l{layer}"])
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        given = [f"frames{layer}", weight(f"w{layer}", w[None]), weight(f"r{layer}", r[None])]
        given.append(weight(f"b{layer}", np.concatenate(biases)[None]))
        made = [f"all{layer}", f"last{layer}"]
        nodes.append(helper.make_node("LSTM", given, made, hidden_size=WIDTH))
        axes = numpy_helper.from_array(np.array([1]), f"direction{layer}")
        stored.append(axes)
        nodes.append(helper.make_node("Squeeze", [made[0], axes.name], [f"frames{layer + 1}"]))
    stored.append(numpy_helper.from_array(np.array([0]), "first"))
    last = f"last{LAYERS - 1}"
    linear = weight("linear", state["linear.weight"].T), weight("bias", state["linear.bias"])
    nodes += [
        helper.make_node("Squeeze", [last, "first"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", *linear], ["raw"]),
        helper.make_node("Relu", ["raw"], ["positive"]),
        helper.make_node("LpNormalization", ["positive"], ["voice"], axis=1, p=2),
    ]
    mel = helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["partials", FRAMES, BANDS])
    voice = helper.make_tensor_value_info("voice", TensorProto.FLOAT, ["partials", WIDTH])
    made_graph = helper.make_graph(nodes, "ge2e", [mel], [voice], stored)
    model = helper.make_model(made_graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()


if __name__ == "__main__":
    main()
