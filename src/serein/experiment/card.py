"""The model card and the notice of a bundle, from its manifest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from serein.corpora import CORPORA
from serein.corpora.same_sound import duplicates_words
from serein.untrusted import markdown, printable

LIMITS = """\
- {origin}
- It judges {judged}, and knows only the emotions listed.
  The prediction is what {named}; it is not what the person
  feels.
- Languages, ages, accents, microphones and noise unlike those of the training corpora lower its
  scores.
- Not for judging people at work or in education (banned in the EU, AI Act Art. 5(1)(f)), for lie
  detection, for medical findings, or for any decision about a person. People must be told that such
  a system listens (Art. 50(3))."""


ACTED = """\
It was trained on actors who were asked for an emotion, in a studio. Everyday speech is quieter,
  mixed and mostly neutral; expect lower scores than in the table."""
OWN = """\
Its scores are of recordings like those that it was trained on; expect lower ones on others."""


def model_card(manifest: dict[str, Any]) -> str:
    """Write the card: data, licences, scores with their protocol, limits."""
    manifest = markdown(manifest)  # names and licences are texts of others
    taken = _listed(TITLES[name] for name in _modalities(manifest))
    parts = [
        f"# {manifest['name']}",
        f"{taken.capitalize()} in, one of {len(manifest['labels'])} emotions out: "
        f"{', '.join(manifest['labels'])}. Precision: {manifest['precision']}.",
        "## What is inside",
        _inside(manifest),
        "## Trained on",
        _data_table(manifest["trained_on"]),
        *_duplicates(manifest["trained_on"]),
        f"Licence of these weights: {manifest['licence']}.",
        "## Scores on unseen speakers",
        _score_table(manifest["scores"]),
        "UAR is the unweighted average recall over the emotions that the corpus holds, all "
        f"{len(manifest['labels'])} emotions being possible; its 95 % interval is a speaker-level "
        "cluster bootstrap. ECE is the expected calibration error: how far confidence is from "
        "accuracy. In each fold feature scaling, classifier and temperature were fitted on the "
        "other speakers alone.",
        *_adaptation(manifest),
        *_reliability(manifest),
        "## Abstention",
        _abstention_table([row for row in manifest["scores"] if not row.get("adapted")]),
        "With `serein predict --unsure-below T`, predictions of less confidence are `unsure`. Each "
        "cell is the coverage (clips that get an emotion) and the accuracy on those.",
        *_privacy(manifest),
        *_bursts(manifest),
        f"Speech detector, on unseen speakers and unseen kinds of sound: "
        f"{manifest['speech_heard_unseen_speakers']:.1%} of clips taken as speech, "
        f"{manifest['sounds_refused_unseen_kinds']:.1%} of artificial sounds refused.",
        "## Limits",
        _limits(manifest),
    ]
    return "\n\n".join(parts) + "\n"


TITLES = {"voice": "speech", "face": "face", "text": "text"}
JUDGED = {"voice": "how something is said", "face": "how a face moves", "text": "what is said"}


def _modalities(manifest: dict[str, Any]) -> list[str]:
    return list(manifest.get("modalities", ["voice"]))


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _limits(manifest: dict[str, Any]) -> str:
    names = _modalities(manifest)
    judged = _listed(JUDGED[name] for name in names)
    if "text" not in names:
        judged += ", not what is said"
    alone = "a listener would likely call the voice"
    known = [CORPORA.get(row["corpus"]) for row in manifest["trained_on"]]
    acted = all(spec is not None and spec.acted for spec in known)
    return LIMITS.format(
        origin=ACTED if acted else OWN,
        judged=judged,
        named=alone if len(names) == 1 else "others would say it is",
    )


def notice(manifest: dict[str, Any]) -> str:
    """Write the attribution notice of a bundle."""
    lines = [
        f"Recognizer {manifest['name']}: trained with serein.",
        f"Licence of these weights: {printable(manifest['licence'])}.",
    ]
    encoder = manifest.get("encoder")
    if encoder:
        lines += ["", f"Encoder: {encoder['name']}, cut and partly quantised."]
        lines += [WHISPER] if "whisper" in encoder["name"] else []
    lines += ["", "Corpora it was trained on, none of whose recordings are inside:"]
    lines += [printable(f"- {row['corpus']}: {row['licence']}") for row in manifest["trained_on"]]
    if "bursts" in manifest:
        bursts = manifest["bursts"]
        lines += [printable(f"- {bursts['corpus']}, vocal bursts: {bursts['licence']}")]
    return "\n".join(lines) + "\n"


WHISPER = """\
Whisper is Copyright (c) 2022 OpenAI, under the MIT License:

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""


def _inside(manifest: dict[str, Any]) -> str:
    encoder, model = manifest.get("encoder"), manifest.get("model")
    front = manifest["front_end"]
    if encoder:
        layers = ", ".join(map(str, encoder["layers"]))
        halved = encoder.get("pool_after", encoder.get("halve_after"))  # the name in format 0.1
        pooled = "mean and standard deviation over time of the hidden states {}"
        mixed = "the mean of the hidden states {} as a series, 40 ms a frame"
        described = (
            f"The encoder {encoder['name']} cut after layer {max(encoder['layers'])}; "
            f"{(mixed if encoder.get('frames') else pooled).format(layers)}"
            f"{f', temporal pooling with stride 2 after layer {halved}' if halved else ''}"
            + "".join(
                f"; {name} with sha256 {sha256}"
                for name, sha256 in encoder.get("weights_sha256", {}).items()
                if name.endswith(".safetensors")
            )
        )
    else:
        pooled = ", ".join(front["functionals"]) or f"series, {10 * front['step']} ms a frame"
        described = f"The feature sets {', '.join(front['sets'])} ({pooled})"
    parts = [described, "feature scaling"]
    if model:  # a hybrid fusion is a network of its own
        settings = ", ".join(f"{key} {value}" for key, value in model.items() if key != "name")
        parts.append(f"the model {model['name']}" + (f" ({settings})" if settings else ""))
    return (
        f"{'; '.join(parts)}{_augmentation(manifest)}; {_fusion(manifest)}"
        f"{_temperature(manifest['temperature'])}; a speech detector. Recordings longer than "
        f"{manifest['window_s']:g} s are cut into windows {manifest['hop_s']:g} s apart."
    )


def _temperature(found: float | dict[str, float]) -> str:
    if isinstance(found, dict):
        each = " and ".join(f"{value:.3f} ({name})" for name, value in found.items())
        return f"temperatures {each}"
    return "not calibrated" if found == 1 else f"temperature {found:.3f}"


def _fusion(manifest: dict[str, Any]) -> str:
    if "fusion" not in manifest:
        return ""
    about = {"face": "35 OpenFace action units", "text": "sentence vectors of what is said"}
    others = [about[name] for name in manifest["modalities"] if name in about]
    settings = ", ".join(f"{key} {value}" for key, value in manifest["fusion"].items())
    return f"fused with {' and '.join(others)} ({settings}), any of which may be missing; "


def _augmentation(manifest: dict[str, Any]) -> str:
    changes = manifest.get("augmentation")
    if not changes:
        return ""
    drawn = []
    for name in changes["chain"]:
        options = changes["ranges"].get(name, {})
        words = [name, *(f"{key} {_span(value)}" for key, value in options.items())]
        chance = changes["probability"].get(name, 1)
        drawn.append(" ".join(words) + (f" for {chance:.0%}" if chance < 1 else ""))
    return (
        f", trained on {changes['per_clip']} augmented versions of each clip too "
        f"({', '.join(drawn)})"
    )


def _span(value: Any) -> str:
    return " to ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _table(heads: Sequence[str], rows: Iterable[str]) -> str:
    lines = [" | ".join(heads), "|".join(["---"] * len(heads)), *rows]
    return "\n".join(f"| {line} |" for line in lines)


def _data_table(rows: list[dict[str, Any]]) -> str:
    return _table(
        ("corpus", "clips", "speakers", "languages", "licence"),
        (
            f"{row['corpus']}{'' if row.get('labels', True) else ' (without its labels)'} "
            f"| {row['clips']} | {len(row['speakers'])} "
            f"| {', '.join(row['languages'])} | {row['licence']}"
            for row in rows
        ),
    )


def _duplicates(rows: list[dict[str, Any]]) -> list[str]:
    count = sum(row.get("duplicates", 0) for row in rows)
    return [f"Left out: {duplicates_words(count)}."] if count else []


def _score_table(rows: list[dict[str, Any]]) -> str:
    return _table(
        ("corpus", "protocol", "precision", "UAR", "95 % interval", "accuracy", "ECE"),
        (
            f"{row['corpus']} | {row['protocol']} | {row['precision']} | {row['uar']:.3f} "
            f"| {_interval(row['uar_interval_95'])} "
            f"| {row['accuracy']:.3f} | {row['expected_calibration_error']:.3f}"
            for row in rows
        ),
    )


def _adaptation(manifest: dict[str, Any]) -> list[str]:
    if not {"adaptation", "confidence"} & set(manifest):
        return []
    relative = "confidence" in manifest
    unseen = [
        "Rows that say leave one corpus out are of heads that were not trained on this corpus, nor "
        "on its rooms and language: what to expect on recordings of your own. Confidence was "
        "learnt from such corpora, and falls with the distance of a recording from training."
    ]
    whose = "whose other utterances are" if not relative else "or a set of recordings that is"
    return unseen * relative + [
        f"Rows that say adapted are for a speaker {whose} known, without labels "
        "(`recognizer.adapt`, `serein predict --adapt`). These speakers voiced all emotions "
        "about equally often, which suits adaptation: read them as an upper bound.",
        "Valence and arousal are derived from the probabilities, by fixed coordinates of each "
        "emotion; they were not measured.",
    ]


def _reliability(manifest: dict[str, Any]) -> list[str]:
    """Write a reliability diagram for each protocol, as a table."""
    lines = [
        f"{title} | {point['confidence']:.2f} | {point['right']:.2f} | {point['share']:.1%}"
        for title, points in reversed(manifest.get("reliability", {}).items())
        for point in points
    ]
    return lines and [
        "## Reliability",
        _table(("of single recordings", "mean confidence", "accuracy", "of recordings"), lines),
        "Predictions by confidence, in ten bins; each corpus counts the same.",
    ]


def _bursts(manifest: dict[str, Any]) -> list[str]:
    found = manifest.get("bursts")
    if not found:
        return []
    parts = {"bursts_recognised": "bursts, {}", "speech_taken": "speech, {}"}
    parts |= {"changed_speech_taken": "all speech, {}", "sounds_taken": "{}"}
    rates = [(title.format(k), v) for part, title in parts.items() for k, v in found[part].items()]
    return [
        "## Vocal bursts",
        "Laughs, cries and sighs, where it is sure of one, are segments of their own, each one of "
        f"{', '.join(found['labels'])}. Trained on {found['clips']} clips of {found['speakers']} "
        f"people ({found['corpus']}: {found['licence']}). On people who were left out: UAR "
        f"{found['uar']:.3f} ({_interval(found['uar_interval_95'])}), ECE "
        f"{found['expected_calibration_error']:.3f}. What is taken for a burst, of people, corpora "
        "of speech and kinds of sound that the heads were not trained on, at a threshold that was "
        "set by the same, so that hardly any speech is taken:",
        _table(("what", "share"), (f"{what} | {share:.2%}" for what, share in rates)),
        *_duplicates([found]),
    ]


def _privacy(manifest: dict[str, Any]) -> list[str]:
    spent = manifest.get("privacy")
    if not spent:
        return []
    public = " and ".join(spent["public"])
    scaling = (
        f"Feature scaling was computed on {public}, and reveals nothing of them."
        if public
        else "Not covered: feature scaling (mean and deviation, without noise)."
    )
    return [
        "## Privacy",
        f"Its network was trained with ({spent['epsilon']:.3g}, {spent['delta']:g})-differential "
        f"privacy: {spent['steps']} steps, each of which took each recording with probability "
        f"{spent['rate']:.3g}, gradients clipped at {spent['clip']:g}, noise of "
        f"{spent['noise']:.3g} clips ({spent['accountant']}). The unit is the recording: for a "
        "speaker with k recordings here ε is k times that, which soon protects nobody.",
        f"{scaling} Not covered, since they are computed from the recordings without noise: the "
        "temperature, the speaker prior for adaptation, the speech detector, and the scores above.",
    ]


def _interval(ends: list[float] | None) -> str:
    return "one speaker" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def _abstention_table(rows: list[dict[str, Any]]) -> str:
    thresholds = [f"T = {entry['unsure_below']:g}" for entry in rows[0]["doubt"]]
    lines = []
    for row in rows:
        cells = [f"{one['answered']:.0%}, {one['right'] or 0:.1%} right" for one in row["doubt"]]
        lines.append(" | ".join([row["corpus"], row["precision"], *cells]))
    return _table(("corpus", "precision", *thresholds), lines)
