"""Recipes: those that come with serein parse, and a wrong word is answered with the right ones."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from serein.cli.options import check_choice
from serein.corpora import CORPORA
from serein.errors import RecipeError, SereinError
from serein.experiment.recipe import NAMES, Balance, Encoder, Protocol, Recipe
from serein.experiment.recipe_file import read_recipe, short_recipe
from serein.experiment.splits import SPLITS
from serein.models.catalogue import MODELS
from serein.training.plan import Training

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(FOLDER.glob("*.toml"))
SMALL = 'name = "small"\n[data]\ncorpora = ["emodb"]\n'
AUGMENTED = SMALL + "[augmentation]\nper_clip = 1\nchain = ['noise']\n"
WEIGHT = '[balance]\nmethod = "corpora"\nweight = '
FRAMES = "[encoder]\nframes = true\n"


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str | bytes], Recipe]:
    """Read a recipe from its text, from ``near/recipe.toml``."""

    def written(content: str | bytes) -> Recipe:
        file = tmp_path / "near" / "recipe.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_recipe(file)

    return written


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_the_recipes_that_come_with_serein(file: Path):
    recipe = read_recipe(file)
    assert recipe.name == file.stem
    assert set(recipe.data.corpora) <= set(CORPORA)
    assert (recipe.encoder is None) != (recipe.features is None)
    assert not recipe.bundle.licence.startswith("unstated")


def test_recipes_come_with_serein():
    assert {"emodb", "multi", "ravdess"} <= {file.stem for file in RECIPES}


@pytest.mark.parametrize("name", MODELS)
def test_the_short_form(name: str):
    recipe = short_recipe("emodb", name)
    assert (recipe.name, recipe.model.name) == (f"emodb-{name}", name)
    assert recipe.protocol.split == "leave_one_speaker_out"
    assert recipe.bundle.licence == "CC0-1.0 (from EmoDB, according to audeering/emodb)"
    assert recipe == replace(
        short_recipe("ravdess", name),
        name=recipe.name,
        data=recipe.data,
        protocol=recipe.protocol,
        bundle=recipe.bundle,
    )
    network = MODELS[name].kind == "network"
    epochs = {"textbook_cnn": 10}.get(name, 20) if network else Training().epochs
    assert recipe.training.epochs == epochs
    assert recipe.training.spec_augment == (network and name not in {"mlp", "textbook_cnn"})
    assert recipe.features.step == (1 if name == "gmm_hmm" else 4)


def test_the_short_form_of_other_corpora():
    assert short_recipe("ravdess", "svm").protocol.split == "ravdess_actor_folds"
    assert short_recipe("ravdess", "svm").bundle.licence == "CC BY-NC-SA 4.0 (from RAVDESS)"
    assert short_recipe("savee", "svm").bundle.licence == (
        "research use only, on registration (from SAVEE)"
    )
    table = short_recipe("a/calls.csv", "svm")
    assert (table.name, table.data.corpora) == ("calls-svm", ("a/calls.csv",))
    assert table.bundle.licence.startswith("unstated")


def test_the_short_form_with_other_features_and_another_split(tmp_path: Path):
    svm = short_recipe("emodb", "svm", features="mfcc, f0", split="speaker_k_fold")
    assert svm.features.sets == ("mfcc", "f0")
    assert "mean" in svm.features.functionals
    assert svm.protocol.split == "speaker_k_fold"
    assert short_recipe("emodb", "cnn", features="mfcc").features.functionals == ()
    assert short_recipe("emodb", "svm", features="/mine.csv").features.table == "/mine.csv"
    whisper = short_recipe("emodb", "whisper")
    assert (whisper.encoder.name, whisper.model.name) == ("openai/whisper-base", "logistic")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("whisper", {"features": "mfcc"}, "computes its own features"),
        ("svm", {"features": "mfc"}, "'mfc'; known: mfcc"),
        ("svm", {"split": "speaker_fold"}, "unknown split 'speaker_fold'; known: speaker_k_fold"),
        ("svm", {"split": "named_folds"}, "protocol.named goes with split = .named_folds."),
        ("svn", {"features": "mfcc"}, "unknown model 'svn'"),
    ],
)
def test_what_the_short_form_refuses(model: str, options: dict[str, str], message: str):
    with pytest.raises(RecipeError, match=message):
        short_recipe("emodb", model, **options)


def test_a_recipe_file_that_is_now_made_from_two_options():
    with pytest.raises(RecipeError, match="say --corpus emodb --model cnn"):
        read_recipe("recipes/emodb/cnn.toml")
    with pytest.raises(RecipeError, match=r"say recipes/ravdess-probe\.toml"):
        read_recipe("recipes/ravdess/probe.toml")


def test_what_is_not_said_has_its_default(read):
    plain = Recipe("small", read(SMALL).data, Encoder(), protocol=Protocol(calibration_folds=5))
    assert read(SMALL) == plain
    assert read(SMALL).data.corpora == ("emodb",)
    assert read(SMALL).data.folder is None
    assert read(SMALL).encoder.weights is None


def test_everything_can_be_said(read, tmp_path: Path):
    recipe = read(
        """
        name = "all"
        [data]
        corpora = ["emodb", "calls.csv"]
        folder = "clips"
        merge = { calm = "neutral", boredom = "neutral" }
        leave_out = ["disgust"]
        [encoder]
        name = "microsoft/wavlm-large"
        weights = "/weights"
        layers = [6, 9]
        level = "as_recorded"
        trim = false
        [model]
        name = "logistic"
        C = 1
        [balance]
        method = "corpora"
        weight = { "calls.csv" = 0.35, emodb = 2 }
        [augmentation]
        per_clip = 2
        chain = ["speed", "noise"]
        ranges = { speed = { rate = [0.88, 1.12] } }
        [training]
        epochs = 3
        [search]
        method = "random"
        trials = 7
        space = { "model.C" = { low = 0.1, high = 1.0 } }
        [protocol]
        split = "speaker_k_fold"
        folds = 4
        calibration_folds = 3
        seed = 7
        [bundle]
        licence = "CC0-1.0"
        window_s = 5
        hop_s = 2.5
        """
    )
    assert recipe.data.corpora == ("emodb", "calls.csv")
    assert recipe.data.merge == {"calm": "neutral", "boredom": "neutral"}
    assert recipe.data.leave_out == ("disgust",)
    assert recipe.encoder.layers == (6, 9)
    assert recipe.encoder.name == "microsoft/wavlm-large"
    assert (recipe.encoder.level, recipe.encoder.trim) == ("as_recorded", False)
    assert (recipe.model.settings["C"], type(recipe.model.settings["C"])) == (1.0, float)
    assert recipe.balance == Balance("corpora", {"calls.csv": 0.35, "emodb": 2.0})
    assert recipe.augmentation.ranges == {"speed": {"rate": (0.88, 1.12)}}
    assert (recipe.training.epochs, recipe.training.batch_size) == (3, Training().batch_size)
    assert recipe.search.space == {"model.C": {"low": 0.1, "high": 1.0}}
    assert (recipe.protocol.split, recipe.protocol.folds) == ("speaker_k_fold", 4)
    assert (recipe.protocol.calibration_folds, recipe.protocol.seed) == (3, 7)
    assert (recipe.bundle.licence, recipe.bundle.window_s) == ("CC0-1.0", 5.0)
    assert recipe.bundle.hop_s == 2.5
    with pytest.raises(FrozenInstanceError):
        recipe.name = "other"


def test_folders_are_beside_the_recipe(read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir("/")
    text = SMALL + 'folder = "../clips"\n[encoder]\nweights = "weights"\n'
    recipe = read(text)
    assert recipe.data.folder == str(tmp_path / "clips")
    assert recipe.encoder.weights == str(tmp_path / "near" / "weights")
    absolute = read(text.replace("../clips", "/clips"))
    assert absolute.data.folder == str(Path("/clips").resolve())


def test_a_relative_recipe_has_absolute_folders(
    read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    read(SMALL + 'folder = "clips"\n')
    monkeypatch.chdir(tmp_path / "near")
    assert read_recipe("recipe.toml").data.folder == str(tmp_path / "near" / "clips")


def test_a_folder_of_noise_is_beside_the_recipe(read, tmp_path: Path):
    recipe = read(AUGMENTED + "ranges = { noise = { folder = 'street' } }")
    folder = recipe.augmentation.ranges["noise"]["folder"]
    assert folder == str(tmp_path / "near" / "street")


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL + "[encoder]\nlayer = [2]", "encoder: unknown key 'layer'; known: layers, "),
        (SMALL + "[trainig]\nepochs = 1", "unknown key 'trainig'; known: training, "),
        (SMALL + "[model]\nc = 1", "model: unknown key 'c'; known: C"),
        (SMALL + "[model]\nname = 'svn'", "unknown model 'svn'; known: svm, "),
        (SMALL + "[model]\nname = 'cnn'\nchanels = [8]", "unknown key 'chanels'; known: channels"),
        (SMALL + "[training]\nepoch = 3", "training: unknown key 'epoch'; known: epochs, "),
        (
            SMALL + "[model]\nname = 'stacking'\nmembers = ['svm', 'cn']",
            "unknown member 'cn'; known: cnn, ",
        ),
        (
            SMALL + "[model]\nname = 'voting'\nmembers = ['svm']\n[model.svm]\nCC = 1",
            "model: svm: unknown key 'CC'; known: C, ",
        ),
        (
            SMALL + "[search.space]\n'model.c' = { low = 1.0, high = 2.0 }",
            "unknown setting 'model.c'; known: model.C, ",
        ),
        (SMALL + "[protocol]\nfold = 3", "protocol: unknown key 'fold'; known: folds, "),
        (SMALL + "[bundle]\nwindow = 3", "bundle: unknown key 'window'; known: window_s, "),
        (SMALL + 'leaveout = ["joy"]', "data: unknown key 'leaveout'; known: leave_out, "),
    ],
)
def test_an_unknown_key_names_the_near_ones(read, text: str, message: str):
    with pytest.raises(RecipeError, match=rf"recipe\.toml: .*{re.escape(message)}"):
        read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[encoder]\nhalve_after = 2", "encoder: halve_after is now called pool_after"),
        ("[features]\nnormalise = true", "normalise is now called utterance_normalisation"),
        ("[augmentation]\ncopies = 2", "augmentation: copies is now called per_clip"),
    ],
)
def test_the_error_for_an_old_key_names_the_new_one(read, text: str, message: str):
    with pytest.raises(RecipeError, match=message):
        read(SMALL + text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[data]\ncorpora = ['emodb']", r"recipe\.toml: name is missing"),
        ("name = 'small'", r"recipe\.toml: data is missing"),
        ("name = 'small'\n[data]", "data: corpora is missing"),
        (f"{SMALL}[emotions.fed-up]\nvalence = -0.5", "valence and arousal are a place together"),
        (f"{SMALL}[emotions.fed-up]\nvalence = -2\narousal = 0", "valence is -2.0; allowed: -1 to"),
        (f"{SMALL}[emotions.fed-up]\nzh = '不确定'", "zh is '不确定', which serein itself says"),
        (f"{SMALL}[emotions.angry]\nzh = '气'", "emotions: anger has its place and names already"),
        (f"{SMALL}[emotions.fed-up]\nchinese = '烦'", "unknown key 'chinese'"),
        ("name = 3\n[data]\ncorpora = ['emodb']", "name is 3; allowed: str"),
        ("name = 'small'\ndata = 'emodb'", r"data is 'emodb'; allowed: a table \[data\]"),
        ("name = 'small'\n[data]\ncorpora = 'emodb'", "data: corpora is 'emodb'; allowed: "),
        ("name = 'small'\n[data]\ncorpora = [1]", "data: corpora is 1; allowed: str"),
        (SMALL + "folder = 3", "data: folder is 3; allowed: str"),
        (SMALL + "merge = ['calm']", r"data: merge is \['calm'\]; allowed: a table, as in"),
        (SMALL + "merge = { calm = 1 }", "data: merge is 1; allowed: str"),
        (SMALL + "[encoder]\nlayers = 3", "encoder: layers is 3; allowed: "),
        (SMALL + "[encoder]\nlayers = [1.5]", "encoder: layers is 1.5; allowed: int"),
        (SMALL + "[encoder]\ntrim = 1", "encoder: trim is 1; allowed: bool"),
        (SMALL + "[model]\nC = true", "model: C is True; allowed: float"),
        (SMALL + "[model]\nC = '1'", "model: C is '1'; allowed: float"),
        (SMALL + "[protocol]\nfolds = 2.0", "protocol: folds is 2.0; allowed: int"),
        (SMALL + "[protocol]\nseed = true", "protocol: seed is True; allowed: int"),
        (SMALL + "[[encoder]]\ntrim = true", r"encoder is \[.*\]; allowed: a table \[encoder\]"),
    ],
)
def test_a_missing_key_or_a_wrong_type(read, text: str, message: str):
    with pytest.raises(RecipeError, match=message):
        read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name = 's'\n[data]\ncorpora = ['emo-db']",
            "unknown corpus 'emo-db'; known: emodb, .*csv",
        ),
        ("name = 's'\n[data]\ncorpora = []", "data.corpora must name at least one corpus"),
        (
            SMALL + "merge = { calm = 'unsure' }",
            "data: a label is 'unsure', which serein itself says",
        ),
        (SMALL + "leave_out = ['a/b']", "data: a label is 'a/b'; allowed: at most 100 letters"),
        (
            SMALL + "[protocol]\nsplit = 'train_and_test'\ntest = ['emodbb']",
            "unknown corpus in protocol.test 'emodbb'; known: emodb",
        ),
        (
            SMALL + "folders = { ravdes = '.' }",
            "unknown corpus in data.folders 'ravdes'; known: emodb",
        ),
        (SMALL + "[encoder]\nlevel = 'speech'", "unknown level 'speech'; known: speech_rms, "),
        (SMALL + "[protocol]\nsplit = 'random'", "unknown split 'random'; known: "),
        (SMALL + "[model]\nC = 0", "C is 0.0; must be above 0"),
        (SMALL + "[model]\nC = nan", "C is nan; must be above 0"),
        (SMALL + "[protocol]\nfolds = 1", "protocol.folds must be at least 2"),
        (SMALL + "[protocol]\ncalibration_folds = 1", "calibration_folds must be 0 or at least 2"),
        (SMALL + "[protocol]\nseed = -1", "protocol.seed must be 0 to 4294967295"),
        (SMALL + "[protocol]\nseed = 4294967296", "protocol.seed must be 0 to 4294967295"),
        (AUGMENTED.replace("noise", "overlay"), "overlay needs recordings: ranges = "),
        (AUGMENTED + "ranges = { noise = { folder = 3 } }", "folder is 3; it needs a path"),
        (AUGMENTED + "ranges = { noise = { folder = '.', kind = 'pink' } }", "option 'kind'"),
        (AUGMENTED + "ranges = { noise = { folder = '.', snr_db = 300 } }", "snr_db is 300"),
        (SMALL + "[bundle]\nwindow_s = 0.5", "bundle.window_s must be 1 to 30"),
        (SMALL + "[bundle]\nwindow_s = 31", "bundle.window_s must be 1 to 30"),
        (SMALL + "[bundle]\nhop_s = 0", "bundle.hop_s must be above 0 and at most window_s"),
        (SMALL + "[bundle]\nwindow_s = 3\nhop_s = 4", "bundle.hop_s must be above 0 and at most"),
    ],
)
def test_a_value_that_is_not_allowed(read, text: str, message: str):
    with pytest.raises(RecipeError, match=rf"recipe\.toml: .*{message}"):
        read(text)


@pytest.mark.parametrize(
    "content",
    [
        "name = ",
        SMALL + SMALL,
        SMALL.replace("small", "größe").encode("latin-1"),
        SMALL.encode("utf-16"),
        b"RIFF\x00\x00\x00\x00WAVE",
    ],
    ids=["unfinished", "twice", "latin-1", "utf-16", "a recording"],
)
def test_what_is_not_toml_in_utf_8(read, content: str | bytes):
    with pytest.raises(RecipeError, match=r"recipe\.toml: cannot be read as a TOML recipe: "):
        read(content)


def test_a_byte_order_mark_is_passed_over(read):
    assert read(b"\xef\xbb\xbf" + SMALL.encode()).name == "small"


def test_a_recipe_that_is_not_there(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"gone\.toml: cannot be read as a TOML recipe"):
        read_recipe(tmp_path / "gone.toml")
    with pytest.raises(RecipeError, match="cannot be read as a TOML recipe"):
        read_recipe(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[encoder]\n[features]\n", r"both \[encoder\] and \[features\]"),
        ("[features]\nsets = ['mfc']\n", "features: unknown feature set 'mfc'; known: mfcc, "),
        ("[features]\nsets = ['expert']\n[model]\nname = 'cnn'\n", "expert describes whole"),
        ("[augmentation]\nweight = 0.3\n", "augmentation.weight needs balance.method"),
        ("[augmentation]\nweight = 2.0\n", "augmentation.weight must be above 0 to 1"),
        ("[adaptation]\nmeans_only = true\n", "near_alpha and means_only need adaptation.relative"),
        (
            "[model]\nname = 'ridge'\n[adaptation]\nrelative = true\nnear_alpha = 1e-5\n",
            "adaptation.near_alpha needs several corpora",
        ),
        (FRAMES + "[model]\nname = 'gmm_hmm'\n", "gmm_hmm takes series: leave encoder"),
        (FRAMES + "[balance]\nmethod = 'smote'\n", "an encoder without frames, or use over"),
        (FRAMES + "[text]\n", r"vectors of the voice: give \[encoder\] without frames"),
        (
            FRAMES + "[model]\nname = 'ridge'\n[adaptation]\nrelative = true\n",
            r"one vector a recording: an \[encoder\] without frames",
        ),
        ("[encoder]\nframes = 2\n", "encoder: frames is 2; allowed: bool"),
        ("[features]\nframes = true\n", "features: unknown key 'frames'"),
        ("[balance]\nmethod = 'smoot'\n", "unknown balance method 'smoot'; known: smote, "),
        (WEIGHT + "{ nemo = 0.5 }\n", "unknown corpus in balance.weight 'nemo'; known: "),
        (WEIGHT + "{ emodb = 0 }\n", "balance.weight must be above 0, and finite"),
        (WEIGHT + "{ emodb = nan }\n", "balance.weight must be above 0, and finite"),
        (WEIGHT + "{ emodb = inf }\n", "balance.weight must be above 0, and finite"),
        (WEIGHT + "{ emodb = 'much' }\n", "balance: weight is 'much'; allowed: float"),
        (WEIGHT + "0.5\n", "balance: weight is 0.5; allowed: a table, as in"),
        ("[balance]\nweight = { emodb = 1 }\n", "balance.weight goes with balance.method = "),
        ("[model]\nname = 'knn'\n[balance]\nmethod = 'class_weights'\n", "knn takes none"),
        ("[model]\nname = 'cnn'\n[balance]\nmethod = 'smote'\n", "smote makes vectors, and these"),
        ("[search]\nmethod = 'bayes'\n", "unknown search method 'bayes'; known: bayesian, "),
        ("[search]\ntrials = 0\n", "search.trials must be at least 1"),
        ("[training]\nschedule = 'cosin'\n", "unknown schedule 'cosin'; known: cosine, "),
        ("[training]\nschedule = 'plateau'\n", "give patience, at least 1"),
        ("[training]\nlearning_rate = -1.0\n", "learning_rate is -1.0; allowed: 0 to 100"),
        ("[model]\nname = 'transformer'\nheads = 5\n", "need an even multiple of heads"),
        ("[model]\nname = 'svm'\nC = -1.0\n", "C is -1.0|'C' parameter"),
        ("[augmentation]\nper_clip = 1\n", "augmentation.per_clip needs augmentation.chain"),
        ("[augmentation]\nchain = ['echo']\n", "unknown augmentation 'echo'; known: "),
        (
            "[augmentation]\nper_clip = 1\nchain = ['speed']\n"
            "ranges = { speed = { factor = [1, 2] } }\n",
            "augmentation: speed: unknown option 'factor'; known: rate",
        ),
        (
            "[features]\ntable = 'x.csv'\n[augmentation]\nper_clip = 1\nchain = ['speed']\n",
            "augmentation works on recordings, and features.table holds vectors",
        ),
    ],
)
def test_what_cannot_be_learnt_is_refused_at_once(read, text: str, message: str):
    with pytest.raises(RecipeError, match=message):
        read(SMALL + text)


@pytest.mark.parametrize("name", ["../../outside", "/etc/x", "..", "a\\u0000b", "a\\u001b[2J", ""])
def test_a_name_is_no_path(read: Callable[[str | bytes], Recipe], name: str):
    with pytest.raises(RecipeError, match=r"recipe\.toml: name is .*; allowed: ") as caught:
        read(SMALL.replace("small", name))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a." * 20_000 + "a = 1", "a key has more than 10 dots"),
        ('"a" . ' * 20 + "a = 1", "a key has more than 10 dots"),
        ("[" + "a." * 20 + "a]", "a key has more than 10 dots"),
        ("a = " + "[" * 30_000, "more than 20 tables or lists nested"),
        ("a = " + "{b = " * 30, "more than 20 tables or lists nested"),
        ("# " + "x" * 200_000, "more than 100000 bytes"),
    ],
)
def test_what_would_take_much_memory_is_refused_before_it_is_parsed(
    read: Callable[[str | bytes], Recipe],
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    message: str,
):
    monkeypatch.setattr("serein.experiment.recipe_table.tomllib", None)
    with pytest.raises(RecipeError, match=message):
        read(content)


def test_dots_and_brackets_in_texts_and_comments_are_no_keys(
    read: Callable[[str | bytes], Recipe],
):
    many = "." * 30 + "[" * 30
    lines = f'# {many}\nlicence = "\\"{many}" # "\n'
    assert read(f"{SMALL}[bundle]\n{lines}").bundle.licence == f'"{many}'
    for quotes in ('"""', "'''"):
        found = read(f"{SMALL}[bundle]\nlicence = {quotes}\n{many}\n{quotes[0]}{quotes}\n")
        assert found.bundle.licence == f"{many}\n{quotes[0]}"


def test_what_a_recipe_may_name_is_all_that_there_is() -> None:
    assert set(NAMES["model"]) == {name for name in MODELS if ":" not in name}
    assert set(NAMES["split"]) == set(SPLITS)


@pytest.mark.parametrize(
    ("recipe", "match"),
    [
        (None, "No such file"),
        ("name = [", "cannot be read as a TOML recipe"),
        ("name = 's'", "data is missing"),
        (f"{SMALL}folder = 'nowhere'", "nowhere is not a folder"),
        (SMALL.replace("emodb", "emo-db"), "unknown corpus 'emo-db'"),
        (f"{SMALL}[model]\nname = 'svmm'", "unknown model 'svmm'"),
        (f"{SMALL}[protocol]\nsplit = 'k_fold'", "unknown split 'k_fold'"),
        (f"{SMALL}foldr = '.'", "unknown key 'foldr'"),
    ],
)
def test_usage_errors_come_before_torch(recipe: str | None, match: str, tmp_path: Path) -> None:
    place = tmp_path / "r.toml"
    if recipe is not None:
        place.write_text(recipe)
    with pytest.raises(SereinError, match=match):
        check_choice(place, {}, None)


def test_usage_errors_do_not_import_torch(tmp_path: Path) -> None:
    script = (
        "import sys; from serein.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, "train", "--corpus", "emodb", "--model", "svm"]
    done = subprocess.run(
        [*command, "--data", tmp_path / "none"], capture_output=True, text=True, check=False
    )
    assert "none is not a folder" in done.stderr
    assert done.stdout == "[]\n"
