"""Finds recordings in folders, by the extensions of their names; says what others are."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from errno import ELOOP, ENOENT
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from serein.errors import AudioError, reason_of

URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
ANNEX = "is a git-annex pointer, not the recording: fetch it with: git annex get ."
TARGET_BYTES = 100  # of a link, that its pointer begins in
OTHER_CONTENT = (  # first bytes -> what it is, and what to do
    (
        b"version https://git-lfs.github.com/spec/",
        "is a Git-LFS pointer, not the recording: fetch it with: git lfs pull",
    ),
    (b"/annex/objects/", ANNEX),
    (b"PK\3\4", "is a zip archive: unpack it"),
    (b"PK\5\6", "is a zip archive without files: copy it again"),
    (b"\x1f\x8b", "is compressed with gzip: unpack it"),
    (b"BZh", "is compressed with bzip2: unpack it"),
    (b"\xfd7zXZ\0", "is compressed with xz: unpack it"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it"),
    (b"Rar!\x1a\x07", "is a RAR archive: unpack it"),
    (b"%PDF-", "is a PDF, not a recording"),
    (b"\x89PNG", "is a picture, not a recording"),
    (b"\xff\xd8\xff", "is a picture, not a recording"),
    (b"GIF8", "is a picture, not a recording"),
    (b"MThd", "is MIDI: notes, not a recording"),
)
HTML = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<body")
EXTENSIONS = (
    *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp2", ".mp3", ".oga", ".ogg", ".opus"),
    *(".bwf", ".mpga", ".rf64", ".snd", ".sph", ".w64", ".wav", ".wave"),
)
MEDIA_EXTENSIONS = (  # of what PyAV reads: sound, then videos
    *(".3g2", ".3gp", ".3gpp", ".aac", ".ac3", ".amr", ".awb", ".eac3", ".m4a", ".m4b", ".m4r"),
    *(".adts", ".mka", ".spx", ".tta", ".weba", ".wma", ".wv"),
    *(".asf", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"),
    ".wmv",
)
ALL_EXTENSIONS = EXTENSIONS + MEDIA_EXTENSIONS
OF_THE_SYSTEM = {"thumbs.db", "desktop.ini"}
KINDS_TOLD = 10


class NotRead(NamedTuple):
    """What a folder holds beside recordings."""

    path: Path
    kind: str  # as it is counted: an extension, or words
    reason: str


class Listing(NamedTuple):
    """The recordings of a folder and its sub-folders, and what is not read, both sorted."""

    files: list[Path]
    not_read: list[NotRead]

    def summary(self) -> str:
        """Count what is not read, as in ``7 files not read: 4 .m4a, 3 dangling links``."""
        counts = Counter(entry.kind for entry in self.not_read).most_common()
        told = [_counted(kind, count) for kind, count in counts[:KINDS_TOLD]]
        others = sum(count for _, count in counts[KINDS_TOLD:])
        told += [f"{others} others"] if others else []
        folders = [entry.reason for entry in self.not_read if entry.kind == FOLDER]
        files = len(self.not_read)
        text = f"{files} file{'s' * (files != 1)} not read: {', '.join(told)}"
        return f"{text} ({folders[0]})" if folders else text


FOLDER, FILE, LINK = "closed folder", "closed file", "dangling link"
SPECIAL = "pipe or device"


def other_content(head: bytes) -> str | None:
    """Say what is often saved as a recording, by its first bytes, and what to do; else None."""
    for magic, said in OTHER_CONTENT:
        if head.startswith(magic):
            return said
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(HTML):
        return "is a web page, not the recording: the download failed, or wants a login; repeat it"
    if b".git/annex/objects/" in head[:TARGET_BYTES]:  # a link that was copied as text
        return ANNEX
    return "is a tar archive: unpack it" if head[257:262] == b"ustar" else None


def recordings(entry: str | Path) -> list[Path]:
    """List the recordings of a folder; a file is a list of itself."""
    return list_recordings(entry).files


def is_url(entry: str) -> bool:
    """Tell an object's URL from a path."""
    return URL.match(entry) is not None


def no_such_file(name: str) -> AudioError:
    """Return the error of a path at which nothing is."""
    why = f"{name}: there is no such file; check the path"
    return AudioError(why, to_try=f"ls {shlex.quote(str(Path(name).parent))}")


def list_recordings(entry: str | Path) -> Listing:
    """List the recordings of a folder, and what is not read; a file is a list of itself."""
    if not str(entry):
        raise AudioError("the path is empty: name a recording, or a folder of them", to_try="ls")
    if is_url(str(entry)):
        raise AudioError(
            f"{entry}: is an address, which predict --out TABLE alone reads: download it first",
            to_try=f"serein predict {shlex.quote(str(entry))} --out predictions.csv",
        )
    entry = Path(entry)
    try:
        is_folder = entry.is_dir()
    except OSError:  # in a closed folder: whoever opens it says so
        is_folder = False
    if not is_folder:
        return Listing([entry], [])
    found = _walk(entry)
    if not found.files:
        beside = f"; {found.summary()}" if found.not_read else ""
        raise AudioError(
            f"{entry}: no recording in this folder{beside}; looked for {', '.join(ALL_EXTENSIONS)}",
            to_try=f"ls {shlex.quote(str(entry))}",
        )
    return found


def find_recordings(folder: Path) -> list[Path]:
    """List the recordings in a folder and its sub-folders, all of which have to be readable."""
    if not folder.is_dir():
        raise AudioError(
            f"{folder} is not a folder: give the one that holds the recordings",
            to_try=f"ls {shlex.quote(str(folder.absolute().parent))}",
        )
    found = _walk(folder)
    for entry in found.not_read:
        if entry.kind in (FOLDER, FILE):
            raise AudioError(f"{entry.path}: {entry.reason}")
    return found.files


def _walk(folder: Path) -> Listing:
    """Look through a folder and its sub-folders, through links too, each once."""
    found, seen, waiting = Listing([], []), set(), [folder]
    while waiting:
        here = waiting.pop()
        try:
            real = here.resolve()
            entries = [] if real in seen else [e for e in here.iterdir() if e.name[0] != "."]
        except OSError as error:
            found.not_read.append(NotRead(here, FOLDER, f"cannot be listed: {reason_of(error)}"))
            continue
        seen.add(real)
        for path in entries:
            kind = _kind(path)
            if kind == "folder":
                waiting.append(path)
            elif not kind:
                found.files.append(path)
            elif path.name.lower() not in OF_THE_SYSTEM:
                reason = kind if kind in (LINK, SPECIAL, FILE) else f"of type {kind}"
                found.not_read.append(NotRead(path, kind, f"is not read: {reason}"))
    return Listing(sorted(found.files), sorted(found.not_read))


def _kind(path: Path) -> str:
    """Return what an entry of a folder is; nothing for a recording."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return LINK if error.errno in (ENOENT, ELOOP) else FILE
    if S_ISDIR(mode):
        return "folder"
    if not S_ISREG(mode):
        return SPECIAL
    ending = path.suffix.lower()
    return "" if ending in ALL_EXTENSIONS else ending or "no extension"


def _counted(kind: str, count: int) -> str:
    plural = count > 1 and not kind.startswith(".") and kind != "no extension"
    return f"{count} {kind}{'s' * plural}"
