"""Deep pixels to 8 bits: linear, clipped, with percentiles over all scenes that numpy finds, too."""

import json
from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from makers import HERE
from makers_scenes import cut, make_scene, spoiled, write_classes

from sattrans.errors import ClassesError, OptionError
from sattrans.raster.scale import BINS, Histogram, Percentiles, Scale, parse_scale, value_range
from sattrans.tile import TileOptions, tile

SIZE = 96


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("0,3000", Scale(0, 3000)),
        (" -1.5 , 2e3 ", Scale(-1.5, 2000)),
        ("2%,98%", Percentiles(2, 98)),
        ("0 % , 99.9%", Percentiles(0, 99.9)),
    ],
)
def test_a_scale_is_two_values_or_two_percentiles(text, scale):
    assert parse_scale(text) == scale


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1,2,3",
        "a,b",
        "3000,0",
        "5,5",
        "2%,98",
        "2,98%",
        "98%,2%",
        "-1%,50%",
        "2%,101%",
        "nan,5",
        "0,inf",
        "%,%",
    ],
)
def test_what_is_no_scale_is_refused_in_a_line(text):
    with pytest.raises(OptionError) as refused:
        parse_scale(text)
    assert str(refused.value).startswith(f"--scale {text}: ") and "\n" not in str(refused.value)


@given(st.integers(0, 60_000), st.integers(1, 65_535))
def test_every_value_of_16_bits_is_scaled_linearly_and_clipped(low, width):
    values = np.arange(65_536, dtype=np.uint16)
    got = Scale(low, low + width)(values).astype(float)
    exact = (values.astype(float) - low) * 255 / width
    assert np.abs(got - exact.clip(0, 255)).max() <= 0.5 + 1e-2
    assert got[low] == 0 and (np.diff(got) >= 0).all()
    if low + width < 65_536:
        assert got[low + width] == 255


def test_ends_halves_and_what_is_no_number():
    pixels = np.array([-5, 0, 0.5, 1, 254.4, 254.6, 255, 1e30, np.inf, -np.inf, np.nan], np.float32)
    assert Scale(0, 255)(pixels).tolist() == [0, 0, 0, 1, 254, 255, 255, 255, 255, 0, 0]


LARGE = st.integers(-(2**31), 2**31 - 1)


@given(arrays(np.int32, 20, elements=LARGE), LARGE, st.integers(1, 2**20))
def test_large_whole_numbers_are_scaled_as_finely_as_small_ones(pixels, low, width):
    pixels[:4] = np.clip([low, low + width // 2, low + width - 1, low + width], -(2**31), 2**31 - 1)
    exact = (pixels.astype(np.float64) - low) * 255 / width
    assert np.abs(Scale(low, low + width)(pixels) - exact.clip(0, 255)).max() <= 0.51


@given(
    st.lists(arrays(np.int16, st.integers(1, 50), elements=st.integers(-32768, 32767)), min_size=1, max_size=4),
    st.integers(0, 200).map(lambda half: half / 2),
)
def test_percentiles_of_16_bits_are_those_of_numpy_exactly(parts, percent):
    low, high = value_range("int16")
    histogram = Histogram.of(parts[0], low, high)
    for part in parts[1:]:
        histogram += Histogram.of(part, low, high)
    expected = np.percentile(np.concatenate(parts), percent, method="inverted_cdf")
    assert histogram.value_at(percent) == expected


@given(arrays(np.float32, st.integers(2, 60), elements=st.floats(-1e4, 1e4, width=32)), st.integers(0, 100))
def test_percentiles_of_fractions_are_near_those_of_numpy(pixels, percent):
    low, high = float(pixels.min()), float(np.nextafter(pixels.max(), np.inf, dtype=float))
    found = Histogram.of(pixels, low, high).value_at(percent)
    expected = float(np.percentile(pixels, percent, method="inverted_cdf"))
    assert abs(found - expected) <= 1.001 * (high - low) / BINS + 1e-9


def test_fractions_that_lie_close_together_for_their_size_have_percentiles_too():
    heights = (4000 + np.random.default_rng(0).random(5000) * 3).astype(np.float32)
    histogram = Histogram.of(heights, float(heights.min()), float(heights.max()))
    for percent in (2, 50, 98):
        assert histogram.value_at(percent) == pytest.approx(np.percentile(heights, percent), abs=0.01)


# In a tileset.


def scenes(root, dtype, seed=0, nodata=None, bands=3):
    """Make three scenes of deep pixels, some of the first's nodata; return the images by the scenes' names."""
    rng = np.random.default_rng(seed)
    images = {}
    for n in range(3):
        pixels = rng.normal(2000 + 500 * n, 400, (bands, SIZE, SIZE)).clip(1, 30_000).astype(dtype)
        if np.dtype(dtype).kind != "u":
            pixels = (pixels - 2000).astype(dtype)
        if nodata is not None and n == 0:
            pixels[:, :40, :] = nodata
        images[f"s{n}"] = pixels
        place = HERE @ Affine.translation(2 * SIZE * n, 0)
        make_scene(root, f"s{n}", size=SIZE, place=place, image=pixels, nodata=nodata)
    return images


def linear(pixels, low, high):
    return np.rint((pixels.astype(np.float64) - low) * 255 / (high - low)).clip(0, 255)


def check_tiles(tileset, images, low, high, nodata=None):
    for item, got, _ in cut(tileset):
        pixels = images[item.scene][:, *item.window.slices]
        expected = linear(pixels, low, high)
        if nodata is not None:
            expected[:, (pixels == nodata).all(axis=0)] = 0
        assert np.abs(got - expected).max() <= 1  # a half may go either way
        assert (got == expected).mean() > 0.999


def options(scale, **more):
    return TileOptions(size=32, split="random", scale=scale, **more)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "uint8"])
def test_a_told_range_scales_every_scene_alike(tmp_path, dtype):
    images = scenes(tmp_path / "f", dtype) if dtype != "uint8" else {}
    if dtype == "uint8":
        images["s0"] = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE)).astype(np.uint8)
        make_scene(tmp_path / "f", "s0", size=SIZE, image=images["s0"])
    low, high = (10, 90) if dtype == "uint8" else (-500, 2600)
    tileset = tile(tmp_path / "f", tmp_path / "t", options=options(f"{low},{high}")).tileset
    assert tileset.manifest["scale"] == [low, high]
    check_tiles(tileset, images, low, high)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", None), ("uint16", 0), ("int16", -32768), ("float32", -9999)])
@pytest.mark.parametrize("percent", [(2, 98), (0, 100)])
def test_percentiles_are_over_all_scenes_without_nodata_and_told_in_the_manifest(tmp_path, dtype, nodata, percent):
    images = scenes(tmp_path / "f", dtype, nodata=nodata)
    told = f"{percent[0]}%,{percent[1]}%"
    tileset = tile(tmp_path / "f", tmp_path / "t", options=options(told, min_valid=0)).tileset
    held = [image if nodata is None else image[:, (image != nodata).any(axis=0)] for image in images.values()]
    values = np.concatenate([part.ravel() for part in held])
    low, high = np.percentile(values, percent, method="inverted_cdf")
    slack = 0 if dtype != "float32" else 1.001 * float(np.ptp(values)) / BINS
    assert np.abs(np.subtract(tileset.manifest["scale"], [low, high])).max() <= slack
    check_tiles(tileset, images, *tileset.manifest["scale"], nodata=nodata)


@pytest.mark.slow
def test_only_the_bands_that_are_taken_count_and_a_hole_that_is_no_number_does_not(tmp_path):
    images = scenes(tmp_path / "f", "float32", bands=5)
    for n, pixels in enumerate(images.values()):
        pixels[3:] = 1e6
        pixels[0, 5:9, 5] = np.nan
        pixels[1, 20, 20] = np.inf
        make_scene(tmp_path / "f", f"s{n}", size=SIZE, image=pixels, place=HERE @ Affine.translation(2 * SIZE * n, 0))
    result = tile(tmp_path / "f", tmp_path / "t", options=options("1%,99%", bidx=(3, 2, 1)))
    values = np.concatenate([p[:3, np.isfinite(p[:3]).all(axis=0)].ravel() for p in images.values()])
    low, high = np.percentile(values, (1, 99), method="inverted_cdf")
    assert np.allclose(result.tileset.manifest["scale"], (low, high), atol=np.ptp(values) / BINS * 1.01)
    assert result.dropped == {"nodata": 3}
    check_tiles(result.tileset, {name: p[2::-1] for name, p in images.items()}, *result.tileset.manifest["scale"])


@pytest.mark.parametrize("dtype", ["uint16", "float32", "int32"])
def test_an_image_of_one_value_or_of_none_cannot_be_scaled_by_percentiles(tmp_path, dtype):
    for n, (value, nodata, told) in enumerate(((7, None, "both are 7"), (7, 7, "the images have no valid pixels"))):
        make_scene(tmp_path / f"f{n}", size=64, image=np.full((3, 64, 64), value, dtype), nodata=nodata)
        with pytest.raises(OptionError, match=told) as refused:
            tile(tmp_path / f"f{n}", tmp_path / "t", options=options("2%,98%"))
        assert "\n" not in str(refused.value)
        assert not (tmp_path / "t").exists()


@pytest.mark.slow
def test_the_range_is_the_same_for_any_workers(tmp_path):
    scenes(tmp_path / "f", "uint16")
    one, two = (
        tile(tmp_path / "f", tmp_path / f"{n}", options=replace(options("2%,98%"), workers=n)).tileset for n in (1, 2)
    )
    assert one.manifest["scale"] == two.manifest["scale"]
    assert one.hash == two.hash


@pytest.mark.slow
@pytest.mark.parametrize("gone", [True, False])
def test_the_range_is_found_anew_where_a_scene_has_gone_or_changed_since(tmp_path, gone):
    root = tmp_path / "f"
    write_classes(root)
    scenes(root, "uint16")
    with spoiled(root, "s1"), pytest.raises(ClassesError, match="s1"):
        tile(root, tmp_path / "t", options=replace(options("2%,98%"), workers=1))
    assert json.loads((tmp_path / "t" / "tileset.json.begun").read_text())["scale"]
    if gone:
        for folder in ("images", "masks"):
            (root / folder / "s1.tif").unlink()
    else:
        place = HERE @ Affine.translation(2 * SIZE, 0)
        make_scene(root, "s1", size=SIZE, image=np.full((3, SIZE, SIZE), 9999, np.uint16), place=place)
    resumed = tile(root, tmp_path / "t", options=options("2%,98%")).tileset
    fresh = tile(root, tmp_path / "u", options=options("2%,98%")).tileset
    assert resumed.manifest["scale"] == fresh.manifest["scale"]
    assert resumed.hash == fresh.hash
