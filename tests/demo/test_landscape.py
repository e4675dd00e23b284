"""The synthetic landscape: one seed gives one landscape, with all classes in plausible shares and colours."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import label

from sattrans.demo.buildings import put_buildings
from sattrans.demo.fields import CROPS, fields
from sattrans.demo.land_cover import House, SyntheticLandCover
from sattrans.demo.landscape import PALETTE, Landscape, make_landscape
from sattrans.demo.light import FALL, Surface, shadow, sunlight
from sattrans.demo.noise import blurred, dilated, nearness
from sattrans.demo.roads import driveways
from sattrans.demo.trees import plant
from sattrans.plugins import dataset_class

HEIGHT, WIDTH = 640, 768


@pytest.fixture(
    scope="module",
    params=[0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))],
    ids="seed {}".format,
)
def landscape(request: pytest.FixtureRequest) -> Landscape:
    return make_landscape(HEIGHT, WIDTH, request.param)


def of_class(landscape: Landscape, name: str) -> NDArray[np.bool_]:
    return landscape.map == PALETTE.values[PALETTE.names.index(name)]


def mean_color(landscape: Landscape, name: str) -> NDArray[np.float64]:
    """The mean red, green, blue of a class."""
    return landscape.photo[:, of_class(landscape, name)].mean(axis=1)


def flooded(mask: NDArray[np.bool_], seed: tuple[int, int]) -> NDArray[np.bool_]:
    """The part of a mask that is connected with one of its pixels, over edges and corners."""
    parts = label(mask, connectivity=2)
    reached: NDArray[np.bool_] = parts == parts[seed]
    return reached


@pytest.mark.slow
def test_shapes_and_types(landscape: Landscape) -> None:
    assert landscape.map.shape == (HEIGHT, WIDTH)
    assert landscape.photo.shape == (3, HEIGHT, WIDTH)
    assert landscape.map.dtype == landscape.photo.dtype == np.uint8


@pytest.mark.slow
def test_the_same_seed_gives_the_same_landscape() -> None:
    first, same, other = make_landscape(256, 320, 5), make_landscape(256, 320, 5), make_landscape(256, 320, 6)
    assert (first.map == same.map).all()
    assert (first.photo == same.photo).all()
    assert (first.map != other.map).any()


def test_the_palette_is_that_of_the_dataset_it_imitates(tmp_path: Path) -> None:
    assert dataset_class("landcover")(tmp_path).palette == PALETTE


def test_every_class_has_its_share(landscape: Landscape) -> None:
    shares = {name: of_class(landscape, name).mean() for name in PALETTE.names}
    assert sum(shares.values()) == pytest.approx(1)
    assert 0.4 < shares["background"] < 0.8
    assert 0.1 < shares["woodland"] < 0.3
    for name in ("building", "water", "road"):
        assert 0.015 < shares[name] < 0.15, name


def test_each_class_has_its_colour(landscape: Landscape) -> None:
    colors = {name: mean_color(landscape, name) for name in PALETTE.names}
    red, green, blue = colors["water"]
    assert blue > green > red
    assert blue - red > 25
    assert max(colors, key=lambda name: colors[name][2] - colors[name][0]) == "water"
    for name in ("background", "woodland"):
        assert colors[name].argmax() == 1, name  # green
    assert sorted(colors, key=lambda name: colors[name].sum())[:2] in (["woodland", "water"], ["water", "woodland"])
    assert max(colors, key=lambda name: colors[name].sum()) == "road"
    assert np.ptp(colors["road"]) < 30  # grey
    assert colors["building"].argmax() == 0  # red


@pytest.mark.slow
def test_roads_are_one_network(landscape: Landscape) -> None:
    road = of_class(landscape, "road")
    middle = np.argwhere(road)[len(np.argwhere(road)) // 2]
    assert flooded(road, (int(middle[0]), int(middle[1]))).sum() > 0.9 * road.sum()


def test_a_river_crosses_the_landscape(landscape: Landscape) -> None:
    water = of_class(landscape, "water") | of_class(landscape, "road")  # bridges lie on it
    assert of_class(landscape, "water").any(axis=0).mean() > 0.95
    assert water.any(axis=0).all()


def test_shadows_fall_north_of_the_woods(landscape: Landscape) -> None:
    wood, fields = of_class(landscape, "woodland"), of_class(landscape, "background")
    north = np.zeros_like(wood)
    north[:-3] = wood[3:]
    south = np.zeros_like(wood)
    south[3:] = wood[:-3]
    away = ~dilated(wood, 12)
    light = {side: landscape.photo[1, mask & fields].mean() for side, mask in (("north", north), ("south", south))}
    assert light["north"] < 0.85 * landscape.photo[1, away & fields].mean()
    assert light["north"] < light["south"]


def test_the_map_is_that_of_the_land_cover_alone(landscape: Landscape, request: pytest.FixtureRequest) -> None:
    seed = request.node.callspec.params["landscape"]
    land_cover = SyntheticLandCover.generate(HEIGHT, WIDTH, np.random.default_rng(seed))
    assert (land_cover.map == landscape.map).all()


def meadow(height: int = 80, width: int = 80) -> Surface:
    """Flat ground of one colour."""
    return Surface.flat(np.full((3, height, width), 120, np.float32))


def house(along: tuple[float, float], half: tuple[float, float]) -> House:
    return House(np.array([40.0, 40.0]), np.array(along), half)


def test_a_shadow_falls_away_from_the_sun_as_far_as_its_height_says() -> None:
    height = np.zeros((60, 40), np.float32)
    height[40:44, 10:20] = 12
    dark = shadow(height) > 0.5
    rows, cols = np.nonzero(dark)
    assert (cols.min(), cols.max(), rows.max()) == (10, 19, 39)
    assert 40 - rows.min() == pytest.approx(12 / FALL, abs=2)


def test_slopes_towards_the_sun_are_lighter() -> None:
    north, south = np.mgrid[0:20, 0:20][0].astype(np.float32), -np.mgrid[0:20, 0:20][0].astype(np.float32)
    assert sunlight(np.zeros((20, 20), np.float32)) == pytest.approx(1)
    assert sunlight(0.3 * south).mean() > 1 > sunlight(0.3 * north).mean()
    assert (sunlight(9 * north) == 0).all()


def test_the_sunny_half_of_a_roof_is_lighter_and_its_shadow_lies_north() -> None:
    surface = meadow()
    put_buildings(surface, [house((1, 0), (14, 8))], np.random.default_rng(0))
    photo = surface.lit().mean(axis=0)
    assert photo[43:47, 30:50].mean() > 1.5 * photo[33:37, 30:50].mean()
    assert photo[29:31, 30:50].mean() < 60 < 119 < photo[50:60, 30:50].mean()


def test_the_plan_of_a_house_tells_its_roof() -> None:
    colors = []
    for half in ((14.0, 10.0), (14.0, 7.5), (28.0, 12.0), (22.0, 12.0)):  # tiles, slate, metal, flat
        surface = meadow()
        put_buildings(surface, [house((1, 0), half)], np.random.default_rng(0))
        roof = surface.albedo[:, 36:45, 30:50].reshape(3, -1)
        colors.append(np.median(roof, axis=1))
    tiles, slate, metal, flat = colors
    assert tiles[0] > 1.4 * tiles[2]
    assert max(np.ptp(slate), np.ptp(metal), np.ptp(flat)) < 20
    assert slate.sum() < metal.sum() < flat.sum()


def test_crowns_are_light_in_the_south_and_tell_one_tree_from_another() -> None:
    surface = meadow()
    spots = np.array([(20, 40), (60, 40)])
    plant(surface, spots, np.array([9.0, 5.0]), np.array([False, True]), np.random.default_rng(0))
    photo = surface.lit().mean(axis=0)
    for x, radius in ((20, 9), (60, 5)):
        columns = slice(x - radius // 2, x + radius // 2)
        assert photo[41 : 40 + radius, columns].mean() > 1.15 * photo[41 - radius : 40, columns].mean()
        assert photo[40 - radius - 6 : 40 - radius - 2, columns].mean() < 100  # the shadow
    assert (surface.height > 0).sum(axis=0)[20] > (surface.height > 0).sum(axis=0)[60] > 5


@pytest.mark.slow
def test_fields_have_their_own_tones_and_rows() -> None:
    land_cover = SyntheticLandCover.generate(HEIGHT, WIDTH, np.random.default_rng(1))
    photo = fields(land_cover.parcels, np.random.default_rng(1))
    numbers, sizes = np.unique(land_cover.parcels.number, return_counts=True)
    inside = [photo[:, land_cover.parcels.number == number] for number in numbers[sizes > 8000]]
    tones = np.array([pixels.mean(axis=1) for pixels in inside])
    assert len(tones) >= 8
    assert tones.std(axis=0).max() > 10
    assert np.median([pixels.std(axis=1).mean() for pixels in inside]) < tones.std(axis=0).mean()
    assert sum(crop.share for crop in CROPS) == pytest.approx(1)


def test_driveways_lead_from_dwellings_to_the_road() -> None:
    road = np.zeros((80, 80), bool)
    road[62:70] = True
    dwelling, barn = house((1, 0), (12, 8)), house((1, 0), (24, 12))
    (way,) = driveways([dwelling, barn], road)
    assert way[0][1] == pytest.approx(48)
    assert road[int(way[1][1]), int(way[1][0])]
    assert driveways([dwelling], np.zeros_like(road)) == []


def test_layers_and_masks() -> None:
    mask = np.zeros((40, 40), bool)
    mask[16:24, 14:22] = True
    assert blurred(mask, 2).dtype == np.float32
    assert 0 <= blurred(mask, 2).min() < blurred(mask, 2).max() <= 1
    assert (dilated(mask, 4) & mask).sum() == mask.sum() < dilated(mask, 4).sum()
    assert nearness(mask, 6) == pytest.approx(blurred(mask, 6), abs=0.05)
    assert nearness(mask[:37, :39], 6).shape == (37, 39)


def test_a_landscape_may_be_small() -> None:
    for seed in range(3):
        assert make_landscape(128, 192, seed).map.shape == (128, 192)
