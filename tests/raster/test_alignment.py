"""Image and map on one grid: --align and --res against what numpy makes of the same pixels."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from makers import HERE, POLAND, make_landcover, web_server, write_raster
from makers_scenes import VALUES, cut, make_scene, vrt_of
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from sattrans.errors import AlignmentError, OptionError
from sattrans.tile import TileOptions, tile

SIZE = 64


def shifted(columns, rows):
    return HERE @ Affine.translation(columns, rows)


def one_tile(root, output, size=SIZE, **options):
    """Tile a scene that is one tile; return its image, map and transform."""
    options = {"split": "random", "min_valid": 0.0, **options}
    tileset = tile(root, output, options=TileOptions(size=size, **options)).tileset
    ((_, image, place),) = cut(tileset)
    ((_, (map_,), map_place),) = cut(tileset, "map")
    assert place == map_place
    return image, map_, place


@pytest.mark.parametrize(("columns", "rows"), [(1, 0), (-3, 2), (0, 40)])
def test_a_map_off_by_whole_pixels_is_moved_and_the_rest_holds_nothing(tmp_path, columns, rows):
    image, map_ = make_scene(tmp_path / "f", size=SIZE)
    write_raster(tmp_path / "f" / "masks" / "place.tif", map_, transform=shifted(columns, rows))
    got_image, got, place = one_tile(tmp_path / "f", tmp_path / "t", align=True)
    expected = np.full_like(map_, 255)
    for row in range(SIZE):
        for col in range(SIZE):
            if 0 <= row - rows < SIZE and 0 <= col - columns < SIZE:
                expected[row, col] = map_[row - rows, col - columns]
    assert np.array_equal(got, expected)
    assert np.array_equal(got_image, np.where(expected == 255, 0, image))
    assert place == HERE


def test_a_map_off_by_half_a_pixel_or_less_goes_to_its_nearest_neighbour(tmp_path):
    _, map_ = make_scene(tmp_path / "f", size=SIZE)
    write_raster(tmp_path / "f" / "masks" / "place.tif", map_, transform=shifted(0.4, -0.4))
    _, got, _ = one_tile(tmp_path / "f", tmp_path / "a", align=True)
    assert np.array_equal(got[:-1, 1:], map_[:-1, 1:])
    write_raster(tmp_path / "f" / "masks" / "place.tif", map_, transform=shifted(0.5, 0))
    _, got, _ = one_tile(tmp_path / "f", tmp_path / "b", align=True)
    assert np.array_equal(got[:, 1:], map_[:, 1:]) or np.array_equal(got[:, 1:], map_[:, :-1])


def test_a_coarser_map_is_repeated_and_a_finer_one_gives_its_commonest_class(tmp_path):
    rng = np.random.default_rng(0)
    make_scene(tmp_path / "f", size=SIZE)
    mask = tmp_path / "f" / "masks" / "place.tif"
    coarse = VALUES[rng.integers(0, 3, (SIZE // 4, SIZE // 4))]
    write_raster(mask, coarse, transform=HERE @ Affine.scale(4))
    _, got, _ = one_tile(tmp_path / "f", tmp_path / "a", align=True)
    assert np.array_equal(got, coarse.repeat(4, 0).repeat(4, 1))
    fine = VALUES[rng.integers(0, 3, (SIZE * 3, SIZE * 3))]
    write_raster(mask, fine, transform=HERE @ Affine.scale(1 / 3))
    _, got, _ = one_tile(tmp_path / "f", tmp_path / "b", align=True)
    counts = block_counts(fine, 3)
    clear = (np.sort(counts, axis=0)[-1] > np.sort(counts, axis=0)[-2]) & (counts.sum(axis=0) == 9)
    assert np.array_equal(got[clear], VALUES[counts.argmax(axis=0)][clear]) and clear.mean() > 0.5


def block_counts(map_, factor):
    """Return how often each class is in each block, (classes, H, W)."""
    high, wide = map_.shape[0] // factor, map_.shape[1] // factor
    blocks = map_[: high * factor, : wide * factor].reshape(high, factor, wide, factor)
    return np.stack([(blocks == value).sum(axis=(1, 3)) for value in VALUES])


@pytest.mark.parametrize("turn", [Affine.translation(0, SIZE) @ Affine.scale(1, -1), Affine.rotation(-90)])
def test_a_map_that_is_upside_down_or_turned_is_set_upright(tmp_path, turn):
    _, map_ = make_scene(tmp_path / "f", size=SIZE)
    if turn.e < 0:
        stored = map_[::-1]
    else:
        turn = Affine.translation(0, SIZE) @ turn  # columns go up, rows go right
        stored = map_[::-1].T
    write_raster(tmp_path / "f" / "masks" / "place.tif", stored, transform=HERE @ turn)
    _, got, _ = one_tile(tmp_path / "f", tmp_path / "t", align=True)
    assert np.array_equal(got, map_)


def test_a_map_in_another_crs_lies_where_it_should(tmp_path):
    _, map_ = make_scene(tmp_path / "f", size=SIZE)
    x, y = HERE @ (SIZE / 2, SIZE / 2)
    (east,), (north,) = transform_points(POLAND, "EPSG:32634", [x], [y])
    side = 200
    there = Affine(0.25, 0, east - side / 8, 0, -0.25, north + side / 8)
    # The map in the other CRS is drawn pixel by pixel, from where each of its pixels lies in the image.
    cols, rows = np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5)
    xs, ys = there @ (cols.ravel(), rows.ravel())
    px, py = transform_points("EPSG:32634", POLAND, xs, ys)
    col, row = ~HERE @ (np.array(px), np.array(py))
    inside = (col >= 0) & (col < SIZE) & (row >= 0) & (row < SIZE)
    drawn = np.full(side * side, 10, np.uint8)
    drawn[inside] = map_[row[inside].astype(int), col[inside].astype(int)]
    write_raster(tmp_path / "f" / "masks" / "place.tif", drawn.reshape(side, side), "EPSG:32634", there)
    _, got, _ = one_tile(tmp_path / "f", tmp_path / "t", align=True)
    within = np.s_[2:-2, 2:-2]
    assert (got[within] == map_[within]).mean() > 0.85  # twice by nearest neighbour: edges of patches move
    # In the middle of a patch of 8 px nothing moves.
    assert np.array_equal(got[4::8, 4::8], map_[4::8, 4::8])


def test_crss_that_differ_in_name_but_not_in_place_need_no_align(tmp_path):
    other = CRS.from_wkt(CRS.from_epsg(2180).to_wkt().replace("ETRF2000-PL / CS92", "Polish grid"))
    image, map_ = make_scene(tmp_path / "f", size=SIZE)
    write_raster(tmp_path / "f" / "masks" / "place.tif", map_, other)
    for output, options in (("a", {}), ("b", {"align": True})):
        got_image, got, _ = one_tile(tmp_path / "f", tmp_path / output, **options)
        assert np.array_equal(got, map_) and np.array_equal(got_image, image)


def test_a_map_of_part_of_the_image_leaves_the_rest_empty_and_min_valid_decides(tmp_path):
    _, map_ = make_scene(tmp_path / "f", size=SIZE)
    write_raster(tmp_path / "f" / "masks" / "place.tif", map_[:40, 24:], transform=shifted(24, 0))
    image, got, _ = one_tile(tmp_path / "f", tmp_path / "t", align=True)
    assert np.array_equal(got[:40, 24:], map_[:40, 24:])
    assert (got[40:] == 255).all() and (got[:, :24] == 255).all()
    assert (image[:, 40:] == 0).all() and (image[:, :, :24] == 0).all()
    result = tile(tmp_path / "f", tmp_path / "u", options=TileOptions(size=8, align=True, split="random"))
    assert result.dropped == {"nodata": 64 - 25} and len(result.tileset.tiles) == 25


@pytest.mark.parametrize("declared", [10, 50])
@pytest.mark.parametrize("how", ["align", "res"])
def test_a_class_that_is_declared_nodata_is_a_class_when_it_is_warped(tmp_path, declared, how):
    rng = np.random.default_rng(1)
    _, map_ = make_scene(tmp_path / "f", size=SIZE, map_=VALUES[rng.integers(0, 3, (SIZE, SIZE))])
    mask = tmp_path / "f" / "masks" / "place.tif"
    (tmp_path / "f" / "classes.toml").write_text(
        "".join(f"[c{v}]\nvalue = {v}\ncolor = '#0000{v:02x}'\n" for v in VALUES)
    )
    if how == "align":
        write_raster(mask, map_[:32], nodata=declared)
        _, got, _ = one_tile(tmp_path / "f", tmp_path / "t", align=True)
        assert np.array_equal(got[:32], map_[:32]) and (got[32:] == 255).all()
        return
    write_raster(mask, map_, nodata=declared)
    _, got, _ = one_tile(tmp_path / "f", tmp_path / "t", size=SIZE // 4, res=1.0)
    counts = block_counts(map_, 4)
    clear = np.sort(counts, axis=0)[-1] > np.sort(counts, axis=0)[-2]
    assert np.array_equal(got[clear], VALUES[counts.argmax(axis=0)][clear])


def test_a_map_that_lies_elsewhere_is_refused(tmp_path):
    _, map_ = make_scene(tmp_path / "f", size=SIZE)
    write_raster(tmp_path / "f" / "masks" / "place.tif", map_, transform=shifted(1000, 0))
    with pytest.raises(AlignmentError, match=r"masks/place\.tif does not overlap .*images/place\.tif") as refused:
        one_tile(tmp_path / "f", tmp_path / "t", align=True)
    assert "\n" not in str(refused.value) and not (tmp_path / "t").exists()


@pytest.mark.parametrize("bare", ["images", "masks", "both"])
def test_without_a_georeference_another_size_cannot_be_aligned(tmp_path, bare):
    image, map_ = make_scene(tmp_path / "f", size=SIZE)
    for folder, pixels in (("images", image), ("masks", map_[:32])):
        place = (None, None) if bare in (folder, "both") else (POLAND, HERE)
        write_raster(tmp_path / "f" / folder / "place.tif", pixels, *place)
    with pytest.raises(AlignmentError, match=r"has no georeference and its size differs") as refused:
        one_tile(tmp_path / "f", tmp_path / "t", align=True)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_the_one_that_has_a_crs_or_a_place_gives_it_to_the_other(tmp_path):
    image, map_ = make_scene(tmp_path / "f", size=SIZE)
    whole, crs_alone, place_alone = (POLAND, HERE), (POLAND, None), (None, HERE)
    for n, (own, its) in enumerate(
        ((crs_alone, whole), (place_alone, whole), (whole, crs_alone), (whole, place_alone))
    ):
        write_raster(tmp_path / "f" / "images" / "place.tif", image, *own)
        write_raster(tmp_path / "f" / "masks" / "place.tif", map_, *its)
        for align in (False, True):
            got_image, got, place = one_tile(tmp_path / "f", tmp_path / f"{n}{align}", align=align)
            assert place == HERE and np.array_equal(got, map_) and np.array_equal(got_image, image)
            with rasterio.open(tmp_path / f"{n}{align}" / "images" / "place_0.tif") as src:
                assert src.crs == POLAND


def test_without_any_crs_image_and_map_are_taken_to_have_the_same(tmp_path):
    _, map_ = make_scene(tmp_path / "f", size=SIZE, crs=None)
    write_raster(tmp_path / "f" / "masks" / "place.tif", map_, None, shifted(2, 0))
    _, got, _ = one_tile(tmp_path / "f", tmp_path / "t", align=True)
    assert np.array_equal(got[:, 2:], map_[:, :-2])


# --res


@pytest.mark.parametrize("factor", [2, 4])
def test_res_averages_the_image_and_takes_the_commonest_class_of_each_block(tmp_path, factor):
    rng = np.random.default_rng(factor)
    noise = rng.integers(0, 256, (3, 67, 66)).astype(np.uint8)
    drawn = VALUES[rng.integers(0, 3, (67, 66))]
    make_scene(tmp_path / "f", size=(67, 66), image=noise, map_=drawn)
    image, map_, place = one_tile(tmp_path / "f", tmp_path / "t", size=64 // factor, res=0.25 * factor)
    blocks = noise[:, :64, :64].reshape(3, 64 // factor, factor, 64 // factor, factor).mean(axis=(2, 4))
    assert np.abs(image - blocks).max() <= 0.5
    counts = block_counts(drawn[:64, :64], factor)
    clear = np.sort(counts, axis=0)[-1] > np.sort(counts, axis=0)[-2]
    assert np.array_equal(map_[clear], VALUES[counts.argmax(axis=0)][clear])
    assert set(np.unique(map_)) <= set(VALUES.tolist())
    assert place == HERE @ Affine.scale(factor)


def test_res_finer_than_the_scene_interpolates_the_image_and_repeats_the_map(tmp_path):
    image, map_ = make_scene(tmp_path / "f", size=SIZE)
    fine, repeated, place = one_tile(tmp_path / "f", tmp_path / "t", size=2 * SIZE, res=0.125)
    assert np.array_equal(repeated, map_.repeat(2, 0).repeat(2, 1))
    assert np.abs(fine.reshape(3, SIZE, 2, SIZE, 2).mean(axis=(2, 4)) - image).mean() < 8
    assert place == HERE @ Affine.scale(0.5)


@pytest.mark.parametrize(
    ("crs", "pixel", "metres"),
    [
        ("EPSG:4326", (0.5 / 55_660, 0.5 / 110_850), 1.0),  # degrees at 60 N
        ("EPSG:3857", (1.0, 1.0), 1.0),  # twice as long on the map as on the ground
        ("EPSG:2263", (1.0, 1.0), 0.6096),  # US survey feet
    ],
)
def test_res_is_in_metres_on_the_ground_whatever_the_units_of_the_crs(tmp_path, crs, pixel, metres):
    corner = {"EPSG:4326": (20.0, 60.0), "EPSG:3857": (2_226_390.0, 8_399_738.0), "EPSG:2263": (980_000.0, 200_000.0)}
    place = Affine(pixel[0], 0, corner[crs][0], 0, -pixel[1], corner[crs][1])
    make_scene(tmp_path / "f", size=SIZE, crs=crs, place=place)
    tileset = tile(tmp_path / "f", tmp_path / "t", TileOptions(size=16, res=metres, split="random")).tileset
    assert tileset.manifest["options"]["res"] == metres
    assert tileset.ground_resolution == pytest.approx((metres, metres), rel=2e-3)
    scene = tileset.scenes["place"]
    assert (scene.width, scene.height) == (SIZE // 2, SIZE // 2)


def test_res_averages_only_the_pixels_that_hold_something(tmp_path):
    rng = np.random.default_rng(3)
    pixels = rng.integers(1, 256, (3, SIZE, SIZE)).astype(np.uint8)
    pixels[:, :9, :] = 0
    make_scene(tmp_path / "f", size=SIZE, image=pixels, nodata=0)
    image, map_, _ = one_tile(tmp_path / "f", tmp_path / "t", size=SIZE // 2, res=0.5)
    whole = pixels.reshape(3, SIZE // 2, 2, SIZE // 2, 2).astype(float)
    assert (image[:, :4] == 0).all() and (map_[:4] == 255).all()
    assert np.abs(image[:, 4] - whole[:, 4, 1].mean(axis=-1)).max() <= 0.5
    assert np.abs(image[:, 5:] - whole[:, 5:].mean(axis=(2, 4))).max() <= 0.5


def test_res_of_a_map_of_colours_makes_no_colour_of_its_own(tmp_path):
    rng = np.random.default_rng(5)
    colors = np.array([[50, 50, 50], [50, 150, 150], [150, 50, 150]], np.uint8)  # which share bands
    drawn = rng.integers(0, 3, (SIZE, SIZE))
    make_scene(tmp_path / "f", size=SIZE)
    (tmp_path / "f" / "classes.toml").write_text(
        "".join(f"[c{n}]\nvalue = {n}\ncolor = {colors[n].tolist()}\n" for n in range(3))
    )
    write_raster(tmp_path / "f" / "masks" / "place.tif", np.moveaxis(colors[drawn], -1, 0))
    _, map_, _ = one_tile(tmp_path / "f", tmp_path / "t", size=SIZE // 4, res=1.0)
    blocks = drawn.reshape(SIZE // 4, 4, SIZE // 4, 4)
    assert all((map_[r, c] == blocks[r, :, c]).any() for r in range(SIZE // 4) for c in range(SIZE // 4))


@pytest.mark.slow
def test_scenes_of_two_resolutions_come_out_at_one(tmp_path):
    make_scene(tmp_path / "f", "fine", size=128)
    make_scene(tmp_path / "f", "rough", size=64, place=shifted(500, 0) @ Affine.scale(2))
    make_scene(tmp_path / "f", "turned", size=128, place=shifted(0, 500) @ Affine.rotation(30))
    tileset = tile(tmp_path / "f", tmp_path / "t", options=TileOptions(size=16, res=0.5, split="scene")).tileset
    corner = {"fine": HERE, "rough": shifted(500, 0), "turned": shifted(0, 500) @ Affine.rotation(30)}
    counts = dict.fromkeys(corner, 0)
    for item, _, place in cut(tileset):
        expected = corner[item.scene] @ Affine.scale(2) @ Affine.translation(item.window.col, item.window.row)
        assert np.allclose(place[:6], expected[:6], rtol=0, atol=1e-6)
        counts[item.scene] += 1
    assert counts == {"fine": 16, "rough": 16, "turned": 16}
    rough = {t.id: pixels for t, pixels, _ in cut(tileset) if t.scene == "rough"}
    with rasterio.open(tmp_path / "f" / "images" / "rough.tif") as src:
        assert np.array_equal(rough["rough_5"], src.read()[:, 16:32, 16:32])


@pytest.mark.slow
def test_at_another_resolution_a_tile_inherits_the_published_split_of_its_ground(tmp_path):
    root = make_landcover(tmp_path / "landcover", scenes=1)
    own = {(t.window.row, t.window.col): t.split for t in tile(root, tmp_path / "a").tileset.tiles}
    halves = tile(root, tmp_path / "b", options=TileOptions(size=256, res=0.5)).tileset
    assert {(2 * t.window.row, 2 * t.window.col): t.split for t in halves.tiles} == own
    fine = tile(root, tmp_path / "c", options=TileOptions(size=512, res=0.125)).tileset
    assert len(fine.tiles) == 4 * len(own)
    for item in fine.tiles:
        row, col = (place // 2 // 512 * 512 for place in (item.window.row, item.window.col))
        assert item.split == own[row, col]


@pytest.mark.parametrize("res", [0.001, 25, 1e9])
def test_an_absurd_res_is_a_slip_of_the_unit(tmp_path, res):
    make_scene(tmp_path / "f", size=SIZE)
    with pytest.raises(OptionError, match=r"--res .*images/place\.tif has pixels of 0\.25") as refused:
        one_tile(tmp_path / "f", tmp_path / "t", res=res)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("res", [0, -1, float("inf"), float("nan")])
def test_a_res_that_is_none_is_refused(tmp_path, res):
    make_scene(tmp_path / "f", size=SIZE)
    with pytest.raises(OptionError, match=r"--res must be above 0.*, got "):
        one_tile(tmp_path / "f", tmp_path / "t", res=res)


def test_res_needs_a_georeference(tmp_path):
    make_scene(tmp_path / "f", size=SIZE, crs=None, place=None)
    with pytest.raises(OptionError, match=r"--res 1: .*images/place\.tif has no georeference"):
        one_tile(tmp_path / "f", tmp_path / "t", res=1.0)


@pytest.mark.parametrize("which", ["images", "masks"])
def test_an_overview_that_a_tiff_smuggles_in_is_not_followed_by_a_reduced_read(tmp_path, which):
    make_scene(tmp_path / "f", size=SIZE, map_=np.full((SIZE, SIZE), 10, np.uint8))
    victim = tmp_path / "f" / which / "place.tif"
    write_raster(tmp_path / "secret.tif", np.full((SIZE // 2, SIZE // 2), 50, np.uint8))
    (tmp_path / "o.vrt").write_text(vrt_of(tmp_path / "secret.tif", SIZE // 2).replace('relativeToVRT="1"', ""))
    clean = one_tile(tmp_path / "f", tmp_path / "a", size=16, res=1.0)
    with rasterio.open(victim, "r+") as dst:
        dst.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(tmp_path / "o.vrt"))
    with rasterio.open(victim) as src:
        assert (src.read(1, out_shape=(16, 16)) == 50).all(), "GDAL itself follows it: else this test shows nothing"
    smuggled = one_tile(tmp_path / "f", tmp_path / "b", size=16, res=1.0)
    assert all(np.array_equal(one, other) for one, other in zip(clean[:2], smuggled[:2], strict=True))
    with web_server() as (address, asked), rasterio.Env(GDAL_HTTP_MAX_RETRY=0):
        with rasterio.open(victim, "r+") as dst:
            dst.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{address}/mine")
        asked.clear()
        one_tile(tmp_path / "f", tmp_path / "c", size=16, res=1.0)
        assert asked == []
