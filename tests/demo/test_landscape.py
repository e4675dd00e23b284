"""The synthetic landscape: one seed gives one landscape, with all classes in plausible shares and colours."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sattrans.demo.landscape import PALETTE, Landscape, make_landscape
from sattrans.demo.noise import blurred, dilated, with_shadow
from sattrans.plugins import dataset_class

HEIGHT, WIDTH = 640, 768


@pytest.fixture(scope="module", params=[0, 1, 2], ids="seed {}".format)
def landscape(request: pytest.FixtureRequest) -> Landscape:
    return make_landscape(HEIGHT, WIDTH, request.param)


def of_class(landscape: Landscape, name: str) -> NDArray[np.bool_]:
    return landscape.map == PALETTE.values[PALETTE.names.index(name)]


def mean_color(landscape: Landscape, name: str) -> NDArray[np.float64]:
    """The mean red, green, blue of a class."""
    return landscape.photo[:, of_class(landscape, name)].mean(axis=1)


def flooded(mask: NDArray[np.bool_], seed: tuple[int, int]) -> NDArray[np.bool_]:
    """The part of a mask that is connected with one of its pixels, over edges and corners."""
    reached = np.zeros_like(mask)
    reached[seed] = True
    while True:
        rows, cols = np.nonzero(reached)
        window = (slice(max(0, rows.min() - 1), rows.max() + 2), slice(max(0, cols.min() - 1), cols.max() + 2))
        wider = np.zeros_like(mask)
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                wider[window] |= np.roll(reached, (down, across), axis=(0, 1))[window]
        wider &= mask
        if (wider == reached).all():
            return reached
        reached = wider


def test_shapes_and_types(landscape: Landscape) -> None:
    assert landscape.map.shape == (HEIGHT, WIDTH)
    assert landscape.photo.shape == (3, HEIGHT, WIDTH)
    assert landscape.map.dtype == landscape.photo.dtype == np.uint8


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
    assert blue - red > 40
    assert max(colors, key=lambda name: colors[name][2] - colors[name][0]) == "water"
    for name in ("background", "woodland"):
        assert colors[name].argmax() == 1, name  # green
    assert min(colors, key=lambda name: colors[name].sum()) == "woodland"
    assert max(colors, key=lambda name: colors[name].sum()) == "road"
    assert np.ptp(colors["road"]) < 30  # grey
    assert colors["building"].argmax() == 0  # red


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


def test_layers_and_masks() -> None:
    mask = np.zeros((40, 40), bool)
    mask[16:24, 14:22] = True
    assert blurred(mask, 2).dtype == np.float32
    assert 0 <= blurred(mask, 2).min() < blurred(mask, 2).max() <= 1
    assert (dilated(mask, 4) & mask).sum() == mask.sum() < dilated(mask, 4).sum()
    assert np.argwhere(with_shadow(mask, 5)).min(axis=0).tolist() == [11, 14]
    assert np.argwhere(with_shadow(mask, 5)).max(axis=0).tolist() == [23, 21]


def test_a_landscape_may_be_small() -> None:
    for seed in range(3):
        assert make_landscape(128, 192, seed).map.shape == (128, 192)
