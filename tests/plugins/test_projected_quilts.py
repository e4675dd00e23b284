"""The projected GAN over exemplar images: what is painted over, where windows meet, and what is refused."""

import numpy as np
import pytest
import rasterio
import torch
from makers import make_folder
from makers_pictures import make_pairs
from torch.nn import functional as F

from sattrans.errors import OptionError
from sattrans.generate import GenerateOptions, generate
from sattrans.model import Batch, Noise, TileSpec
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train
from sattrans_exemplar.model import Exemplar
from sattrans_projected.model import OverExemplar
from sattrans_projected.networks import STRIDES, Generator
from sattrans_projected.quilts import CONTEXT, DOT, EDGE

SIDE, CLASSES = 64, 3
SMALL = {"width": 8, "head_width": 8, "sketch": "exemplar"}


def classes_in_squares(side, seed):
    cells = torch.randint(0, CLASSES, (side // 16, side // 16), generator=torch.Generator().manual_seed(seed))
    indices = cells.repeat_interleave(16, 0).repeat_interleave(16, 1)
    return F.one_hot(indices, CLASSES).permute(2, 0, 1)[None].float()


@pytest.fixture(scope="module")
def models():
    """The model, untrained, and exemplar, with the same tiles."""
    torch.manual_seed(0)
    spec = TileSpec(SIDE, CLASSES, classes=CLASSES, scenes=("a",), shares=((1 / 3,) * 3,), tiles=4)
    tiles = [Batch(classes_in_squares(SIDE, seed), torch.rand(1, 3, SIDE, SIDE) * 2 - 1) for seed in range(4)]
    own = OverExemplar(spec, OverExemplar.Options(source="onehot", **SMALL)).eval()
    other = Exemplar(spec, Exemplar.Options(source="onehot")).eval()
    for model in (own, other):
        model.prepare(tiles)
    return own, other


def test_what_is_painted_over_is_the_exemplar_image_at_half_the_resolution(models):
    own, other = models
    source = torch.zeros(1, CLASSES, SIDE + 2 * CONTEXT, SIDE + 2 * CONTEXT)
    seen = CONTEXT - EDGE
    source[..., seen:-seen, seen:-seen] = classes_in_squares(SIDE + 2 * EDGE, 9)
    noise = Noise(3, [(64, 128)], SIDE, style=0)
    less = CONTEXT - other.context
    whole = other.translate(source[..., less:-less, less:-less], noise)
    maps, colors = own.generator.quilt(source, noise, [0])
    trimmed = EDGE // DOT
    assert torch.allclose(colors[..., trimmed:-trimmed, trimmed:-trimmed], F.avg_pool2d(whole, DOT), atol=1 / 127)
    assert torch.equal(maps, source[..., seen:-seen, seen:-seen])


def test_beyond_the_edge_of_a_map_all_is_as_at_its_edge(models):
    own, _ = models
    source = torch.zeros(1, CLASSES, SIDE + 2 * CONTEXT, SIDE + 2 * CONTEXT)
    source[..., CONTEXT:-CONTEXT, CONTEXT:-CONTEXT] = classes_in_squares(SIDE, 9)
    maps, colors = own.generator.quilt(source, Noise(0, [(0, 0)], SIDE), [0])
    for image, edge in ((maps, EDGE), (colors, EDGE // DOT)):
        inner = image[..., edge:-edge, edge:-edge]
        assert torch.equal(image, F.pad(inner, (edge,) * 4, mode="replicate"))
    assert torch.isfinite(own.translate(torch.zeros_like(source), Noise(0, [(0, 0)], SIDE))).all()


@torch.no_grad()
def test_the_generator_sees_no_farther_than_the_edge_that_is_painted_with_a_window():
    torch.manual_seed(0)
    size, at = 256, 124
    paint = Generator(CLASSES, 8).double()
    white = [torch.randn(1, 1, size // stride, size // stride).double() for stride in (*STRIDES, 1)]
    source, sketch = torch.rand(1, CLASSES, size, size).double(), torch.rand(1, 3, size // 2, size // 2).double() - 0.5
    before = paint(source, sketch, white)
    source[..., at : at + 8, at : at + 8] += 1
    sketch[..., at // 2 : at // 2 + 4, at // 2 : at // 2 + 4] *= -1
    changed = torch.nonzero((paint(source, sketch, white) != before).any(1)[0])
    assert changed.min() >= at - EDGE
    assert changed.max() < at + 8 + EDGE


def test_a_part_of_a_map_has_the_pixels_of_the_whole(tmp_path):
    root = make_folder(tmp_path / "f", size=128, classes_toml=True)
    tileset = tile(root, tmp_path / "t", TileOptions(size=64)).tileset
    options = TrainOptions(model="projected", settings=SMALL, steps=1, batch_size=2, monitor="l1")
    run = train(tileset.folder, tmp_path / "r", options).run
    map_ = next((root / "masks").iterdir())
    generate(map_, tmp_path / "whole.tif", GenerateOptions(run=run.folder))
    with rasterio.open(tmp_path / "whole.tif") as raster:
        whole = raster.read()
        (left, top), (right, bottom) = raster.transform @ (50, 20), raster.transform @ (128, 100)
    generate(map_, tmp_path / "part.tif", GenerateOptions(run=run.folder, bounds=f"{left},{bottom},{right},{top}"))
    with rasterio.open(tmp_path / "part.tif") as raster:
        assert np.array_equal(raster.read(), whole[:, 20:100, 50:128])
    with pytest.raises(OptionError, match="joins its windows itself"):
        generate(map_, tmp_path / "a.tif", GenerateOptions(run=run.folder, blend="hann"))


def test_pictures_without_classes_are_refused(tmp_path):
    tileset = tile(make_pairs(tmp_path / "f"), tmp_path / "t", options=TileOptions(size=64)).tileset
    with pytest.raises(OptionError, match="sketch=exemplar needs maps with classes, and source=onehot$"):
        train(tileset.folder, tmp_path / "r", TrainOptions(model="projected", settings={"sketch": "exemplar"}))
