"""Commands that predict: predict, models."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serein.cli.options import (
    STDIN,
    AdaptFrom,
    AdaptTo,
    Address,
    BundleName,
    Emotions,
    EngineName,
    Lang,
    Provider,
    Threads,
    UnsureBelow,
    checked_jobs,
    listed,
    source_of,
    within,
)
from serein.cli.prediction_output import Form, Output, make_output
from serein.cli.progress import progress_bar
from serein.cli.show import (
    echo,
    interval_words,
    print_error,
    print_json,
    print_not_read,
)
from serein.defaults import (
    DEFAULT_LIMITS,
    DEFAULT_MODEL,
    DEFAULT_PROVIDER,
    DEFAULT_UNSURE_BELOW,
    HOP_RANGE_S,
    WINDOW_RANGE_S,
    Limits,
)
from serein.engine import running_on, usable_cores
from serein.errors import AudioError, MissingExtraError, SereinError
from serein.language import Language, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from serein.bulk.predict_all import BulkSettings
    from serein.inference.multimodal import MultimodalRecognizer
    from serein.inference.prediction import Prediction


PANEL = "How"
MOST_TOLD = 3  # files whose errors are printed, where a table says all
PANELS = {  # option of predict -> its group in --help; others are under PANEL
    **dict.fromkeys(("inputs", "channels", "segments", "speakers", "timeline"), "What"),
    **dict.fromkeys(("text", "transcribe", "face", "window", "hop", "max_seconds"), "What"),
    **dict.fromkeys(
        ("as_json", "form", "affect", "lang", "out", "adapt_save"), "Where to, in which form"
    ),
}


class Segments(StrEnum):
    """What `--segments` takes."""

    windows = "windows"
    utterances = "utterances"


class AdaptOptions:
    """Options of adaptation, checked: to what, from which file, into which one."""

    def __init__(
        self, to: AdaptTo, same_speaker: bool, file: Path | None, save: Path | None
    ) -> None:
        if same_speaker and to is AdaptTo.recordings:
            raise typer.BadParameter("--same-speaker is --adapt speaker: leave --adapt out")
        to = AdaptTo.speaker if same_speaker else to
        if file is not None and to is not AdaptTo.none:
            raise typer.BadParameter("--adapt-from is in place of --adapt: leave one out")
        if save is not None and to is AdaptTo.none:
            raise typer.BadParameter("--adapt-save needs --adapt recordings or speaker")
        self.to, self.file, self.save = to.kind, file, save


def predict(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Recordings, or folders of them; - is standard input.", metavar="PATH..."
        ),
    ] = None,
    model: BundleName = DEFAULT_MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    timeline: Annotated[bool, typer.Option("--timeline", help="One row a segment.")] = False,
    window: Annotated[
        float | None,
        typer.Option(**within(WINDOW_RANGE_S), help="Seconds of a window of the timeline."),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(**within(HOP_RANGE_S), help="Seconds from one window to the next."),
    ] = None,
    channels: Annotated[
        str,
        typer.Option(
            metavar="mix|each|left|right|NUMBER",
            help="Average the channels; or predict each for itself, or one alone.",
        ),
    ] = "mix",
    segments: Annotated[
        Segments, typer.Option(help="What a timeline is of: windows, or utterances, by pauses.")
    ] = Segments.windows,
    speakers: Annotated[
        str | None,
        typer.Option(
            metavar="auto|NUMBER",
            help="Tell so many speakers apart; with --adapt speaker, adapt to each apart.",
        ),
    ] = None,
    form: Annotated[
        Form, typer.Option("--format", help="For other programs; with --out, a folder of files.")
    ] = Form.text,
    affect: Annotated[
        bool,
        typer.Option("--affect", help="Add valence and arousal, derived from the probabilities."),
    ] = False,
    lang: Lang = Language.en,
    threads: Threads = None,
    provider: Provider = DEFAULT_PROVIDER,
    max_seconds: Annotated[
        float,
        typer.Option(min=DEFAULT_LIMITS.min_s, help="Longest recording that is accepted."),
    ] = DEFAULT_LIMITS.max_s,
    unsure_below: UnsureBelow = DEFAULT_UNSURE_BELOW,
    emotions: Emotions = None,
    adapt: Annotated[
        AdaptTo,
        typer.Option(
            help="Adapt to these first, without labels: recordings of one place or kind; or of "
            "one speaker."
        ),
    ] = AdaptTo.none,
    same_speaker: Annotated[
        bool, typer.Option("--same-speaker", help="The same as --adapt speaker.")
    ] = False,
    adapt_from: AdaptFrom = None,
    adapt_save: Annotated[
        Path | None, typer.Option(help="JSON file to write what --adapt found to.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Table (.parquet, .csv, .jsonl) to write, a row a recording, channel or, with "
            "--timeline, segment; goes on if killed. With --format: a folder."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            callback=checked_jobs, help="With --out: processes; -1, all cores, if not given."
        ),
    ] = None,
    engine: EngineName = "local",
    address: Address = None,
    text: Annotated[
        str | None, typer.Option(help="Transcript, in English: predict from the words too.")
    ] = None,
    transcribe: Annotated[
        bool,
        typer.Option(
            "--transcribe",
            help="Transcribe the speech, in English; predict from it too.",
        ),
    ] = False,
    face: Annotated[
        Path | None,
        typer.Option(
            help="OpenFace table of the face, or a folder of them, clip.csv for clip.wav: for a "
            "model trained with faces."
        ),
    ] = None,
) -> None:
    """Predict the emotion of recordings.

    WAV, FLAC, Ogg (Opus, Vorbis), MP3, AIFF, CAF and more of any rate; with the extra media M4A,
    WebM, 3GP, AMR, WMA; "no speech" where there is none. Of a video (MP4, WebM, ...) or a picture,
    the face is used too. A model trained with faces or texts needs no recording where --face or
    --text is given.
    """
    from serein.inference.load import load
    from serein.inference.multimodal import MultimodalRecognizer

    inputs = inputs or []
    if not inputs and face is None and (text is None or out is not None):
        raise typer.BadParameter("Missing argument 'PATH...': recordings, or folders of them")
    telling = _telling(channels, segments, speakers)
    if (speakers is not None or channels == "each") and (adapt is AdaptTo.speaker or same_speaker):
        adapt, same_speaker, telling["adapt"] = AdaptTo.none, False, True
    if as_json and form is not Form.text:
        raise typer.BadParameter("--json and --format are one choice: leave one out")
    if out is not None and form is Form.text:
        if str(STDIN) in (str(out), *inputs):
            raise typer.BadParameter("--out is a table of files: for - leave it out; take --json")
        from serein.bulk.predict_all import BulkSettings

        alone: dict[str, object] = {"--json": as_json, "--affect": affect}
        alone |= {"--window": window, "--hop": hop, "--same-speaker": same_speaker}
        alone |= {"--adapt": adapt is not AdaptTo.none, "--adapt-from": adapt_from}
        alone |= {"--adapt-save": adapt_save, "--emotions": emotions}
        alone |= {"--threads": threads, "--text": text, "--transcribe": transcribe, "--face": face}
        _refuse_beside_out(alone)
        settings = BulkSettings(
            *(model, unsure_below, max_seconds, provider), timeline=timeline, **telling
        )
        if jobs == -1 and engine == "local":
            jobs = usable_cores()
        with running_on(engine, address=address, jobs=jobs):
            raise typer.Exit(int(predict_into(out, inputs, settings, jobs, lang)))
    of_many = {"--engine": engine != "local", "--jobs": jobs, "--address": address}
    for name in (name for name, given in of_many.items() if given):
        raise typer.BadParameter(f"{name} is for a table: add --out FILE, without --format")
    adaptation = AdaptOptions(adapt, same_speaker, adapt_from, adapt_save)
    limits = Limits(max_s=max_seconds)
    voice = load(
        model,
        threads=threads,
        limits=limits,
        unsure_below=unsure_below,
        provider=provider,
        emotions=emotions.split(",") if emotions else None,
    )
    _refuse_gaps(window or voice.window_s, hop)
    _refuse_folder_without_tables(face, inputs)
    recognizer = MultimodalRecognizer(voice)
    _adapt(recognizer, inputs, adaptation)
    predict_one = partial(
        recognizer.predict, text=text, transcribe=transcribe, window_s=window, hop_s=hop, **telling
    )
    output = make_output(form, out, lang, as_json=as_json, timeline=timeline, affect=affect)
    raise typer.Exit(int(_predict_each(predict_one, inputs, text, face, output, lang)))


def _predict_each(
    predict: Callable[..., Prediction],
    inputs: list[str],
    text: str | None,
    face: Path | None,
    output: Output,
    lang: Language,
) -> bool:
    """Predict all recordings of the inputs, or what there is without one; say if any failed."""
    from serein.recordings import Listing

    failed = False
    entries: list[str | None] = [*inputs] or [None]
    for entry in entries:
        try:
            found = Listing([], []) if entry is None else listed(entry)
        except SereinError as error:
            failed = True
            print_error(str(entry), error, as_json=output.as_json, lang=lang)
            continue
        files: list[Path | None] = [*found.files] or [None]
        _refuse_one_for_many(text, face, len(inputs) * len(files))
        output.start(files, len(inputs) * len(files))
        for file in files:
            prediction = _prediction(partial(predict, face=_face_of(file, face)), file)
            if isinstance(prediction, SereinError):
                failed = True
                name = str(file or face or "")
                print_error(name, prediction, as_json=output.as_json, lang=lang)
            else:
                output.add(prediction)
        failed |= print_not_read(str(entry), found, as_json=output.as_json, lang=lang)
    output.close()
    return failed


def _telling(channels: str, segments: Segments, speakers: str | None) -> dict[str, Any]:
    """Check what is told apart before any recording is read: an error is one for all of them."""
    from serein.inference.lanes import Telling

    count = int(speakers) if speakers and speakers.isascii() and speakers.isdigit() else speakers
    return dict(vars(Telling(channels, segments.value, count)))  # type: ignore[arg-type]


def _prediction(
    predict: Callable[[Any], Prediction], file: Path | None
) -> Prediction | SereinError:
    """Predict a file, or what came on standard input; or return what is wrong with it."""
    from serein.inference.recognizer import prediction_or_error

    found = prediction_or_error(lambda given: predict(given and source_of(given)), file)
    if file is None or isinstance(found, SereinError):
        return found
    return replace(found, file=str(file))


def _refuse_beside_out(options: dict[str, object]) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise typer.BadParameter(f"--out writes a table: leave {given[0]} out")


def _refuse_gaps(window: float, hop: float | None) -> None:
    if hop is not None and hop > window:
        raise typer.BadParameter(f"--hop {hop} would leave gaps between windows of {window} s")


def _refuse_one_for_many(text: str | None, face: Path | None, recordings: int) -> None:
    if text is not None and recordings > 1:
        raise typer.BadParameter(
            f"--text is the transcript of one recording, not of {recordings}: or take --transcribe"
        )
    if face is not None and recordings > 1 and not face.is_dir():
        raise typer.BadParameter(
            f"--face is the face of one recording, and {recordings} came: give a folder of tables"
        )


def _refuse_folder_without_tables(face: Path | None, inputs: list[str]) -> None:
    """Refuse a folder of tables none of which is of a recording; single ones may have none."""
    if face is None or not face.is_dir() or not inputs:
        return
    files = list(_findable(inputs))
    if files and not any(_face_of(file, face) for file in files):
        raise typer.BadParameter(
            f"{face} has no table {files[0].stem}.csv for {files[0].name}, nor one for any other "
            "recording: name the tables so, or leave --face out"
        )


def _face_of(file: Path | None, face: Path | None) -> Path | None:
    """Find the table of a recording's face, in a folder of them by its name."""
    if face is None or file is None or not face.is_dir():
        return face
    table = face / f"{file.stem}.csv"
    return table if table.exists() else None


def _adapt(recognizer: MultimodalRecognizer, inputs: list[str], adaptation: AdaptOptions) -> None:
    """Adapt to all recordings that can be read; errors of the others are printed afterwards."""
    from serein.inference.recognizer import model_of

    if adaptation.file is not None:
        recognizer.load_adaptation(adaptation.file)
    to = adaptation.to
    if to is None:
        return
    for file in _findable(inputs):
        with suppress(AudioError, MissingExtraError):  # or without speech
            recognizer.adapt(source_of(file), to=to)
    if recognizer.utterances_known and not model_of(recognizer.voice).adaptation.counts:
        echo(
            "serein: predictions are hardly adapted: there is one recording, or all seem to hold "
            "one emotion",
            err=True,
        )
    if adaptation.save is not None:
        recognizer.save_adaptation(adaptation.save)


def _findable(inputs: list[str]) -> Iterator[Path]:
    """List the recordings of the inputs that have any."""
    for entry in inputs:
        with suppress(AudioError):
            yield from listed(entry).files


def models(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the bundled models with their licences and scores."""
    from serein.inference.bundle import read_bundle
    from serein.inference.load import bundled_models, find_model

    for name in bundled_models():
        manifest = read_bundle(find_model(name)).manifest
        if as_json:
            print_json(manifest)
            continue
        default = " (default)" if name == DEFAULT_MODEL else ""
        echo(f"{name}{default}: {', '.join(manifest['labels'])}; {manifest['precision']}")
        echo(f"  licence: {manifest['licence']}")
        for line in _score_lines(manifest["scores"]):
            echo(f"  {line}")
        if bursts := manifest.get("bursts"):
            interval = interval_words(bursts["uar_interval_95"])
            echo(
                f"  vocal bursts ({', '.join(bursts['labels'])}): UAR {bursts['uar']:.3f} "
                f"({interval}), unseen speakers"
            )


def _score_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Write a line for each protocol and precision: of a corpus, or the mean of several."""
    for protocol, precision in dict.fromkeys((row["protocol"], row["precision"]) for row in rows):
        mine = [row for row in rows if (row["protocol"], row["precision"]) == (protocol, precision)]
        about = f"{precision}, {protocol}"
        uar, error = (
            sum(row[key] for row in mine) / len(mine)
            for key in ("uar", "expected_calibration_error")
        )
        if len(mine) == 1:
            interval = interval_words(mine[0]["uar_interval_95"])
            yield f"{mine[0]['corpus']}: UAR {uar:.3f} ({interval}), ECE {error:.3f}, {about}"
            continue
        each = ", ".join(f"{row['corpus']} {row['uar']:.3f}" for row in mine)
        yield f"mean of {len(mine)} corpora: UAR {uar:.3f}, ECE {error:.3f}, {about} ({each})"


def predict_into(
    out: Path, inputs: list[str], settings: BulkSettings, jobs: int | None, lang: Language
) -> bool:
    """Write the predictions of all recordings into a table; go on where a killed run was."""
    from serein.bulk.journal import Journal
    from serein.bulk.predict_all import check_results, predict_all, write_results
    from serein.inference.bundle import read_bundle
    from serein.inference.load import find_model

    check_results(out)
    files, not_read, failed = _listed(inputs, lang)
    if not files and not not_read:  # what is wrong with the inputs was printed
        return True
    labels = read_bundle(find_model(settings.model)).labels
    unfinished = out.with_name(f".{out.name}.journal")
    with Journal(unfinished, settings.to_dict()) as journal:
        if journal.done:
            going_on = translated("going on: {} files are done already", lang)
            echo(going_on.format(len(journal.done)), err=True)
        try:
            with progress_bar("recordings") as progress:
                jobs = jobs or usable_cores()
                predict_all(files, settings, journal, jobs=jobs, progress=progress)
        except KeyboardInterrupt:
            kept = translated("stopped: {} of {} files are done; the same command goes on", lang)
            echo(kept.format(len(journal.done), len(files)), err=True)
            raise
        rows = chain(_told(journal.rows(files), lang), not_read)
        predicted, errors = write_results(rows, labels, settings, out, lang=lang)
    unfinished.unlink()
    echo(translated("{} predicted, {} failed: {}", lang).format(predicted, errors, out))
    return failed or errors > 0


def _told(rows: Iterable[Mapping[str, Any]], lang: Language) -> Iterator[Mapping[str, Any]]:
    """Print why the first few files failed; the table says it of all."""
    count = 0
    for row in rows:
        if row["error"] is not None:
            count += 1
            if count <= MOST_TOLD:
                print_error(row["file"], AudioError(row["error"]), as_json=False, lang=lang)
        yield row


def _listed(inputs: list[str], lang: Language) -> tuple[list[str], list[dict[str, Any]], bool]:
    """List all recordings, each once, and rows of what is not read; print what is wrong."""
    from serein.bulk.object_store import list_objects
    from serein.recordings import is_url, list_recordings, no_such_file

    found: dict[str, None] = {}
    not_read: dict[str, dict[str, Any]] = {}
    failed = False
    for entry in inputs:
        try:
            if is_url(entry):
                found |= dict.fromkeys(list_objects(entry))
                continue
            if entry not in {"", "-"} and not os.path.lexists(entry):
                raise no_such_file(entry)
            listing = list_recordings(entry)
        except SereinError as error:
            failed = True
            print_error(entry, error, as_json=False, lang=lang)
            continue
        found |= dict.fromkeys(map(str, listing.files))
        print_not_read(entry, listing, as_json=False, lang=lang)
        for path, _, reason in listing.not_read:
            not_read[str(path)] = {"file": str(path), "error": f"{path}: {reason}"}
    return list(found), list(not_read.values()), failed
