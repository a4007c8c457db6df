"""Bundles: what is sound is read, what is not is refused."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

import serein
from serein.errors import BundleError, ResultsError
from serein.inference.bundle import (
    CARD,
    MANIFEST,
    MAX_SIZES,
    MODEL,
    NOTICE,
    SUMS,
    read_bundle,
    write_bundle,
    zip_bundle,
)
from serein.inference.load import find_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_model("emodb"), tmp_path / "bundle"))


def sign(folder: Path) -> None:
    """Write checksums that fit, as somebody who tampers would."""
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in (MANIFEST, MODEL, CARD, NOTICE)
    ]
    (folder / SUMS).write_text("".join(lines))


def edit_manifest(folder: Path, **values: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest.update(values)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    sign(folder)


def test_reads_its_own_writing(folder: Path, tmp_path: Path) -> None:
    bundle = read_bundle(folder)
    again = write_bundle(
        tmp_path / "again",
        bundle.manifest,
        model=bundle.files[MODEL],
        card=bundle.files[CARD].decode(),
        notice=bundle.files[NOTICE].decode(),
    )
    assert read_bundle(again).manifest == bundle.manifest


def test_zip_is_as_good_as_a_folder(folder: Path, tmp_path: Path) -> None:
    packed = zip_bundle(folder, tmp_path / "model.zip")
    assert read_bundle(packed).files == read_bundle(folder).files
    assert serein.load(packed).labels == serein.load(folder).labels


@pytest.mark.parametrize("name", [MANIFEST, MODEL, CARD, NOTICE, SUMS])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_any_changed_byte_is_refused(folder: Path, name: str, place: float) -> None:
    content = bytearray((folder / name).read_bytes())
    content[round(place * (len(content) - 1))] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=r"sha256|damaged|missing or not listed"):
        read_bundle(folder)


@pytest.mark.parametrize("name", [MANIFEST, MODEL, CARD, NOTICE, SUMS])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(folder)


def test_a_missing_hash_is_refused(folder: Path) -> None:
    lines = (folder / SUMS).read_text().splitlines(keepends=True)
    (folder / SUMS).write_text("".join(line for line in lines if MODEL not in line))
    with pytest.raises(BundleError, match=r"model\.onnx missing or not listed"):
        read_bundle(folder)


def test_a_file_too_many_is_refused(folder: Path) -> None:
    (folder / "extra.py").write_text("print('hello')")
    with pytest.raises(BundleError, match=r"extra\.py, which is not part of a bundle"):
        read_bundle(folder)


@pytest.mark.parametrize("name", [MANIFEST, MODEL, CARD, NOTICE, SUMS])
def test_each_file_has_its_greatest_size(
    folder: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MAX_SIZES, MODEL, 14 * 2**20)  # so that the test is quick
    packed = tmp_path / "bomb.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in folder.iterdir():
            if entry.name != name:
                archive.write(entry, entry.name)
        with archive.open(name, "w", force_zip64=False) as member:
            for _ in range(-(-(MAX_SIZES[name] + 1) // 2**20)):
                member.write(bytes(2**20))
    with (folder / name).open("r+b") as file:
        file.truncate(MAX_SIZES[name] + 1)
    for place in (folder, packed):
        with pytest.raises(BundleError, match=f"{re.escape(name)} has [0-9]+ bytes; allowed"):
            read_bundle(place)


def test_a_bundle_that_could_not_be_read_is_not_written(folder: Path, tmp_path: Path) -> None:
    bundle = read_bundle(folder)
    with pytest.raises(BundleError, match=r"CARD\.md has"):
        write_bundle(
            tmp_path / "again", bundle.manifest, model=b"", card="x" * 2**21, notice="none"
        )


@pytest.mark.parametrize("zip64", [False, True])
def test_a_zip_of_many_members_is_refused(
    folder: Path, tmp_path: Path, zip64: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = zip_bundle(folder, tmp_path / "many.zip")
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1 if zip64 else 65_535)
    with zipfile.ZipFile(packed, "a") as archive:
        for number in range(1 if zip64 else 2000):
            archive.writestr(f"{number}", "")
    monkeypatch.setattr(zipfile.ZipFile, "infolist", lambda _: pytest.fail("the list was read"))
    with pytest.raises(BundleError, match="too many members"):
        read_bundle(packed)


def test_a_link_is_refused(folder: Path) -> None:
    (folder / CARD).unlink()
    (folder / CARD).symlink_to("/etc/hostname")
    with pytest.raises(BundleError, match=r"not a plain file"):
        read_bundle(folder)


@pytest.mark.parametrize("version", [0, 4, "1", None])
def test_an_unknown_format_version_is_refused(folder: Path, version: object) -> None:
    edit_manifest(folder, version=version)
    with pytest.raises(BundleError, match=r"reads versions 1 to 3: update serein"):
        read_bundle(folder)


def test_another_format_is_refused(folder: Path) -> None:
    edit_manifest(folder, format="pickle")
    with pytest.raises(BundleError, match="serein-bundle"):
        read_bundle(folder)


@pytest.mark.parametrize("key", ["labels", "front_end", "licence", "scores", "window_s"])
def test_a_manifest_without_a_key_is_refused(folder: Path, key: str) -> None:
    edit_manifest(folder, **{key: None})
    with pytest.raises(BundleError, match=f"needs '{key}'"):
        read_bundle(folder)


def test_labels_that_do_not_fit_the_graph_are_refused(folder: Path) -> None:
    edit_manifest(folder, labels=["anger", "fear"])
    with pytest.raises(BundleError, match="2 labels"):
        serein.load(folder)


def test_an_unknown_front_end_is_refused(folder: Path) -> None:
    edit_manifest(folder, front_end={"inputs": "log_mel", "magic": 1})
    with pytest.raises(BundleError, match="magic"):
        serein.load(folder)


def test_a_graph_that_is_not_onnx_is_refused(folder: Path) -> None:
    (folder / MODEL).write_bytes(b"not a graph")
    sign(folder)
    with pytest.raises(BundleError, match="cannot be run"):
        serein.load(folder)


def test_a_graph_that_points_outside_is_refused(folder: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string((folder / MODEL).read_bytes())
    onnx.save(
        model,
        folder / MODEL,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=1024,
    )
    (folder / "weights.bin").rename(tmp_path / "weights.bin")
    sign(folder)
    with pytest.raises(BundleError, match="cannot be run"):
        serein.load(folder)


def test_what_is_not_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"unknown model 'mutli'; known: multi, emodb"):
        serein.load("mutli")
    with pytest.raises(BundleError, match="not a model bundle"):
        serein.load(tmp_path)
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(BundleError, match="not a readable bundle"):
        serein.load(tmp_path / "text.zip")


def test_zip_with_a_path_is_refused(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../manifest.json", "{}")
    with pytest.raises(BundleError, match="does not hold just"):
        read_bundle(tmp_path / "evil.zip")


def test_zip_that_is_cut_is_refused(folder: Path, tmp_path: Path) -> None:
    packed = zip_bundle(folder, tmp_path / "model.zip")
    packed.write_bytes(packed.read_bytes()[: packed.stat().st_size // 2])
    with pytest.raises(BundleError, match="not a readable bundle"):
        read_bundle(packed)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_packed_unusually_is_refused(folder: Path, tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w", method) as archive:
        archive.writestr(MANIFEST, (folder / MANIFEST).read_bytes())
    with pytest.raises(BundleError, match="pack it with zip's deflate"):
        read_bundle(tmp_path / "model.zip")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"name": "../../outside"}, "'name' of manifest.json is '../../outside'; allowed: at most"),
        ({"name": "a\x1b[2Jb"}, r"'name' of manifest.json is 'a\\u001b\[2Jb'; allowed: at most"),
        ({"labels": []}, "needs 'labels' as names of emotions"),
        ({"labels": ["anger", 3]}, "needs 'labels' as names of emotions"),
        ({"labels": ["anger", "Fed up"]}, "needs 'labels' as names of emotions"),
        ({"labels": ["anger", "a\x1b[2Jb"]}, "needs 'labels' as names of emotions"),
        ({"labels": ["anger", "anger"]}, "names a label twice"),
        ({"hop_s": 0.0}, "a hop of 0.01 s to a window"),
        ({"hop_s": 9.0, "window_s": 3.0}, "a hop of 0.01 s to a window"),
        ({"window_s": float("nan")}, "has windows of nan s"),
        ({"window_s": float("inf")}, "has windows of inf s"),
    ],
)
def test_values_that_would_fail_later_are_refused(
    folder: Path, values: dict[str, object], complaint: str
) -> None:
    edit_manifest(folder, **values)
    with pytest.raises(BundleError, match=complaint):
        read_bundle(folder)


def test_a_manifest_nested_without_end_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_text("[" * 100_000)
    sign(folder)
    with pytest.raises(BundleError, match="is not JSON"):
        read_bundle(folder)


def test_writing_over_other_files_is_refused(folder: Path) -> None:
    bundle = read_bundle(folder)
    (folder / "thesis.docx").write_text("precious")
    with pytest.raises(BundleError, match=r"also holds thesis\.docx"):
        write_bundle(folder, bundle.manifest, model=b"", card="", notice="")


def test_what_a_killed_process_left_is_in_nobodys_way(folder: Path) -> None:
    bundle = read_bundle(folder)
    (folder / ".bundle.0123456789abcdef.unfinished").mkdir()
    write_bundle(folder, bundle.manifest, model=bundle.files[MODEL], card="new", notice="")
    assert read_bundle(folder).files[CARD] == b"new"


def test_a_full_disk_leaves_no_part_of_a_bundle_and_the_earlier_one(
    folder: Path, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    bundle, before = read_bundle(folder), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # less than the network
    try:
        for place in (tmp_path / "new", folder):
            with pytest.raises(ResultsError, match=f"cannot write {place}: File too large"):
                write_bundle(place, bundle.manifest, model=bundle.files[MODEL], card="", notice="")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]
    assert read_bundle(folder) == bundle


@pytest.mark.parametrize("name", ["multi", "emodb"])
def test_bundled_models_say_what_they_are(name: str) -> None:
    bundle = read_bundle(find_model(name))
    manifest = bundle.manifest
    assert len(bundle.files[MODEL]) <= 16_000_000
    assert manifest["precision"] == "int8"
    card = bundle.files[CARD].decode()
    for row in manifest["trained_on"]:
        assert row["corpus"] in card
        assert row["licence"] in card
        assert row["speakers"]
    for row in manifest["scores"]:
        assert row["protocol"] in card
        assert f"{row['uar']:.3f}" in card
        assert f"{row['expected_calibration_error']:.3f}" in card
    assert manifest["licence"] in card
    assert "MIT License" in bundle.files[NOTICE].decode()
    for file in ("predictions", "recording"):
        assert not any(file in entry for entry in bundle.files)
