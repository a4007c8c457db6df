"""Recipes: those that come with serein parse, and a wrong word is answered with the right ones."""

import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from serein.corpora import CORPORA
from serein.errors import RecipeError
from serein.experiment.recipe import Recipe, read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
SMALL = 'name = "small"\n[data]\ncorpora = ["emodb"]\n'


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
    assert recipe.encoder.layers == tuple(sorted(set(recipe.encoder.layers)))
    assert not recipe.bundle.licence.startswith("unstated")


def test_recipes_come_with_serein():
    assert {"emodb", "multi", "ravdess"} <= {file.stem for file in RECIPES}


def test_what_is_not_said_has_its_default(read):
    assert read(SMALL) == Recipe("small", data=read(SMALL).data)
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
        [classifier]
        C = 1
        balance = true
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
    assert (recipe.classifier.C, type(recipe.classifier.C)) == (1.0, float)
    assert recipe.classifier.balance is True
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


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL + "[encoder]\nlayer = [2]", "encoder: unknown key 'layer'; known: layers, "),
        (SMALL + "[classifer]\nC = 1", "unknown key 'classifer'; known: classifier, "),
        (SMALL + "[classifier]\nc = 1", "classifier: unknown key 'c'; known: C, balance"),
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
        ("[data]\ncorpora = ['emodb']", r"recipe\.toml: name is missing"),
        ("name = 'small'", r"recipe\.toml: data is missing"),
        ("name = 'small'\n[data]", "data: corpora is missing"),
        ("name = 3\n[data]\ncorpora = ['emodb']", "name is 3; allowed: str"),
        ("name = 'small'\ndata = 'emodb'", r"data is 'emodb'; allowed: a table \[data\]"),
        ("name = 'small'\n[data]\ncorpora = 'emodb'", "data: corpora is 'emodb'; allowed: "),
        ("name = 'small'\n[data]\ncorpora = [1]", "data: corpora is 1; allowed: str"),
        (SMALL + "folder = 3", "data: folder is 3; allowed: str"),
        (SMALL + "merge = ['calm']", r"data: merge is \['calm'\]; allowed: dict"),
        (SMALL + "merge = { calm = 1 }", "data: merge is 1; allowed: str"),
        (SMALL + "[encoder]\nlayers = 3", "encoder: layers is 3; allowed: "),
        (SMALL + "[encoder]\nlayers = [1.5]", "encoder: layers is 1.5; allowed: int"),
        (SMALL + "[encoder]\ntrim = 1", "encoder: trim is 1; allowed: bool"),
        (SMALL + "[classifier]\nC = true", "classifier: C is True; allowed: float"),
        (SMALL + "[classifier]\nC = '1'", "classifier: C is '1'; allowed: float"),
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
        (SMALL + "merge = { calmness = 'neutral' }", "unknown emotion 'calmness'; known: calm, "),
        (SMALL + "merge = { calm = 'neutrality' }", "unknown emotion 'neutrality'; known: neutral"),
        (SMALL + "leave_out = ['bored']", "unknown emotion 'bored'; known: boredom, "),
        (SMALL + "[encoder]\nlevel = 'speech'", "unknown level 'speech'; known: speech_rms, "),
        (SMALL + "[protocol]\nsplit = 'random'", "unknown split 'random'; known: "),
        (SMALL + "[classifier]\nC = 0", "classifier.C must be above 0"),
        (SMALL + "[classifier]\nC = nan", "classifier.C must be above 0"),
        (SMALL + "[protocol]\nfolds = 1", "protocol.folds must be at least 2"),
        (SMALL + "[protocol]\ncalibration_folds = 1", "calibration_folds must be at least 2"),
        (SMALL + "[protocol]\nseed = -1", "protocol.seed must be 0 to 4294967295"),
        (SMALL + "[protocol]\nseed = 4294967296", "protocol.seed must be 0 to 4294967295"),
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


def test_a_recipe_that_is_not_there(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"gone\.toml: cannot be read as a TOML recipe"):
        read_recipe(tmp_path / "gone.toml")
    with pytest.raises(RecipeError, match="cannot be read as a TOML recipe"):
        read_recipe(str(tmp_path))
