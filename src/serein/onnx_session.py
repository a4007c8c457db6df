"""ONNX graphs with onnxruntime: the one place that opens a session."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

CPU = "CPUExecutionProvider"


def open_session(
    graph: bytes | Path,
    *,
    threads: int = 1,
    providers: Sequence[Any] = (CPU,),
    optimised: Path | None = None,
) -> Any:
    """Open a graph; `optimised` is a file for its fused nodes, at a level for any processor."""
    import onnxruntime  # slow to load, and not every command needs it

    onnxruntime.disable_telemetry_events()  # Windows knows no variable
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, and need not be printed
    if optimised is not None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(optimised)
    return onnxruntime.InferenceSession(
        graph,
        options,
        providers=list(providers),
        enable_fallback=False,  # it prints, and tries the same again
    )
