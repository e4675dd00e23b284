"""A part of a map gives the pixels of the whole map, byte for byte: whatever part, model, kind of map and blend."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import rasterio
import shapely
from generate_command import PLACE, RULES, VALUES, read, write_map
from hypothesis import given
from hypothesis import strategies as st
from in_memory import Memory, Part, blends, noise, picture
from makers import make_folder, make_indices, write_raster
from makers_vectors import UTM, write_layer

from sattrans.generate import GenerateOptions, generate
from sattrans.generate.axis import Span
from sattrans.generate.stream import Stream
from sattrans.generate.windows import WindowPlan
from sattrans.mosaic import mosaic
from sattrans.plugins import manager, model_class
from sattrans.raster.bands import to_uint8
from sattrans.raster.window import Window
from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

HEIGHT, WIDTH = 230, 260


def image_of(plan, pixels, part, network, **where):
    writer = Memory(part.height, part.width, **where)
    Stream(Part(pixels, part), plan, [network], 2, workers=2).write(writer, writer.missing())
    return writer.image


@st.composite
def parts(draw):
    """The size of a map, where it lies, and a part of it."""
    size = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    anchor = draw(st.tuples(st.integers(-300, 300), st.integers(-300, 300)))
    (top, bottom), (left, right) = (
        sorted(draw(st.lists(st.integers(0, length), min_size=2, max_size=2, unique=True))) for length in size
    )
    return size, anchor, Window(top, left, bottom - top, right - left)


def spans(size, anchor, part):
    ranges = range(part.row, part.bottom), range(part.col, part.right)
    return [Span(*one) for one in zip(size, ranges, anchor, strict=True)]


@given(parts(), blends, st.sampled_from([16, 32]), st.integers(0, 24))
def test_a_part_has_the_windows_of_the_whole(case, blend, size, overlap):
    shape, anchor, part = case
    pixels, whole = picture(*shape), Window(0, 0, *shape)
    plans = [
        WindowPlan.anchored(*spans(shape, anchor, area), size, min(overlap, size * 3 // 4), blend)
        for area in (whole, part)
    ]
    expected = image_of(plans[0], pixels, whole, noise)
    found = image_of(plans[1], pixels, part, noise, panel=64, block=16)
    assert np.array_equal(found, expected[(slice(None), *part.slices)])
    assert plans[1].window_count <= plans[0].window_count


def box_filter(windows, origins):
    """A network that sees 2 px around a pixel, and zeros beyond its window, as convolutions do."""
    padded = np.pad(windows.astype(np.float32), [(0, 0), (0, 0), (2, 2), (2, 2)])
    side = windows.shape[2:]
    views = [padded[:, :, r : r + side[0], c : c + side[1]] for r in range(5) for c in range(5)]
    return np.sum(views, axis=0, dtype=np.float32) / np.float32(25)


@given(parts(), st.sampled_from([(16, 8), (32, 8), (48, 16)]))
def test_windows_that_fit_a_part_give_the_whole_if_a_pixel_depends_on_little(case, windows):
    (shape, anchor, part), (size, overlap) = case, windows
    pixels, whole = picture(*shape), Window(0, 0, *shape)
    expected, found = (
        image_of(WindowPlan.fitted(*spans(shape, anchor, area), size, overlap, 4, 2), pixels, area, box_filter)
        for area in (whole, part)
    )
    assert np.array_equal(found, expected[(slice(None), *part.slices)])


@given(parts(), st.sampled_from([16, 32]), st.integers(1, 40))
def test_windows_with_a_context_see_the_map_around_them(case, size, context):
    """A network that looks `context` px up and left, and down and right."""
    shape, anchor, part = case
    pixels = picture(*shape)

    def both_ways(windows, origins):
        assert all(row % size == col % size == 0 for row, col in origins)
        seen = windows.astype(np.float32)
        return (seen[..., : -2 * context, : -2 * context] + seen[..., 2 * context :, 2 * context :]) / 2

    plan = WindowPlan.side_by_side(*spans(shape, anchor, part), size, context)
    found = image_of(plan, pixels, part, both_ways, panel=64, block=16)
    around = np.pad(pixels, [(0, 0), (context, context), (context, context)])
    assert np.array_equal(found, to_uint8(both_ways(around, []))[(slice(None), *part.slices)])


def test_a_small_part_of_a_large_map_needs_the_windows_around_it():
    rows = cols = Span(100_000, range(50_000, 51_024), 12_345)
    assert WindowPlan.anchored(rows, cols, 256, 64, "bands").window_count <= 7**2
    assert WindowPlan.fitted(rows, cols, 1536, 448, 32, 216).window_count == 1


def bounds_of(part, place=PLACE):
    """A window as an option `--bounds`."""
    (left, top), (right, bottom) = place @ (part.col, part.row), place @ (part.right, part.bottom)
    return f"{left},{bottom},{right},{top}"


def values_map(path, palette=None):
    return write_map(path / "map.tif", HEIGHT, WIDTH), GenerateOptions()


def colors_map(path, palette):
    colors = np.moveaxis(np.array(palette.colors, np.uint8)[make_indices(HEIGHT, WIDTH, 3, 1)], -1, 0)
    return write_raster(path / "map.tif", colors, "EPSG:32652", PLACE), GenerateOptions()


def resampled_map(path, palette):
    return write_map(path / "map.tif", HEIGHT * 5 // 2, WIDTH * 5 // 2, metres=4.0), GenerateOptions()


def vector_map(path, palette):
    rng = np.random.default_rng(3)
    (left, top), (right, bottom) = PLACE @ (0, 0), PLACE @ (WIDTH, HEIGHT)
    corners = rng.uniform((left, bottom), (right - 400, top - 400), (60, 2))
    shapes = [shapely.box(x, y, x + rng.uniform(50, 400), y + rng.uniform(50, 400)) for x, y in corners]
    shapes.append(shapely.box(left, bottom, right, top).exterior)
    kinds = [("wood", "house")[number % 2] for number in range(60)] + ["edge"]
    write_layer(path / "map.gpkg", shapes, crs=UTM, kind=kinds)
    (path / "rules.toml").write_text(RULES)
    return path / "map.gpkg", GenerateOptions(rules=path / "rules.toml")


PARTS = (Window(37, 81, 120, 99), Window(0, 0, 70, 260), Window(200, 190, 30, 70))


def check_parts(run, map_, options, folder, areas=PARTS):
    options = replace(options, run=run.folder)
    whole = generate(map_, folder / "whole.tif", options)
    with rasterio.open(whole.output) as src:
        assert (src.height, src.width) == (HEIGHT, WIDTH)
        pixels, place = src.read(), src.transform
    for number, part in enumerate(areas):
        made = generate(map_, folder / f"{number}.tif", replace(options, bounds=bounds_of(part, place)))
        assert np.array_equal(read(made.output), pixels[(slice(None), *part.slices)])
        assert made.windows <= whole.windows


@pytest.mark.parametrize("kind", [values_map, colors_map, resampled_map, vector_map])
def test_a_part_of_any_kind_of_map_equals_the_whole(run, tmp_path, kind):
    check_parts(run, *kind(tmp_path, run.palette), tmp_path)


@pytest.mark.parametrize("blend", ["none", "hann"])
def test_a_part_of_any_blend_and_grid_equals_the_whole(run, tmp_path, blend):
    map_ = write_raster(
        tmp_path / "map.tif", VALUES[make_indices(HEIGHT, WIDTH, 3)], None, rasterio.Affine(2, 0, 7, 0, -2, 9)
    )
    check_parts(run, map_, GenerateOptions(blend=blend, overlap="40", batch_size=1, res="native"), tmp_path)


def _train(folder, name):
    root = make_folder(folder / "f", size=128, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    monitor = "unlike" if name == "exemplar" else "l1"
    options = TrainOptions(model=name, settings={"width": 4}, steps=1, monitor=monitor, ema=0, batch_size=1)
    train(tileset.folder, folder / "r", options)


# test_refine.py has those that refine.
@pytest.mark.parametrize("name", [name for name in manager().names("model") if not model_class(name).refines])
def test_a_part_by_any_model_equals_the_whole(request, shared, tmp_path, name):
    if name in ("pix2pix", "projected"):
        run = request.getfixturevalue({"pix2pix": "run", "projected": "styled"}[name])
    else:
        run = Run.open(shared(f"run of {name}", partial(_train, name=name)) / "r")
    check_parts(run, *values_map(tmp_path), tmp_path, PARTS[:1] if name == "exemplar" else PARTS[:2])


def test_nine_parts_are_joined_to_the_whole(styled, tmp_path):
    map_, options = values_map(tmp_path)
    options = replace(options, run=styled.folder)
    whole = generate(map_, tmp_path / "whole.tif", options).output
    (tmp_path / "parts").mkdir()
    rows, cols = (0, 75, 141, HEIGHT), (0, 90, 201, WIDTH)
    for row in range(3):
        for col in range(3):
            part = Window(rows[row], cols[col], rows[row + 1] - rows[row], cols[col + 1] - cols[col])
            target = tmp_path / "parts" / f"{row}{col}.tif"
            generate(map_, target, replace(options, bounds=bounds_of(part)))
    joined = mosaic(tmp_path / "parts", tmp_path / "joined.tif").output
    assert np.array_equal(read(joined), read(whole))


def test_maps_of_the_same_ground_agree_where_both_see_enough(styled, tmp_path):
    """Sheets cut from one map: no pixel depends on where its sheet begins."""
    map_, options = write_map(tmp_path / "map.tif", 1100, 60), GenerateOptions(style=styled.spec.scenes[0])
    options = replace(options, run=styled.folder)
    values = read(map_)[0]
    below = write_raster(
        tmp_path / "below.tif", values[333:], "EPSG:32652", PLACE @ rasterio.Affine.translation(0, 333)
    )
    one, other = (read(generate(path, options=options).output) for path in (map_, below))
    far = styled.build_model().margin + 32
    assert np.array_equal(one[:, 333 + far : -far], other[:, far:-far])
