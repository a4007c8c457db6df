"""What computes a network: the CPU here; the rest is asked of onnxruntime and refused by name."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

import serein
from serein.errors import EngineError
from serein.inference.load import find_model
from serein.inference.network import PROVIDERS, check_provider, providers

SAMPLE = Path(__file__).parents[2] / "samples" / "espeak-german.flac"
AWAY = sorted(
    short for short, full in PROVIDERS.items() if full not in onnxruntime.get_available_providers()
)


def test_the_names_are_those_that_onnxruntime_knows() -> None:
    assert set(PROVIDERS.values()) <= set(onnxruntime.get_all_providers())


@pytest.mark.parametrize("name", AWAY)
def test_what_is_not_here_is_refused_by_name(name: str) -> None:
    with pytest.raises(EngineError, match=rf"{name!r} is not in the installed onnxruntime.*cpu"):
        serein.load(provider=name)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("gpu", "unknown provider 'gpu'; known: cpu, cuda"),
        ("cpu:1", "the number of a GPU follows cuda"),
        ("cuda:", "the number of a GPU follows cuda"),
        ("cuda:x", "the number of a GPU follows cuda"),
    ],
)
def test_a_wrong_name_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(EngineError, match=complaint):
        serein.load(provider=name)


def test_a_gpu_is_asked_for_with_the_cpu_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is here; what onnxruntime is told can be seen all the same."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*PROVIDERS.values()])
    cpu = ("CPUExecutionProvider", {})
    assert providers("cuda:1") == [("CUDAExecutionProvider", {"device_id": 1}), cpu]
    assert providers("coreml") == [("CoreMLExecutionProvider", {}), cpu]
    assert providers("cpu") == [cpu]


def test_a_session_that_fell_back_to_the_cpu_is_refused() -> None:
    session = onnxruntime.InferenceSession(
        (find_model("emodb") / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    check_provider(session, "cpu")
    with pytest.raises(EngineError, match="'cuda:0' could not be started"):
        check_provider(session, "cuda:0")


@pytest.mark.skipif(len(AWAY) == len(PROVIDERS) - 1, reason="this onnxruntime has the CPU alone")
def test_another_provider_answers_the_same() -> None:
    cpu = serein.load().predict(SAMPLE)
    for name in set(PROVIDERS) - {*AWAY, "cpu"}:
        answer = serein.load(provider=name).predict(SAMPLE)
        assert answer.probabilities == pytest.approx(cpu.probabilities, abs=0.05), name
