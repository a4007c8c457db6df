"""The table of the READMEs: bundles that ship, beside other systems. Measures nothing.

Bundles' scores come from their manifests and results/unseen.json, those of recipes and peers from
results/accuracy.json and results/peers.json; results/published.json holds what others published.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from library import RESULTS, ROOT, Row, read_json, table, write_between

import serein
from serein.inference.bundle import read_bundle
from serein.inference.load import find_model

CASES = ("single", "speaker")
MARK = "<!-- python bench/readme.py -->"
PEERS = {  # system in results/peers.json -> its licence
    "openSMILE ComParE_2016 + linear SVM": "research",
    "nkululeko 1.14.1: eGeMAPSv02 + SVM": "research",
}
WORDS = {  # file -> heads, the words for a default, a recipe, what was published, licences
    "README.md": {
        "heads": "system | in-domain | held-out corpora | RAVDESS, six folds | licence",
        "default": ", default",
        "recipe": "recipe",
        "published": " (published)",
        "no": ", not commercial",
        "yes": ", commercial use allowed",
        "research": "research only",
    },
    "README.zh.md": {
        "heads": "系统 | 语料库内 | 未见语料库 | RAVDESS 六折 | 许可证",
        "default": "（默认）",
        "recipe": "配方",
        "published": "（已发表）",
        "no": "，不可商用",
        "yes": "，可商用",
        "research": "仅限研究",
    },
}


def main() -> None:
    """Write the tables."""
    for name in WORDS:
        write_between(ROOT / name, MARK, markdown(name))


def markdown(readme: str) -> str:
    """Write the table of a README: UAR of single recordings / adapted to the speaker."""
    words = WORDS[readme]
    return table(words["heads"].split(" | "), [*bundles(words), *others(words)])


def bundles(words: dict[str, str]) -> Iterable[list[str]]:
    """Give a row a bundled model, the default first."""
    for number, name in enumerate(serein.bundled_models()):
        manifest = read_bundle(find_model(name)).manifest
        free = words["no" if "not for commercial" in manifest["licence"] else "yes"]
        licence = manifest["licence"].split(" (")[0]
        title = f"`{name}`" if number else f"`{name}`{words['default']}"
        yield [title, in_domain(manifest), held_out(name), "–", f"{licence}{free}"]


def others(words: dict[str, str]) -> Iterable[list[str]]:
    """Give a row a system that was measured on the six actor folds of RAVDESS."""
    recipe = [row for row in read_json(RESULTS / "accuracy.json") if is_recipe(row)]
    found = {row["adapted"]: row["uar"] for row in recipe}
    licence = serein.CORPORA["ravdess"].licence
    yield [f"{words['recipe']} `ravdess`", "–", "–", pair([found[False]], [found["all"]]), licence]
    for row in read_json(RESULTS / "peers.json"):
        if row["corpus"] == "ravdess" and row["system"] in PEERS:
            yield [row["system"], "–", "–", pair([row["uar"]]), words[PEERS[row["system"]]]]
    for row in read_json(RESULTS / "published.json"):
        yield [f"{row['system']}{words['published']}", "–", "–", pair([row["uar"]]), "–"]


def is_recipe(row: Row) -> bool:
    """Say whether a row is of the recipe for RAVDESS."""
    return (row["case"], row["system"], row["one_emotion"]) == ("ravdess", "recipe", False)


def in_domain(manifest: Row) -> str:
    """Write the mean over the corpora trained on, in folds of unseen speakers."""
    rows = [
        row
        for row in manifest["scores"]
        if row["precision"] == "float32" and "corpus out" not in row["protocol"]
    ]
    single = [row["uar"] for row in rows if not row["adapted"]]
    adapted = [row["uar"] for row in rows if is_of_speaker(row)]
    return pair(single, adapted)


def is_of_speaker(row: Row) -> bool:
    """Say whether a row is of a recognizer adapted to the speaker."""
    return row["adapted"] and row.get("adapted_to", "speaker") == "speaker"


def held_out(name: str) -> str:
    """Write the mean over corpora of speech that were not trained on; a dash for no such score."""
    rows = [
        row
        for row in read_json(RESULTS / "unseen.json")
        if row.get("bundle", "multi") == name and row.get("among") == "own" and is_speech(row)
    ]
    found = {case: [row["uar"] for row in rows if row["case"] == case] for case in CASES}
    return pair(*found.values()) if rows else "–"


def is_speech(row: Row) -> bool:
    """Say whether a row is of a corpus of speech with four emotions or more."""
    return row["corpus"] in ("emodb", "ravdess", "nemo", "emospeech_in")


def pair(*cases: list[float]) -> str:
    """Write the mean of each case."""
    return " / ".join(f"{np.mean(case):.3f}" for case in cases if case)


if __name__ == "__main__":
    main()
