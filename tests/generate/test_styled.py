"""generate with a model of styles and a finite receptive field: `--style`, and windows larger than a tile."""

import json
from dataclasses import replace

import numpy as np
import pytest
from generate_command import PLACE, VALUES, made, read, refused, write_map
from makers import write_raster

from sattrans.generate import GenerateOptions, generate, generate_variants
from sattrans.generate.axis import LARGE, Span, window_size
from sattrans.generate.update import record_path
from sattrans.generate.windows import WindowPlan, parse_overlap


def map_of(path, class_, height=90, width=120):
    """A map that is mostly of one class."""
    values = np.full((height, width), VALUES[class_], np.uint8)
    values[:10, :10] = VALUES[(class_ + 1) % 3]
    return write_raster(path, values, "EPSG:32652", PLACE)


def style_of(image):
    return json.loads(record_path(image).read_text())["options"]["style"]


def test_auto_takes_the_scene_whose_classes_are_likest_and_records_it(styled, tmp_path):
    scenes = styled.spec.scenes
    assert len(scenes) >= 2
    for class_, scene in ((0, scenes[0]), (2, scenes[1])):
        image = generate(map_of(tmp_path / f"{class_}.tif", class_), options=GenerateOptions(run=styled.folder)).output
        assert style_of(image) == scene


def test_different_styles_give_different_images_and_one_style_one_image(styled, tmp_path):
    map_ = write_map(tmp_path / "map.tif")
    first, second = styled.spec.scenes[:2]
    one, other, again = (
        read(generate(map_, tmp_path / name, GenerateOptions(run=styled.folder, style=style)).output)
        for name, style in (("a.tif", first), ("b.tif", second), ("c.tif", first))
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_an_image_of_another_style_is_refused_and_of_the_same_left_alone(styled, tmp_path):
    map_, (first, second) = map_of(tmp_path / "map.tif", 0), styled.spec.scenes[:2]
    made(styled, map_, "-o", tmp_path / "o.tif")
    assert style_of(tmp_path / "o.tif") == first
    made(styled, map_, "-o", tmp_path / "o.tif", "--style", first)
    error = refused(styled, 2, map_, "-o", tmp_path / "o.tif", "--style", second)
    assert f"style: {first} before, {second} now" in error


def test_an_interrupted_image_is_resumed_in_its_style(styled, tmp_path, monkeypatch):
    from sattrans.raster.cog.writer import RowWriter

    map_, options = write_map(tmp_path / "map.tif", 600, 200), GenerateOptions(run=styled.folder)
    whole = generate(map_, tmp_path / "whole.tif", options).output
    write, written = RowWriter.write, []

    def stop(self, *arguments):
        if written:
            raise KeyboardInterrupt
        written.append(write(self, *arguments))

    with monkeypatch.context() as patch:
        patch.setattr(RowWriter, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            generate(map_, tmp_path / "o.tif", options)
    assert list(tmp_path.glob("o.tif.part/piece-*.tif"))
    assert np.array_equal(read(generate(map_, tmp_path / "o.tif", options).output), read(whole))


def test_an_update_keeps_the_style_of_the_image_though_the_map_is_now_like_another_scene(styled, tmp_path):
    map_, options = map_of(tmp_path / "map.tif", 0), GenerateOptions(run=styled.folder)
    image = generate(map_, tmp_path / "o.tif", options).output
    first = style_of(image)
    map_of(map_, 2)
    updated = generate(map_, image, replace(options, update=image)).output
    assert style_of(updated) == first
    assert style_of(generate(map_, tmp_path / "new.tif", options).output) == styled.spec.scenes[1]


def test_an_unknown_style_is_refused_with_what_was_meant(styled, tmp_path):
    map_, scene = write_map(tmp_path / "map.tif"), styled.spec.scenes[0]
    error = refused(styled, 2, map_, "-o", tmp_path / "o.tif", "--style", scene + "x")
    assert f"--style {scene}x: the run was trained on no such scene; did you mean '{scene}'?" in error
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]


def test_a_model_without_styles_refuses_one(run, tmp_path):
    error = refused(run, 2, write_map(tmp_path / "map.tif"), "-o", tmp_path / "o.tif", "--style", "place0")
    assert error == "error: --style place0: model 'pix2pix' has no styles; leave the option out"
    made(run, tmp_path / "map.tif", "-o", tmp_path / "o.tif", "--style", "auto")
    assert "style" not in json.loads(record_path(tmp_path / "o.tif").read_text())["options"]


def test_a_folder_of_tiles_records_the_style(styled, tmp_path):
    made(styled, map_of(tmp_path / "map.tif", 0), "-o", tmp_path / "parts")
    texts = [path.read_text() for path in (tmp_path / "parts").glob("*.json")]
    assert any(f'"style": "{styled.spec.scenes[0]}"' in text for text in texts)


def test_classes_that_the_run_does_not_know_are_refused_before_a_style_is_chosen(styled, tmp_path):
    values = np.full((40, 40), 77, np.uint8)
    map_ = write_raster(tmp_path / "map.tif", values, "EPSG:32652", PLACE)
    assert "77" in refused(styled, 1, map_, "-o", tmp_path / "o.tif")


# Windows.


@pytest.mark.parametrize(
    ("margin", "height", "width", "side"),
    [
        (None, 5000, 5000, 64),  # a model that sees the whole tile: the tile size
        (156, 5000, 5000, 1504),  # four along a side, which share 320 px: 4 * 1504 - 3 * 320 = 5056
        (156, 40, 90, 96),  # no larger than the map needs, and a multiple of the stride
        (156, 90, 40, 96),
        (156, 1, 1, 64),  # nor smaller than a tile
        (156, LARGE - 31, 10, LARGE),
        (156, 2048, 2048, 1184),  # four of 1184 px: as many as of 1536 px, with fewer pixels
    ],
)
def test_windows_are_large_where_a_pixel_depends_on_little(margin, height, width, side):
    found = window_size(64, 32, margin, Span.all_of(height), Span.all_of(width), each_is_a_file=False)
    assert found == side
    assert found % 32 == 0


@pytest.mark.parametrize(("height", "width"), [(1600, 1600), (2048, 3000), (300, 5000), (4701, 4136), (20000, 20000)])
def test_windows_have_no_more_pixels_than_the_largest_would_have(height, width):
    def pixels(size):
        plan = WindowPlan.fitted(rows, cols, size, parse_overlap("0", size, 32, 216), 32, 216)
        assert plan.rows.end >= height and plan.cols.end >= width
        return plan.window_count * size**2

    rows, cols = Span.all_of(height), Span.all_of(width)
    assert pixels(window_size(256, 32, 216, rows, cols, each_is_a_file=False)) <= pixels(LARGE)


def test_a_window_that_becomes_a_file_is_a_tile_with_its_margins():
    span = Span.all_of(5000)
    assert window_size(64, 32, 156, span, span, each_is_a_file=True) == 384  # 64 + 2 * 156, up to a multiple of 32
    assert window_size(64, 32, None, span, span, each_is_a_file=True) == 64


# Variants.


def test_variants_differ_by_their_seed_alone_and_are_made_once(styled, tmp_path):
    map_ = write_map(tmp_path / "map.tif")
    options = GenerateOptions(run=styled.folder, variants=2, seed=5)
    both = generate_variants(map_, tmp_path / "v.tif", options)
    assert [result.output.name for result in both] == ["v-1.tif", "v-2.tif"]
    one, other = (read(result.output) for result in both)
    assert not np.array_equal(one, other)
    alone = generate(map_, tmp_path / "alone.tif", GenerateOptions(run=styled.folder, seed=6))
    assert np.array_equal(read(alone.output), other)
    assert [result.made for result in generate_variants(map_, tmp_path / "v.tif", options)] == [False, False]


def test_variants_of_a_model_without_random_numbers_are_refused(run, tmp_path):
    error = refused(run, 2, write_map(tmp_path / "map.tif"), "-o", tmp_path / "o.tif", "--variants", 3)
    assert error == f"error: --variants 3: model '{run.model_name}' makes one image of a map"


def test_variants_are_of_one_map_and_not_of_an_update(styled, tmp_path):
    map_ = write_map(tmp_path / "map.tif")
    made(styled, map_, "-o", tmp_path / "o.tif")
    error = refused(styled, 2, map_, "-o", tmp_path / "o.tif", "--variants", 2, "--update", tmp_path / "o.tif")
    assert error == "error: --update and --preview are for one image, not for --variants"


def test_a_small_map_is_one_window_whatever_the_overlap(styled, tmp_path):
    map_ = write_map(tmp_path / "map.tif")
    one, other = (
        generate(map_, tmp_path / f"{n}.tif", GenerateOptions(run=styled.folder, overlap=overlap))
        for n, overlap in enumerate(("0", "25%"))
    )
    assert one.windows == other.windows == 1
    assert one.seams is None
    assert np.array_equal(read(one.output), read(other.output))


def test_windows_join_without_a_seam(styled, tmp_path, monkeypatch):
    """In small windows and in one large one, the map is painted alike but for what lies at the map's edge."""
    from sattrans.generate import axis

    map_ = write_map(tmp_path / "map.tif", 512, 512)
    options = GenerateOptions(run=styled.folder, style=styled.spec.scenes[0])
    whole = generate(map_, tmp_path / "whole.tif", options)
    assert whole.windows == 1
    monkeypatch.setattr(axis, "LARGE", 512)
    parts = generate(map_, tmp_path / "parts.tif", options)
    assert parts.windows == 4
    inner = slice(0, 512 - 160)
    one, other = (read(result.output)[:, inner, inner].astype(int) for result in (whole, parts))
    assert np.abs(one - other).max() <= 1


def test_memory_of_a_batch_does_not_grow_with_the_windows(styled, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 700, 700)
    image = generate(map_, tmp_path / "o.tif", GenerateOptions(run=styled.folder, batch_size=4)).output
    assert json.loads(record_path(image).read_text())["options"]["batch_size"] == 1
