"""Masks that were smoothed, went through JPEG, or hold numbers that are no classes: each refused in one clear line."""

import numpy as np
import pytest
from makers import make_folder, make_indices, make_picture, write_raster
from PIL import Image

from sattrans import MaskFacts, inspect_mask, read_classes
from sattrans.errors import ClassesError, RasterError
from sattrans.raster.class_map import class_map
from sattrans.raster.open import open_raster
from sattrans.raster.palette import LandClass, Palette
from sattrans_folder.dataset import Folder

BUILDINGS = Palette((LandClass(0, "ground", (0, 0, 0)), LandClass(255, "building", (255, 255, 255))))
COVER = Palette(
    tuple(LandClass(10 + 20 * i, name, (80 * i, 0, 255 - 80 * i)) for i, name in enumerate(("a", "b", "c", "d")))
)
PLACES = make_indices(120, 150, 2, patch=17)


def smooth(pixels, steps=16):
    """Blur along the rows: every edge becomes a ramp of so many steps."""
    wide = np.pad(pixels.astype(float), ((0, 0), (0, steps - 1)), mode="edge")
    return sum(wide[:, k : k + pixels.shape[1]] for k in range(steps)) / steps


def refused(path, palette=BUILDINGS, error=ClassesError):
    with pytest.raises(error) as found, open_raster(path) as raster:
        class_map(raster, palette).read()
    text = str(found.value)
    assert str(path) in text and "\n" not in text
    return text


def jpeg(path, pixels, quality=90):
    Image.fromarray(pixels if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, 0, -1))).save(
        path, "JPEG", quality=quality, subsampling=0
    )
    return path


def test_an_antialiased_mask_is_told_as_smoothed(tmp_path):
    mask = smooth(PLACES * 255).astype(np.uint8)
    text = refused(write_raster(tmp_path / "m.tif", mask))
    assert "values between those of the classes (15, 31, 47" in text
    assert (
        "smoothed or compressed with loss (JPEG?); create it again by nearest neighbour, or "
        "cut it at a grey level with sattrans tile --threshold 128" in text
    )


def test_a_mask_that_is_nothing_but_edges_is_told_as_smoothed(tmp_path):
    mask = np.arange(256, dtype=np.uint8).reshape(1, -1).repeat(8, axis=0)
    assert "contains 254 values between those of the classes (1, 2, 3" in refused(
        write_raster(tmp_path / "m.tif", mask)
    )


def test_what_jpeg_left_in_another_file_is_told_as_smoothed(tmp_path):
    once = np.asarray(Image.open(jpeg(tmp_path / "m.jpg", COVER.to_values(make_indices(120, 150, 4, patch=17)), 75)))
    text = refused(write_raster(tmp_path / "m.tif", once), COVER)
    assert "smoothed or compressed with loss" in text


def test_another_land_covers_map_is_told_as_such(tmp_path):
    # ESA WorldCover's values lie between these classes' too, but nearly everywhere.
    values = np.array([20, 40, 60, 11, 12, 13, 14, 15, 16], np.uint8)[make_indices(120, 150, 9, patch=17)]
    text = refused(write_raster(tmp_path / "m.tif", values), COVER)
    assert "contains values 11, 12, 13" in text and "not among the classes 10 a, 30 b, 50 c, 70 d" in text


def test_a_single_wrong_value_stays_a_wrong_value(tmp_path):
    mask = PLACES * np.uint8(255)
    mask[3, 4] = 9
    text = refused(write_raster(tmp_path / "m.tif", mask))
    assert "contains value 9, which is not one of the classes 0 ground, 255 building; use a map of these" in text


@pytest.mark.parametrize("quality", [60, 95])
def test_a_jpeg_mask_is_told_as_compressed_with_loss(tmp_path, quality):
    text = refused(jpeg(tmp_path / "m.jpg", PLACES * np.uint8(255), quality))
    assert "is compressed with loss (JPEG), which added values" in text and "create it again without loss" in text


def test_a_tiff_with_jpeg_inside_is_told_as_compressed_with_loss(tmp_path):
    mask = write_raster(tmp_path / "m.tif", PLACES * np.uint8(255), compress="jpeg")
    assert "is compressed with loss (JPEG)" in refused(mask)


def test_colours_between_the_classes_are_told_as_smoothed(tmp_path):
    rgb = np.stack([smooth(band) for band in COVER.to_rgb(make_indices(120, 150, 4, patch=30))]).astype(np.uint8)
    text = refused(write_raster(tmp_path / "m.tif", rgb), COVER)
    assert "colours besides those of the classes" in text
    assert "smoothed or compressed with loss (JPEG?); draw it without smoothing" in text
    assert "#0000ff a" in text


def test_a_photo_for_a_map_is_told_as_a_picture(tmp_path):
    text = refused(write_raster(tmp_path / "m.tif", make_picture(make_indices(120, 150, 4))), COVER)
    assert "it is a picture, or was smoothed" in text


def test_a_jpeg_of_colours_is_told_as_compressed_with_loss(tmp_path):
    text = refused(jpeg(tmp_path / "m.jpg", COVER.to_rgb(make_indices(120, 150, 4))), COVER)
    assert "is compressed with loss (JPEG), which added colours" in text and "#0000ff a" in text


def test_too_many_values_are_no_classes_where_nobody_told_them(tmp_path):
    ramp = np.arange(250, dtype=np.uint8).reshape(1, -1).repeat(4, axis=0)
    with pytest.raises(
        ClassesError, match=r"m\.tif contains 250 different values, too many to be classes.*classes\.toml"
    ):
        inspect_mask(write_raster(tmp_path / "m.tif", ramp))
    few = inspect_mask(write_raster(tmp_path / "few.tif", ramp[:, :64]))
    assert len(few.values) == 64


def test_too_many_values_in_all_masks_together_are_no_classes(tmp_path):
    facts = [MaskFacts(tuple(range(50)), None), MaskFacts(tuple(range(40, 90)), None)]
    with pytest.raises(ClassesError, match="place contains 90 different values"):
        MaskFacts.merged(tmp_path / "place", facts)


def test_the_colours_of_all_tables_count_and_the_first_goes_before(tmp_path):
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    facts = [MaskFacts((1,), {1: red, 2: blue}), MaskFacts((1, 2), {1: blue, 2: green})]
    assert MaskFacts.merged(tmp_path, facts) == MaskFacts((1, 2), {1: red, 2: green})


@pytest.mark.parametrize("quality", [60, 95])
def test_a_jpeg_mask_of_unknown_classes_is_refused_however_few_its_values(tmp_path, quality):
    with pytest.raises(
        ClassesError, match=r"m\.jpg is compressed with loss \(JPEG\), and some of its \d+ values are so close"
    ):
        inspect_mask(jpeg(tmp_path / "m.jpg", PLACES * np.uint8(255), quality))


def test_a_jpeg_mask_that_came_through_whole_is_taken(tmp_path):
    blocks = make_indices(64, 64, 2, patch=8) * np.uint8(255)  # JPEG's own blocks of 8: no edge within one
    assert inspect_mask(jpeg(tmp_path / "m.jpg", blocks, 95)).values == (0, 255)


def test_a_folder_of_smoothed_masks_is_refused_by_name(tmp_path):
    root = make_folder(tmp_path / "d", scenes=2)
    write_raster(root / "masks" / "place1.tif", smooth(make_indices(256, 256, 2) * 255, 100).astype(np.uint8))
    with pytest.raises(ClassesError, match=r"place1\.tif contains \d+ different values.*smoothed"):
        _ = Folder(root).palette


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_with_fractions_are_refused_without_advice_that_loses_holes(tmp_path, dtype):
    path = write_raster(tmp_path / "m.tif", (PLACES * 0.5).astype(dtype))
    told = refused(path, error=RasterError)
    assert f"has {np.dtype(dtype)} pixels such as 0.5" in told and "-ot Byte" not in told
    with pytest.raises(RasterError, match="whole numbers"):
        inspect_mask(path)


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
def test_complex_numbers_are_refused(tmp_path, dtype):
    path = write_raster(tmp_path / "m.tif", PLACES.astype(np.complex64), dtype=dtype)
    assert f"has {dtype} pixels, but images and maps have real numbers" in refused(path, error=RasterError)
    with pytest.raises(RasterError, match="real numbers"):
        inspect_mask(path)


def test_an_antialiased_mask_of_few_levels_has_no_classes_of_them(tmp_path):
    mask = smooth(PLACES * 255, 6).astype(np.uint8)
    assert len(np.unique(mask)) == 7
    facts = inspect_mask(write_raster(tmp_path / "m.tif", mask))
    with pytest.raises(ClassesError, match="beside areas of 0, 255 they contain 42, 85, 127, 170, 212 at edges alone"):
        MaskFacts.merged(tmp_path, [facts])


def test_classes_of_thin_lines_and_single_pixels_are_classes(tmp_path):
    mask = PLACES * np.uint8(9)
    mask[:, 30], mask[40], mask[7, 7] = 3, 4, 5
    facts = inspect_mask(write_raster(tmp_path / "m.tif", mask))
    assert facts.solid == {0, 9}
    assert MaskFacts.merged(tmp_path, [facts]).values == (0, 3, 4, 5, 9)


def test_a_mask_of_colours_is_refused_with_classes_to_start_from(tmp_path):
    mask = np.array([[97, 74, 74], [38, 115, 0]], np.uint8)[PLACES]
    path = write_raster(tmp_path / "m.tif", np.moveaxis(mask, -1, 0))
    with pytest.raises(ClassesError, match="contains 2 colours, not class values") as found:
        inspect_mask(path)
    (tmp_path / "classes.toml").write_text("\n".join(found.value.details))
    palette = read_classes(tmp_path / "classes.toml")
    first = PLACES.mean() > 0.5
    assert palette.colors == (((38, 115, 0), (97, 74, 74)) if first else ((97, 74, 74), (38, 115, 0)))
    assert f"{max(PLACES.mean(), 1 - PLACES.mean()):.2%} of the pixels" in found.value.details[2]
    with open_raster(path) as raster:
        assert (class_map(raster, palette).read() == (1 - PLACES if first else PLACES)).all()


@pytest.mark.parametrize(("steps", "message"), [(6, "was smoothed: beside areas of 2 colours"), (90, "more than 64")])
def test_smoothed_colours_are_told_as_such(tmp_path, steps, message):
    mask = smooth(PLACES * 255, steps).astype(np.uint8)
    with pytest.raises(ClassesError, match=message):
        inspect_mask(write_raster(tmp_path / "m.tif", np.stack([mask, 255 - mask, mask])))
