"""Away from a terminal, long work tells now and then how far it is."""

import logging
import time

import pytest

from serein.cli import progress


def test_a_line_now_and_then_also_within_a_long_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "EVERY_S", 0.02)
    with progress.progress_bar("cross-validation") as show:
        show(2, 10)
        logging.getLogger("serein.training.trainer").debug("epoch 3 of 20")
        time.sleep(0.2)
    *lines, last = capsys.readouterr().err.splitlines()
    assert "cross-validation: 2 of 10, 0 s; epoch 3 of 20" in lines
    assert last == "cross-validation: 2 of 10, 0 s"
    assert len(lines) > 1


def test_a_training_that_goes_on_says_so_at_once(capsys: pytest.CaptureFixture[str]):
    with progress.progress_bar("final fit"):
        logging.getLogger("serein.training.trainer").info("goes on from epoch 7")
        assert capsys.readouterr().err == "final fit: 0 of ?, 0 s; goes on from epoch 7\n"


def test_work_that_fails_tells_of_no_end(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(ValueError, match="broken"), progress.progress_bar("features"):
        raise ValueError("broken")
    assert capsys.readouterr().err == ""
