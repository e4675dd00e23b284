"""The exemplar model: images of real pixels, put together by the map and joined by graph cuts."""

from itertools import product

import numpy as np
import pytest
import torch
from makers import make_folder
from makers_pictures import make_pairs
from torch.nn import functional as F

from sattrans.errors import OptionError, UsageError
from sattrans.generate import GenerateOptions, generate
from sattrans.model import Batch, Noise, TileSpec
from sattrans.runs.model_options import resolve
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train
from sattrans_exemplar import placing
from sattrans_exemplar.blocks import CONTEXT, SEEN
from sattrans_exemplar.cuts import FREE, NEW, OLD, Pieces, cut
from sattrans_exemplar.finish import finished
from sattrans_exemplar.lines import SIDE as LINE_SIDE
from sattrans_exemplar.lines import line_patches
from sattrans_exemplar.model import Exemplar
from sattrans_exemplar.sources import CELL, Index, classes_of
from sattrans_exemplar.tones import Tones

SIDE, CLASSES = 64, 3
SHADES = torch.tensor([[-0.8, -0.2, -0.7], [0.6, 0.5, 0.1], [-0.1, 0.2, 0.8]])


def ground(seed, classes=CLASSES, patch=16):
    random = torch.Generator().manual_seed(seed)
    cells = torch.randint(0, classes, (SIDE // patch, SIDE // patch), generator=random)
    return cells.repeat_interleave(patch, 0).repeat_interleave(patch, 1)


def tile_of(indices, seed, scene=0):
    """A training tile whose classes have grainy shades of their own."""
    source = F.one_hot(indices, CLASSES).permute(2, 0, 1)[None].float()
    grain = 0.2 * torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return Batch(source, SHADES[indices].permute(2, 0, 1)[None] + grain - 0.1, torch.tensor([scene]))


def prepared(tiles, scenes=("a",), **options):
    spec = TileSpec(SIDE, CLASSES, classes=CLASSES, scenes=scenes, tiles=len(tiles))
    model = Exemplar(spec, Exemplar.Options(source="onehot", **options)).eval()
    model.prepare(tiles)
    return model


@pytest.fixture(scope="module")
def model():
    return prepared([tile_of(ground(seed), seed) for seed in range(6)])


def pieces_of(model, source, seed=0):
    """What the image of a tile is put together from."""
    map_ = classes_of(F.pad(source, (CONTEXT,) * 4))[0]
    blocks = model.generator.blocks(map_, (0, 0), Noise(seed, [(0, 0)], SIDE, style=0))
    return blocks.pieces(CONTEXT, CONTEXT)


def test_an_image_is_made_of_pixels_of_the_training_tiles(model):
    index, asked = model.generator.sources.index, tile_of(ground(9), 9)
    shown = pieces_of(model, asked.source)
    assert shown.source.min() >= 0
    tiles = [tile_of(ground(seed), seed).target[0] for seed in range(6)]
    own = np.concatenate([((tile + 1) * 127.5).round().byte().flatten(1).T.numpy() for tile in tiles])
    known = {tuple(pixel) for pixel in own}
    assert all(tuple(pixel) in known for pixel in index.pixels[shown.source].reshape(-1, 3))
    pieces = (np.diff(shown.source, axis=1) == shown.turn[:, :-1]).mean()
    assert pieces > 0.8  # of neighbours most come from one piece


@pytest.mark.parametrize("size", Exemplar.sizes)
@pytest.mark.parametrize("tiles", [1, 2])
def test_each_source_pixel_has_a_cell(size, tiles):
    images, maps = np.zeros((tiles, size, size, 3), np.uint8), np.zeros((tiles, size, size), np.uint8)
    index = Index(images, maps, np.zeros(tiles, np.int64), np.zeros((3, 113, 40), np.int32), 1, 1)
    cells = index.cell_of(np.arange(len(index.pixels), dtype=np.int32))
    assert cells.max() == index.cell_count - 1
    assert np.bincount(cells).max() == CELL**2


def test_an_image_follows_its_map(model):
    asked = ground(9)
    shown = pieces_of(model, tile_of(asked, 9).source)
    same = model.generator.sources.index.labels[shown.source] % CLASSES == asked.numpy()
    assert same.mean() > 0.7  # a third by chance
    image = model.translate_tiles(tile_of(asked, 9).source)
    assert image.shape == (1, 3, SIDE, SIDE)
    nearest = (image[0][:, None] - SHADES.T[..., None, None]).abs().sum(0).argmin(0)
    assert (nearest == asked).float().mean() > 0.7


def lines(seed, width=2):
    """A map with two lines across it."""
    random = np.random.default_rng(seed)
    indices = torch.zeros(SIDE, SIDE, dtype=torch.long)
    rows, cols = np.indices((SIDE, SIDE))
    for _ in range(2):
        angle, offset = random.uniform(0, np.pi), random.uniform(-20, 20)
        distance = (rows - 32) * np.cos(angle) + (cols - 32) * np.sin(angle) - offset
        indices[np.abs(distance) < width / 2] = 1
    return indices


def test_lines_of_two_pixels_stay(monkeypatch):
    thin = prepared([tile_of(lines(seed), seed) for seed in range(12)])
    labels, found = thin.generator.sources.index.labels, {}
    for least in (10**6, placing.BROKEN):  # without patches with lines, and with them
        monkeypatch.setattr(placing, "BROKEN", least)
        thin.generator._cache = None
        shown = [(lines(seed).numpy(), pieces_of(thin, tile_of(lines(seed), 0).source)) for seed in (20, 21)]
        found[least] = np.mean([(labels[pieces.source] % CLASSES == 1)[map_ == 1].mean() for map_, pieces in shown])
    assert found[placing.BROKEN] > found[10**6]
    assert found[placing.BROKEN] > 0.7


def test_of_the_lines_of_a_tile_those_are_taken_that_are_seen():
    mask, side = np.full((SIDE, SIDE), CLASSES, np.uint8), SIDE + 2
    mask[10:12], mask[40:42] = 1, 1
    pixels = np.full((side, side, 3), 90, np.uint8)
    pixels[41:43] = 130  # the other line is not seen
    found = line_patches(mask[None], pixels.reshape(-1, 3), np.zeros(1, np.int64), 1)
    rows = found.corner // side - 1
    assert len(rows) > 50
    assert rows.min() >= 40 - LINE_SIDE + 1


def test_a_style_takes_what_it_lacks_from_the_scene_most_like_it(monkeypatch):
    colors = {0: [(10, 10, 10), None], 1: [(90, 90, 90), (200, 0, 0)], 2: [(20, 20, 20), (0, 0, 200)]}
    pixels, labels = np.zeros((3, 2, 72, 3), np.uint8), np.zeros((3, 2, 72), np.uint8)
    for scene, shades in colors.items():
        for label, shade in enumerate(shades):
            labels[scene, label] = label if shade else 0
            pixels[scene, label] = shade or shades[0]
    monkeypatch.setattr("sattrans_exemplar.tones.FEWEST", 50)
    tones = Tones(pixels.reshape(-1, 3), labels.ravel(), np.arange(3), 3, 2)
    tone = tones.of(0)
    assert tone.colors.tolist() == [[10, 10, 10], [0, 0, 200]]  # scene 2 is the likest of those that have label 1
    assert tone.spread.tolist() == [0, 0]
    assert tone.foreign[:, 0].tolist() == [0, 80, 10]
    assert tone.foreign[2, 1] == 0


def test_more_fidelity_follows_the_map_more_closely(model):
    asked = ground(9, patch=8)
    shares = []
    for fidelity in (0.1, 4.0):
        model.generator.fidelity = fidelity
        shown = pieces_of(model, tile_of(asked, 9).source)
        shares.append((model.generator.sources.index.labels[shown.source] % CLASSES == asked.numpy()).mean())
    model.generator.fidelity = 1.0
    assert shares[1] > shares[0] + 0.02


def test_another_seed_gives_another_image_and_the_same_seed_the_same(model):
    source = tile_of(ground(9), 9).source
    first, again, other = (pieces_of(model, source, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.source, again.source)
    assert not np.array_equal(first.source, other.source)


def test_of_a_single_scene_nothing_is_strange(model):
    ground_of = placing.Ground.of(np.ones((SIDE + 2 * SEEN,) * 2, np.uint8), SEEN, CLASSES)
    one, two = model.generator.sources.index, prepared([tile_of(ground(s), s) for s in range(2)], ("a", "b"))
    for index, has_tone in ((one, False), (two.generator.sources.index, True)):
        placer = placing.Placer(index, ground_of, 0, 1.0, np.random.default_rng(0))
        assert (placer.tone is not None) == has_tone


def test_precision_and_threads_change_no_byte(model):
    source, images, threads = tile_of(ground(9), 9).source, [], torch.get_num_threads()
    for number, bf16 in ((1, False), (2, False), (1, True)):
        torch.set_num_threads(number)
        model.generator._cache = None  # else the blocks would be those of before
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            images.append(model.translate_tiles(source))
    torch.set_num_threads(threads)
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2])


def test_an_image_has_the_style_of_its_scene():
    dark = [Batch(t.source, t.target * 0.5 - 0.5, torch.tensor([1])) for t in (tile_of(ground(s), s) for s in range(3))]
    both = prepared([*(tile_of(ground(seed), seed) for seed in range(3)), *dark], scenes=("bright", "dark"))
    source = F.pad(tile_of(ground(9), 9).source, (CONTEXT,) * 4)
    bright, dim = (both.translate(source, Noise(0, [(0, 0)], SIDE, style=style)).mean() for style in (0, 1))
    assert bright > dim + 0.2


@pytest.mark.parametrize("tiles", [[tile_of(ground(0), 0)], [tile_of(torch.ones(SIDE, SIDE, dtype=torch.long), 1)]])
def test_one_tile_is_enough_and_one_class(tiles):
    one = prepared(tiles)
    for asked in (ground(9), torch.ones(SIDE, SIDE, dtype=torch.long)):
        image = one.translate_tiles(tile_of(asked, 9).source)
        assert image.isfinite().all()
        assert image.std() > 0.01


def test_a_map_without_data_costs_nothing_and_gives_grey(model):
    assert model.translate_tiles(torch.zeros(1, CLASSES, SIDE, SIDE)).abs().max() < 0.01


def test_maps_unlike_the_training_tiles_are_told(model):
    like, unlike = (
        float(model.validation_losses(Batch(source, source))["unlike"])
        for source in (tile_of(ground(0), 0).source, tile_of(ground(5, patch=4), 5).source)
    )
    assert like < unlike


def seam_cost(pixels, old, new, excess, taken):
    """What a labelling costs, by definition (Kwatra et al. 2003)."""
    colors = pixels.astype(int)
    total = int(excess[taken].sum())
    shown = np.where(taken, new.source, old.source)
    height, width = taken.shape
    for row, col in product(range(height), range(width)):
        for down, across, step in ((0, 1, 1), (1, 0, STRIDE)):
            if row + down < height and col + across < width:
                first, second = shown[row, col], shown[row + down, col + across]
                total += int(np.abs(colors[first] - colors[second - step]).sum())
                total += int(np.abs(colors[first + step] - colors[second]).sum())
    return total


STRIDE = 12


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_costs_least_of_all(seed):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (STRIDE * 40, 3), dtype=np.uint8)
    rows, cols = np.indices((3, 4))
    one, two, other = (start + rows * STRIDE + cols for start in (100, 150, 300))
    turn = np.ones((3, 4), np.int8)
    old = Pieces(np.where(cols < 2, one, two).astype(np.int32), turn)
    new = Pieces(other.astype(np.int32), turn)
    excess = random.integers(-600, 600, (3, 4)).astype(np.int32)
    fixed = np.full((3, 4), FREE, np.uint8)
    fixed[0, 0], fixed[2, 3] = OLD, NEW
    taken = cut(pixels, STRIDE, old[None], new[None], excess[None], fixed[None])[0]
    assert not taken[0, 0]
    assert taken[2, 3]
    every = (np.array(flags).reshape(3, 4) for flags in product([False, True], repeat=12))
    least = min(seam_cost(pixels, old, new, excess, flags) for flags in every if not flags[0, 0] and flags[2, 3])
    assert seam_cost(pixels, old, new, excess, taken) == least


@pytest.mark.parametrize(("difference", "label", "low", "high"), [(30, 0, -3, 12), (30, 1, 20, 40), (90, 0, 60, 100)])
def test_finishing_hides_a_seam_but_not_the_edge_of_a_class_or_a_jump(difference, label, low, high):
    pixels = np.random.default_rng(0).integers(0, 20, (4000, 3)).astype(np.uint8)
    pixels[2000:] += difference
    rows, cols = np.indices((32, 40))
    source = (rows * 48 + cols + np.where(cols < 20, 0, 2000)).astype(np.int32)
    labels, turn = np.where(cols < 20, 0, label).astype(np.uint8), np.ones((32, 40), np.int8)
    image = finished(pixels, 48, Pieces(source, turn), labels)
    assert low <= image[:, :, 20].mean() - image[:, :, 19].mean() <= high


def test_water_of_two_dates_is_blended_and_things_on_it_are_told_apart():
    images = np.random.default_rng(0).integers(60, 66, (2, SIDE, SIDE, 3)).astype(np.uint8)
    images[1] += 60
    images[0, 30:33, 30:33] = 250  # a ship
    maps = np.ones((2, SIDE, SIDE), np.uint8)
    index = Index(images, maps, np.arange(2), np.zeros((3, 56 * 2 * CLASSES + 1, 40), np.int32), CLASSES, 2)
    ship = index.labels.reshape(2, SIDE + 2, SIDE + 2)[0] == 2 * CLASSES
    assert ship.sum() == 9
    assert ship[31:34, 31:34].all()
    rows, cols = np.indices((32, 56))
    source = (rows * index.stride + cols + np.where(cols < 28, 0, index.stride**2)).astype(np.int32)
    shown, ground = Pieces(source, np.ones(source.shape, np.int8)), np.ones(source.shape, np.uint8)
    steps = []
    for even in (None, index.even):
        image = finished(index.pixels, index.stride, shown, ground, even)
        steps.append(np.abs(np.diff(image.mean((0, 1)))).max())
    assert steps[0] > 40
    assert steps[1] < 8


def test_finishing_leaves_one_piece_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (2000, 3), dtype=np.uint8)
    rows, cols = np.indices((32, 40))
    source = (rows * 48 + cols).astype(np.int32)
    image = finished(pixels, 48, Pieces(source, np.ones((32, 40), np.int8)), np.zeros((32, 40), np.uint8))
    assert np.abs(image - np.moveaxis(pixels[source], -1, 0)).max() < 1e-3


def test_pictures_without_classes_are_refused(tmp_path):
    tileset = tile(make_pairs(tmp_path / "f"), tmp_path / "t", options=TileOptions(size=64)).tileset
    with pytest.raises(UsageError, match="model 'exemplar' needs classes.*pictures without classes"):
        train(tileset.folder, tmp_path / "r", TrainOptions(model="exemplar"))
    assert not (tmp_path / "r").exists()
    with pytest.raises(OptionError, match="source"):
        resolve(Exemplar, {"source": "color"})


def test_a_run_needs_one_step_and_joins_its_windows_itself(tmp_path):
    root = make_folder(tmp_path / "f", size=128, classes_toml=True)
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset
    run = train(tileset.folder, tmp_path / "r", TrainOptions(model="exemplar")).run
    assert run.manifest["summary"]["steps"] == 1
    assert run.metrics()[0]["val"].keys() == {"unlike"}
    map_ = next(root.rglob("masks/*.*"))
    with pytest.raises(OptionError, match="joins its windows itself"):
        generate(map_, tmp_path / "a.tif", GenerateOptions(run=run.folder, blend="hann"))
