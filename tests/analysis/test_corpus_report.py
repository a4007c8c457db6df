"""What `serein corpus` tells of a corpus."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serein import cli
from serein.analysis.corpus_report import report_corpus
from serein.corpora import Corpus

RATE_HZ = 16_000


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A corpus with a copy as FLAC, a clipped, a silent and a broken recording."""
    time = np.arange(RATE_HZ) / RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * 200 * time)
    sounds = {
        "1.wav": tone,
        "2.wav": 0.2 * np.sin(2 * np.pi * 300 * time[: RATE_HZ // 2]),
        "loud.wav": np.clip(9 * tone, -1, 1),
        "none.wav": np.zeros(RATE_HZ),
        "copy.flac": tone,
    }
    for name, sound in sounds.items():
        soundfile.write(tmp_path / name, (sound * 32767).astype(np.int16), RATE_HZ)
    (tmp_path / "broken.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVE")
    rows = [f"{name},{'calm' if k % 2 else 'fed up'},s{k % 3},f" for k, name in enumerate(sounds)]
    rows += ["broken.wav,anger,s1,m"]
    target = tmp_path / "mine.csv"
    target.write_text("\n".join(["file,emotion,speaker,gender", *rows]))
    return target


def test_sounds_are_measured(table: Path):
    found = report_corpus(Corpus.from_csv(table))
    values = found.to_dict()
    assert values["counts"]["emotion"] == {"calm": 2, "anger": 1, "fed up": 3}
    assert values["counts"]["gender"] == {"female": 5, "male": 1}
    assert values["duration_s"] == {"least": 0.5, "median": 1.0, "most": 1.0}
    assert values["total_s"] == 4.5
    assert values["level_db"]["median"] == pytest.approx(-13.5, abs=0.1)
    assert [path.name for path in found.clipped] == ["loud.wav"]
    assert [path.name for path in found.silent] == ["none.wav"]
    assert [[Path(one).name for one in group] for group in values["copies"]] == [
        ["1.wav", "copy.flac"]
    ]
    assert list(values["unreadable"]) == [str(table.parent / "broken.wav")]
    assert not values["ok"]


def test_the_command_prints_it(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    said = []
    for more in ([], ["--json"]):
        arguments = ["serein", "corpus", str(table), str(table.parent), *more]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 1
        said.append(capsys.readouterr().out)
    text, values = said[0], json.loads(said[1])
    for line in (
        "  error: 1 file cannot be read: broken.wav",
        "  error: 1 recording under more than one speaker: 1.wav = copy.flac",
        "  emotions: calm 2, anger 1, fed up 3",
        "  speakers: 3, of 1 to 3",
        "  clipped: 1: loud.wav",
        "  silent: 1: none.wav",
    ):
        assert line in text, text
    assert values["utterances"] == 6
    assert values["errors"]
