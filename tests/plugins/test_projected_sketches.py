"""Sketches of the projected GAN: which colours a map takes from which training tiles."""

import pytest
import torch
from torch.nn import functional as F

from sattrans.model import Batch, Noise, TileSpec
from sattrans_projected import sketches
from sattrans_projected.patches import CELL, DOT, FADE, PATCH, patches_of
from sattrans_projected.sketches import ANY, Sketches

RED, GREEN, BLUE = ([1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0])


def patches(side, seed=0, classes=2, patch=16):
    random = torch.Generator().manual_seed(seed)
    cells = torch.randint(0, classes, (side // patch, side // patch), generator=random)
    return cells.repeat_interleave(patch, 0).repeat_interleave(patch, 1)


def tile(indices, colors, scene=0, classes=2):
    """A training tile whose image shows each class in one colour."""
    source = F.one_hot(indices, classes).permute(2, 0, 1)[None].float()
    image = torch.tensor(colors)[indices].permute(2, 0, 1)[None]
    return Batch(source, image, torch.tensor([scene]))


def varied(side, seed, scene=0):
    """A training tile whose image is another at each place."""
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return Batch(tile(patches(side, seed), [RED, GREEN]).source, image, torch.tensor([scene]))


def kept(tiles, scenes=("a",), classes=2, has_classes=True):
    channels = classes if has_classes else 3
    spec = TileSpec(tiles[0].source.shape[-1], channels, classes=classes, scenes=scenes, tiles=len(tiles))
    made = Sketches(spec, has_classes)
    made.keep(tiles)
    return made


def sketched(made, source, row=0, col=0, style=0, seed=0, **options):
    return made(source, Noise(seed, [(row, col)], source.shape[-1]), [style], **options)


def soft(image):
    """An image at the resolution of a sketch, with edges as soft as those of a sketch."""
    return F.avg_pool2d(F.pad(F.avg_pool2d(image, DOT), (1, 1, 1, 1), mode="replicate"), 3, 1)


def test_each_class_takes_the_colour_of_its_own_class():
    made = kept([tile(patches(64), [RED, GREEN])])
    asked = tile(patches(128, seed=5), [RED, GREEN])
    assert (sketched(made, asked.source) - soft(asked.target)).abs().max() < 0.02


def test_a_dot_of_two_classes_mixes_their_colours():
    indices = torch.arange(64) % 2 * torch.ones(64, 1, dtype=torch.long)
    made = kept([tile(patches(64), [RED, GREEN])])
    mixed = sketched(made, tile(indices, [RED, GREEN]).source)
    assert (mixed - torch.tensor([0.0, 0.0, -1.0]).view(1, 3, 1, 1)).abs().max() < 0.02


def test_a_map_of_which_no_class_is_known_takes_the_mean_of_the_classes():
    made = kept([tile(patches(64), [RED, GREEN])])
    unknown = sketched(made, torch.zeros(1, 2, 64, 64))
    assert (unknown - torch.tensor([0.0, 0.0, -1.0]).view(1, 3, 1, 1)).abs().max() < 0.02


def test_a_class_that_no_tile_has_takes_the_mean_colour():
    made = kept([tile(patches(64), [RED, GREEN, BLUE], classes=3)], classes=3)
    asked = tile(torch.full((64, 64), 2), [RED, GREEN, BLUE], classes=3)
    share = (patches(64) == 0).float().mean()
    mean = share * torch.tensor(RED) + (1 - share) * torch.tensor(GREEN)
    assert (sketched(made, asked.source) - mean.view(1, 3, 1, 1)).abs().max() < 0.02


def test_a_place_has_the_same_sketch_in_every_window_that_holds_it():
    made = kept([varied(128, seed, scene) for seed, scene in ((0, 0), (1, 0), (2, 1))], ("a", "b"))
    whole = tile(patches(640, seed=9), [RED, GREEN]).source
    view, row, col = 160, 96, 32
    first = sketched(made, whole[..., :512, :512], style=1)
    second = sketched(made, whole[..., row : row + 512, col : col + 512], row, col, style=1)
    here = first[..., (row + view) // DOT : (512 - view) // DOT, (col + view) // DOT : (512 - view) // DOT]
    there = second[..., view // DOT : (512 - view - row) // DOT, view // DOT : (512 - view - col) // DOT]
    assert here.shape == there.shape and here.numel() > 10_000
    assert torch.equal(here, there)
    assert here.std() > 0.05


def test_places_left_of_and_above_the_map_are_as_good_as_others():
    made = kept([varied(64, 0)])
    map_ = tile(patches(256, seed=9), [RED, GREEN]).source
    assert sketched(made, map_, -128, -64).isfinite().all()


def test_another_seed_takes_other_patches():
    made = kept([varied(128, seed) for seed in range(3)])
    map_ = tile(patches(256, seed=9), [RED, GREEN]).source
    assert torch.equal(sketched(made, map_, seed=1), sketched(made, map_, seed=1))
    assert (sketched(made, map_, seed=1) - sketched(made, map_, seed=2)).abs().mean() > 0.05


def test_patches_come_from_the_scene_of_the_style_if_its_places_are_alike():
    colors = {0: [RED, RED], 1: [GREEN, GREEN]}
    made = kept([tile(torch.zeros(64, 64, dtype=torch.long), colors[scene], scene) for scene in (0, 1)], ("a", "b"))
    map_ = tile(torch.zeros(64, 64, dtype=torch.long), [RED, GREEN]).source
    for style, color in ((0, RED), (1, GREEN)):
        assert (sketched(made, map_, style=style) - torch.tensor(color).view(1, 3, 1, 1)).abs().max() < 0.02
        other = sketched(made, map_, style=1 - style, elsewhere=True)
        assert (other - torch.tensor(color).view(1, 3, 1, 1)).abs().max() < 0.02


def test_patches_come_from_where_the_map_is_alike():
    """A lake and the land between houses are one class of a map; their shape tells them apart."""
    lake, town = torch.zeros(128, 128, dtype=torch.long), patches(128, patch=8)
    made = kept([tile(lake, [BLUE, RED]), tile(town, [GREEN, RED])])
    for indices, color in ((lake, BLUE), (patches(128, seed=3, patch=8), GREEN)):
        found = sketched(made, tile(indices, [color, RED]).source, style=ANY)
        ground = found[0, :, F.max_pool2d(indices[None].float(), 3 * DOT, DOT, DOT)[0] == 0]
        assert (ground - torch.tensor(color)[:, None]).abs().mean() < 0.1


def test_without_other_scenes_training_leaves_out_every_second_tile():
    made = kept([tile(patches(64), [color, color]) for color in (RED, GREEN)])
    map_ = tile(patches(64), [RED, GREEN]).source
    found = {sketched(made, map_, seed=seed, elsewhere=True)[0, 0].mean().round().item() for seed in (0, 1)}
    assert found == {1.0, -1.0}


def test_pictures_without_classes_are_told_by_their_commonest_colours():
    indices = patches(64)
    picture = torch.tensor([[0.9, 0.8, -0.5], [-0.2, 0.1, 0.6]])[indices].permute(2, 0, 1)[None]
    image = tile(indices, [RED, GREEN]).target
    made = kept([Batch(picture, image, torch.tensor([0]))], classes=0, has_classes=False)
    assert (sketched(made, picture) - soft(image)).abs().max() < 0.02


def test_of_many_tiles_as_many_are_kept_as_there_is_room_for(monkeypatch):
    monkeypatch.setattr(sketches, "PIXELS", 3 * 64**2)
    made = kept([tile(patches(64), [RED, GREEN], scene) for scene in range(10)], tuple("abcdefghij"))
    assert made.scenes.tolist() == [0, 3, 6]


def test_of_large_tiles_parts_are_kept_so_that_more_scenes_are(monkeypatch):
    monkeypatch.setattr(sketches, "PIXELS", 4 * 64**2)
    monkeypatch.setattr(sketches, "LARGEST", 64)
    colors = [RED, GREEN, BLUE]
    made = kept([tile(patches(160), [color, color], scene) for scene, color in enumerate(colors)], ("a", "b", "c"))
    assert made.scenes.tolist() == [0, 1, 2] and made.colors.shape[1] == 64 // DOT
    parts = {tuple(shares.flatten().tolist()) for shares in made.shares}
    assert len(parts) == 3


def test_they_are_the_same_after_they_were_saved():
    made, map_ = kept([varied(64, seed) for seed in range(2)]), tile(patches(128, seed=9), [RED, GREEN]).source
    other = kept([varied(64, seed) for seed in (5, 6)])
    assert not torch.equal(sketched(other, map_), sketched(made, map_))
    other.load_state_dict(made.state_dict())
    assert torch.equal(sketched(other, map_), sketched(made, map_))


@pytest.mark.parametrize("side", [5, 13])
def test_box_sums_are_those_of_each_square(side):
    maps = torch.randint(0, 17, (1, 2, 40, 33)).float()
    padded = F.pad(maps, (side // 2,) * 4, mode="replicate")
    assert torch.equal(sketches._box_sum(maps, side), padded.unfold(2, side, 1).unfold(3, side, 1).sum((-2, -1)))


def test_every_dot_belongs_to_the_nearest_two_points():
    layout = patches_of(3, -40, 17, (50, 60), torch.device("cpu"))
    ratio = CELL // DOT
    dots = torch.stack(torch.meshgrid(torch.arange(50 * ratio), torch.arange(60 * ratio), indexing="ij"), -1)
    distance = (dots[:, :, None] - layout.points * ratio).square().sum(-1)
    chosen = distance.gather(2, layout.numbers.permute(1, 2, 0))
    # Points beyond the squares next to a dot's own are not looked at: hardly any are nearer.
    assert (chosen == distance.sort(2).values[:, :, :2]).float().mean((0, 1)).min() > 0.97
    assert chosen[..., 0].max() <= 2 * (ratio * PATCH) ** 2
    assert len(layout.points) == len(layout.keys) == len(layout.blocks) == len(layout.within)


def test_patches_give_way_to_each_other_gradually():
    layout = patches_of(3, -40, 17, (50, 60), torch.device("cpu"))
    share = torch.zeros(len(layout.points), *layout.nearer.shape)
    share.scatter_(0, layout.numbers[1:], 1 - layout.nearer[None]).scatter_(0, layout.numbers[:1], layout.nearer[None])
    steps = [share.diff(dim=axis).abs() for axis in (1, 2)]
    assert layout.nearer.min() >= 0.5 and layout.nearer.max() == 1
    # Only where three patches meet is a step larger than the slope between two.
    assert all((step.amax(0) <= 1 / (2 * FADE) + 1e-4).float().mean() > 0.95 for step in steps)


def test_colours_at_the_edge_of_a_class_are_hardly_taken_for_its_own():
    """Where forest meets land, pixels are of both; thin forests elsewhere should not be of that colour."""
    indices = (torch.arange(64)[None] >= 32).long().expand(64, 64)
    edge = F.max_pool2d(indices[None].float(), 3, 1, 1)[0] != -F.max_pool2d(-indices[None].float(), 3, 1, 1)[0]
    known = tile(indices, [RED, GREEN])
    image = torch.where(edge, torch.tensor(BLUE).view(1, 3, 1, 1), known.target)
    made = kept([Batch(known.source, image, known.scene)])
    found = sketched(made, tile(patches(64, patch=16), [RED, GREEN]).source)
    assert found[:, 2].mean() < -0.8


def test_texture_keeps_its_contrast_where_patches_meet():
    made = kept([varied(128, seed) for seed in range(3)])
    found = sketched(made, tile(torch.zeros(512, 512, dtype=torch.long), [RED, GREEN]).source)[0]
    nearer = patches_of(0, 0, 0, (128, 128), torch.device("cpu")).nearer
    assert found[:, nearer < 0.6].std() == pytest.approx(found[:, nearer == 1].std().item(), rel=0.15)
