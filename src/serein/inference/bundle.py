"""A trained recognizer on disk: one folder or zip, without pickle, every byte checked.

::

    manifest.json   labels in order, front end, windows, training speakers, scores, licence
    model.onnx      encoder, pooling, scaling, classifier and temperature in one graph; or
    model.npz       hidden Markov models, as arrays
    adaptation.npz  of a bundle of version 2: the head for adaptation, as arrays
    bursts.npz      of a bundle of version 2: what tells vocal bursts, as arrays
    personal.npz    of a bundle of version 3: heads moved by labelled recordings, as arrays
    CARD.md         the model card
    NOTICE          whose work is inside
    SHA256SUMS      sha256 of each of the above, as `sha256sum` writes it

`SHA256SUMS` covers everything else and is covered by its own strictness, so any changed byte, any
file too many or too few, is an error.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shlex
import shutil
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serein.archives import open_zip
from serein.emotions import EMOTIONS, label_name
from serein.errors import BundleError, SettingError, cannot_write
from serein.tables import check_writable, write_whole
from serein.untrusted import check_file_name

FORMAT = "serein-bundle"
UNFINISHED = ".unfinished"  # a folder that a killed process left
VERSIONS = (1, 2, 3)
MANIFEST, MODEL, CARD, NOTICE, SUMS = (
    "manifest.json",
    "model.onnx",
    "CARD.md",
    "NOTICE",
    "SHA256SUMS",
)
ARRAYS = "model.npz"  # in place of MODEL
ADAPTATION = "adaptation.npz"  # beside MODEL, in bundles of version 2
BURSTS = "bursts.npz"  # beside MODEL, in bundles of version 2 or 3
PERSONAL = "personal.npz"  # beside ADAPTATION, in bundles of version 3
FILES = (MANIFEST, CARD, NOTICE)  # and MODEL or ARRAYS
MAX_SIZES = {  # in bytes, unpacked
    **{MANIFEST: 2**20, CARD: 2**20, NOTICE: 2**20, SUMS: 2**16},
    **{MODEL: 3 * 2**29, ARRAYS: 2**24, ADAPTATION: 2**26, PERSONAL: 2**26},
    BURSTS: 2**22,
}
REQUIRED = {
    "name": str,
    "precision": str,
    "labels": list,
    "front_end": dict,
    "window_s": float,
    "hop_s": float,
    "speech_threshold": float,
    "trained_on": list,
    "scores": list,
    "licence": str,
}
MAX_WINDOW_S, MIN_HOP_S = 60.0, 0.01
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UNREADABLE = (  # what zipfile raises on untrusted files; its struct.error has no other base
    *(zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, UnicodeDecodeError),
    *(RuntimeError, NotImplementedError, OverflowError),
)
_SUM_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_.-]+)")


@dataclass(frozen=True)
class Bundle:
    """A checked bundle in memory.

    `files` holds the contents of the files that `SHA256SUMS` lists.
    """

    place: Path  # where it was read
    manifest: dict[str, Any]
    files: dict[str, bytes]
    sha256: str = ""  # of its SHA256SUMS

    @property
    def labels(self) -> tuple[str, ...]:
        """Emotions in the order of the network's output; then those of personal heads alone."""
        return tuple(self.manifest["labels"])

    @property
    def known(self) -> int:
        """How many of the labels, the first ones, the network gives."""
        return _known(self.manifest)


def read_bundle(place: str | Path) -> Bundle:
    """Read and check a bundle.

    `place`: a folder or a zip file.
    Raises: BundleError if it is damaged or not a bundle.
    """
    place = Path(place)
    files = _read_zip(place) if place.is_file() else _read_folder(place)
    listed = files.pop(SUMS, None)
    sums = _parse_sums(place, listed)
    wanted = {*FILES, ARRAYS if ARRAYS in files else MODEL}
    if set(sums) != set(files) or not wanted <= set(files):
        odd = sorted((set(sums) ^ set(files)) | (wanted - set(files)))
        raise BundleError(
            f"{place}: {', '.join(odd)} missing or not listed in {SUMS}; "
            "get the bundle again from its source"
        )
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != sums[name]:
            raise BundleError(
                f"{place}: {name} is not the file that was packed (its sha256 differs); "
                "get the bundle again from its source"
            )
    manifest = _parse_manifest(place, files[MANIFEST])
    if ("personalised" in manifest) != (PERSONAL in files):
        raise BundleError(f"{place}: {MANIFEST} and {PERSONAL} are not of one bundle")
    return Bundle(place, manifest, files, hashlib.sha256(listed or b"").hexdigest())


def check_bundle_folder(folder: Path) -> None:
    """Check that a bundle can be written as a folder, before the work is done."""
    if folder.suffix.lower() == ".zip":
        raise BundleError(
            f"{folder} names a zip file, and the bundle is written as a folder: leave .zip out; "
            "serein export makes a zip of it",
            to_try=f"serein COMMAND … --out {shlex.quote(str(folder.with_suffix('')))}",
        )
    there = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    odd = sorted(name for name in there - {*MAX_SIZES} if not name.endswith(UNFINISHED))
    if odd:
        raise BundleError(f"{folder} also holds {', '.join(odd[:3])}; name an empty or new folder")
    check_writable(folder)


def write_bundle(
    folder: str | Path,
    manifest: dict[str, Any],
    *,
    model: bytes,
    card: str,
    notice: str,
    model_file: str = MODEL,
    adaptation: bytes | None = None,
    personal: bytes | None = None,
    bursts: bytes | None = None,
) -> Path:
    """Write a bundle as a folder.

    `folder`: made if it is not there; files of an earlier bundle in it are replaced.
    `manifest`: all keys of `REQUIRED`; format and version are added.
    `adaptation`: what `serein.models.baseline.AdaptiveHeads.to_bytes` makes, if anything;
    `personal`: what `serein.models.personal.PersonalHeads.to_bytes` makes; `bursts`: what
    `serein.models.bursts.BurstHeads.to_bytes` makes.
    `model`: the ONNX graph, or arrays; `model_file`: the name of its file, which says which.
    `card, notice`: the model card, and whose work is inside.
    """
    folder = Path(folder)
    full = {"format": FORMAT, "version": 1} | manifest
    full["version"] = 3 if personal else 2 if adaptation or bursts else 1
    _check_manifest(folder, full)
    check_bundle_folder(folder)
    contents = {
        MANIFEST: (json.dumps(full, indent=2, ensure_ascii=False) + "\n").encode(),
        model_file: model,
        CARD: card.encode(),
        NOTICE: notice.encode(),
    }
    parts = {ADAPTATION: adaptation, BURSTS: bursts, PERSONAL: personal}
    contents |= {name: data for name, data in parts.items() if data is not None}
    for name, data in contents.items():
        _check_size(folder, name, len(data))
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in contents.items()]
    _write_files(folder, contents | {SUMS: "".join(lines).encode()})
    return folder


def _write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files or none: beside the folder, or within one that is there, then moved."""
    new = not folder.exists()
    name = f".{folder.name[:48]}.{os.urandom(8).hex()}{UNFINISHED}"
    work = (folder.parent if new else folder) / name
    try:
        work.mkdir(parents=True)
        for name, data in contents.items():
            (work / name).write_bytes(data)
        if new:
            work.rename(folder)
            return
        for name in MAX_SIZES:  # of an earlier bundle
            (folder / name).unlink(missing_ok=True)
        for name in contents:  # the sums are last: without them there is no bundle
            (work / name).replace(folder / name)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def zip_bundle(folder: str | Path, target: str | Path) -> Path:
    """Pack a bundle's folder into one zip file."""
    bundle = read_bundle(folder)
    target = Path(target)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in bundle.files.items():
            archive.writestr(name, data)
        archive.writestr(SUMS, (Path(folder) / SUMS).read_bytes())
    return write_whole(target, packed.getvalue())


def _read_folder(place: Path) -> dict[str, bytes]:
    if not place.is_dir():
        raise BundleError(f"no model bundle at {place}; `serein models` lists the bundled ones")
    entries = sorted(entry for entry in place.iterdir() if not entry.name.endswith(UNFINISHED))
    odd = [entry.name for entry in entries if not entry.is_file() or entry.is_symlink()]
    if odd:
        raise BundleError(f"{place} holds {odd[0]}, which is not a plain file; not a bundle")
    if MANIFEST not in {entry.name for entry in entries}:
        raise BundleError(f"{place} has no {MANIFEST}; not a model bundle")
    for entry in entries:
        _check_size(place, entry.name, entry.stat().st_size)
    return {entry.name: entry.read_bytes() for entry in entries}


def _check_size(place: Path, name: str, size: int) -> None:
    if name not in MAX_SIZES:
        raise BundleError(f"{place} holds {name}, which is not part of a bundle")
    if size > MAX_SIZES[name]:
        raise BundleError(f"{place}: {name} has {size} bytes; allowed: {MAX_SIZES[name]}")


def _read_zip(place: Path) -> dict[str, bytes]:
    try:
        with place.open("rb") as file, open_zip(file) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if not set(names) <= set(MAX_SIZES) or len(names) != len(set(names)):
                raise BundleError(f"{place} does not hold just {', '.join(sorted(MAX_SIZES))}")
            if any(member.compress_type not in COMPRESSIONS for member in members):
                raise BundleError(f"{place} is compressed unusually; pack it with zip's deflate")
            if sum(member.compress_size for member in members) > place.stat().st_size:
                raise BundleError(f"{place} is cut short, or says it holds more than it does")
            for member in members:
                _check_size(place, member.filename, member.file_size)
            return {member.filename: archive.read(member) for member in members}
    except UNREADABLE as error:
        raise BundleError(f"{place} is not a readable bundle: {error}") from error


def _parse_sums(place: Path, content: bytes | None) -> dict[str, str]:
    if content is None:
        raise BundleError(f"{place} has no {SUMS}; without it a bundle cannot be trusted")
    text = content.decode("ascii", errors="replace")
    matches = [_SUM_LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
    sums = {match[2]: match[1] for match in matches if match}
    if len(sums) != len(matches) or not text.endswith("\n"):
        raise BundleError(f"{place}: {SUMS} is damaged; get the bundle again from its source")
    return sums


def _parse_manifest(place: Path, content: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{place}: {MANIFEST} is not JSON: {error}") from error
    return _check_manifest(place, manifest)


def _check_manifest(place: Path, manifest: Any) -> dict[str, Any]:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{place}: {MANIFEST} does not say it is a {FORMAT}")
    if manifest.get("version") not in VERSIONS:
        raise BundleError(
            f"{place} is a bundle of version {manifest.get('version')!r}; this serein reads "
            f"versions {VERSIONS[0]} to {VERSIONS[-1]}: update serein, or export the model again"
        )
    for key, kind in REQUIRED.items():
        if not isinstance(manifest.get(key), kind):
            raise BundleError(f"{place}: {MANIFEST} needs {key!r} as {kind.__name__}")
    _check_values(place, manifest)
    return manifest


def _check_values(place: Path, manifest: dict[str, Any]) -> None:
    """Check what would otherwise fail later, or give predictions without meaning."""
    check_file_name(f"{place}: 'name' of {MANIFEST}", manifest["name"], BundleError)
    labels = manifest["labels"]
    known = _known(manifest)
    within = isinstance(known, int) and 0 < known <= len(labels)
    if not (within and all(map(_is_label, labels))):
        raise BundleError(f"{place}: {MANIFEST} needs 'labels' as names of emotions")
    if len(set(labels)) != len(labels):
        raise BundleError(f"{place}: {MANIFEST} names a label twice")
    window_s, hop_s = manifest["window_s"], manifest["hop_s"]
    if not MIN_HOP_S <= hop_s <= window_s <= MAX_WINDOW_S:
        raise BundleError(
            f"{place}: {MANIFEST} has windows of {window_s} s, {hop_s} s apart; allowed: at most "
            f"{MAX_WINDOW_S:g} s, and a hop of {MIN_HOP_S:g} s to a window"
        )
    if not 0 <= manifest["speech_threshold"] <= 1:
        raise BundleError(f"{place}: {MANIFEST} needs 'speech_threshold' from 0 to 1")
    try:
        json.dumps(manifest, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{place}: {MANIFEST} holds a value that JSON cannot: {error}") from error


def _known(manifest: dict[str, Any]) -> Any:
    """Say how many labels the network gives; of untrusted manifests it may be anything."""
    found = manifest.get("personalised")
    if found is None:
        return len(manifest["labels"])
    return found.get("known") if isinstance(found, dict) else None


def _is_label(label: Any) -> bool:
    """Say whether a label is an emotion by any of its names, or an own word as it is written."""
    try:
        return isinstance(label, str) and label_name(label) in (label, *EMOTIONS)
    except SettingError:
        return False
