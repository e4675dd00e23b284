"""Real LandCover.ai masks made readable: grey 0 to 4, one with a CRS of its own, one of three equal bands without any.

The data is not part of the project. It is looked for in `SATTRANS_DATA`, or in `../shared/data`; without it these
tests are skipped.
"""

import hashlib
import os
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

from sattrans.colorize import ColorizeOptions, colorize
from sattrans.plugins import dataset_class

DATA = Path(os.environ.get("SATTRANS_DATA", Path(__file__).parents[3] / "shared" / "data"))
MASKS = DATA / "landcoverai" / "masks"
pytestmark = pytest.mark.skipif(not MASKS.is_dir(), reason=f"no real data in {DATA}")
OWN_CRS, THREE_BANDS = "N-33-60-D-c-4-2.tif", "N-34-97-D-c-2-4.tif"


def opened(path):
    with catch_warnings():
        simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def hashes():
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in MASKS.iterdir()}


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    before = hashes()
    result = colorize(MASKS, tmp_path_factory.mktemp("c") / "c", ColorizeOptions(dataset="landcover", legend=True))
    assert hashes() == before
    return result


def test_values_stay_and_are_drawn_in_the_datasets_colours(copies):
    table = {c.value: c.color for c in dataset_class("landcover")(MASKS).palette.classes}
    assert [path.name for path in copies.made] == [OWN_CRS, THREE_BANDS]
    for copy in copies.made:
        with opened(copy) as out, opened(MASKS / copy.name) as src:
            assert out.count == 1
            assert np.array_equal(out.read(1), src.read(1))
            assert {value: out.colormap(1)[value][:3] for value in table} == table


def test_a_crs_without_a_name_stays_and_none_stays_none(copies):
    for copy in copies.made:
        with opened(copy) as out, opened(MASKS / copy.name) as src:
            assert (out.crs, out.transform) == (src.crs, src.transform)
            assert (out.crs is None) == (copy.name == THREE_BANDS)
    assert [THREE_BANDS in notice and "three bands are equal" in notice for notice in copies.notices] == [True]


def test_the_legend_has_a_row_a_class(copies):
    with Image.open(copies.legend) as legend:
        assert {c.color for c in dataset_class("landcover")(MASKS).palette.classes} <= {
            color for _, color in legend.convert("RGB").getcolors(1 << 20)
        }


def test_rgb_copies_hold_the_colours_in_every_pixel(tmp_path):
    palette = dataset_class("landcover")(MASKS).palette
    copy = colorize(MASKS / OWN_CRS, tmp_path / "rgb.tif", ColorizeOptions(dataset="landcover", rgb=True)).made[0]
    with opened(copy) as out, opened(MASKS / OWN_CRS) as src:
        assert np.array_equal(out.read(), palette.to_rgb(palette.from_values(src.read(1))))


def test_masks_of_many_scenes_without_names_share_their_colours(tmp_path):
    result = colorize(DATA / "korea_s2" / "masks", tmp_path / "c")
    tables = []
    for copy in result.made:
        with opened(copy) as out:
            tables.append(tuple(out.colormap(1)[value] for value in (10, 30, 50, 70, 100)))
    assert (len(tables), len(set(tables))) == (20, 1)
