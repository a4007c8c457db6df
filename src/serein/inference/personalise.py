"""A personalised bundle: another one, its heads moved by labelled recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serein.defaults import DEFAULT_MODEL
from serein.errors import BundleError
from serein.inference.bundle import (
    ADAPTATION,
    BURSTS,
    CARD,
    MODEL,
    NOTICE,
    Bundle,
    check_bundle_folder,
    read_bundle,
    write_bundle,
)
from serein.inference.load import find_model
from serein.inference.recognizer import Recognizer, model_of
from serein.inference.window_model import checked_labels
from serein.untrusted import check_file_name, markdown, printable


def personalise(
    recordings: Sequence[str | Path],
    emotions: Sequence[str],
    out: str | Path,
    *,
    model: str | Path = DEFAULT_MODEL,
    licence: str = "not stated",
    threads: int | None = None,
) -> Path:
    """Learn from labelled recordings, and write a bundle that predicts as `Recognizer.learn` does.

    Parameters
    ----------
    recordings : sequence of path
        As `Recognizer.learn` takes them; none is kept in the bundle.
    emotions : sequence of str
        The label of each.
    out : str or path
        The new bundle's folder; its name is that of the new model.
    model : str or path
        Name of a bundled model, or the folder or zip of a bundle: where it starts.
    licence : str
        Licence of the recordings, for the new bundle's card.
    threads : int, optional
        CPU threads.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    AudioError
        If a recording cannot be read, or holds no speech.
    BundleError
        If the model was trained without what this needs, or the folder holds other things.
    SettingError
        If there are not as many labels as recordings, or fewer than two different ones.
    """
    out = Path(out)
    name = check_file_name("the name of the folder, and so of the model,", out.absolute().name)
    bundle = read_bundle(find_model(model))
    if out.resolve() == bundle.place.resolve():
        raise BundleError(f"{out} is the model itself: name another folder")
    check_bundle_folder(out)
    recognizer = Recognizer(bundle, threads=threads)
    recognizer.learn(recordings, emotions)
    learnt = model_of(recognizer).adaptation.learnt.personal
    named, labels = checked_labels(emotions, bundle.labels)
    manifest = _manifest(bundle, name, labels, dict(sorted(Counter(named).items())), licence)
    return write_bundle(
        out,
        manifest,
        model=bundle.files[MODEL],
        card=_card(bundle, manifest),
        notice=_notice(bundle, manifest),
        adaptation=bundle.files[ADAPTATION],
        bursts=bundle.files.get(BURSTS),
        personal=None if learnt is None else learnt.to_bytes(),
    )


def _manifest(
    bundle: Bundle, name: str, labels: list[str], counts: dict[str, int], licence: str
) -> dict[str, Any]:
    """Describe the bundle; its scores stay those of the model that it was before."""
    about = {"model": bundle.manifest["name"], "known": bundle.known}
    about |= {"recordings": counts, "licence": licence}
    before = bundle.manifest.get("personalised")
    if before is not None:
        about["before"] = before
    return bundle.manifest | {"name": name, "labels": labels, "personalised": about}


def _card(bundle: Bundle, manifest: dict[str, Any]) -> str:
    """Say by what the model was moved, in front of the card of the one that it was."""
    safe = markdown(manifest)
    about = safe["personalised"]
    counts = ", ".join(f"{count} of {label}" for label, count in about["recordings"].items())
    new = safe["labels"][len(bundle.labels) :]
    return (
        f"# {safe['name']}\n\n"
        f"The model `{about['model']}`, its heads moved by {sum(about['recordings'].values())} "
        f"labelled recordings: {counts}. "
        f"{'New labels: ' + ', '.join(new) + '. ' if new else ''}"
        f"Licence of these recordings, none of which is inside: {about['licence']}.\n\n"
        f"How well it does on them or on others was not measured. What follows is the card of "
        f"`{about['model']}`: its labels, its scores and its confidence are those from before.\n\n"
        f"{bundle.files[CARD].decode()}"
    )


def _notice(bundle: Bundle, manifest: dict[str, Any]) -> str:
    about = manifest["personalised"]
    licence = printable(about["licence"])
    return f"{bundle.files[NOTICE].decode()}- recordings it was personalised on: {licence}\n"
