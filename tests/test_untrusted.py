"""Text of others, as it is printed, written and taken as a name."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path

import pytest

from serein.errors import RecipeError, ResultsError, SettingError
from serein.untrusted import check_file_name, check_output, markdown, printable

HIDDEN = [
    *("\x00", "\x07", "\t", "\n", "\r", "\x1b[2J", "\x7f", "\x85", "\x9b31m"),
    *("\u202e", "\u2066", "\u200b", "\u200f", "\ufeff", "\u2028", "\u2029", "\U000e0041"),
]


@pytest.mark.parametrize("text", HIDDEN)
def test_what_a_terminal_would_obey_is_escaped_as_in_json(text: str) -> None:
    shown = printable(f"a{text}b")
    assert shown.isprintable()
    assert json.loads(f'"{shown}"') == f"a{text}b"


def test_no_character_of_unicode_controls_a_terminal() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    kinds = {unicodedata.category(one) for one in printable(everything)}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize("text", ["", "call 7 (2).wav", "été", "愤怒　🙂", "a\N{NO-BREAK SPACE}%"])
def test_all_else_stays(text: str) -> None:
    assert printable(text) == text


def test_markdown_holds_no_html_no_link_and_no_other_row() -> None:
    found = markdown({"licence": "<script>x</script> | [a](b) `c`\n# d", "n": 1, "rows": ["*e*"]})
    assert found == {
        "licence": r"\<script\>x\</script\> \| \[a\](b) \`c\`\\u000a# d",
        "n": 1,
        "rows": [r"\*e\*"],
    }


@pytest.mark.parametrize(
    "name", ["multi", "emodb-svm", "my calls (2), v1.0", "été_愤怒", "हिन्दी", "a+b=c@#1", "x" * 100]
)
def test_names_of_files(name: str) -> None:
    assert check_file_name("its name", name) == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "../../outside",
            "a/b",
            "a\\b",
            "/etc",
            "c:x",
            ".hidden",
            "-rf",
            "a.",
            " a",
        ),
        *(
            "a\x00b",
            "a\x1b[2J",
            "a\nb",
            "a\u202eb",
            "a\u200bb",
            "a|b",
            "<a>",
            "a*",
            "\udce9",
            "x" * 101,
        ),
    ],
)
def test_other_names_are_refused_in_printable_words(name: str) -> None:
    with pytest.raises(SettingError, match=r"its name is .*; allowed: ") as caught:
        check_file_name("its name", name)
    assert str(caught.value).isprintable()
    with pytest.raises(RecipeError):
        check_file_name("its name", name, RecipeError)


@pytest.mark.parametrize(
    "name", ["a\x1b[2J.csv", "a\n.csv", "a\u202ecsv.exe", "a\u2028b", "\u200b"]
)
def test_outputs_have_names_that_can_be_seen(name: str) -> None:
    with pytest.raises(ResultsError, match=r"name another") as caught:
        check_output(Path("runs") / name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", ["50% & more.csv", "می\u200cخواهم.png", "👩\u200d🔬.png", "\udce9.png"]
)
def test_all_other_outputs_are_allowed(name: str) -> None:
    check_output(Path("runs") / name)
