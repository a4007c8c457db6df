"""Inputs of the right shape and with wrong values, as hypothesis strategies of bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

import tomli_w
from hypothesis import strategies as some
from hypothesis.strategies import SearchStrategy

from hostile import tiny
from hostile.journal import ROW, WORK, database

NUMBERS = some.integers() | some.floats() | some.sampled_from([0, -1, 10**19, 1e-9, 2**31])
PLAIN = some.recursive(
    some.none() | some.booleans() | NUMBERS | some.text(max_size=20),
    lambda inner: (
        some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)
TOML = some.recursive(
    some.booleans() | some.integers() | some.floats() | some.text(max_size=20) | some.dates(),
    lambda inner: (
        some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)
SECTIONS = {
    "data": ("corpora", "folder", "merge", "leave_out"),
    "encoder": ("name", "weights", "layers", "level", "trim", "pool_after"),
    "features": (
        "sets",
        "functionals",
        "step",
        "utterance_normalisation",
        "level",
        "trim",
        "table",
    ),
    "model": ("name", "C", "members", "trees", "hidden", "dropout"),
    "training": ("epochs", "batch_size", "rate", "optimiser", "schedule", "patience"),
    "balance": ("method",),
    "augmentation": ("per_clip", "chain", "ranges", "probability"),
    "protocol": ("split", "folds", "named", "test", "calibration_folds", "seed"),
    "search": ("method", "trials", "folds", "space", "nested"),
    "bundle": ("licence", "window_s", "hop_s"),
}
WORDS = some.sampled_from(
    ["emodb", "anger", "logistic", "mlp", "voting", "mfcc", "mean", "speed", "noise", "grid"]
)

NAMES = some.sampled_from(
    ["a", "a b", "../../outside", "..", "", "a\0", "a\x1b[2J", "\u202ea", "a/b", "a" * 101]
)


def _recipes() -> SearchStrategy[bytes]:
    values = TOML | WORDS | some.lists(WORDS, max_size=3)
    wrong = {
        name: some.dictionaries(some.sampled_from(keys), values, min_size=1, max_size=3)
        for name, keys in SECTIONS.items()
    }
    needed = {"name": NAMES, "data": some.just({"corpora": ["emodb"]}) | wrong.pop("data")}
    table = some.fixed_dictionaries(needed, optional=wrong)
    return table.map(lambda given: tomli_w.dumps(given).encode("utf-8", "surrogatepass"))


def _manifests() -> SearchStrategy[bytes]:
    inner = {"front_end": FRONT_END, "adaptation": ADAPTATION}
    wrong = some.fixed_dictionaries(
        {}, optional={name: inner.get(name, PLAIN) | PLAIN for name in tiny.MANIFEST}
    )
    return wrong.map(lambda given: b"manifest.json\n" + tiny.manifest(**given))


FRONT_END = some.fixed_dictionaries(
    {"inputs": some.sampled_from(["waveform", "log_mel", "features"])},
    optional={
        "sets": some.lists(some.sampled_from(["mfcc", "expert", "log_mel"]) | some.text()),
        **dict.fromkeys(("bands", "step", "trim", "normalise", "level", "functionals"), PLAIN),
    },
)
ADAPTATION = some.fixed_dictionaries(
    dict.fromkeys(
        ("means", "within", "between"),
        some.lists(some.lists(NUMBERS, min_size=2, max_size=2), min_size=2, max_size=2),
    )
)


def _waves() -> SearchStrategy[bytes]:
    short, long = some.integers(0, 2**16 - 1), some.integers(0, 2**32 - 1)
    rates = some.sampled_from([0, 1, 8000, 384_000, 2**32 - 1]) | long
    coding = some.sampled_from([1, 2, 3, 6, 7, 17, 49, 65534]) | short
    form = some.tuples(coding, short, rates, long)
    forms = some.tuples(form, short, some.sampled_from([0, 4, 8, 16, 24, 32, 64]) | short).map(
        lambda parts: struct.pack("<HHIIHH", *parts[0], *parts[1:])
    )
    chunk = some.tuples(
        some.sampled_from([b"fmt ", b"data", b"fact", b"LIST", b"JUNK", b"bext", b"cue ", b"smpl"]),
        some.none() | long,
        some.binary(max_size=64) | forms,
    )
    return some.tuples(forms, some.lists(chunk, max_size=5), some.binary(max_size=4000)).map(
        lambda parts: _riff([(b"fmt ", None, parts[0]), *parts[1], (b"data", None, parts[2])])
    )


def _riff(chunks: list[tuple[bytes, int | None, bytes]]) -> bytes:
    body = b"WAVE" + b"".join(
        name + struct.pack("<I", len(data) if size is None else size) + data
        for name, size, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _scripts() -> SearchStrategy[bytes]:
    values = some.lists(NUMBERS | some.none() | some.booleans(), max_size=9)
    size = some.integers(-1, 2000)
    step = some.one_of(
        some.tuples(some.just("chunk"), some.integers(0, 13), some.integers(0, 7), values, size),
        some.tuples(some.sampled_from(["end", "reset"])),
        some.tuples(some.just("bytes"), some.text(max_size=9), some.integers(0, 2**20 + 9)),
        some.tuples(some.just("text"), some.text(max_size=30) | PLAIN.map(json.dumps)),
    )
    settings = some.fixed_dictionaries(
        {}, optional=dict.fromkeys(("rate", "window_s", "hop_s", "pause_s"), NUMBERS)
    )
    start = some.tuples(some.sampled_from(["open", "ws"]), settings | some.just({}))
    script = some.tuples(start, some.lists(step, max_size=6))
    return script.map(lambda parts: "\n".join(map(json.dumps, (parts[0], *parts[1]))).encode())


def _forms() -> SearchStrategy[bytes]:
    name = some.sampled_from(["file", "note", "_charset_"]) | some.text(max_size=20)
    file = some.none() | some.text(max_size=20) | some.sampled_from(["../a", "a\\b", "a\x00", ".."])
    more = some.sampled_from(["", "Content-Type: text/plain; charset=nonsense\r\n", "X: \x7f\r\n"])
    part = some.tuples(name, file, more, some.binary(max_size=99)).map(_part)
    ends = some.sampled_from([b"--cut--\r\n", b"--cut", b""])
    return some.tuples(some.lists(part, max_size=10), ends).map(
        lambda parts: b"form\n" + b"".join(parts[0]) + parts[1]
    )


def _part(given: tuple[Any, ...]) -> bytes:
    name, file, more, data = given
    head = f'--cut\r\nContent-Disposition: form-data; name="{name}"'
    head += "" if file is None else f'; filename="{file}"'
    return f"{head}\r\n{more}\r\n".encode("utf-8", "surrogatepass") + data + b"\r\n"


def _journals() -> SearchStrategy[bytes]:
    """Cells of any type, and JSON of any shape."""
    whole = some.integers(-(2**63), 2**63 - 1)
    texts = some.text(max_size=20) | PLAIN.map(json.dumps) | some.sampled_from([ROW, WORK])
    cell = some.none() | whole | some.floats() | some.binary(max_size=20) | texts
    rows = some.lists(some.tuples(cell, cell), max_size=4)
    return some.tuples(some.just(WORK) | cell, rows).map(lambda parts: database(*parts))


SHAPES = {
    "decoder": _waves(),
    "bundle": _manifests(),
    "recipe": _recipes(),
    "journal": _journals(),
    "stream": _scripts(),
    "http": _forms(),
}
