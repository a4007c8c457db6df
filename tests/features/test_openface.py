"""Reading OpenFace's tables by construction, in the layout that OpenFace 2.2 writes."""

import os
from pathlib import Path

import numpy as np
import pytest

from serein.errors import VideoError
from serein.features.openface import ACTION_UNITS, INTENSITIES, PRESENCES, read_openface

RAVDESS = Path(__file__).parents[3] / "shared" / "modalities" / "ravdess_face"
LEADING = ["frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x", "pose_Tx"]


def write(path, rows, *, separator=", ", units=ACTION_UNITS):
    """Write rows of (face, time_s, success, {unit: value}), the other units at 0."""
    lines = [separator.join([*LEADING, *units])]
    for number, (face, time_s, success, values) in enumerate(rows, start=1):
        leading = [number, face, time_s, 0.98, success, 0.1, 12.5]
        cells = [*leading, *(values.get(unit, 0) for unit in units)]
        lines.append(separator.join(str(cell) for cell in cells))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def table(tmp_path):
    return tmp_path / "clip.csv"


def test_names_are_openface_s():
    assert len(INTENSITIES) == 17
    assert len(PRESENCES) == 18
    assert set(PRESENCES) - {name.replace("_r", "_c") for name in INTENSITIES} == {"AU28_c"}


def test_columns_are_those_of_the_ravdess_table():
    file = RAVDESS / "ravdess_au_mean.csv"
    if not file.is_file():
        pytest.skip("the RAVDESS action units are not beside the repository")
    with file.open() as lines:
        assert tuple(next(lines).strip().split(",")[1:]) == ACTION_UNITS


@pytest.mark.parametrize("separator", [", ", ","])
def test_a_table_is_read_with_and_without_spaces(table, separator):
    rows = [(0, 0.0, 1, {"AU01_r": 1.5, "AU28_c": 1}), (0, 0.04, 1, {"AU45_r": 4.25})]
    units = read_openface(write(table, rows, separator=separator))
    assert units.time_s.tolist() == [0, 0.04]
    assert units.success.tolist() == [True, True]
    assert units.confidence == pytest.approx([0.98, 0.98])
    assert units.intensities.shape == (2, 17)
    assert units.presences.shape == (2, 18)
    assert units.intensities[0, 0] == 1.5
    assert units.intensities[1, -1] == 4.25
    assert units.presences[:, PRESENCES.index("AU28_c")].tolist() == [1, 0]


def test_the_order_of_columns_does_not_matter(table):
    rows = [(0, 0.0, 1, {"AU01_r": 1.5})]
    units = read_openface(write(table, rows, units=ACTION_UNITS[::-1]))
    assert units.intensities[0, 0] == 1.5


def test_lost_frames_are_nan_and_do_not_count(table):
    rows = [
        (0, 0.00, 1, {"AU01_r": 1.0}),
        (0, 0.04, 0, {"AU01_r": 5.0}),
        (0, 0.08, 1, {"AU01_r": "nan"}),
        (0, 0.12, 1, {"AU01_r": 2.0}),
    ]
    units = read_openface(write(table, rows))
    assert units.success.tolist() == [True, False, False, True]
    assert np.isnan(units.intensities[1:3]).all()
    assert np.isnan(units.presences[1:3]).all()
    assert units.found == 0.5
    mean = dict(zip(ACTION_UNITS, units.mean(), strict=True))
    assert mean["AU01_r"] == 1.5
    assert mean["AU45_c"] == 0


def test_no_face_at_all_is_an_answer(table):
    units = read_openface(write(table, [(0, 0.0, 0, {}), (0, 0.04, 0, {})]))
    assert units.found == 0
    assert np.isnan(units.mean()).all()


def test_of_several_faces_the_one_followed_longest_is_read(table):
    rows = [(0, 0.0, 1, {}), (1, 0.0, 1, {"AU01_r": 3}), (0, 0.04, 0, {}), (1, 0.04, 1, {})]
    units = read_openface(write(table, rows))
    assert units.time_s.tolist() == [0, 0.04]
    assert units.intensities[0, 0] == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column timestamp"),
        ("a,b\n1,2\n", r"no column timestamp, confidence, success and 35 more"),
        ("timestamp,confidence,success\n0,1,1\n", r"AU01_r, AU02_r, AU04_r and 32 more"),
        ("x" * 200_000, "a line of 100000 characters"),
        (b"\xff\xfe\0\0" * 10, "cannot be read as a table"),
        (b"timestamp,\0\n", "no column|cannot be read"),
    ],
)
def test_what_openface_did_not_write_is_an_error(table, content, message):
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(VideoError, match=message):
        read_openface(table)


def test_rows_must_fit(table):
    write(table, [(0, 0.0, 1, {})])
    whole = table.read_text()
    for bad, message in [
        (whole.splitlines()[0] + "\n", "no rows below"),
        (whole.replace("12.5, 0,", "12.5, oops,"), "'oops' in line 2"),
        (whole.rstrip()[:-3] + "\n", "41 cells in line 2 below 42"),
    ]:
        table.write_text(bad)
        with pytest.raises(VideoError, match=message):
            read_openface(table)


def test_too_many_rows_are_refused(table, monkeypatch):
    monkeypatch.setattr("serein.features.openface.MAX_ROWS", 2)
    with pytest.raises(VideoError, match="more than 2 rows"):
        read_openface(write(table, [(0, 0.0, 1, {})] * 3))


def test_no_file_folder_and_pipe(tmp_path):
    with pytest.raises(VideoError, match="No such file"):
        read_openface(tmp_path / "nowhere.csv")
    with pytest.raises(VideoError, match="is no file"):
        read_openface(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(VideoError, match="is no file"):
        read_openface(tmp_path / "pipe")
