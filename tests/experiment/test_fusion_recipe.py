"""Fusion as a recipe: made voices, faces and texts that each tell a part of the emotion."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import tomli_w
from typer.testing import CliRunner

import serein
from serein.cli import app
from serein.corpora import Corpus
from serein.errors import BundleError, CorpusError, RecipeError, SettingError
from serein.evaluation.search.search import SearchResult
from serein.experiment import card, speech
from serein.experiment.adapted_scores import speaker_prior
from serein.experiment.evaluate import chosen, evaluate
from serein.experiment.prepare import Prepared, make_classifier, prepare
from serein.experiment.recipe import Augmentation
from serein.experiment.recipe_file import make_recipe, read_recipe
from serein.experiment.train import fit, graph_of
from serein.experiment.tune import tune, write_search
from serein.features.openface import ACTION_UNITS, FRAME, read_openface
from serein.inference import fusion
from serein.inference.bundle import MODEL, read_bundle
from serein.inference.fusion import FusionRecognizer
from serein.inference.multimodal import MultimodalRecognizer
from serein.inference.recognizer import Recognizer
from serein.models.fusion.hybrid import HybridFusion

RATE_HZ = 16_000
EMOTIONS = {  # pitch of the voice, smile of the face, what is said
    "anger": (280.0, 0.2, "Leave me alone!"),
    "happiness": (280.0, 3.0, "What a wonderful day."),
    "sadness": (120.0, 0.2, "Nobody came, and it rained."),
    "calm": (120.0, 3.0, "We sit by the lake."),
}


def make_voice(hz: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    time = np.arange(RATE_HZ) / RATE_HZ
    buzz = sum(
        np.sin(2 * np.pi * hz * random.uniform(0.95, 1.05) * n * time) / n for n in (1, 2, 3)
    )
    return (0.1 * buzz + 0.001 * random.standard_normal(RATE_HZ)).astype(np.float32)


def make_face(smile: float, seed: int) -> np.ndarray:
    """Action units of five frames; half of them smile."""
    random = np.random.default_rng(seed)
    units = np.abs(random.normal(0.5, 0.2, (5, len(ACTION_UNITS))))
    units[:, ::2] += smile
    return units


def write_openface(file: Path, units: np.ndarray) -> None:
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow([*FRAME, *ACTION_UNITS])
        rows.writerows([0.2 * frame, 0.9, 1, *row] for frame, row in enumerate(units))


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 clips of four speakers, most with a table of OpenFace and a text."""
    folder = tmp_path_factory.mktemp("studio")
    (folder / "faces").mkdir()
    clips, means = [], []
    for number in range(48):
        emotion = list(EMOTIONS)[number % 4]
        hz, smile, text = EMOTIONS[emotion]
        name = f"{number}.wav"
        soundfile.write(folder / name, make_voice(hz, number), RATE_HZ)
        clips.append([name, emotion, f"s{number // 12}", text if number % 5 else ""])
        if number % 6:
            write_openface(folder / "faces" / f"{number}.csv", make_face(smile, number))
            means.append([name, *read_openface(folder / "faces" / f"{number}.csv").mean()])
    with (folder / "mine.csv").open("w", newline="") as out:
        csv.writer(out).writerows([["file", "emotion", "speaker", "text"], *clips])
    with (folder / "faces.csv").open("w", newline="") as out:
        csv.writer(out).writerows([["file", *ACTION_UNITS], *means])
    return folder


def recipe_table(**sections: object) -> dict[str, object]:
    """A recipe of voice and face as a TOML table, with other sections, or without those of None."""
    usual: dict[str, object] = {
        "name": "mine",
        "data": {"corpora": ["mine.csv"], "folder": "."},
        "features": {"sets": ["log_mel"], "functionals": ["mean", "std"]},
        "model": {"name": "logistic"},
        "face": {"table": "faces.csv"},
        "protocol": {"calibration_folds": 2},
    }
    return {name: section for name, section in (usual | sections).items() if section is not None}


def prepared(studio: Path, **sections: object) -> Prepared:
    recipe = make_recipe(recipe_table(**sections), "recipe", studio)
    return prepare(recipe, cache=studio / "cache")


def uar(data: Prepared) -> float:
    return float(evaluate(data).result.scores()["uar"])


METHODS = [
    {"method": "late", "rule": "weighted"},
    {"method": "late", "rule": "stacked"},
    {"method": "early", "weights": {"face": 0.5}, "reduction": {"voice": 5, "face": "rbf"}},
    {"method": "hybrid", "size": 16},
]


RIDGE = {"model": {"name": "ridge"}}
FUSIONS: dict[str, dict[str, object]] = {
    "late": {"fusion": {"method": "late"}},
    "early": {"fusion": {"method": "early"}, "model": {"name": "ridge"}},
    "hybrid": {
        "fusion": {"method": "hybrid", "size": 16},
        "training": {"epochs": 3, "batch_size": 16},
    },
}


def test_a_face_tells_what_the_voice_does_not(studio: Path) -> None:
    voice = uar(prepared(studio, face=None))
    assert voice < 0.7
    assert uar(prepared(studio)) > voice + 0.2


@pytest.mark.parametrize("fusion", METHODS, ids=lambda fusion: fusion.get("rule", fusion["method"]))
def test_the_graph_predicts_as_the_classifier_does(
    studio: Path, fusion: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every set of modalities, also none, in one run."""
    monkeypatch.setattr(speech, "SOUNDS", 3)
    more: dict[str, object] = {"text": {}, "balance": {"method": "class_weights"}}
    if fusion["method"] == "hybrid":
        more["training"] = {"epochs": 3, "batch_size": 16}
    else:
        more |= RIDGE
    data = prepared(studio, fusion=fusion, **more)
    fitted = fit(data)
    blocks = np.split(data.X[7], np.cumsum([*data.widths.values()])[:-1])
    subsets = [part for size in range(4) for part in combinations(range(3), size)]
    rows = np.array(
        [
            np.concatenate(
                [block if n in part else block * np.nan for n, block in enumerate(blocks)]
            )
            for part in subsets
        ]
    )
    others = np.column_stack([[0 in part for part in subsets], rows[:, len(blocks[0]) :]])
    session = onnxruntime.InferenceSession(graph_of(fitted, data))
    found, _ = session.run(
        ["probability", "speech"], {"input": blocks[0][None], "others": np.float32(others)}
    )
    assert found == pytest.approx(fitted.classifier.predict_proba(rows), abs=1e-4)


@pytest.fixture(scope="module")
def model(studio: Path) -> Path:
    """A bundle of voice, face and text, made by the command."""
    recipe = studio / "mine.toml"
    recipe.write_text(
        """
name = "mine"
[data]
corpora = ["mine.csv"]
folder = "."
[features]
sets = ["log_mel"]
functionals = ["mean", "std"]
[model]
name = "logistic"
[face]
table = "faces"
[text]
C = 1.0
[protocol]
calibration_folds = 2
"""
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speech, "SOUNDS", 10)
        command("train", recipe, "--out", studio / "model", "--cache", studio / "cache")
    return studio / "model"


def command(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == status, result.output
    return str(result.output)


def test_any_modality_may_be_missing(studio: Path, model: Path) -> None:
    """Clip 3 is calm: a low voice, a smile, and a lake."""
    recognizer = serein.load(model)
    assert isinstance(recognizer, FusionRecognizer)
    given = {"face": studio / "faces" / "3.csv", "text": EMOTIONS["calm"][2]}
    voice = studio / "3.wav"
    answers = {
        names: recognizer.predict(voice if with_voice else None, **{n: given[n] for n in names})
        for with_voice in (True, False)
        for size in range(3)
        for names in combinations(given, size)
        if with_voice or names
    }
    whole = recognizer.predict(voice, **given)
    assert whole.emotion == "calm"
    assert list(whole.modalities) == ["voice", "face", "words"]
    assert whole.modalities["words"].text == given["text"]
    assert sum(map(abs, whole.contributions.values())) == pytest.approx(1)
    for prediction in answers.values():
        assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert prediction.confidence <= whole.confidence
    alone = recognizer.predict(voice)
    assert whole.modalities["voice"].probabilities == pytest.approx(alone.probabilities, abs=1e-4)


def test_predict_takes_face_and_text(studio: Path, model: Path) -> None:
    text = ("--text", EMOTIONS["anger"][2])
    faces = ("--face", studio / "faces" / "4.csv")
    line = command("predict", studio / "4.wav", "--model", model, *faces, *text, "--json")
    answer = json.loads(line)
    assert answer["emotion"] == "anger"
    assert set(answer["modalities"]) == set(answer["contributions"]) == {"voice", "face", "words"}
    assert "anger" in command("predict", "--model", model, *faces, *text)
    clips = sorted(studio.glob("*.wav"))
    lines = command("predict", *clips, "--model", model, "--face", studio / "faces").splitlines()
    assert sum(line.strip().startswith("face") for line in lines) == 40
    assert "one recording, and 48 came" in command(
        "predict", studio, "--model", model, *faces, status=2
    )


def test_predict_refuses_a_folder_of_tables_of_other_names(
    studio: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.csv").symlink_to(studio / "faces" / "4.csv")
    told = command("predict", studio / "4.wav", "--model", model, "--face", tmp_path, status=2)
    assert "has no table 4.csv for 4.wav" in " ".join(told.replace("│", " ").split())


def test_a_silent_recording_leaves_face_and_text(studio: Path, model: Path) -> None:
    recognizer, silence = serein.load(model), np.zeros(RATE_HZ, np.float32)
    face = studio / "faces" / "3.csv"
    found = recognizer.predict(silence, rate=RATE_HZ, face=face)
    assert not found.speech
    assert found.probabilities == pytest.approx(recognizer.predict(face=face).probabilities)
    assert recognizer.predict(silence, rate=RATE_HZ).emotion is None


def test_windows_without_sound_share_a_run(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 s of a face, which smiles from the middle on, and a voice for 4 of them."""
    units = np.concatenate([make_face(smile, 1) for smile in (0.2, 3.0) for _ in range(20)])
    write_openface(tmp_path / "long.csv", units)
    sound = np.zeros(40 * RATE_HZ, np.float32)
    sound[8 * RATE_HZ : 12 * RATE_HZ] = np.tile(make_voice(120, 3), 4)
    recognizer, runs = serein.load(model), []
    network = recognizer._model.network
    run = network.predict_fused
    monkeypatch.setattr(network, "predict_fused", lambda *given: runs.append(1) or run(*given))
    given = {"rate": RATE_HZ, "face": tmp_path / "long.csv", "hop_s": 2.0}
    found = recognizer.predict(sound, **given)
    assert len(runs) == 6  # silence, for the whole and the timeline; one and three with the voice
    assert len({segment.emotion for segment in found.timeline}) > 1
    monkeypatch.setattr(fusion, "BATCH", 1)
    again = recognizer.predict(sound, **given)
    assert len(runs) > 20
    for one, other in zip(found.timeline, again.timeline, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities)
    assert again.probabilities == pytest.approx(found.probabilities)


def test_what_the_fusion_does_not_take_is_joined_by_the_product_rule(
    studio: Path, model: Path, tmp_path: Path
) -> None:
    """The face of a video, with text or without; text, for a model of voice and face."""
    pytest.importorskip("av")
    cv2 = pytest.importorskip("cv2")
    from made_videos import clip, scene

    recognizer, text = MultimodalRecognizer(serein.load(model)), EMOTIONS["calm"][2]
    seen = scene((60, 40, 160))
    voice = np.repeat(make_voice(120, 3), 3)
    clip([seen] * 10, voice, fps=10, target=str(tmp_path / "video.mp4"))
    cv2.imwrite(str(tmp_path / "picture.png"), seen)
    for name in ("video.mp4", "picture.png"):
        found = recognizer.predict(tmp_path / name, text=text)
        assert list(found.modalities) == ["voice", "face", "words"]
        assert {"face", "words"} <= found.contributions.keys()
    recognizer.voice.widths.pop("text")
    found = recognizer.predict(studio / "3.wav", text=text)
    assert list(found.modalities) == ["voice", "words"]


def test_what_the_model_was_not_trained_on_is_refused(studio: Path, model: Path) -> None:
    face = ("--face", studio / "faces" / "3.csv")
    said = command("predict", studio / "3.wav", *face, status=1)
    assert "'multi' was trained on voices alone" in said
    with pytest.raises(SettingError, match="nothing to predict from"):
        serein.load(model).predict()
    recognizer = serein.load(model)
    recognizer.widths.pop("text")
    with pytest.raises(SettingError, match="trained on voice and face, not on text: leave text"):
        recognizer.predict(text="Yes.")
    recognizer = serein.load(model)
    recognizer.manifest["modalities"]["text"]["fingerprint"] = "another"
    with pytest.raises(BundleError, match="set its sentence_encoder"):
        recognizer.predict(text="Yes.")
    bundle = read_bundle(model)
    bundle.manifest["modalities"]["face"]["features"] = 3
    with pytest.raises(BundleError, match="need voice, face and text"):
        FusionRecognizer(bundle)


@pytest.mark.parametrize("shape", [["r"], ["r", "columns"], ["r", 0], [1, 2, 3], ["r", 10**9]])
def test_a_graph_of_another_shape_is_an_error(model: Path, shape: list[object]) -> None:
    """Of the input of other modalities, which a stranger may have made."""
    bundle = read_bundle(model)
    graph = onnx.load_from_string(bundle.files[MODEL])
    (others,) = (given for given in graph.graph.input if given.name == "others")
    kind = others.type.tensor_type.elem_type
    others.CopyFrom(onnx.helper.make_tensor_value_info("others", kind, shape))
    changed = replace(bundle, files={**bundle.files, MODEL: graph.SerializeToString()})
    for recognizer in (Recognizer, FusionRecognizer):
        with pytest.raises(BundleError, match=r"takes others of|cannot be run"):
            recognizer(changed)


def test_the_manifest_s_widths_are_those_of_the_graph(model: Path) -> None:
    bundle = read_bundle(model)
    bundle.manifest["modalities"]["text"]["features"] = 383
    with pytest.raises(BundleError, match=r"takes 420 columns beside the voice, and .* have 419"):
        FusionRecognizer(bundle)
    del bundle.manifest["modalities"]["text"]
    with pytest.raises(BundleError, match=r"takes 420 columns beside the voice, and .* have 36"):
        FusionRecognizer(bundle)
    recognizer = serein.load(model)
    recognizer.widths["text"] = 383
    with pytest.raises(BundleError, match="of 383 dimensions, which this one is not"):
        recognizer.predict(text="Yes.")


def test_augmented_voices_have_the_face_of_their_clip_or_none(studio: Path) -> None:
    changes = {"per_clip": 1, "chain": ["noise"]}
    late = prepared(studio, augmentation=changes).augmented
    early = prepared(
        studio, augmentation=changes, fusion={"method": "early"}, model={"name": "ridge"}
    )
    assert late is not None
    assert early.augmented is not None
    assert np.isnan(late.X[:, 80:]).all()
    assert np.array_equal(early.augmented.X[:, 80:], early.X[:, 80:], equal_nan=True)
    uar(early)


def test_clips_without_labels_are_learnt_from(studio: Path, tmp_path: Path) -> None:
    for name in ("faces.csv", *(f"{number}.wav" for number in range(48))):
        (tmp_path / name).symlink_to(studio / name)
    table = (studio / "mine.csv").read_text().splitlines()
    (tmp_path / "mine.csv").write_text("\n".join(table[:37]) + "\n")
    rows = [line.split(",") for line in table[37:]]
    few = ["file,speaker", *(f"{row[0]},t{row[2]}" for row in rows)]
    (tmp_path / "more.csv").write_text("\n".join(few) + "\n")
    data = {"corpora": ["mine.csv"], "folder": ".", "unlabelled": ["more.csv"]}
    fusion = {"semi_supervised": "self_training", "threshold": 0.4, "rounds": 2}
    known = prepared(tmp_path, data=data, fusion=fusion)
    assert known.unlabelled is not None
    assert known.unlabelled.X.shape == (12, 80 + 35)
    last = known.corpora[-1]
    assert (last["corpus"], last["clips"], last["labels"]) == ("more", 12, False)
    assert last["speakers"] == ["more-ts3"]
    assert "| more (without its labels) | 12 | 1 |" in card._data_table(known.corpora)
    fitted = make_classifier(known).fit(known.X, known.emotions, groups=known.speakers)
    found = fitted.estimator_.found_
    assert len(found) == 48
    assert (found[:36] == 0).all()
    assert (found[36:] > 0).any()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "3.wav").symlink_to(studio / "40.wav")
    (tmp_path / "more.csv").write_text("file,speaker\nother/3.wav,t1\n")
    for faces in (tmp_path / "faces.csv", studio / "faces"):
        with pytest.raises(CorpusError, match=r"mine has several clips called 3"):
            prepared(tmp_path, data=data, fusion=fusion, face={"table": str(faces)})
    (tmp_path / "other" / "copy.wav").write_bytes((studio / "3.wav").read_bytes())
    soundfile.write(tmp_path / "other" / "copy.flac", *soundfile.read(studio / "3.wav"))
    for again in ("3.wav", "other/copy.wav", "other/copy.flac"):
        (tmp_path / "more.csv").write_text(f"file,speaker\n{again},t1\n")
        with pytest.raises(CorpusError, match=rf"same recording: .*/3.wav and .*{again}\. Keep"):
            prepared(tmp_path, data=data, fusion=fusion)
    allowed = {"calibration_folds": 2, "speaker_overlap": "allow"}
    assert prepared(tmp_path, data=data, fusion=fusion, protocol=allowed).unlabelled is not None
    (tmp_path / "more.csv").write_text("file,speaker,corpus\n40.wav,s1,mine\n")
    with pytest.raises(CorpusError, match=r"mine-s1 speaks in data\.unlabelled and in data\."):
        prepared(tmp_path, data=data, fusion=fusion)


def test_a_share_of_the_labels_is_kept(studio: Path) -> None:
    half = prepared(studio, fusion={"labelled": 0.5, "semi_supervised": "co_training"})
    kept = half.per_sample()["labelled"]
    assert kept.sum() == 24
    for emotion in EMOTIONS:
        assert kept[np.array(half.emotions) == emotion].sum() == 6
    uar(half)


def test_importance_is_measured_by_modality(studio: Path) -> None:
    found = evaluate(prepared(studio, text={}), importance=True).importance
    assert {"face", "text"} <= {row["feature"] for row in found}


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"fusion": {"method": "lat"}}, "fusion: unknown method 'lat'; known: late"),
        ({"fusion": {"rule": "produkt"}}, "unknown rule 'produkt'; known: product"),
        ({"fusion": {"rules": "product"}}, "fusion: unknown key 'rules'; known: rule"),
        ({"fusion": {"weights": {"face": 1.0}}}, "fusion: unknown key 'weights'"),
        (
            {"protocol": {"calibration_folds": 0}},
            "late fits its rule in protocol.calibration_folds",
        ),
        ({"face": {"table": "x", "model": "cnn"}}, r"\[face\] and \[text\] are vectors, and cnn"),
        ({"text": {"model": "gmm_hmm"}}, "are vectors, and gmm_hmm takes series"),
        (
            {"face": {"table": "x", "model": "knn"}, "balance": {"method": "class_weights"}},
            "gives weights, and knn takes none",
        ),
        (
            RIDGE | {"fusion": {"method": "early"}, "text": {"C": 1.0}},
            "only fusion.method late has",
        ),
        (
            RIDGE | {"fusion": {"method": "hybrid"}},
            r"hybrid is a network of its own: leave \[model",
        ),
        (
            {"fusion": {"method": "hybrid"}, "search": {"space": {"model.C": [1.0]}}},
            "search.space must name training.KEY alone",
        ),
        (
            {"fusion": {"method": "hybrid"}, "search": {"nested": True}},
            "hybrid has nothing to search by default",
        ),
        ({"fusion": {"method": "early"}}, 'early needs model.name = "ridge"'),
        ({"fusion": {}, "face": None}, r"fusion needs \[face\] or \[text\]"),
        ({"face": {"table": "x", "model": "svn"}}, "face: unknown model 'svn'; known: svm"),
        ({"face": {"table": "x", "c": 1}}, "face: unknown key 'c'; known: C"),
        ({"face": {"model": "svm"}}, "face: table is missing"),
        ({"face": 3}, r"face is 3; allowed: a table \[face\]"),
        ({"features": {"sets": ["log_mel"]}}, "fusion works on vectors of the voice"),
        ({"balance": {"method": "smote"}}, 'with fusion, balance.method is "none"'),
        ({"fusion": {"semi_supervised": "self_training"}}, "needs data.unlabelled, or"),
        ({"fusion": {"labelled": 0}}, "fusion.labelled must be above 0"),
        (
            {"data": {"corpora": ["a.csv"], "unlabelled": ["b.csv"]}},
            "data.unlabelled goes with fusion.semi_supervised",
        ),
        ({"face": {"table": "none.csv"}}, "none.csv: cannot be read"),
        ({"face": {"table": "mine.csv"}}, "mine.csv has no column AU01_r"),
        ({"face": {"table": "."}}, r"no clip of mine has a face: see \[face\]"),
    ],
)
def test_wrong_recipes_are_refused(studio: Path, sections: dict[str, object], says: str) -> None:
    with pytest.raises((RecipeError, CorpusError), match=says):
        prepared(studio, **sections)


def test_the_card_says_what_is_fused(model: Path) -> None:
    card = (model / "CARD.md").read_text()
    assert "fused with 35 OpenFace action units and sentence vectors of what is said" in card
    assert "Speech, face and text in, one of 4 emotions out" in card
    assert "judges how something is said, how a face moves and what is said, and knows" in card
    assert "the model logistic" in card
    found = read_bundle(model).manifest["temperature"]
    assert list(found) == ["voice", "face", "text"]
    assert f"temperatures {found['voice']:.3f} (voice) and {found['face']:.3f} (face)" in card


def test_stress_is_for_the_voice_alone(model: Path) -> None:
    arguments = ["evaluate", str(model.parent / "mine.toml"), "--stress"]
    with pytest.raises(RecipeError, match="--stress changes the voice"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_the_document_s_sections_are_a_recipe(studio: Path) -> None:
    document = (Path(__file__).parents[2] / "docs/FUSION.md").read_text("utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", document, re.S)
    sections = tomllib.loads(block)
    assert prepared(studio, **sections).widths == {"voice": 80, "face": 35, "text": 384}


@pytest.mark.parametrize("method", FUSIONS)
def test_fused_predictions_do_not_adapt(studio: Path, method: str) -> None:
    """Also where a calibrated classifier inside the fusion knows how speakers differ."""
    data = prepared(studio, **FUSIONS[method])
    with pytest.raises(RecipeError, match="mine: fused predictions do not adapt to a speaker"):
        evaluate(data, adaptation=True)
    evaluation = evaluate(data, adaptation=None)
    assert not evaluation.adapted
    temperatures = {row["what"]: row["value"] for row in chosen(evaluation)}
    each = {"temperature of voice", "temperature of face"}
    assert temperatures.keys() == (each if method == "late" else {"temperature"})
    assert all(value != 1 for value in temperatures.values())
    with pytest.raises(RecipeError, match="do not adapt"):
        speaker_prior(evaluation.fitted.members[0][0])


def test_a_searched_fusion_does_not_adapt(studio: Path) -> None:
    space = {"model.alpha": [1.0]}
    search = {"nested": True, "method": "grid", "folds": 2, "space": space}
    data = prepared(studio, search=search, **FUSIONS["early"])
    assert not evaluate(data, adaptation=None).adapted


@pytest.mark.parametrize("method", [name for name in FUSIONS if name != "late"])
def test_the_command_makes_a_bundle_of_each_fusion(
    studio: Path, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "SOUNDS", 3)
    recipe = studio / f"{method}.toml"
    recipe.write_text(tomli_w.dumps(recipe_table(**FUSIONS[method])))
    command("train", recipe, "--out", tmp_path / "model", "--cache", studio / "cache")
    manifest = read_bundle(tmp_path / "model").manifest
    assert "adaptation" not in manifest
    assert manifest["temperature"] != 1
    card = (tmp_path / "model" / "CARD.md").read_text()
    assert "Speech and face in, one of 4 emotions out" in card
    assert "how a face moves, not what is said, and knows" in card
    assert ("the model " in card) == (method != "hybrid")
    found = serein.load(tmp_path / "model").predict(
        studio / "3.wav", face=studio / "faces" / "3.csv"
    )
    assert list(found.modalities) == ["voice", "face"]


def test_a_search_writes_a_recipe_that_can_be_read(studio: Path, tmp_path: Path) -> None:
    space = {"search": {"method": "grid", "folds": 2, "space": {"model.C": [0.01, 0.02]}}}
    data = prepared(studio, fusion={"rule": "weighted"}, **space)
    best = write_search(tune(data), data.recipe, tmp_path)
    again = read_recipe(best)
    assert again.fusion == data.recipe.fusion
    assert again.face == data.recipe.face


def test_a_search_of_another_fusion_is_not_resumed(studio: Path, tmp_path: Path) -> None:
    search = {"method": "random", "trials": 1, "folds": 2, "space": {"model.C": [0.01, 0.02]}}
    storage = tmp_path / "search.db"
    tune(prepared(studio, search=search), storage=storage)
    for other in ({"fusion": {"rule": "weighted"}}, {"face": {"table": "faces.csv", "C": 1.0}}):
        with pytest.raises(RecipeError, match="search"):
            tune(prepared(studio, search=search, **other), storage=storage)


def test_a_key_of_training_leaves_the_other_defaults_of_a_hybrid(
    studio: Path, tmp_path: Path
) -> None:
    hybrid = {"fusion": {"method": "hybrid"}, "model": None}
    usual = make_recipe(recipe_table(**hybrid), "recipe", studio)
    assert usual.training == HybridFusion()._plan()
    given = {"training": {"epochs": 30, "learning_rate": 0.01}}
    recipe = make_recipe(recipe_table(**hybrid, **given), "recipe", studio)
    assert recipe.training.epochs == 30
    assert recipe.training.batch_size == 64
    assert recipe.training.label_smoothing == 0.1
    found = SearchResult({"training.learning_rate": 0.02}, 0.5, [], 0, 0, "grid", "")
    again = read_recipe(write_search(found, recipe, tmp_path))
    assert again.training == replace(recipe.training, learning_rate=0.02)


def test_ravdess_voice_and_face(corpora_dir: Path, weights_dir: Path, tmp_path: Path) -> None:
    """A draw of four actors: the recipe as it stands but for the augmented data."""
    faces = corpora_dir.parent / "modalities" / "ravdess_face" / "ravdess_au_mean.csv"
    if not faces.is_file():
        pytest.skip("the RAVDESS action units are not beside the corpora")
    clips = [
        clip
        for clip in Corpus.load("ravdess", corpora_dir)
        if clip.speaker in {f"ravdess-0{actor}" for actor in range(1, 5)}
    ]
    clips.sort(key=lambda clip: (clip.speaker, clip.path))
    rows = [[clip.path, clip.emotion, clip.speaker] for clip in clips[::2]]
    with (tmp_path / "some.csv").open("w", newline="") as out:
        csv.writer(out).writerows([["file", "emotion", "speaker"], *rows])
    recipe = read_recipe(Path(__file__).parents[2] / "recipes/ravdess-voice-face.toml")
    recipe = replace(
        recipe,
        data=replace(recipe.data, corpora=("some.csv",)),
        augmentation=Augmentation(),
        protocol=replace(recipe.protocol, split="leave_one_speaker_out", calibration_folds=2),
    )
    whole = uar(prepare(recipe, data=tmp_path, weights=weights_dir))
    voice = replace(recipe, face=None, fusion=None)
    assert whole > uar(prepare(voice, data=tmp_path, weights=weights_dir))
