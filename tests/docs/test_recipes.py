"""The recipes of the report's experiments and of papers, as the command line takes them."""

from pathlib import Path

import pytest
from commands import sattrans
from makers import make_folder

from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"

ALONE = {"batch_size": 1, "patience": None, "ema": 0.999, "monitor": "l1", "schedule": "linear"}
STOPPED = {"steps": "30 epochs", "batch_size": 1, "patience": 10, "ema": 0.999, "schedule": "constant"}
PLAIN = {"source": "color", "upsampling": "transposed", "augment": "off"}

RECORDED = {
    "cyclegan-inria": (
        "cyclegan",
        {"steps": "200 epochs", **ALONE, "monitor": "joint_kid"},
        {"source": "color", "upsampling": "transposed", "lr": 2e-4, "cycle_weight": 10, "identity": 0.5}
        | {"blocks": 9, "pool": 50},
    ),
    "pix2pix-inria": ("pix2pix", {"steps": 40_000, **ALONE}, {**PLAIN, "lr": 2e-4, "l1_weight": 100}),
    "pix2pix-landcover": ("pix2pix", {"steps": "10 epochs", **ALONE}, {**PLAIN, "lr": 2e-4, "l1_weight": 100}),
    "resse-landcover": ("resse", {**STOPPED, "monitor": "generator"}, {**PLAIN, "lr": 2e-4, "l1_weight": 100}),
    "wgan-landcover": (
        "wgan",
        {**STOPPED, "monitor": "l1"},
        {**PLAIN, "constraint": "clip", "clip": 0.01, "lr": 5e-5, "critic_steps": 5, "warmup": 25},
    ),
}


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes")
    return tile(make_folder(folder / "f", size=128), folder / "t", options=TileOptions(size=64)).tileset


def test_each_recipe_of_the_docs_is_held_here():
    assert {path.stem for path in RECIPES.iterdir()} == RECORDED.keys()


@pytest.mark.parametrize("recipe", RECORDED)
def test_a_recipe_trains_with_the_settings_it_is_for(recipe, tiles, tmp_path):
    model, settings, options = RECORDED[recipe]
    file = RECIPES / f"{recipe}.toml"
    # One step instead of hours, through a flag, which goes before the file; what it says of steps is read from it.
    told = ["train", "--data", tiles.folder, "--options", file, "--steps", "1", "--set", "width=4", "-o", "r"]
    done = sattrans(*told, cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    run = Run.open(tmp_path / "r")
    assert run.model_name == model
    assert run.manifest["settings"]["steps"] == 1
    for name, value in settings.items():
        if name == "steps":
            unit = "epochs" if isinstance(value, str) else "steps"
            assert f"{unit} = {str(value).split()[0]}" in file.read_text().replace("_", "")
        else:
            assert run.manifest["settings"][name] == value
    assert options.items() <= run.manifest["options"].items()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "[train]: unknown option 'epoch'; did you mean 'epochs'"),
        ("epochs = 3\nsteps = 4", "o.toml: [train]: epochs and steps exclude each other"),
        ('epochs = "many"', "o.toml: [train]: epochs must be an integer, got 'many'"),
        ("epochs = true", "o.toml: [train]: epochs must be an integer, got True"),
        ("ema = 1.0", "o.toml: [train]: ema must be at least 0 and below 1, got 1"),
        ("\n[other]\nlr = 1", "o.toml: unknown option 'other' of model"),
    ],
)
def test_a_wrong_recipe_is_refused_in_a_line(text, message, tiles, tmp_path):
    file = tmp_path / "o.toml"
    file.write_text(f"[train]\n{text}\n")
    done = sattrans("train", "-d", tiles.folder, "--options", file, cwd=tmp_path)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["o.toml"]


def test_runs_list_tells_runs_apart_by_their_options(tiles, tmp_path):
    model = ["-m", "pix2pix", "--monitor", "l1"]
    for name, told in (("a", ["--set", "width=4"]), ("b", ["--set", "width=8", "--seed", "3", "--precision", "bf16"])):
        sattrans("train", "-d", tiles.folder, *model, "--steps", "1", *told, "-o", f"runs/{name}", cwd=tmp_path)
    listed = sattrans("runs", "list", cwd=tmp_path).stdout
    listed = [line.rstrip() for line in listed.splitlines()]
    assert listed[0].split() == ["run", "model", "tileset", "epochs", "best", "age", "options"]
    assert listed[1].endswith("width=4") and "source=" not in listed[1]  # what "auto" stood for is no choice
    assert listed[2].endswith("width=8 precision=bf16 seed=3")
