"""What others wrote into names, errors and licences, on a terminal and on a model card."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from serein import cli
from serein.cli.show import add_row, echo, make_table, print_json, print_table
from serein.experiment.card import model_card, notice
from serein.inference.load import PRETRAINED

EVIL = "a\x1b[2J\x9b31m\u202eb\nserein: all is well\u2028"
Said = pytest.CaptureFixture[str]


def is_safe(said: str) -> bool:
    return all(line.isprintable() for line in said.split("\n")) and "\nserein: all" not in said


def test_a_line_is_one_line(capsys: Said) -> None:
    echo(f"serein: {EVIL}")
    said = capsys.readouterr().out
    assert is_safe(said)
    assert said.count("\n") == 1


def test_json_lines_are_escaped_and_mean_the_same(capsys: Said) -> None:
    print_json({"file": EVIL})
    said = capsys.readouterr().out
    assert is_safe(said)
    assert json.loads(said) == {"file": EVIL}


def test_cells_of_a_table_are_texts_and_no_markup(
    capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    table = make_table(f"[red]{EVIL}", f"[bold]{EVIL}", numbers=("[/]",))
    add_row(table, f"[link=http://x]{EVIL}", "[/nothing]")
    print_table(table)
    said = capsys.readouterr().out
    assert is_safe(said)
    for text in ("[red]a", "[bold]a", "[/]", "[link=http://x]a", "[/nothing]"):
        assert text in said


@pytest.mark.parametrize(
    ("words", "status"),
    [(["predict"], 1), (["predict", "--json"], 1), (["corpus", "ravdess"], 2), (["plot"], 2)],
)
def test_the_name_of_a_file_does_not_reach_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said, words: list[str], status: int
) -> None:
    file = tmp_path / f"{EVIL}.wav"
    file.write_text("no sound")
    monkeypatch.setattr(sys, "argv", ["serein", *words, str(file)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == status
    said = capsys.readouterr()
    assert is_safe(said.out + said.err)
    assert "u001b" in said.out + said.err


@pytest.mark.parametrize(
    "words",
    [["predict", "--nothing" + EVIL], [EVIL], ["predict", "x", "--text", "t", "--face", EVIL]],
)
def test_errors_of_usage_neither(
    monkeypatch: pytest.MonkeyPatch, capsys: Said, words: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["serein", *words])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr()
    assert is_safe(said.out + said.err)


def test_a_model_card_holds_no_html_of_others() -> None:
    manifest = json.loads((PRETRAINED / "emodb" / "manifest.json").read_text(encoding="utf-8"))
    del manifest["augmentation"]  # whose keys were others in format 0.1
    before = model_card(manifest)
    evil = "<script>alert(1)</script> | x\n# Limits: none"
    manifest["licence"] = manifest["trained_on"][0]["licence"] = evil
    card = model_card(manifest)
    assert "<script" not in card.replace("\\<", "")
    assert card.count("\n") == before.count("\n")
    assert "\n# Limits" not in notice(manifest)
