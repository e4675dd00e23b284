"""The demo: every command is printed and run, the outputs are complete, and a second run does nothing."""

import inspect
import json
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import typer
from PIL import Image

from sattrans.cli import demo as command
from sattrans.demo import DemoOptions, Step, demo
from sattrans.demo.api import DEFAULT_FOLDER, make_dataset, make_map
from sattrans.demo.landscape import PALETTE
from sattrans.errors import OutputExists
from sattrans.plugins import default_model, open_dataset
from sattrans.runs.run import Run

TINY = DemoOptions(scenes=1, map_height=96, map_width=160, size=128, steps=2, batch_size=1, width=2)
VERBS = ["tile", "train", "generate", "generate", "mosaic", "evaluate"]


def files(folder):
    """Every file with the time it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A tiny demo that is interrupted before its training: its folder, the steps, its files and their times."""
    folder = tmp_path_factory.mktemp("demo") / "a demo"  # a name that has to be quoted
    taken = []

    def stop_at_train(step):
        taken.append(step)
        if step.arguments[0] == "train":
            raise KeyboardInterrupt
        command.run_step(step)

    with pytest.raises(KeyboardInterrupt):
        demo(folder, TINY, run=stop_at_train)
    return folder, taken, files(folder)


@pytest.fixture(scope="module")
def made(interrupted):
    """A tiny demo that was interrupted and resumed, and the steps that were taken from there on."""
    folder, _, _ = interrupted
    taken = []

    def run(step):
        taken.append(step)
        command.run_step(step)

    return folder, demo(folder, TINY, run=run), taken


def test_it_runs_the_pipeline_in_order(made):
    _, _, taken = made
    assert [step.arguments[0] for step in taken] == VERBS
    assert all(step.output.exists() for step in taken)
    assert not any(step.done for step in taken)
    train = taken[1].arguments
    assert train[train.index("--model") + 1] == default_model()


def test_its_outputs_are_complete(made):
    folder, result, _ = made
    with rasterio.open(folder / "map.tif") as map_, rasterio.open(result.image) as image:
        assert (image.count, image.shape) == (3, (96, 160))
        assert map_.crs.to_epsg() == image.crs.to_epsg() == 2180
        assert image.transform == map_.transform
        assert map_.colormap(1)[3][:3] == PALETTE.colormap[3]
    with rasterio.open(folder / "mosaic.tif") as mosaic:
        assert mosaic.shape == (96, 160)
    with Image.open(result.picture) as picture:
        assert picture.width > 2 * 160
    assert json.loads((result.scores / "scores.json").read_text())["split"] == "test"
    assert Run.open(folder / "runs" / default_model()).finished
    assert (folder / "demo.json").is_file()


def test_it_writes_only_into_its_folder(made):
    folder, _, _ = made
    assert list(folder.parent.iterdir()) == [folder]


def test_a_second_time_nothing_is_done(made, capsys):
    folder, result, _ = made
    before = files(folder)
    assert demo(folder, TINY, run=command.run_step) == result
    assert files(folder) == before
    printed = capsys.readouterr().out
    assert printed.count("nothing to do") == len(VERBS)
    commands = [shlex.split(line)[1:] for line in printed.splitlines() if line.startswith("$ ")]
    assert [words[:2] for words in commands] == [["sattrans", verb] for verb in VERBS]
    assert all(str(folder) in " ".join(words) for words in commands)


def test_an_interrupted_demo_resumes(interrupted, made):
    folder, before, left = interrupted
    assert folder / "demo.json.begun" in left and folder / "demo.json" not in left
    now = files(folder)
    assert folder / "demo.json" in now and folder / "demo.json.begun" not in now
    kept = [path for path in left if path.relative_to(folder).parts[0] in ("landcover", "map.tif", "tiles")]
    assert len(kept) > 100
    assert all(now[path] == left[path] for path in kept)
    _, _, resumed = made
    assert resumed[: len(before)] == before  # the training, which had not begun, begins with the same options


def test_an_unfinished_training_is_resumed(made, tmp_path):
    shutil.copytree(made[0], tmp_path / "demo")
    run = tmp_path / "demo" / "runs" / default_model()
    (tmp_path / "demo" / "demo.json").rename(tmp_path / "demo" / "demo.json.begun")
    body = json.loads((run / "run.json").read_text())
    (run / "run.json").unlink()  # as a killed training leaves it
    del body["summary"]
    (run / "run.json.begun").write_text(json.dumps(body))
    taken = []

    def until_train(step):
        taken.append(step)
        if step.arguments[0] == "train":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path / "demo", TINY, run=until_train)
    assert taken[-1] == Step(("train", "--resume", str(run)), run)


def test_a_failing_command_ends_it(tmp_path):
    with pytest.raises(typer.Exit) as stopped:
        command.run_step(Step(("tile", str(tmp_path / "nowhere")), tmp_path))
    assert stopped.value.exit_code == 2


def test_other_options_are_refused(made):
    folder, _, _ = made
    other = DemoOptions(seed=1)
    with pytest.raises(OutputExists, match="seed: 0 before, 1 now"):
        demo(folder, other, run=command.run_step)


def test_overwrite_replaces_only_a_demo(tmp_path):
    def stop(step):
        raise KeyboardInterrupt

    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputExists, match="files that sattrans did not make"):
        demo(folder, TINY, run=stop, overwrite=True)
    assert (folder / "thesis.txt").read_text() == "years of work"
    own = tmp_path / "demo"
    with pytest.raises(KeyboardInterrupt):
        demo(own, TINY, run=stop)
    first = (own / "map.tif").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        demo(own, replace(TINY, seed=7, side=128), run=stop, overwrite=True)
    assert (own / "map.tif").read_bytes() != first


@pytest.mark.slow
def test_the_dataset_is_recognised_and_its_lists_hold_every_cell(tmp_path):
    make_dataset(tmp_path / "landcover", DemoOptions(scenes=2))
    dataset = open_dataset(tmp_path / "landcover")
    assert dataset.name == "landcover"
    assert [scene.id for scene in dataset.scenes()] == ["scene-1", "scene-2"]
    lists = {name: (tmp_path / "landcover" / f"{name}.txt").read_text().split() for name in ("train", "val", "test")}
    assert {name: len(ids) for name, ids in lists.items()} == {"train": 6, "val": 1, "test": 1}
    listed = [name for names in lists.values() for name in names]
    assert sorted(listed) == [f"scene-{scene}_{k}" for scene in (1, 2) for k in range(4)]


@pytest.mark.slow
def test_the_map_is_another_landscape_east_of_the_scenes(tmp_path):
    options = DemoOptions(scenes=1)
    make_dataset(tmp_path / "landcover", options)
    make_map(tmp_path / "map.tif", options)
    with rasterio.open(tmp_path / "map.tif") as map_, rasterio.open(tmp_path / "landcover/masks/scene-1.tif") as mask:
        assert map_.bounds.left == mask.bounds.right
        assert set(np.unique(map_.read(1))) == set(PALETTE.values)
        assert map_.res == (0.5, 0.5)
        assert (map_.read(1) != mask.read(1)[:768]).any()


def test_the_command_line_has_the_same_default():
    assert inspect.signature(command.demo).parameters["output"].default == DEFAULT_FOLDER


def test_a_dry_run_lists_the_commands_and_writes_nothing(made, tmp_path):
    planned = demo(tmp_path / "demo", TINY, run=command.run_step, dry_run=True)
    assert [step.arguments[0] for step in planned.steps] == VERBS
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputExists, match="seed: 0 before, 1 now"):
        demo(made[0], DemoOptions(seed=1), run=command.run_step, dry_run=True)
