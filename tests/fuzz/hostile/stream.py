"""The stream: chunks of any kind to `Stream`, and frames of any kind to its WebSocket."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hostile import tiny
from hostile.service import Service

MOST_SAMPLES = 8192  # the detector listens to all that is sound
KINDS = ("f4", "f8", "f2", "i2", "i4", "i1", "u2", "i8", "c8", "?", "U1", "O", ">f4", ">i2")
SHAPES = ((-1,), (-1, 1), (-1, 2), (2, -1), (1, -1, 1), (-1, 9), (0, 3), ())


class StreamTarget:
    """An input is a script, a line of JSON each.

    ``["open", {…}]`` begins a `Stream` with these settings, ``["ws", {…}]`` a WebSocket with this
    query. Then ``["chunk", kind, shape, values, times]`` is pushed, of these values so many times
    over; ``["end"]`` and ``["reset"]`` are done; ``["text", "…"]`` and ``["bytes", "…", times]``
    are frames.
    """

    tokens = (
        *(b'["end"]', b'["reset"]', b'["bytes", "\\u00ff"]', b'["text", "{}"]', b"[NaN, 1e39]"),
        *(b'["text", "{\\"type\\":\\"end\\"}"]', b'"rate": 0', b'"hop_s": 1e-9', b'"pause_s"'),
        *(b'["ws", {}]', b'["open", {}]', b"192001", b'["chunk", 13, 0, [1, "a", null], 9]'),
        *(b'{"type": "reset"}', b"NaN", b"1e300", b"[8.5]", b"[32767]", b"false", b'"adapt": true'),
    )

    def __init__(self) -> None:
        import serein
        from serein.errors import SereinError
        from serein.inference.stream import Stream
        from serein.serve.errors import STATUS

        self._stream, self._listed = Stream, (SereinError, ValueError)
        self._codes = {*STATUS, "too_long", "idle"} - {"internal"}
        self._folder = tempfile.TemporaryDirectory(prefix="serein-fuzz-")
        model = Path(self._folder.name) / "tiny.zip"
        model.write_bytes(tiny.packed({}))
        self._recognizer = serein.load(model, threads=1)
        self._service = Service(model)
        self.seeds = _scripts()

    def __call__(self, data: bytes) -> str:
        steps = list(map(_step, data.split(b"\n")[:20]))
        if steps[0][0] == "ws":
            sent = self._service.run(_streamed(self._service, steps))
            self._service.failures.check()
            return self._judged(sent)
        return self._pushed(steps)

    def close(self) -> None:
        self._service.close()
        self._folder.cleanup()

    def _pushed(self, steps: list[list[Any]]) -> str:
        """Go through a script, and on after each refusal, as the stream is said to be unharmed."""
        from serein.errors import AudioError

        try:
            stream = self._stream(self._recognizer, **_settings(steps[0]))
        except self._listed as error:
            return type(error).__name__
        ended = "ok"
        for step in steps[1:]:
            before = stream.position_s
            try:
                events = _done(stream, step)
            except AudioError as error:
                ended = type(error).__name__
                if stream.position_s != before:
                    raise RuntimeError("a chunk that was refused was taken in") from error
            else:
                json.dumps([event.to_dict() for event in events], allow_nan=False)
        return ended

    def _judged(self, sent: list[dict[str, Any]]) -> str:
        """Check what a WebSocket was sent, and name the refusal."""
        ended = "ok"
        for message in sent:
            if message["type"] == "websocket.http.response.start":
                ended = f"http_{message['status']}"
                if not 400 <= message["status"] < 500:
                    raise RuntimeError(ended)
            elif message["type"] == "websocket.send":
                said = json.loads(message["text"], parse_constant=_no_number)
                ended = said["code"] if said["type"] == "error" else ended
                if said["type"] == "error" and ended not in self._codes:
                    raise RuntimeError(ended)
        return ended


async def _streamed(service: Service, steps: list[list[Any]]) -> list[dict[str, Any]]:
    """Open a WebSocket, send each frame, and leave."""
    sent: list[dict[str, Any]] = []
    frames = [{"type": "websocket.connect"}, *filter(None, map(_frame, steps[1:]))]
    coming = iter([*frames, {"type": "websocket.disconnect", "code": 1006}])

    async def receive() -> dict[str, Any]:
        message = next(coming, None)
        return message if message is not None else await asyncio.Event().wait()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "scheme": "ws",
        "path": "/v1/stream",
        "raw_path": b"/v1/stream",
        "query_string": urlencode(_settings(steps[0])).encode(),
        "headers": [(b"host", b"localhost")],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        "state": dict(service.state),
    }
    await asyncio.wait_for(service.app(scope, receive, send), 5)
    return sent


def _step(line: bytes) -> list[Any]:
    """Read one step; what is no JSON is a chunk, or a frame, of its bytes."""
    try:
        step = json.loads(line)
    except (ValueError, RecursionError):
        step = None
    if isinstance(step, list) and step and isinstance(step[0], str):
        return step
    return ["bytes", line.decode("latin-1"), 1]


def _settings(step: list[Any]) -> dict[str, Any]:
    given = step[1] if len(step) > 1 and isinstance(step[1], dict) else {}
    names = ("rate", "window_s", "hop_s", "pause_s", "adapt", "unsure_below", "model")
    if step[0] == "ws":
        return {name: given[name] for name in names if name in given}
    numbers = (int, float)  # settings are the caller's own: other kinds are for a type checker
    return {name: given[name] for name in names[:5] if isinstance(given.get(name), numbers)}


def _done(stream: Any, step: list[Any]) -> list[Any]:
    if step[0] == "end":
        return stream.end()
    if step[0] == "reset":
        return stream.reset() or []
    return stream.push(_chunk(*step[1:5]) if step[0] == "chunk" else _bytes(step))


def _chunk(kind: Any = 0, shape: Any = 0, values: Any = (), times: Any = 1) -> Any:
    """Make an array, if these can be one."""
    import numpy as np

    try:
        wanted = np.dtype(KINDS[int(kind) % len(KINDS)])
        with np.errstate(all="ignore"):
            array = np.resize(np.asarray(values), max(0, min(int(times), MOST_SAMPLES)))
            return array.astype(wanted).reshape(SHAPES[int(shape) % len(SHAPES)])
    except (TypeError, ValueError, OverflowError):
        return values


def _bytes(step: list[Any]) -> bytes:
    text, times = (str(step[1]) if len(step) > 1 else ""), (step[2] if len(step) > 2 else 1)
    count = times if isinstance(times, int) and 0 <= times <= 2**21 else 1
    data = text.encode("latin-1", "replace")
    return (data * count)[: 2**20 + 2]


def _frame(step: list[Any]) -> dict[str, Any] | None:
    if step[0] == "text":
        return {"type": "websocket.receive", "text": str(step[1]) if len(step) > 1 else ""}
    if step[0] in ("end", "reset"):
        return {"type": "websocket.receive", "text": json.dumps({"type": step[0]})}
    if step[0] == "bytes":
        return {"type": "websocket.receive", "bytes": _bytes(step)}
    return None


def _no_number(text: str) -> float:
    raise RuntimeError(f"an event holds {text}")


def _scripts() -> list[bytes]:
    settings = {"rate": 16000, "window_s": 1.0, "hop_s": 0.5, "pause_s": 0.2, "adapt": True}
    query = {"rate": 8000, "window_s": 1.0, "hop_s": 0.5, "unsure_below": 0.1, "model": "tiny"}
    chunks = [["chunk", kind, 0, [0.1, -0.2, 0.3], 999] for kind in (0, 1, 2, 3, 4)]
    strange = [["chunk", kind, kind, [1, 0], 16] for kind in range(len(KINDS))]
    scripts = [
        [["open", settings], *chunks, ["end"], ["reset"], chunks[0]],
        [["open", {"rate": 44100}], ["chunk", 3, 2, [1000, -1000], 4000], ["end"]],
        [["open", {}], *strange],
        [["ws", query], ["bytes", "ab", 2000], ["bytes", "c", 1], ["reset"], ["end"]],
        [["ws", {}], ["text", '{"type": "reset"}'], ["bytes", "ab", 900], ["text", '{"type": 1}']],
        [["ws", {"adapt": True}], ["bytes", "a", 2**20 + 1]],
    ]
    return ["\n".join(map(json.dumps, script)).encode() for script in scripts]
