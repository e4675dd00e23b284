"""A stranger's package, built and installed by pip: its dataset and its model work like the built-in ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio
from forks import COMMAND, Fork
from makers import make_indices, make_picture, write_raster

SATTRANS = Path(sys.executable).with_name("sattrans")

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "sattrans-coast"
version = "0.3"
dependencies = ["sattrans"]

[project.entry-points."sattrans.datasets"]
coast = "sattrans_coast"

[project.entry-points."sattrans.models"]
tint = "sattrans_coast"

[tool.hatch.build.targets.wheel]
only-include = ["sattrans_coast"]
"""

HOOKS = '''
"""The coast dataset and the tint model, as a plugin."""

from sattrans import hookimpl


@hookimpl
def register_datasets(register):
    from sattrans_coast.dataset import Coast

    register(Coast)


@hookimpl
def register_models(register):
    from sattrans_coast.model import Tint

    register(Tint)
'''

DATASET = '''
"""Photos and maps of a coast, side by side in one folder."""

from sattrans import Dataset, DatasetNotFound, LandClass, Palette, Scene


class Coast(Dataset):
    name = "coast"
    title = "a coast"
    layout = "photo_*.tif land_*.tif"

    @classmethod
    def recognises(cls, root):
        return root.is_dir() and any(root.glob("photo_*.tif"))

    @property
    def palette(self):
        return Palette((LandClass(7, "sea", (0, 60, 120)), LandClass(9, "sand", (230, 210, 150))))

    def scenes(self):
        photos = sorted(self.root.glob("photo_*.tif")) if self.root.is_dir() else []
        if not photos:
            raise DatasetNotFound(f"no coast in {self.root}: expected photo_*.tif")
        for photo in photos:
            number = photo.stem.removeprefix("photo_")
            yield Scene(number, photo, photo.with_name(f"land_{number}.tif"))

    def published_split(self, scene, cell):
        return "val" if scene.id == "2" else "train"
'''

MODEL = '''
"""A tint: each pixel on its own, and a little noise of its place."""

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from sattrans.model import Model, ModelOptions, TrainDefaults, Update


class Tint(Model):
    name = "tint"
    title = "a tint"
    sizes = (64,)
    stride = 4
    defaults = TrainDefaults(epochs=1, batch_size=2, monitor="l1", schedule="constant")

    class Options(ModelOptions):
        lr: float = Field(0.01, gt=0, description="learning rate")
        grain: float = Field(0.05, ge=0, description="strength of the noise")

    def __init__(self, spec, options):
        super().__init__(spec, options)
        self.options = options
        self.generator = nn.Sequential(
            nn.Conv2d(spec.source_channels, options.width, 1), nn.ReLU(), nn.Conv2d(options.width, 3, 1), nn.Tanh()
        )

    def optimizers(self):
        return {"tint": torch.optim.Adam(self.generator.parameters(), lr=self.options.lr)}

    def training_step(self, batch):
        yield Update("tint", {"l1": F.l1_loss(self.generator(batch.source), batch.target)})

    def translate(self, source, noise):
        grain = F.interpolate(noise.field(1, self.stride), scale_factor=self.stride)
        return (self.generator(source) + self.options.grain * grain).clamp(-1, 1)
'''

CONFORMS = """
import sys
from pathlib import Path
from sattrans.plugins import dataset_class, model_class
from sattrans.testing import check_dataset, check_model
check_dataset(dataset_class("coast"), Path(sys.argv[1]))
check_model(model_class("tint"))
print("conforms")
"""


class Place:
    """A folder to work in, where the stranger's package is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join(filter(None, (str(folder / "installed"), os.environ.get("PYTHONPATH"))))
        self.environment = {**os.environ, "PYTHONPATH": path}

    def run(self, *command: object) -> subprocess.CompletedProcess[str]:
        """Run a program there."""
        return subprocess.run(
            list(map(str, command)), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def fork(self, *arguments: object, code: str = COMMAND) -> Fork:
        """Run a command, or code, there in a process that has loaded torch."""
        folder, installed = str(self.folder), str(self.folder / "installed")
        begin = f"import os, sys; os.chdir({folder!r}); sys.path.insert(0, {installed!r})"
        return Fork(*arguments, code=f"{begin}\n{code}")

    def sattrans(self, *arguments: object) -> str:
        """Run a command that must work, and return what it prints."""
        done = self.fork(*arguments)
        printed, told = done.communicate()
        assert done.poll() == 0, printed + told
        return printed


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stranger")
    package = folder / "source" / "sattrans_coast"
    package.mkdir(parents=True)
    (folder / "source" / "pyproject.toml").write_text(PYPROJECT)
    for name, text in (("__init__", HOOKS), ("dataset", DATASET), ("model", MODEL)):
        (package / f"{name}.py").write_text(text.lstrip())
    there = Place(folder)
    offline = ("--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check", "--quiet")
    done = there.run(
        sys.executable, "-m", "pip", "install", *offline, "--target", folder / "installed", folder / "source"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for number in range(3):
        indices = make_indices(160, 200, 2, seed=number)
        write_raster(folder / "coast" / f"photo_{number}.tif", make_picture(indices, seed=number))
        write_raster(folder / "coast" / f"land_{number}.tif", indices * 2 + 7)
    return there


def test_it_is_listed_with_its_package_and_version(place):
    rows = [line.split() for line in place.run(SATTRANS, "plugins").stdout.splitlines()]
    assert ["dataset", "coast", "sattrans-coast", "0.3", "loaded"] in rows
    assert ["model", "tint", "sattrans-coast", "0.3", "loaded"] in rows
    assert ["dataset", "landcover"] in [row[:2] for row in rows]


def test_its_options_are_shown(place):
    shown = place.sattrans("models", "show", "tint")
    assert "strength of the noise" in shown
    assert "0.05" in shown


def test_it_keeps_the_promises(place):
    printed, told = place.fork(place.folder / "coast", code=CONFORMS).communicate()
    assert printed.strip() == "conforms", told


def test_its_dataset_is_recognised_and_its_model_trains_and_generates(place):
    tiled = place.sattrans("tile", "coast", "--size", 64)
    assert "tiles/coast-64: 18 tiles of 64 px from 3 scenes" in tiled
    trained = place.sattrans("train", "--model", "tint", "--steps", 2, "--set", "grain=0.1")
    assert "runs/tint-coast-64-1: tint, 2 steps" in trained
    place.sattrans("generate", "coast/land_2.tif", "-o", "sat.tif", "--overlap", 13)  # not a multiple of its stride
    with rasterio.open(place.folder / "sat.tif") as image, rasterio.open(place.folder / "coast" / "land_2.tif") as map_:
        assert (image.shape, image.count, image.dtypes[0]) == (map_.shape, 3, "uint8")
        assert image.crs == map_.crs
        assert image.transform == map_.transform
        assert image.tags()["SATTRANS_MODEL"] == "tint"
        assert image.read().std() > 0


def test_a_name_like_its_own_is_corrected(place):
    done = place.fork("models", "show", "tnt")
    _, told = done.communicate()
    assert done.poll() == 2
    assert "did you mean 'tint'?" in told
