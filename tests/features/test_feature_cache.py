"""The cache: nothing is computed twice, and a run that was killed goes on where it was."""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from serein.audio.read import RATE_HZ
from serein.errors import AudioError, BadFilesError, SereinError
from serein.features.feature_cache import clear_cache, default_cache, extract, list_cache

Array = npt.NDArray[np.float32]


class Counting:
    """Describes a signal by its level and length, and writes down the levels it was shown."""

    def __init__(self, fingerprint: str = "counting", stop_after: int | None = None) -> None:
        self.fingerprint = fingerprint
        self.stop_after = stop_after
        self.done: list[float] = []
        self._lock = threading.Lock()

    def __call__(self, signal: Array) -> Array:
        with self._lock:
            if len(self.done) == self.stop_after:
                raise RuntimeError("pulled the plug")
            self.done.append(round(float(signal.max()), 3))
        return np.array([signal.max(), signal.size], dtype=np.float32)


def write(folder: Path, *levels: float) -> list[Path]:
    """Write a WAV of each level; its samples say which it is."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for level in levels:
        files.append(folder / f"{level}.wav")
        soundfile.write(files[-1], np.full(1600, level), RATE_HZ, subtype="FLOAT")
    return files


LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def test_vectors_come_in_the_order_of_the_files(tmp_path: Path):
    files = write(tmp_path, *LEVELS)
    vectors = extract(files[::-1], Counting(), cache=tmp_path / "cache")
    assert {vector.dtype for vector in vectors} == {np.dtype(np.float32)}
    np.testing.assert_allclose(vectors, [[level, 1600] for level in LEVELS[::-1]], rtol=1e-6)


def test_the_second_time_nothing_is_computed(tmp_path: Path):
    files = write(tmp_path, *LEVELS)
    first, second = Counting(), Counting()
    vectors = extract(files, first, cache=tmp_path / "cache")
    assert sorted(first.done) == list(LEVELS)
    np.testing.assert_array_equal(extract(files, second, cache=tmp_path / "cache"), vectors)
    assert second.done == []


def test_series_in_half_precision_are_kept_too(tmp_path: Path):
    files = write(tmp_path, *LEVELS)
    shown: list[Array] = []

    def series(signal: Array) -> npt.NDArray[np.float16]:
        shown.append(signal)
        return np.full((3, 2), signal.max(), np.float16)

    series.fingerprint = "series"  # type: ignore[attr-defined]
    first, second = (extract(files, series, cache=tmp_path / "cache") for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(shown) == len(files)
    assert {one.dtype for one in second} == {np.dtype(np.float16)}


def test_content_decides_and_not_the_name(tmp_path: Path):
    (file,) = write(tmp_path, 0.5)
    cache = tmp_path / "cache"
    extract([file], Counting(), cache=cache)
    same = Counting()
    renamed = shutil.copy(file, tmp_path / "other.wav")
    extract([Path(renamed)], same, cache=cache)
    assert same.done == []
    changed = Counting()
    file.write_bytes(write(tmp_path, 0.25)[0].read_bytes())
    vectors = extract([file], changed, cache=cache)
    assert changed.done == [0.25]
    assert vectors[0][0] == 0.25


def test_other_settings_are_computed_anew(tmp_path: Path):
    files = write(tmp_path, 0.1, 0.2)
    extract(files, Counting("one"), cache=tmp_path / "cache")
    other, again = Counting("two"), Counting("one")
    extract(files, other, cache=tmp_path / "cache")
    extract(files, again, cache=tmp_path / "cache")
    assert sorted(other.done) == [0.1, 0.2]
    assert again.done == []


@pytest.mark.parametrize("stop_after", [0, 1, 4])
def test_a_run_that_failed_goes_on_where_it_was(tmp_path: Path, stop_after: int):
    files = write(tmp_path, *LEVELS)
    broken, after = Counting(stop_after=stop_after), Counting()
    with pytest.raises(RuntimeError, match="pulled the plug"):
        extract(files, broken, cache=tmp_path / "cache")
    assert len(broken.done) == stop_after
    vectors = extract(files, after, cache=tmp_path / "cache")
    assert sorted(broken.done + after.done) == list(LEVELS)
    np.testing.assert_allclose([vector[0] for vector in vectors], LEVELS)


KILLED = """
import sys, threading, time
from pathlib import Path
import numpy as np
from serein.features.feature_cache import extract

class Slow:
    fingerprint = "slow"
    one_at_a_time = threading.Lock()
    def __call__(self, signal):
        with self.one_at_a_time:
            time.sleep(0.03)
        return np.full(300_000, signal.max(), dtype=np.float32)

extract(
    sorted(Path(sys.argv[1]).glob("*.wav")), Slow(), cache=Path(sys.argv[2]),
    progress=lambda done, total: print(done, flush=True),
)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_run_that_was_killed_leaves_whole_vectors(tmp_path: Path):
    write(tmp_path / "clips", *np.linspace(0.01, 0.9, 40).round(3))
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", KILLED, str(tmp_path / "clips"), str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 5:
                process.send_signal(signal.SIGKILL)
                break
    kept = list(cache.rglob("*.npy"))
    assert 5 <= len(kept) < 40
    for file in kept:
        assert np.unique(np.load(file)).size == 1


def test_half_a_vector_is_never_taken_for_a_whole_one(tmp_path: Path):
    """An array of objects fails in the middle of its file: numpy has written the header by then."""

    class Unsavable(Counting):
        def __call__(self, signal: Array) -> Array:
            return np.array([signal.max(), None])

    files = write(tmp_path, 0.1)
    with pytest.raises(ValueError, match="allow_pickle"):
        extract(files, Unsavable(), cache=tmp_path / "cache")
    assert list(tmp_path.rglob("*.npy")) == []
    good = Counting()
    assert [vector.shape for vector in extract(files, good, cache=tmp_path / "cache")] == [(2,)]
    assert good.done == [0.1]


def test_progress_counts_every_file(tmp_path: Path):
    told: list[tuple[int, int]] = []
    files = write(tmp_path, 0.1, 0.2, 0.3)
    for _ in range(2):
        extract(
            files,
            Counting(),
            cache=tmp_path / "cache",
            progress=lambda done, total: told.append((done, total)),
        )
    assert told == [(1, 3), (2, 3), (3, 3)] * 2


def test_a_file_that_is_no_recording_is_an_error(tmp_path: Path):
    files = write(tmp_path, 0.1)
    files.append(tmp_path / "notes.wav")
    files[-1].write_text("not a recording")
    with pytest.raises(AudioError, match=r"notes\.wav"):
        extract(files, Counting(), cache=tmp_path / "cache")


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SEREIN_CACHE", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache() == tmp_path / "named"
    extract(write(tmp_path, 0.1), Counting(), cache=None)
    assert len(list((tmp_path / "named" / "features" / "counting").glob("*.npy"))) == 1
    monkeypatch.delenv("SEREIN_CACHE")
    assert default_cache() == tmp_path / "xdg" / "serein"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache" / "serein"


# --- emptied ---

HEX = "0123456789abcdef" * 4
OURS = (
    f"features/counting/{HEX}.npy",
    "features/counting/tmpab_12.part",
    f"training/{HEX}.safetensors",
    f"training/{HEX}.safetensors.77.part",
    "training/log/events.out.tfevents.1.host",
    f"stress/of-a-model/{HEX[:20]}.csv",
)
THEIRS = ("notes.txt", "features/counting/mine.npy", f"{HEX}.npy", f"training/{HEX}.npy")


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(10))
    return folder


def left_in(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*")}


def test_clearing_leaves_an_empty_folder(tmp_path: Path):
    cache = fill(tmp_path / "cache", *OURS)
    files = write(tmp_path / "clips", *LEVELS)
    extract(files, Counting(), cache=cache)
    counts = {kind: len(found) for kind, found in list_cache(cache).items()}
    assert counts == {"features": 2 + len(LEVELS), "training": 3, "segments": 0, "stress": 1}
    assert clear_cache(cache) == 0
    assert left_in(cache) == set()
    assert all(file.is_file() for file in files)
    again = Counting()
    extract(files, again, cache=cache)
    assert sorted(again.done) == list(LEVELS)


def test_clearing_leaves_what_serein_did_not_write(tmp_path: Path):
    cache = fill(tmp_path, *OURS, *THEIRS)
    assert clear_cache(cache) == len(THEIRS)
    assert left_in(cache) == {*THEIRS, "features", "features/counting", "training"}
    with pytest.raises(SereinError, match="is no cache of serein"):  # any more
        clear_cache(cache)


def test_clearing_follows_no_link(tmp_path: Path):
    outside = fill(tmp_path / "outside", f"counting/{HEX}.npy", f"{HEX}.safetensors", f"{HEX}.npy")
    before = left_in(outside)
    cache = fill(tmp_path / "cache", f"stress/one/{HEX[:20]}.csv")
    (cache / "features").symlink_to(outside, target_is_directory=True)
    (cache / "training").mkdir()
    (cache / "training" / f"{HEX}.safetensors").symlink_to(outside / f"{HEX}.safetensors")
    (cache / "stress" / "two").symlink_to(outside, target_is_directory=True)
    assert clear_cache(cache) == 3
    assert left_in(outside) == before
    assert not (cache / "stress" / "one").exists()
    assert (cache / "features").is_symlink()


def test_a_folder_that_is_no_cache_is_left_alone(tmp_path: Path):
    other = fill(tmp_path / "other", *THEIRS)
    before = left_in(other)
    for ask in (list_cache, clear_cache):
        with pytest.raises(SereinError, match="holds none of its files"):
            ask(other)
        with pytest.raises(SereinError, match=r"notes\.txt is no cache of serein"):
            ask(other / "notes.txt")
    assert left_in(other) == before


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path):
    assert clear_cache(tmp_path / "none") == 0
    assert not any(list_cache(tmp_path / "none").values())
    assert clear_cache(tmp_path) == 0


def cached_file(cache: Path) -> Path:
    (found,) = list_cache(cache)["features"]
    return found


def test_only_this_user_can_read_the_cache(tmp_path: Path):
    cache = tmp_path / "new" / "cache"
    extract(write(tmp_path, 0.5), Counting(), cache=cache)
    place = cached_file(cache)
    assert place.stat().st_mode & 0o777 == 0o600
    folders = [place.parent, *place.parent.parents][:4]
    assert folders[-1] == tmp_path / "new"
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}
    place.parent.chmod(0o755)  # as before
    extract(write(tmp_path, 0.5), Counting(), cache=cache)
    assert place.parent.stat().st_mode & 0o777 == 0o700


def cut(place: Path) -> None:
    place.write_bytes(place.read_bytes()[:-3])


def emptied(place: Path) -> None:
    place.write_bytes(b"")


def pickled(place: Path) -> None:
    np.save(place, np.array([{}]), allow_pickle=True)


def linked(place: Path) -> None:
    np.save(place.parents[3] / "planted.npy", np.zeros(2, np.float32))
    place.unlink()
    place.symlink_to(place.parents[3] / "planted.npy")


def hard_linked(place: Path) -> None:
    np.save(place, np.zeros(2, np.float32))
    place.with_name("second.npy").hardlink_to(place)


def writable_by_all(place: Path) -> None:
    np.save(place, np.zeros(2, np.float32))
    place.chmod(0o666)


def of_another(place: Path) -> None:
    if not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("needs another user")
    np.save(place, np.zeros(2, np.float32))
    os.chown(place, 12345, 12345)


@pytest.mark.parametrize(
    "change", [cut, emptied, pickled, linked, hard_linked, writable_by_all, of_another]
)
def test_what_cannot_be_believed_is_computed_anew(tmp_path: Path, change: Callable[[Path], None]):
    files, cache = write(tmp_path, 0.5), tmp_path / "cache"
    extract(files, Counting(), cache=cache)
    change(cached_file(cache))
    again, once_more = Counting(), Counting()
    (found,) = extract(files, again, cache=cache)
    assert again.done == [0.5]
    np.testing.assert_allclose(found, [0.5, 1600])
    extract(files, once_more, cache=cache)
    assert once_more.done == []


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cache" / "features").mkdir(parents=True)
    (tmp_path / "cache" / "features" / "counting").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SereinError, match="is a link or belongs to another user"):
        extract(write(tmp_path, 0.5), Counting(), cache=tmp_path / "cache")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def npy(array: npt.NDArray[np.generic]) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


GOOD = npy(np.zeros(300, np.float32))
DAMAGED = {
    **{"empty": b"", "junk": b"\x93NUMPY" + b"\xff" * 50, "cut": GOOD[:-9], "header": GOOD[:12]},
    **{"zip": b"PK\3\4" + bytes(50), "integers": npy(np.zeros(3, np.int64))},
    **{"scalar": npy(np.float32(1)), "deep": npy(np.zeros((1, 1, 1), np.float32))},
    **{"nothing": npy(np.zeros(0, np.float32)), "text": npy(np.array(["a"]))},
    "not a number": npy(np.full(300, np.nan, np.float32)),
    "huge": GOOD.replace(b"(300,)", b"(9**9,)").replace(b"9**9", b"9999"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_entry_is_a_miss_and_written_anew(tmp_path: Path, damage: str):
    files, cache = write(tmp_path, 0.5), tmp_path / "cache"
    (whole,) = extract(files, Counting(), cache=cache)
    (entry,) = cache.rglob("*.npy")
    entry.write_bytes(DAMAGED[damage])
    again = Counting()
    np.testing.assert_array_equal(extract(files, again, cache=cache)[0], whole)
    assert again.done == [0.5]
    np.testing.assert_array_equal(np.load(entry), whole)


def test_wrong_numbers_are_a_miss_and_an_older_entry_is_believed(tmp_path: Path):
    files, cache = write(tmp_path, 0.5), tmp_path / "cache"
    (whole,) = extract(files, Counting(), cache=cache)
    (entry,) = cache.rglob("*.npy")
    content = entry.read_bytes()
    entry.write_bytes(content[:-4])  # without the checksum
    older, wrong = Counting(), Counting()
    np.testing.assert_array_equal(extract(files, older, cache=cache)[0], whole)
    assert older.done == []
    entry.write_bytes(content[:-8] + bytes([content[-8] ^ 1]) + content[-7:])
    np.testing.assert_array_equal(extract(files, wrong, cache=cache)[0], whole)
    assert wrong.done == [0.5]
    assert entry.read_bytes() == content


def test_without_a_place_for_a_cache_all_is_computed(tmp_path: Path):
    files, cache = write(tmp_path, 0.5), tmp_path / "file"
    cache.write_text("in the way")
    with pytest.warns(UserWarning, match=r"the cache .* cannot be written \(Not a directory\)"):
        (vector,) = extract(files, Counting(), cache=cache)
    assert vector[0] == pytest.approx(0.5)


def test_an_entry_that_is_a_folder_is_passed_over(tmp_path: Path):
    files, cache = write(tmp_path, 0.5), tmp_path / "cache"
    extract(files, Counting(), cache=cache)
    (entry,) = cache.rglob("*.npy")
    entry.unlink()
    entry.mkdir()
    with pytest.warns(UserWarning, match="cannot be written"):
        (vector,) = extract(files, Counting(), cache=cache)
    assert vector[0] == pytest.approx(0.5)
    assert [path.name for path in entry.parent.iterdir()] == [entry.name]  # no part is left


def test_a_full_disk_costs_the_cache_alone(tmp_path: Path):
    resource = pytest.importorskip("resource")
    files = write(tmp_path, 0.5)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        with pytest.warns(UserWarning, match=r"cannot be written \(File too large\)"):
            (vector,) = extract(files, Counting(), cache=tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert vector[0] == pytest.approx(0.5)
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_without_a_home_there_is_a_cache(monkeypatch: pytest.MonkeyPatch):
    for name in ("HOME", "XDG_CACHE_HOME", "SEREIN_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 65_000)  # of no user
    assert default_cache().name == "serein-65000"


def test_what_is_silent_is_named_beside_what_cannot_be_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    (tmp_path / "text.wav").write_text('{"error": "not found"}')
    (tmp_path / "zeros.wav").write_bytes(bytes(5000))
    files = [tmp_path / f"{name}.wav" for name in ("silent", "text", "zeros")]
    with pytest.raises(BadFilesError) as caught:
        extract(files, Counting(), cache=tmp_path / "cache")
    said = caught.value.files
    assert "is silent throughout" in said[files[0]]
    assert 'it is text, not a recording: {"error": "not found"}' in said[files[1]]
    assert "it begins with zeros" in said[files[2]]
