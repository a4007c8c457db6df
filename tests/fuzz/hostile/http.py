"""The HTTP body, and all around it: what comes over the wire, byte by byte."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from urllib.parse import quote

from hostile import tiny
from hostile.service import Service

START = b"POST /v1/predict HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=cut\r\n"
AUDIO = b"Content-Type: audio/wav\r\n"
FIT = b"Content-Length: fit\r\n\r\n"
QUERY = "=&%+;,."  # characters that stay as they are


class HttpTarget:
    """The service's own protocol, access control and routes; an input is what a client sends.

    One whose first line is ``form``, ``audio`` or ``query`` is that part of a request else sound.
    `Content-Length: fit` becomes the length that the body has, whatever happened to it.

    Every response has to be a success or an error of the service's form; none may be a 5xx, and the
    log must hold no failure. ``closed`` is a connection that ended without a response.
    """

    tokens = (
        *(b"Content-Length: 18446744073709551616", b"Transfer-Encoding: chunked", b"Expect: 100"),
        *(
            b"Content-Encoding: gzip",
            b"--cut--\r\n",
            b"--cut\r\n",
            b'filename="..\\\\"',
            b"\r\n\r\n",
        ),
        *(b'name="file"', b"filename*=utf-8''%ff%00", b"_charset_", b"boundary=", b"charset=utf-7"),
        *(b"Upgrade: websocket", b"Connection: Upgrade, close", b"Authorization: Bearer ", b"%00"),
        *(b"Origin: null", b"X-API-Key: \xff", b"GET", b"OPTIONS", b"HTTP/1.0", b"/v1/models"),
        *(b"/docs", b"/assets/../../passwd", b"?window_s=nan", b"&hop_s=1e400", b"&model=\xff"),
    )

    def __init__(self) -> None:
        from serein.serve.errors import STATUS

        self._status = STATUS
        self._folder = tempfile.TemporaryDirectory(prefix="serein-fuzz-")
        model = Path(self._folder.name) / "tiny.zip"
        model.write_bytes(tiny.packed({}))
        self._service = Service(model)
        self.seeds = _requests()

    def __call__(self, data: bytes) -> str:
        data = _whole(data)
        _, _, body = data.partition(b"\r\n\r\n")
        data = data.replace(b": fit\r\n", b": %d\r\n" % len(body), 1)
        answer = self._service.run(self._service.talk(data))
        self._service.failures.check()
        return _judged(answer, self._status)

    def close(self) -> None:
        self._service.close()
        self._folder.cleanup()


def _judged(answer: bytes, known: dict[str, int]) -> str:
    """Check every answer on a connection, and name the last."""
    heads = list(re.finditer(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n", answer))
    name = "closed"
    for head, after in zip(heads, [*heads[1:], None], strict=False):
        status = int(head[1])
        body = answer[head.end() : after.start() if after else None].partition(b"\r\n\r\n")[2]
        if status < 400:
            name = "closed" if status == 101 else "ok"  # a WebSocket opens in time, or does not
        elif status < 500 and b"text/plain" in answer[head.start() : head.end() + 200]:
            name = "not_http"  # the protocol's own words, before there is a request
        else:
            name = json.loads(body)["error"]["code"] if body else "no_body"
            if status >= 500 or (body and known[name] != status):
                raise RuntimeError(f"{status} {name}")
    return name


def _requests() -> list[bytes]:
    sound = tiny.wave()
    part = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
    field = b'--cut\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    form = field + part + b"Content-Type: audio/wav\r\n\r\n" + sound[:100] + b"\r\n--cut--\r\n"
    saved = part.replace(b'"file"', b'"adaptation"') + b'\r\n{"format": "serein-adaptation"}\r\n'
    query = b"window_s=1&hop_s=0.5&unsure_below=0.2&timeline=false&model=tiny"
    query += b"&emotions=anger,neutral&adapt=speaker"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(sound), sound)
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    return [
        b"form\n" + saved + form,
        *(b"form\n" + form, b"form\n" + part + b"\r\n" + sound + b"\r\n--cut--\r\n"),
        *(b"audio\n" + sound, b"query\n" + query),
        _whole(b"query\n" + query),
        _whole(b"audio\n" + sound),
        _whole(b"form\n" + form),
        START + HOST + b"Content-Type: application/json\r\n" + FIT + b'{"file": [1, {"a": null}]}',
        START + HOST + b"Content-Type: audio/x\r\n" + chunked,
        b"GET /v1/models HTTP/1.1\r\n" + HOST + b"Origin: http://localhost\r\n\r\n",
        b"GET /v1/stream?rate=16000 HTTP/1.1\r\n" + HOST + upgrade
        + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x02{}",
    ]  # fmt: skip


def _whole(data: bytes) -> bytes:
    """Put a sound request around a part of one."""
    kind, _, part = data.partition(b"\n")
    if kind == b"query":
        return START.replace(b" HTTP", b"?" + quote(part, QUERY).encode() + b" HTTP") + (
            HOST + AUDIO + FIT + b"RIFF"
        )
    if kind in (b"form", b"audio"):
        return START + HOST + (FORM if kind == b"form" else AUDIO) + FIT + part
    return data
