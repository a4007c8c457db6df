"""Which files are recordings, and in what order."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from serein.errors import AudioError
from serein.recordings import ALL_EXTENSIONS, find_recordings, list_recordings, recordings


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_is_searched_in_depth_and_in_order(tmp_path: Path) -> None:
    make(tmp_path, "z/A.WAV", "b.flac", "a/c.Opus", "d.ogg", "e.mp3", "notes.txt", "f.wav.zip")
    make(tmp_path, "._b.flac", "__MACOSX/._c.opus", ".cache/x.wav")
    names = [path.relative_to(tmp_path).as_posix() for path in recordings(tmp_path)]
    assert names == ["a/c.Opus", "b.flac", "d.ogg", "e.mp3", "z/A.WAV"]


def test_what_is_no_recording_is_counted(tmp_path: Path) -> None:
    make(
        tmp_path, "a.wav", "b.txt", "c/d.TXT", "c/e", "Thumbs.db", *(f"f.{n:02}" for n in range(12))
    )
    found = list_recordings(tmp_path)
    assert [path.name for path in found.files] == ["a.wav"]
    assert found.summary() == (
        "15 files not read: 2 .txt, 1 no extension, 1 .00, 1 .01, 1 .02, 1 .03, 1 .04, 1 .05, "
        "1 .06, 1 .07, 4 others"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_link_loops_and_dead_links_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path / "real", "sub/a.wav")
    (tmp_path / "real" / "sub" / "up").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "self").symlink_to(tmp_path / "real" / "self")
    (tmp_path / "real" / "dead.wav").symlink_to(tmp_path / "gone.wav")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    assert [path.name for path in find_recordings(tmp_path / "real")] == ["a.wav"]
    assert len(find_recordings(tmp_path)) == 1
    assert len(find_recordings(tmp_path / "linked")) == 1


def test_the_page_offers_all_recordings() -> None:
    page = (Path(__file__).parents[1] / "web/index.html").read_text(encoding="utf-8")
    accept = re.search(r'type="file"[^>]* accept="([^"]*)"', page)
    assert accept is not None
    assert set(ALL_EXTENSIONS) <= set(accept[1].split(","))


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    assert recordings(tmp_path / "gone.xyz") == [tmp_path / "gone.xyz"]


def test_a_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt")
    with pytest.raises(
        AudioError,
        match=r"no recording in this folder; 1 file not read: 1 \.txt; looked for .*\.wav",
    ):
        recordings(tmp_path)
    with pytest.raises(AudioError, match="is not a folder"):
        find_recordings(tmp_path / "notes.txt")
