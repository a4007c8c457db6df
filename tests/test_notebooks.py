"""The notebooks of examples/ run, and draw a prediction and a result."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "examples/notebooks"


def run(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.chdir(ROOT)
    return runpy.run_path(str(NOTEBOOKS / name))


def test_first_look(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = run("first_look.py", monkeypatch)
    drawn = found["prediction"]._repr_html_()  # type: ignore[attr-defined]
    assert drawn.count("<tr>") == 7
    assert "espeak-german-two-voices-with-pause.flac: " in drawn
    assert len(capsys.readouterr().out.splitlines()) == len(found["prediction"].timeline)  # type: ignore[attr-defined]


def test_own_corpus(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="pip install 'serein[train]'")
    found = run("own_corpus.py", monkeypatch)
    drawn = found["result"]._repr_html_()  # type: ignore[attr-defined]
    assert drawn.startswith("<b>UAR ")
    assert "<svg" in drawn
    assert capsys.readouterr().out
