"""Options of mosaic: tiles of any format, resolution and extent; bounds, encodings, and the estimate."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from commands import error_line, tile
from makers import make_folder, make_indices, make_picture, write_raster
from makers_tiles import PICTURE, PLACE, UTM, WINDOWS, cut_tiles, grid_of
from rio_cogeo import cog_validate
from typer.testing import CliRunner

from sattrans.cli import app
from sattrans.errors import OptionError, OutputExists, RasterError, UsageError
from sattrans.mosaic import MosaicOptions, estimate, mosaic
from sattrans.mosaic.dataset_pool import DatasetPool
from sattrans.raster.cog import disk_space
from sattrans.raster.window import Window


def read(path):
    with rasterio.open(path) as src:
        return src.read()


def run(*arguments):
    return CliRunner().invoke(app, ["mosaic", *map(str, arguments)])


# Tiles of any format


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_pictures_with_world_files(tmp_path, suffix):
    how = {} if suffix == ".png" else {"quality": 95}
    result = mosaic(cut_tiles(tmp_path / "t", PICTURE, WINDOWS, suffix=suffix, **how), tmp_path / "m.tif")
    with rasterio.open(result.output) as src:
        assert src.transform.almost_equals(PLACE) and src.crs is None
        difference = np.abs(src.read().astype(int) - PICTURE)
    assert difference.max() == 0 if suffix == ".png" else difference.mean() < 5


@pytest.mark.parametrize("kind", ["png", "tif", "jpg"])
def test_a_tileset_of_any_format_is_placed_by_its_index(tmp_path, kind):
    root = make_folder(tmp_path / "place", scenes=1, size=256)
    arguments = [root, "--size", 64, "--overlap", 16, "--split", "random", "--format", kind, "-o", tmp_path / "t"]
    assert tile(*arguments).exit_code == 0
    result = mosaic(tmp_path / "t", tmp_path / "m.tif")
    with rasterio.open(root / "images" / "place0.tif") as scene, rasterio.open(result.output) as made:
        assert (made.crs, made.transform) == (scene.crs, scene.transform)
        difference = np.abs(made.read((1, 2, 3))[:, :256, :256].astype(int) - scene.read())
    assert difference.max() == 0 if kind != "jpg" else difference.mean() < 5


def test_tiles_with_and_without_alpha_and_black_that_is_a_colour(tmp_path):
    folder = cut_tiles(tmp_path / "t", np.zeros((3, 40, 60), np.uint8), [(0, 0, 40, 60)])
    alpha = np.full((4, 40, 60), 200, np.uint8)
    alpha[3] = np.where(np.arange(60) < 30, 0, 255)
    write_raster(folder / "a.tif", alpha, UTM, PLACE @ Affine.translation(40, 0), photometric="RGB", ALPHA="YES")
    image = read(mosaic(folder, tmp_path / "m.tif", MosaicOptions("first")).output)
    # By name the tile with alpha comes first; it begins at column 40 and is empty up to column 70.
    assert (image[:3, :, :60] == 0).all() and (image[3, :, :60] == 255).all()
    assert (image[3, :, 60:70] == 0).all()
    assert (image[:3, :, 70:] == 200).all() and (image[3, :, 70:] == 255).all()


# Resolutions


@pytest.mark.slow
def test_a_finer_tile_is_averaged_and_a_coarser_one_interpolated(tmp_path):
    folder = tmp_path / "t"
    write_raster(folder / "a.tif", PICTURE, UTM, PLACE)
    finer = make_picture(make_indices(600, 800, 5)).repeat(1, axis=1)
    write_raster(folder / "b.tif", finer, UTM, PLACE @ Affine.translation(400, 0) @ Affine.scale(0.5))
    result = mosaic(folder, tmp_path / "m.tif", MosaicOptions("first", res=10))
    image = read(result.output)
    assert image.shape == (3, 300, 800) and result.gap_share == 0
    assert np.array_equal(image[:, :, :400], PICTURE)
    mean = finer.reshape(3, 300, 2, 400, 2).mean((2, 4))
    assert np.abs(image[:, :, 400:] - mean).max() <= 1
    finest = read(mosaic(folder, tmp_path / "n.tif", MosaicOptions("first", res=5)).output)
    assert finest.shape == (3, 600, 1600)
    assert np.array_equal(finest[:, :, 800:], finer)
    assert np.abs(finest[:, 1::2, 1:800:2].astype(int) - PICTURE).mean() < 10


def test_class_maps_take_the_mode_or_the_nearest_and_never_a_mean(tmp_path):
    values = np.array([10, 200], np.uint8)[make_indices(256, 256, 2, patch=7)]
    folder = tmp_path / "t"
    write_raster(folder / "a.tif", values, UTM, PLACE)
    write_raster(folder / "b.tif", values, UTM, PLACE @ Affine.translation(256, 0) @ Affine.scale(0.25))
    for res in (10, 4):
        with rasterio.open(mosaic(folder, tmp_path / f"m{res}.tif", MosaicOptions(res=res)).output) as src:
            assert set(np.unique(src.read())) <= {10, 200, src.nodata}
            coarse = src.read(1)[:64, 256:320]
            if src.overviews(1):
                half = src.read(1, out_shape=(src.height // 2, src.width // 2))
                assert set(np.unique(half)) <= {10, 200, src.nodata}
        if res == 10:
            most = np.where((values.reshape(64, 4, 64, 4) == 200).sum((1, 3)) > 8, 200, 10)
            tied = (values.reshape(64, 4, 64, 4) == 200).sum((1, 3)) == 8
            assert (coarse == most)[~tied].all()


def test_a_tile_off_the_grid_is_resampled_if_res_is_given(tmp_path):
    folder = cut_tiles(tmp_path / "t", PICTURE, [(0, 0, 300, 200)])
    right = PICTURE[..., 200:]
    write_raster(folder / "z.tif", right, UTM, PLACE @ Affine.translation(200.3, 0.2))
    with pytest.raises(UsageError, match=r"off the grid.*\+0.30 columns and \+0.20 rows: --res 10"):
        mosaic(folder, tmp_path / "m.tif")
    result = mosaic(folder, tmp_path / "m.tif", MosaicOptions(res=10))
    image = read(result.output)
    assert (result.height, result.width) == (300, 400)
    assert result.gap_share == 0 and image.shape[0] == 3
    assert np.abs(image[:, 5:-5, 205:-5].astype(int) - PICTURE[:, 5:-5, 205:-5]).mean() < 15
    write_raster(folder / "z.tif", np.full_like(right, 100), UTM, PLACE @ Affine.translation(200.3, 0.2))
    image = read(mosaic(folder, tmp_path / "n.tif", MosaicOptions(res=10)).output)
    assert (image[:, :, 200:] == 100).all()  # nothing black at its edges


def test_nodata_is_not_averaged_into_resampled_pixels(tmp_path):
    pixels = np.full((3, 100, 100), 200, np.uint8)
    pixels[:, :, :50] = 0
    folder = tmp_path / "t"
    write_raster(folder / "a.tif", pixels, UTM, PLACE, nodata=0)
    image = read(mosaic(folder, tmp_path / "m.tif", MosaicOptions(res=7)).output)
    assert set(np.unique(image)) == {0, 200}


# A part


def test_bounds_cut_the_mosaic_and_may_reach_beyond_it(tmp_path):
    folder = cut_tiles(tmp_path / "t", PICTURE, WINDOWS)
    left, top = PLACE @ (100, 50)
    right, bottom = PLACE @ (250, 280)
    bounds = f"{left},{bottom},{right},{top}"
    result = mosaic(folder, tmp_path / "m.tif", MosaicOptions(bounds=bounds))
    assert np.array_equal(read(result.output), PICTURE[:, 50:280, 100:250])
    assert result.tiles < len(WINDOWS) and result.gap_share == 0
    with rasterio.open(result.output) as src:
        assert src.transform == PLACE @ Affine.translation(100, 50)
    inward = f"{left + 1},{bottom + 1},{right - 1},{top - 1}"  # pixels are touched, so they are there
    assert mosaic(folder, tmp_path / "n.tif", MosaicOptions(bounds=inward)).width == 150
    beyond = f"{left},{bottom - 1000},{right},{top}"
    result = mosaic(folder, tmp_path / "o.tif", MosaicOptions(bounds=beyond))
    assert (result.height, result.gaps) == (330, (Window(250, 0, 80, 150),))
    assert (read(result.output)[3, 250:] == 0).all()


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ("0,0,1,1", "contains no tile; the tiles extend over 300000,4097000,304000,4100000"),
        ("1,2,3", "four numbers"),
        ("300000,4100000,304000,4097000", "left must be below right and bottom below top"),
        (
            "300000,4097000,99999999,4100000",
            "spans 9970000 wide × 300 high: give coordinates in the unit",
        ),
    ],
)
def test_implausible_bounds_are_refused(tmp_path, bounds, message):
    folder = cut_tiles(tmp_path / "t", PICTURE, WINDOWS)
    with pytest.raises(UsageError, match=message):
        mosaic(folder, tmp_path / "m.tif", MosaicOptions(bounds=bounds))


@pytest.mark.parametrize("res", [1000, 0.1, 0, -1, float("nan"), float("inf")])
def test_an_implausible_resolution_is_refused(tmp_path, res):
    folder = cut_tiles(tmp_path / "t", PICTURE, WINDOWS)
    with pytest.raises(OptionError, match=f"--res must be .* got {res:g}|--res {res:g}: "):
        mosaic(folder, tmp_path / "m.tif", MosaicOptions(res=res))
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


# Gaps


def test_gaps_are_reported_the_largest_first(tmp_path):
    folder = cut_tiles(tmp_path / "t", PICTURE, [(0, 0, 300, 100), (0, 100, 200, 100), (0, 250, 300, 150)])
    result = run(folder, "-o", tmp_path / "m.tif")
    assert result.exit_code == 0, result.output
    # 300 × 50 px between the tiles and 100 × 100 px below touch, and are one.
    message = "20.83 % of the mosaic is not covered by any tile (1 gap, 150 wide × 300 high at row 0, column 100)"
    assert f"note: {message}\n" in result.stderr
    assert read(tmp_path / "m.tif").shape[0] == 4


# Encoding, threads, and the estimate


@pytest.mark.slow
def test_workers_and_the_number_of_open_files_change_no_byte(tmp_path, monkeypatch):
    folder = cut_tiles(tmp_path / "t", make_picture(make_indices(1300, 900, 5)), grid_of(1300, 900, 256, 224))
    made = {mosaic(folder, tmp_path / f"{n}.tif", MosaicOptions(workers=n)).output.read_bytes() for n in (1, 2, 5)}
    monkeypatch.setattr("sattrans.mosaic.api.DatasetPool", partial(DatasetPool, 2))
    made.add(mosaic(folder, tmp_path / "few.tif", MosaicOptions(workers=3)).output.read_bytes())
    assert len(made) == 1


def test_creation_options_reach_the_file_and_are_compared(tmp_path):
    folder = cut_tiles(tmp_path / "t", PICTURE, WINDOWS)
    result = run(folder, "-o", tmp_path / "m.tif", "--co", "compress=deflate", "--co", "LEVEL=9")
    assert result.exit_code == 0, result.output
    with rasterio.open(tmp_path / "m.tif") as src:
        assert src.compression.name == "deflate"
        assert np.array_equal(src.read(), PICTURE)
    assert cog_validate(tmp_path / "m.tif")[0]
    with pytest.raises(OutputExists, match="co: COMPRESS DEFLATE, LEVEL 9 before, none now"):
        mosaic(folder, tmp_path / "m.tif")


def test_a_dry_run_writes_nothing_and_prints_the_estimate(tmp_path):
    folder = cut_tiles(tmp_path / "t", PICTURE, WINDOWS)
    result = run(folder, "-o", tmp_path / "m.tif", "--dry-run")
    assert result.exit_code == 0
    assert "m.tif: 400 wide × 300 high from 12 tiles would need about " in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_a_full_disk_is_reported_before_anything_is_written(tmp_path, monkeypatch):
    folder = cut_tiles(tmp_path / "t", PICTURE, WINDOWS)
    needed = mosaic(folder, tmp_path / "m.tif", dry_run=True).estimate
    # With so little free space, the estimate is made from samples, and is smaller.
    for free, fits in ((needed.disk // 10, False), (needed.disk - 1, True)):

        def left(_, free=free):
            return free

        monkeypatch.setattr(estimate, "disk_space_left", left)
        monkeypatch.setattr(disk_space, "disk_space_left", left)
        if fits:
            assert mosaic(folder, tmp_path / "m.tif").made
            continue
        with pytest.raises(RasterError, match="needs about .* while it is written, but its disk has .*; free"):
            mosaic(folder, tmp_path / "m.tif")
        assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_every_refusal_is_one_line(tmp_path):
    folder = cut_tiles(tmp_path / "t", PICTURE, WINDOWS)
    for arguments in (["--workers", 0], ["--res", "fine"], ["--method", "magic"], ["-o", tmp_path]):
        result = run(folder, "-o", tmp_path / "m.tif", *arguments)
        assert result.exit_code == 2
    assert "a number, or" not in error_line(run(folder, "-o", tmp_path / "m.tif", "--workers", 0).stderr)
    assert Path(tmp_path / "m.tif").exists() is False


def test_without_an_output_the_mosaic_lies_beside_the_folder(tmp_path, monkeypatch):
    folder = cut_tiles(tmp_path / "t", PICTURE, WINDOWS)
    assert mosaic(folder).output == tmp_path / "t-mosaic.tif"
    monkeypatch.chdir(folder)
    assert not mosaic(Path()).made


def test_res_is_in_metres_in_a_crs_of_degrees(tmp_path):
    place = Affine(1 / 111_410, 0, 20, 0, -1 / 111_410, 60)  # about 0.5 m wide and 1 m high
    write_raster(tmp_path / "t" / "a.tif", PICTURE, "EPSG:4326", place)
    with rasterio.open(mosaic(tmp_path / "t", options=MosaicOptions(res=2)).output) as src:
        assert (src.width, src.height) == (PICTURE.shape[2] // 4, PICTURE.shape[1] // 2)


def test_a_mosaic_of_an_earlier_version_is_recognised(tmp_path):
    """Its tag calls the method `blend`."""
    folder = cut_tiles(tmp_path / "t", PICTURE, WINDOWS)
    with rasterio.open(mosaic(folder).output) as src:
        assert any('"blend": "feather"' in value for value in src.tags().values())


def test_tiles_in_two_coordinate_reference_systems_are_refused(tmp_path):
    for name, crs in (("a", "EPSG:32652"), ("b", "EPSG:32653")):
        write_raster(tmp_path / "t" / f"{name}.tif", PICTURE, crs, PLACE)
    with pytest.raises(UsageError, match=r"different coordinate reference systems \(EPSG:32653 and EPSG:32652\)"):
        mosaic(tmp_path / "t", tmp_path / "m.tif")
    assert not (tmp_path / "m.tif").exists()
