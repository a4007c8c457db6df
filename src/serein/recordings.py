"""Finds recordings in folders, by the extensions of their names."""

from __future__ import annotations

from pathlib import Path

from serein.errors import AudioError

OTHER_CONTENT = (  # first bytes -> what it is, and what to do
    (
        b"version https://git-lfs.github.com/spec/",
        "is a Git-LFS pointer, not the recording: fetch it with: git lfs pull",
    ),
    (
        b"/annex/objects/",
        "is a git-annex pointer, not the recording: fetch it with: git annex get .",
    ),
    (b"PK\3\4", "is a zip archive: unpack it"),
    (b"PK\5\6", "is a zip archive without files: copy it again"),
    (b"\x1f\x8b", "is compressed with gzip: unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it"),
    (b"Rar!\x1a\x07", "is a RAR archive: unpack it"),
    (b"%PDF-", "is a PDF, not a recording"),
    (b"\x89PNG", "is a picture, not a recording"),
    (b"\xff\xd8\xff", "is a picture, not a recording"),
    (b"GIF8", "is a picture, not a recording"),
    (b"MThd", "is MIDI: notes, not a recording"),
)
HTML = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<body")
EXTENSIONS = (".aif", ".aiff", ".au", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
VIDEO_EXTENSIONS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")


def other_content(head: bytes) -> str | None:
    """Say what is often saved as a recording, by its first bytes, and what to do; else None."""
    for magic, said in OTHER_CONTENT:
        if head.startswith(magic):
            return said
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(HTML):
        return "is a web page, not the recording: the download failed, or wants a login; repeat it"
    return "is a tar archive: unpack it" if head[257:262] == b"ustar" else None


def recordings(entry: str | Path, *, videos: bool = False) -> list[Path]:
    """List the recordings of a folder; a file is a list of itself."""
    entry = Path(entry)
    if not entry.is_dir():
        return [entry]
    found = find_recordings(entry, videos=videos)
    if not found:
        looked_for = ", ".join(EXTENSIONS + VIDEO_EXTENSIONS * videos)
        raise AudioError(f"{entry}: no recording in this folder; looked for {looked_for}")
    return found


def find_recordings(folder: Path, *, videos: bool = False) -> list[Path]:
    """List the recordings in a folder and its sub-folders."""
    if not folder.is_dir():
        raise AudioError(f"{folder} is not a folder: give the one that holds the recordings")
    endings = EXTENSIONS + VIDEO_EXTENSIONS * videos
    found: list[Path] = []
    seen: set[Path] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        if here.resolve() in seen:
            continue
        seen.add(here.resolve())
        try:
            entries = sorted(path for path in here.iterdir() if not path.name.startswith("."))
        except OSError as error:
            raise AudioError(f"cannot list {here}: {error.strerror}") from error
        waiting.extend(path for path in entries if path.is_dir())
        found.extend(path for path in entries if path.suffix.lower() in endings)
    return sorted(path for path in found if path.is_file())
