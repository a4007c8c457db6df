"""Finds recordings in folders, by the extensions of their names."""

from __future__ import annotations

from pathlib import Path

from serein.errors import AudioError

EXTENSIONS = (".aif", ".aiff", ".au", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
VIDEO_EXTENSIONS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")


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
