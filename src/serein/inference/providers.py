"""Where a graph is computed: onnxruntime's execution providers, by short names."""

from __future__ import annotations

from typing import Any

import onnxruntime

from serein.errors import EngineError, unknown_name

CPU = "CPUExecutionProvider"
PROVIDERS = {
    "cpu": CPU,
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "MIGraphXExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
NUMBERED = ("cuda", "tensorrt", "rocm", "directml")  # those that may be one of several cards

Provider = tuple[str, dict[str, Any]]


def providers(name: str) -> list[Provider]:
    """List what onnxruntime shall compute with, the CPU last for what the first cannot.

    Parameters
    ----------
    name : str
        One of `PROVIDERS`, with the number of a card if there are several: ``cuda:1``.

    Returns
    -------
    list of (str, dict)
        As an onnxruntime session takes them.

    Raises
    ------
    EngineError
        If there is no such provider, or the installed onnxruntime comes without it.
    """
    short, _, card = name.partition(":")
    if short not in PROVIDERS:
        raise EngineError(unknown_name("provider", name, PROVIDERS))
    if ":" in name and not (short in NUMBERED and card.isdecimal()):
        raise EngineError(
            f"provider {name!r} is none; a card's number follows {', '.join(NUMBERED)} alone, "
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
    return [(full, {"device_id": int(card)} if card else {}), (CPU, {})]


def check(session: onnxruntime.InferenceSession, name: str) -> None:
    """Refuse a session that quietly took the CPU, as onnxruntime does where a driver is missing.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        Opened with what `providers` gives.
    name : str
        What was asked for.

    Raises
    ------
    EngineError
        If it computes with something else.
    """
    full = PROVIDERS[name.partition(":")[0]]
    if full not in session.get_providers():
        raise EngineError(
            f"provider {name!r} could not be started, so onnxruntime would take the CPU: is the "
            "card there, with the driver and libraries that this onnxruntime asks for?"
        )
