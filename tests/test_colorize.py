"""colorize: copies a person can read, values kept, originals untouched."""

import numpy as np
import pytest
import rasterio
from makers import make_folder, make_landcover, write_raster

from sattrans.colorize import colorize
from sattrans.errors import ClassesError, OutputExists, UsageError
from sattrans.tile import TileOptions, tile

USUAL = {0: (0, 0, 0), 1: (97, 74, 74), 2: (38, 115, 0), 3: (0, 197, 255), 4: (207, 207, 207)}


@pytest.fixture(scope="module")
def landcover(tmp_path_factory):
    return make_landcover(tmp_path_factory.mktemp("landcover") / "landcover", height=600, width=600)


def test_a_dataset_gets_a_readable_copy_of_each_mask(landcover, tmp_path):
    before = {path: path.read_bytes() for path in landcover.rglob("*.tif")}
    result = colorize(landcover, tmp_path / "c")
    assert len(result.made) == 2
    for copy in result.made:
        with rasterio.open(copy) as out, rasterio.open(landcover / "masks" / copy.name) as src:
            assert np.array_equal(out.read(1), src.read(1))
            assert {value: out.colormap(1)[value][:3] for value in USUAL} == USUAL
            assert (out.crs, out.transform) == (src.crs, src.transform)
    assert before == {path: path.read_bytes() for path in landcover.rglob("*.tif")}


def test_rgb_copies_hold_the_colours(landcover, tmp_path):
    copy = colorize(landcover, tmp_path / "c", rgb=True).made[0]
    with rasterio.open(copy) as out, rasterio.open(landcover / "masks" / copy.name) as src:
        wanted = np.array([USUAL[v] for v in range(5)], np.uint8)[src.read(1)]
        assert np.array_equal(np.moveaxis(out.read(), 0, -1), wanted)


def test_one_file_is_written_beside_itself(landcover, tmp_path):
    mask = next((landcover / "masks").glob("*.tif"))
    copy = write_raster(tmp_path / "mask.tif", rasterio.open(mask).read(1))
    result = colorize(copy, dataset="landcover")
    assert result.made == (tmp_path / "mask.color.tif",)
    with rasterio.open(result.made[0]) as out:
        assert out.colormap(1)[3][:3] == (0, 197, 255)


def test_a_tileset_is_colored_by_its_own_palette(tmp_path):
    tileset = tile(
        make_folder(tmp_path / "f", classes_toml=True), tmp_path / "t", options=TileOptions(size=128)
    ).tileset
    result = colorize(tmp_path / "t", tmp_path / "c", rgb=True)
    assert len(result.made) == len(tileset.tiles)


def test_a_second_time_there_is_nothing_to_do(landcover, tmp_path):
    colorize(landcover, tmp_path / "c")
    again = colorize(landcover, tmp_path / "c")
    assert (len(again.made), len(again.kept)) == (0, 2)
    with pytest.raises(OutputExists, match="rgb"):
        colorize(landcover, tmp_path / "c", rgb=True)


def test_a_mask_of_unknown_values_is_refused(tmp_path):
    mask = write_raster(tmp_path / "m.tif", np.full((20, 20), 9, np.uint8))
    with pytest.raises(ClassesError, match="values 9"):
        colorize(mask, dataset="landcover")
    assert [p.name for p in tmp_path.iterdir()] == ["m.tif"]


def test_the_mask_itself_is_never_the_output(tmp_path):
    mask = write_raster(tmp_path / "m.tif", np.full((20, 20), 1, np.uint8))
    with pytest.raises(OutputExists, match="mask itself"):
        colorize(mask, mask)
    with pytest.raises(UsageError, match="no such"):
        colorize(tmp_path / "nowhere")


def test_nodata_stays_nodata_whatever_its_value(tmp_path):
    values = np.full((20, 20), 1, np.int16)
    values[:5] = -9999
    mask = write_raster(tmp_path / "m.tif", values, nodata=-9999)
    with rasterio.open(colorize(mask, tmp_path / "c.tif", dataset="landcover").made[0]) as out:
        assert out.nodata == 255
        assert np.array_equal(out.read(1) == 255, values == -9999)
    with rasterio.open(colorize(mask, tmp_path / "rgb.tif", dataset="landcover", rgb=True).made[0]) as out:
        assert np.array_equal(out.read(4) == 0, values == -9999)
