"""Which pixels of a scene are used, and what is said of the others: bands that were chosen, tiles left out."""

import numpy as np
import pytest
import rasterio
from makers import make_folder, write_raster
from rasterio.enums import ColorInterp

from sattrans.errors import UsageError
from sattrans.tile import TileOptions, tile


def set_nodata(path, value):
    with rasterio.open(path, "r+") as raster:
        raster.nodata = value


def test_whose_nodata_leaves_tiles_out_is_told(tmp_path):
    root = make_folder(tmp_path / "f", scenes=1, size=128)
    mask = next((root / "masks").glob("*.tif"))
    with rasterio.open(mask) as src:
        values = src.read(1)
    value = int(values[0, 0])
    set_nodata(mask, value)
    options = TileOptions(size=32, split="random")
    with_hole = [(values[r : r + 32, c : c + 32] == value).any() for r in range(0, 128, 32) for c in range(0, 128, 32)]
    result = tile(root, tmp_path / "t", options=options)
    assert result.dropped == {"nodata": sum(with_hole)} and 0 < sum(with_hole) < 16
    (told,) = (notice for notice in result.notices if "nodata in the mask" in notice)
    assert f"{mask} has nodata by the nodata value {value}; if that is a class" in told and "--unset-nodata" in told
    with rasterio.open(mask, "r+") as raster:
        raster.write(np.full((1, 128, 128), value, np.uint8))
        raster.write(np.full((1, 1, 1), value + 1, np.uint8), window=((0, 1), (0, 1)))
    with pytest.raises(UsageError, match=rf"16 nodata.*{value}; if that is a class"):
        tile(root, tmp_path / "u", options=options)


def test_a_choice_of_bands_is_told_and_bidx_overrides_it(tmp_path):
    root = make_folder(tmp_path / "f", scenes=1, size=128)
    path = next((root / "images").glob("*.tif"))
    with rasterio.open(path) as src:
        rgb, place = src.read(), src.transform
    infrared = np.arange(128, dtype=np.uint8)[np.newaxis, np.newaxis].repeat(128, 1)
    write_raster(path, np.concatenate([rgb[::-1], infrared]), "EPSG:32652", place, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.alpha]
    with pytest.raises(UsageError, match=r"alpha band 4; if band 4 is not alpha, label it"):
        tile(root, tmp_path / "t", options=TileOptions(size=64, split="random"))
    chosen = tile(root, tmp_path / "n", options=TileOptions(size=64, split="random", bidx=(4, 3, 2))).tileset
    with rasterio.open(chosen.tiles[0].image_path(chosen.folder)) as cut:
        window = chosen.tiles[0].window.slices
        assert (cut.read() == np.stack([infrared[0], rgb[0], rgb[1]])[:, *window]).all()
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.nir]
    result = tile(root, tmp_path / "o", options=TileOptions(size=64, split="random"))
    assert any("3, 2, 1 are taken as red, green and blue (--bidx takes others)" in note for note in result.notices)
    with rasterio.open(result.tileset.tiles[0].image_path(result.folder)) as cut:
        assert (cut.read() == rgb[:, *result.tileset.tiles[0].window.slices]).all()
