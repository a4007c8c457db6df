"""ONNX graphs with onnxruntime: the one place that opens a session."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

from serein.errors import EncoderError
from serein.onnx_graph import check_graph

CPU = "CPUExecutionProvider"
MAX_RUN_BYTES = 2 * 2**30  # of what untrusted graphs compute in this process, weights apart
MAX_LOAD_S, MAX_RUN_S = 60.0, 60.0  # of untrusted graphs on the CPU, by the clock
FOLDING = "ConstantFolding"  # it would compute while loading, outside the limit of memory


def check_weights(content: bytes, sha256: str, name: str) -> bytes:
    """Return the weights of another package, if they are those that serein was built with."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise EncoderError(
            f"{name}: holds other weights than those serein was tested with (its sha256 differs); "
            "install its package again"
        )
    return content


def open_session(
    graph: bytes | Path,
    *,
    threads: int = 1,
    providers: Sequence[Any] = (CPU,),
    optimised: Path | None = None,
) -> Any:
    """Open a graph of our own; `optimised` is a file for its fused nodes, for any processor."""
    import onnxruntime  # slow to load, and not every command needs it

    options = _options(threads)
    if optimised is not None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(optimised)
    return _session(graph, options, providers)


class UntrustedSession:
    """An untrusted graph: checked before it is opened, limited in memory and time.

    Raises: BundleError where `check_graph` does.
    """

    def __init__(self, graph: bytes, *, threads: int, providers: Sequence[Any]) -> None:
        check_graph(graph)
        _limit_memory()
        options = _options(threads)
        options.add_session_config_entry("session.use_env_allocators", "1")
        # a GPU's first steps take minutes where it compiles them
        self._in_time = all(provider[0] == CPU for provider in providers)
        with self._limit(MAX_LOAD_S, lambda: options.set_load_cancellation_flag(True)):
            self._session = _session(graph, options, providers, disabled_optimizers=[FOLDING])
        self.get_inputs, self.get_outputs = self._session.get_inputs, self._session.get_outputs
        self.get_providers = self._session.get_providers

    def run(self, outputs: Sequence[str], given: Mapping[str, Any]) -> Any:
        """Compute outputs, each an array."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        with self._limit(MAX_RUN_S, lambda: setattr(options, "terminate", True)):
            return self._session.run(outputs, given, options)

    def _limit(self, seconds: float, stop: Callable[[], None]) -> AbstractContextManager[None]:
        return WATCHDOG.limit(seconds, stop) if self._in_time else nullcontext()


class _Watchdog:
    """Stops what takes too long; one thread for all, as a timer for each run would cost 0.3 ms."""

    def __init__(self) -> None:
        self._due: dict[object, tuple[float, Callable[[], None]]] = {}
        self._thread: Thread | None = None

    @contextmanager
    def limit(self, seconds: float, stop: Callable[[], None]) -> Iterator[None]:
        """Call `stop` if the block takes longer, to a second."""
        if not (self._thread and self._thread.is_alive()):  # a fork has none
            self._thread = Thread(target=self._watch, name="serein-watchdog", daemon=True)
            self._thread.start()
        run = object()
        self._due[run] = (time.monotonic() + seconds, stop)
        try:
            yield
        finally:
            self._due.pop(run, None)

    def _watch(self) -> None:
        while True:
            time.sleep(1)
            for run, (end, stop) in list(self._due.items()):
                if time.monotonic() > end:
                    stop()
                    self._due.pop(run, None)


WATCHDOG = _Watchdog()


def _options(threads: int) -> Any:
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # Windows knows no variable
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, and need not be printed
    # bytes that start as onnxruntime's own format are not read as it; no file lies under a device
    options.add_session_config_entry("session.load_model_format", "ONNX")
    folder = "session.model_external_initializers_file_folder_path"
    options.add_session_config_entry(folder, os.devnull)
    return options


def _session(graph: bytes | Path, options: Any, providers: Sequence[Any], **more: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        graph,
        options,
        providers=list(providers),
        enable_fallback=False,  # it prints, and tries the same again
        **more,
    )
    session._model_bytes = None  # as large as the weights, kept to open the session once more
    return session


@cache
def _limit_memory() -> None:
    """Make the memory that all untrusted sessions of this process share."""
    import onnxruntime

    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    limit = onnxruntime.OrtArenaCfg({"max_mem": MAX_RUN_BYTES})
    onnxruntime.create_and_register_allocator(memory, limit)
