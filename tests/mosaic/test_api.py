"""mosaic: tiles become the raster they were cut from; overlaps, gaps, and tiles that do not match."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from makers import write_raster
from rio_cogeo import cog_validate

from sattrans.errors import OptionError, OutputExists, RasterError, UsageError
from sattrans.mosaic import MosaicOptions, mosaic
from sattrans.mosaic.layout import ChunkJoiner
from sattrans.mosaic.tiles import check_hashes

PLACE = Affine(0.5, 0, 200_000, 0, -0.5, 700_000)
CRS = "EPSG:2180"
CRS_BY_ESRI = (
    'PROJCS["ETRS_1989_Poland_CS92",GEOGCS["GCS_ETRS_1989",DATUM["D_ETRS_1989",SPHEROID["GRS_1980",6378137.0,'
    '298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",-5300000.0],PARAMETER["Central_Meridian",19.0],'
    'PARAMETER["Scale_Factor",0.9993],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
)


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (3, height, width), np.uint8)


def cut(folder, image, windows, **how):
    for number, (row, col, height, width) in enumerate(windows):
        part = image[..., row : row + height, col : col + width]
        write_raster(folder / f"t{number:03d}.tif", part, CRS, PLACE @ Affine.translation(col, row), **how)
    return folder


def read(path):
    with rasterio.open(path) as src:
        return src.read()


@pytest.mark.parametrize("blend", ["first", "last", "mean", "feather"])
def test_tiles_cut_from_one_raster_join_to_it_exactly(tmp_path, blend):
    image = picture(700, 900)
    windows = [(0, 0, 400, 500), (0, 450, 400, 450), (350, 0, 350, 600), (300, 550, 400, 350)]
    result = mosaic(cut(tmp_path / "t", image, windows), tmp_path / "m.tif", MosaicOptions(blend))
    with rasterio.open(result.output) as out:
        assert np.array_equal(out.read(), image)
        assert out.transform == PLACE
        assert out.crs.to_epsg() == 2180
    assert result.gap_share == 0
    assert cog_validate(result.output)[0]


@pytest.mark.slow
@given(st.data())
def test_any_tiles_that_cover_a_raster_join_to_it(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    image = picture(height, width)
    windows = [(0, 0, height, width)]
    for _ in range(data.draw(st.integers(0, 4))):
        row, col = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        windows.append((row, col, data.draw(st.integers(1, height - row)), data.draw(st.integers(1, width - col))))
    blend = data.draw(st.sampled_from(["first", "last", "mean", "feather"]))
    assert np.array_equal(
        read(mosaic(cut(folder / "t", image, windows), folder / "m.tif", MosaicOptions(blend)).output), image
    )


def flat(folder, name, value, col, width=100, **how):
    pixels = np.full((3, 40, width), value, np.uint8)
    return write_raster(folder / name, pixels, CRS, PLACE @ Affine.translation(col, 0), **how)


@pytest.mark.parametrize(("blend", "expected"), [("first", 100), ("last", 200), ("mean", 150)])
def test_an_overlap_has_the_value_of_the_chosen_method(tmp_path, blend, expected):
    flat(tmp_path / "t", "a.tif", 100, 0)
    flat(tmp_path / "t", "b.tif", 200, 60)
    image = read(mosaic(tmp_path / "t", tmp_path / "m.tif", MosaicOptions(blend)).output)
    assert (image[:, :, :60] == 100).all()
    assert (image[:, :, 60:100] == expected).all()
    assert (image[:, :, 100:] == 200).all()


def test_feather_weights_by_the_distance_to_the_edges(tmp_path):
    flat(tmp_path / "t", "a.tif", 100, 0, width=100)
    flat(tmp_path / "t", "b.tif", 200, 60, width=100)
    row = read(mosaic(tmp_path / "t", tmp_path / "m.tif", MosaicOptions("feather")).output)[0, 20]
    # At column 70 tile a's edge is 29.5 px away, but the top is 20.5: weights min(29.5, 19.5) and min(10.5, 19.5).
    assert row[70] == round((100 * 19.5 + 200 * 10.5) / 30)
    assert (np.diff(row[60:100].astype(int)) >= 0).all()


def test_gaps_are_transparent_and_reported(tmp_path):
    flat(tmp_path / "t", "a.tif", 0, 0)  # true black stays
    flat(tmp_path / "t", "b.tif", 200, 150)
    result = mosaic(tmp_path / "t", tmp_path / "m.tif")
    image = read(result.output)
    assert result.gap_share == pytest.approx(50 / 250)
    assert image.shape[0] == 4
    assert (image[3, :, :100] == 255).all()
    assert (image[3, :, 100:150] == 0).all()
    assert (image[:3, :, :100] == 0).all()


def test_nodata_pixels_are_filled_from_the_next_tile(tmp_path):
    flat(tmp_path / "t", "a.tif", 7, 0, nodata=7)
    flat(tmp_path / "t", "b.tif", 200, 50, nodata=7)
    image = read(mosaic(tmp_path / "t", tmp_path / "m.tif", MosaicOptions("first")).output)
    assert (image[:, :, :50] == 7).all()
    assert (image[:, :, 50:] == 200).all()
    with rasterio.open(tmp_path / "m.tif") as out:
        assert out.nodata == 7


def test_class_maps_keep_values_and_colour_table_and_are_never_averaged(tmp_path):
    values = np.random.default_rng(1).integers(0, 4, (300, 300), np.uint8)
    table = {0: (0, 0, 0), 1: (97, 74, 74), 2: (38, 115, 0), 3: (0, 197, 255)}
    folder = cut(tmp_path / "t", values, [(0, 0, 200, 300), (150, 0, 150, 300)], colormap=table)
    result = mosaic(folder, tmp_path / "m.tif")
    with rasterio.open(result.output) as out:
        assert np.array_equal(out.read(1), values)
        assert {value: out.colormap(1)[value][:3] for value in table} == table
    with pytest.raises(OptionError, match="first or last"):
        mosaic(folder, tmp_path / "n.tif", MosaicOptions("feather"))


def test_a_finished_mosaic_is_left_alone_and_another_refused(tmp_path):
    flat(tmp_path / "t", "a.tif", 1, 0)
    assert mosaic(tmp_path / "t", tmp_path / "m.tif").made
    assert not mosaic(tmp_path / "t", tmp_path / "m.tif").made
    flat(tmp_path / "t", "b.tif", 2, 100)
    with pytest.raises(OutputExists, match=r"m\.tif was made from other tiles, or .*; choose .*--overwrite"):
        mosaic(tmp_path / "t", tmp_path / "m.tif")
    assert mosaic(tmp_path / "t", tmp_path / "m.tif", overwrite=True).width == 200


def test_a_mosaic_is_not_written_among_its_tiles(tmp_path, monkeypatch):
    tile = flat(tmp_path, "a.tif", 1, 0)
    monkeypatch.chdir(tmp_path)
    for folder, output in ((tmp_path, tmp_path / "m.tif"), (Path(), Path("m.tif")), (tmp_path, Path("m.tif"))):
        with pytest.raises(OutputExists, match=r"m\.tif would be among the tiles, .*: choose another folder"):
            mosaic(folder, output, overwrite=True)
    assert list(tmp_path.iterdir()) == [tile]
    for _ in range(2):  # a subfolder is not searched for tiles
        assert mosaic(tmp_path, tmp_path / "joined" / "m.tif").tiles == 1


def test_a_truncated_mosaic_does_not_count_as_finished(tmp_path):
    flat(tmp_path / "t", "a.tif", 1, 0)
    output = mosaic(tmp_path / "t", tmp_path / "m.tif").output
    os.truncate(output, output.stat().st_size - 1)
    with pytest.raises(RasterError, match=r"m\.tif is damaged, its end is missing; delete it, or replace"):
        mosaic(tmp_path / "t", output)
    assert mosaic(tmp_path / "t", output, overwrite=True).made
    assert not mosaic(tmp_path / "t", output).made


def test_a_gap_between_class_maps_has_a_value_that_no_tile_contains(tmp_path):
    for name, col in (("a.tif", 0), ("b.tif", 150)):
        values = np.full((40, 100), 255, np.uint8)
        write_raster(tmp_path / "t" / name, values, CRS, PLACE @ Affine.translation(col, 0))
    with rasterio.open(mosaic(tmp_path / "t", tmp_path / "m.tif").output) as out:
        assert out.nodata == 254
        assert (out.read(1)[:, 100:150] == 254).all()
        assert (out.read(1)[:, :100] == 255).all()


def test_a_tile_is_never_the_output(tmp_path):
    tile = flat(tmp_path / "t", "a.tif", 1, 0)
    flat(tmp_path / "t", "b.tif", 2, 100)
    before = tile.read_bytes()
    with pytest.raises(OutputExists, match="would be among the tiles"):
        mosaic(tmp_path / "t", tile, overwrite=True)
    (tmp_path / "m.tif").symlink_to(tile)
    with pytest.raises(OutputExists, match="one of the tiles"):
        mosaic(tmp_path / "t", tmp_path / "m.tif", overwrite=True)
    assert tile.read_bytes() == before


def test_tiles_that_do_not_match_are_refused(tmp_path):
    flat(tmp_path / "t", "a.tif", 1, 0)

    def other(array, crs=CRS, place=PLACE, **how):
        write_raster(tmp_path / "t" / "b.tif", array, crs, place, **how)

    rgb = np.ones((3, 40, 40), np.uint8)
    wrong = [
        (lambda: other(rgb, "EPSG:32634"), UsageError, "coordinate reference"),
        (lambda: other(rgb, place=PLACE @ Affine.scale(2)), UsageError, "pixels of 1 × 1, .*of 0.5 × 0.5: .*--res 0.5"),
        (lambda: other(rgb, place=PLACE @ Affine.translation(0.5, 0)), UsageError, "off the grid.*--res 0.5"),
        (lambda: other(rgb[:1]), UsageError, "differ in bands"),
        (lambda: other(rgb, place=PLACE @ Affine.rotation(10)), RasterError, "north up first"),
        (lambda: other(rgb, None, None), RasterError, "no georeference, no world file"),
        (lambda: other(rgb.astype(np.uint16)), RasterError, "uint16"),
        (
            lambda: other(rgb, place=PLACE @ Affine.translation(1e9, 0)),
            UsageError,
            "span .* wide × .* high: check the georeference",
        ),
        (lambda: (tmp_path / "t" / "b.tif").write_text("no raster"), RasterError, "b.tif"),
    ]
    for make, kind, message in wrong:
        (tmp_path / "t" / "b.tif").unlink(missing_ok=True)
        make()
        with pytest.raises(kind, match=message):
            mosaic(tmp_path / "t", tmp_path / "m.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_no_tiles_and_no_tif_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        mosaic(tmp_path / "nowhere", tmp_path / "m.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no rasters"):
        mosaic(tmp_path / "empty", tmp_path / "m.tif")
    flat(tmp_path / "t", "a.tif", 1, 0)
    with pytest.raises(OptionError, match=r"\.tif"):
        mosaic(tmp_path / "t", tmp_path / "m.png")


# Tiles that differ in what no pixel needs


def test_one_crs_under_two_names_or_with_heights_is_joined(tmp_path):
    named = CRS_BY_ESRI, "EPSG:2180+5621"
    for number, crs in enumerate(named):
        folder = tmp_path / str(number)
        write_raster(folder / "a.tif", picture(40, 100), CRS, PLACE)
        write_raster(folder / "b.tif", picture(40, 100), crs, PLACE @ Affine.translation(100, 0))
        result = mosaic(folder, tmp_path / f"{number}.tif")
        assert (result.width, result.gap_share) == (200, 0)
    write_raster(folder / "b.tif", picture(40, 100), "EPSG:2177", PLACE @ Affine.translation(100, 0))
    with pytest.raises(UsageError, match="different coordinate reference systems"):
        mosaic(folder, tmp_path / "no.tif")


def tables(folder, first, second):
    for number, (values, table) in enumerate((first, second)):
        place = PLACE @ Affine.translation(100 * number, 0)
        write_raster(folder / f"{number}.tif", np.full((40, 100), values, np.uint8), CRS, place, colormap=table)
    return folder


def test_colour_tables_may_differ_in_entries_that_no_pixel_has(tmp_path):
    one, other = {1: (1, 1, 1), 2: (2, 2, 2), 3: (9, 9, 9)}, {1: (1, 1, 1), 2: (7, 7, 7), 4: (4, 4, 4)}
    folder = tables(tmp_path / "t", (2, one), (4, other))
    with rasterio.open(mosaic(folder, tmp_path / "m.tif").output) as out:
        assert {value: out.colormap(1)[value][:3] for value in (1, 2, 4)} == {1: (1,) * 3, 2: (2,) * 3, 4: (4,) * 3}
    tables(folder, (2, one), (2, other))
    with pytest.raises(UsageError, match="value 2 is #070707 and #020202; expand each to red, green, blue first"):
        mosaic(folder, tmp_path / "n.tif")


@pytest.mark.parametrize("bands", [1, 3])
def test_nodata_in_one_tile_only_is_empty_there_and_a_value_elsewhere(tmp_path, bands):
    holed = np.full((bands, 40, 100), 50, np.uint8)
    holed[:, :, :30] = 7
    write_raster(tmp_path / "t" / "a.tif", holed, CRS, PLACE, nodata=7)
    write_raster(tmp_path / "t" / "b.tif", np.full_like(holed, 7), CRS, PLACE @ Affine.translation(100, 0))
    with rasterio.open(mosaic(tmp_path / "t", tmp_path / "m.tif").output) as out:
        assert (out.dataset_mask() > 0).tolist() == [[False] * 30 + [True] * 170] * 40
        assert (out.read(1)[:, 100:] == 7).all()


def test_world_files_of_six_decimals_are_joined_over_any_distance(tmp_path):
    pixel = 0.2985821417
    for number in (0, 1, 400):
        left = round(200_000 + 100 * number * pixel, 6)
        place = Affine(round(pixel, 6), 0, left, 0, -round(pixel, 6), 700_000)
        write_raster(tmp_path / "t" / f"{number:03d}.tif", picture(40, 100), CRS, place)
    assert mosaic(tmp_path / "t", tmp_path / "m.tif").width == 40_100


def test_an_overlay_that_is_transparent_in_part_shows_what_lies_below(tmp_path):
    overlay = np.zeros((4, 40, 100), np.uint8)
    overlay[3], overlay[3, :, 50:] = 1, 128
    write_raster(tmp_path / "t" / "a.tif", overlay, CRS, PLACE, photometric="RGB", alpha="YES")
    alone = read(mosaic(tmp_path / "t", tmp_path / "alone.tif").output)
    assert (alone[3] == overlay[3]).all()
    write_raster(tmp_path / "t" / "b.tif", np.full((3, 40, 100), 200, np.uint8), CRS, PLACE)
    for method in ("first", "feather"):
        joined = read(mosaic(tmp_path / "t", tmp_path / f"{method}.tif", MosaicOptions(method)).output)
        assert (joined[0, :, :50] == 199).all() and (joined[3] == 255).all()
        assert (joined[0, :, 50:] == (100 if method == "first" else 133)).all()


@pytest.mark.parametrize("inside", [True, False])
def test_the_mask_of_a_tile_shows_what_lies_below(tmp_path, inside):
    image = picture(40, 100)
    write_raster(tmp_path / "t" / "a.tif", image, CRS, PLACE)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside), rasterio.open(tmp_path / "t" / "a.tif", "r+") as raster:
        raster.write_mask(np.arange(100)[np.newaxis].repeat(40, 0) < 60)
    write_raster(tmp_path / "t" / "b.tif", np.full((3, 40, 100), 200, np.uint8), CRS, PLACE)
    joined = read(mosaic(tmp_path / "t", tmp_path / "m.tif", MosaicOptions("first")).output)
    assert (joined[:3, :, :60] == image[:, :, :60]).all() and (joined[:3, :, 60:] == 200).all()


def test_a_mask_beside_a_tile_that_changes_meanwhile_is_noticed(tmp_path, monkeypatch):
    path = write_raster(tmp_path / "t" / "a.tif", picture(40, 100), CRS, PLACE)
    write, mask = ChunkJoiner.write, path.with_name("a.tif.msk")

    def changing(self, *given):
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as raster:
            raster.write_mask(np.zeros((40, 100), bool))
        return write(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(ChunkJoiner, "write", changing)
        before = path.stat()
        with pytest.raises(RasterError, match="tiles changed while the mosaic was made"):
            mosaic(tmp_path / "t", tmp_path / "m.tif")
    assert mask.exists() and path.stat().st_mtime_ns == before.st_mtime_ns
    assert (read(mosaic(tmp_path / "t", tmp_path / "m.tif", overwrite=True).output)[3] == 0).all()


def test_resampled_tiles_with_alpha_have_no_seam(tmp_path):
    """Each edge pixel is covered in part by either tile, and belongs to one."""
    for number in range(2):
        tile = np.full((4, 40, 101), 255, np.uint8)
        place = PLACE @ Affine.translation(101 * number, 0)
        write_raster(tmp_path / "t" / f"{number}.tif", tile, CRS, place, photometric="RGB", alpha="YES")
    joined = read(mosaic(tmp_path / "t", tmp_path / "m.tif", MosaicOptions(res=1.0)).output)
    assert joined.shape == (4, 20, 101) and (joined[3] == 255).all()


def test_a_jpeg_mosaic_with_gaps_is_read_back_with_them(tmp_path):
    for number, col in enumerate((0, 150)):
        write_raster(tmp_path / "t" / f"{number}.tif", picture(40, 100), CRS, PLACE @ Affine.translation(col, 0))
    made = mosaic(tmp_path / "t", tmp_path / "again" / "m.tif", MosaicOptions(co=("COMPRESS=JPEG",))).output
    with rasterio.open(made) as src:
        assert src.count == 3  # the alpha band became a mask
    joined = read(mosaic(made.parent, tmp_path / "n.tif").output)
    assert (joined[3] == np.where((np.arange(250) >= 100) & (np.arange(250) < 150), 0, 255)).all()


def test_a_tile_that_is_not_the_one_in_the_index_is_refused(tiny_tileset):
    image = tiny_tileset / "images" / "a_0.tif"
    with ThreadPoolExecutor(1) as pool:
        check_hashes([image], tiny_tileset, pool)
        image.write_bytes(b"others")
        with pytest.raises(RasterError, match=r"a_0\.tif is not the tile that was cut"):
            check_hashes([image], tiny_tileset, pool)
        with pytest.raises(RasterError, match=r"a_0\.tif is missing"):
            check_hashes([], tiny_tileset, pool)
