"""Tables of the site, made of what the package knows, so that no page can be behind it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import serein
from serein.defaults import DEFAULT_MODEL
from serein.inference.bundle import read_bundle
from serein.inference.load import find_model

ROOT = Path(__file__).parents[2]


def scores() -> str:
    """Return the scores of the bundled models on unseen speakers."""
    rows = []
    for name in serein.bundled_models():
        manifest = read_bundle(find_model(name)).manifest
        shown = f"[{name}](cards/{name}.md)" + (", the default" if name == DEFAULT_MODEL else "")
        for row in manifest["scores"]:
            if row["precision"] == manifest["precision"]:
                low, high = row["uar_interval_95"]
                uar = f"{row['uar']:.3f} ({low:.3f} to {high:.3f})"
                emotions = str(len(manifest["labels"]))
                rows.append((shown, emotions, row["corpus"], uar, row["protocol"]))
    return table("model | emotions | corpus | UAR (95 % interval) | protocol", rows)


def corpora() -> str:
    """Return the corpora that serein knows, with their licences."""
    rows = [
        (
            f"`{spec.name}`",
            f"[{spec.title}]({spec.url})",
            spec.language or "–",
            str(spec.speakers or "–"),
            str(spec.total or "–"),
            spec.licence,
            spec.citation,
        )
        for spec in serein.CORPORA.values()
    ]
    return table("name | corpus | language | speakers | clips | licence | cite", rows)


def weights() -> str:
    """Return the bundled models with what they were trained on and under which licence they are."""
    rows = []
    for name in serein.bundled_models():
        manifest = read_bundle(find_model(name)).manifest
        learnt = ", ".join(row["corpus"] for row in manifest["trained_on"])
        rows.append((f"[{name}](cards/{name}.md)", learnt, manifest["licence"]))
    return table("model | trained on | licence", rows)


def notice() -> str:
    """Return the file NOTICE."""
    return "```text\n" + (ROOT / "NOTICE").read_text(encoding="utf-8").strip() + "\n```"


def table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [head, " | ".join("---" for _ in head.split("|")), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


TABLES = {"scores": scores, "corpora": corpora, "weights": weights, "notice": notice}
