"""Graphs of bundles from strangers: what they may hold, and what they may take."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import made_graphs
from made_graphs import with_external_data
from serein import onnx_graph, onnx_session
from serein.errors import BundleError
from serein.inference.bundle import CARD, MANIFEST, MODEL, NOTICE, Bundle
from serein.inference.load import find_model
from serein.inference.network import open_network
from serein.onnx_graph import FIELDS, REFUSED, check_graph
from serein.onnx_session import CPU, WATCHDOG, open_session

SOUND = made_graphs.sound().SerializeToString()
SECRET = np.array([0.1, 0.7], np.float32)
FEATURES = np.full(16_000, 0.1, np.float32)
NODE = helper.make_node


def bundle(graph: bytes) -> Bundle:
    files = {MODEL: graph, MANIFEST: b"", CARD: b"", NOTICE: b""}
    return Bundle(Path("tiny"), {"labels": ["anger", "neutral"]}, files)


def graph(
    nodes: list[Any], constants: dict[str, Any], change: Callable[[Any], Any] = lambda model: None
) -> bytes:
    """Make a graph that gives both outputs of a bundle."""
    outputs = [
        helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["rows", 2]),
        helper.make_tensor_value_info("speech", TensorProto.FLOAT, [1]),
    ]
    given = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, "samples"])]
    tensors = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    made = helper.make_graph(nodes, "tiny", given, outputs, tensors)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    change(model)
    return bytes(model.SerializeToString())


def predicting(probability: list[float], speech: float) -> bytes:
    constants = {"p": np.array([probability], np.float32), "s": np.array([speech], np.float32)}
    nodes = [NODE("Identity", ["p"], ["probability"]), NODE("Identity", ["s"], ["speech"])]
    return graph(nodes, constants)


@pytest.mark.parametrize("place", with_external_data(""))
@pytest.mark.parametrize("where", ["here", "above", "absolute"])
def test_data_of_another_file_is_refused_before_a_session_is_made(
    place: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    location = {"here": "key", "above": "../key", "absolute": str(tmp_path / "key")}[where]
    Path(location).write_bytes(SECRET.tobytes())
    made = with_external_data(location)[place]
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(BundleError, match="cannot be run: the graph has"):
        open_network(bundle(made), 1, "cpu")


@pytest.mark.parametrize("place", ["initializer", "constant", "second half of a graph"])
@pytest.mark.parametrize("where", ["here", "above", "absolute"])
def test_a_session_itself_reads_no_other_file(
    place: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    location = {"here": "key", "above": "../key", "absolute": str(tmp_path / "key")}[where]
    Path(location).write_bytes(SECRET.tobytes())
    made = with_external_data(location)[place]
    with pytest.raises(Exception, match=r"[Ee]xternal|file"):
        open_session(made).run(None, {"input": FEATURES[None]})


def test_bytes_in_the_format_of_onnxruntime_are_refused(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(SOUND, options, providers=[CPU])
    content = (tmp_path / "model.ort").read_bytes()
    with pytest.raises(BundleError, match="not in ONNX's format"):
        check_graph(content)
    with pytest.raises(Exception, match=r"Protobuf|protobuf"):
        open_session(content)


@pytest.mark.parametrize(
    "operator", ["Loop", "Scan", "If", "RandomNormal", "StringConcat", "", "é"]
)
def test_an_operator_that_no_exporter_makes_is_refused(operator: str) -> None:
    def rename(model: Any) -> None:
        model.graph.node[0].op_type = operator

    made = graph([NODE("Identity", ["input"], ["probability"])], {}, rename)
    with pytest.raises(BundleError, match=f"the operator '{operator}', which is not allowed"):
        check_graph(made)


@pytest.mark.parametrize("domain", ["com.microsoft", "own", "ai.onnx.training", "AI.ONNX"])
def test_a_domain_has_its_own_operators(domain: str) -> None:
    made = graph([NODE("Identity", ["input"], ["probability"], domain=domain)], {})
    with pytest.raises(BundleError, match=f"'{domain}:Identity'"):
        check_graph(made)


def test_a_node_of_two_operators_is_refused() -> None:
    node = b"\x22\x04Loop\x22\x03Abs"
    inside = b"\x0a" + bytes([len(node)]) + node
    with pytest.raises(BundleError, match="two operators"):
        check_graph(b"\x3a" + bytes([len(inside)]) + inside)


def test_the_fields_are_those_of_onnx() -> None:
    messages = {
        "model": onnx.ModelProto,
        "graph": onnx.GraphProto,
        "node": onnx.NodeProto,
        "attribute": onnx.AttributeProto,
        "tensor": onnx.TensorProto,
    }
    for kind, fields in FIELDS.items():
        known = messages[kind].DESCRIPTOR.fields_by_number
        for number, inner in fields.items():
            of = known[number].message_type
            assert inner == "" or of is messages[inner].DESCRIPTOR, (kind, number)
            harmless = ("OperatorSetIdProto", "StringStringEntryProto", "ValueInfoProto")
            harmless += ("TensorAnnotation", "Segment")
            if of is not None and not inner:
                assert of.name in harmless, (kind, known[number].name)
    for kind, number in REFUSED:
        assert number in messages[kind].DESCRIPTOR.fields_by_number
        assert number not in FIELDS[kind]


@pytest.mark.parametrize("end", [1, 20, 100, 200])
def test_a_graph_cut_short_is_refused(end: int) -> None:
    with pytest.raises(BundleError, match=r"cut short|does not end|''"):
        check_graph(SOUND[:-end])


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"\x3b\x3c", "wire type 3"),
        (b"\x3a" + b"\xff" * 11, "does not end"),
        (b"\x3a\xff\xff\xff\xff\x0f", "cut short"),
        (b"\x00\x00", "field 0"),
        (b"\xf8\x07\x00", "field 127"),
    ],
)
def test_what_is_no_protobuf_is_refused(content: bytes, error: str) -> None:
    with pytest.raises(BundleError, match=error):
        check_graph(content)


def test_fields_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph, "MAX_FIELDS", 1000)
    check_graph(SOUND)
    with pytest.raises(BundleError, match="more than 1000 fields"):
        check_graph(SOUND + b"\x08\x08" * 1000)


def test_the_numbers_of_trees_are_passed_over_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph, "MAX_FIELDS", 1000)
    values = {"ints": [0, 2**40, -1] * 5000, "floats": [0.5] * 5000, "words": ["LEAF"] * 5000}
    check_graph(graph([NODE("Identity", ["input"], ["probability"], **values)], {}))


@pytest.mark.parametrize("name", ["emodb", "multi"])
def test_the_bundled_graphs_pass(name: str) -> None:
    check_graph((find_model(name) / MODEL).read_bytes())


@pytest.mark.parametrize(
    ("probability", "speech"),
    [
        ([84.0, -83.0], 0.5),
        ([-5.0, 6.0], 0.5),
        ([0.9, 0.2], 0.5),
        ([0.5, 0.4], 0.5),
        ([np.nan, 1.0], 0.5),
        ([0.5, 0.5], 1.5),
        ([0.5, 0.5], -0.1),
        ([0.5, 0.5], np.inf),
    ],
)
def test_what_is_no_probability_is_refused(probability: list[float], speech: float) -> None:
    network = open_network(bundle(predicting(probability, speech)), 1, "cpu")
    with pytest.raises(BundleError, match="not a probability"):
        network.predict(FEATURES)


def test_rounded_probabilities_are_taken() -> None:
    network = open_network(bundle(predicting([0.9995, -0.0005], 1.0005)), 1, "cpu")
    assert network.predict(FEATURES)[0].tolist() == pytest.approx([0.9995, -0.0005])


HUGE = {
    "ConstantOfShape": ([NODE("ConstantOfShape", ["shape"], ["huge"])], {"shape": [28_000] * 2}),
    "broadcast": (
        [NODE("Add", ["column", "row"], ["huge"])],
        {"column": np.ones((28_000, 1), np.float32), "row": np.ones((1, 28_000), np.float32)},
    ),
}


@pytest.mark.parametrize("kind", HUGE)
def test_memory_is_limited(kind: str) -> None:
    nodes, constants = HUGE[kind]
    constants = constants | {"p": np.ones((1, 2), np.float32), "s": np.array([0.5], np.float32)}
    ends = [NODE("ReduceMax", ["huge"], ["most"], keepdims=0), NODE("Sum", ["s"], ["speech"])]
    made = graph([*nodes, *ends, NODE("Mul", ["p", "most"], ["probability"])], constants)
    network = open_network(bundle(made), 1, "cpu")
    before = resident_bytes()
    with pytest.raises(BundleError, match=r"cannot predict.*memory"):
        network.predict(FEATURES)
    assert resident_bytes() - before < 2**29


def resident_bytes() -> int:
    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is measured as Linux does")
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def slow(kind: str, count: int) -> bytes:
    """Make a graph of many steps on a matrix that depends on no input."""
    twice = kind == "MatMul"
    nodes = [
        NODE(kind, [f"x{step}", *["x0"] * twice], [f"x{step + 1}"], name=f"step {step}")
        for step in range(count)
    ]
    ends = [NODE("ReduceMax", [f"x{count}"], ["most"], keepdims=0), NODE("Sum", ["s"], ["speech"])]
    constants = {"x0": np.ones((1000, 1000), np.float32), "s": np.array([0.5], np.float32)}
    constants |= {"p": np.ones((1, 2), np.float32)}
    return graph([*nodes, *ends, NODE("Mul", ["p", "most"], ["probability"])], constants)


def test_a_long_run_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_session, "MAX_RUN_S", 0.0)
    network = open_network(bundle(slow("Sin", 3000)), 1, "cpu")
    with pytest.raises(BundleError, match=r"cannot predict.*terminate flag"):
        network.predict(FEATURES)


def test_long_loading_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_session, "MAX_LOAD_S", 0.0)
    with pytest.raises(BundleError, match=r"cannot be run.*cancel"):
        open_network(bundle(slow("MatMul", 10_000)), 1, "cpu")


def test_the_watchdog_works_in_a_fork() -> None:
    with WATCHDOG.limit(60.0, lambda: None):
        pass
    stopped = Event()
    WATCHDOG._thread = Thread()  # as after a fork: one that does not run
    with WATCHDOG.limit(0.0, stopped.set):
        assert stopped.wait(10)
