"""A folder of maps: an image a map, each resumable, and a bad map loses none of the others."""

import numpy as np
import pytest
import rasterio
from commands import error_line, kill_when
from generate_command import PLACE, RULES, VALUES, generate, made, refused, write_map
from makers import make_indices, write_raster
from makers_vectors import box, write_layer

from sattrans.errors import OptionError, UsageError
from sattrans.generate import GenerateOptions
from sattrans.generate.batch import generate_batch, is_batch, maps_in


@pytest.fixture
def maps(tmp_path):
    folder = tmp_path / "maps"
    for number, size in enumerate((40, 70)):
        write_map(folder / f"place{number}.tif", size, size + 10)
    write_raster(folder / "drawn.png", VALUES[make_indices(30, 30, 3)], None, None, driver="PNG")
    (folder / "notes.txt").write_text("no map")
    (folder / "sub").mkdir()
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".tif.json"))  # records apart


def test_each_map_becomes_an_image_and_again_there_is_nothing_to_do(run, maps, tmp_path):
    result = generate(run, maps, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert names(tmp_path / "out") == ["drawn.tif", "place0.tif", "place1.tif"]
    assert len([line for line in result.stdout.splitlines() if " wide × " in line]) == 3
    assert result.stderr.count(f"run {run.folder} (pix2pix)") == 1
    with rasterio.open(tmp_path / "out" / "place1.tif") as out:
        assert (out.height, out.width) == (70, 80)
    again = generate(run, maps, "-o", tmp_path / "out")
    assert again.stdout.count("nothing to do") == 3


def test_a_new_map_is_made_and_the_others_are_left_alone(run, maps, tmp_path):
    made(run, maps, "-o", tmp_path / "out")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tif")}
    write_map(maps / "another.tif", 20, 20)
    made(run, maps, "-o", tmp_path / "out")
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tif")}
    assert after.keys() - before.keys() == {"another.tif"}
    assert all(after[name] == time for name, time in before.items())


def test_a_bad_map_is_told_at_the_end_and_the_others_are_made(run, maps, tmp_path):
    write_raster(maps / "bad.tif", np.full((20, 20), 99, np.uint8), "EPSG:32652", PLACE)
    (maps / "damaged.tif").write_bytes((maps / "place1.tif").read_bytes()[:200])
    result = generate(run, maps, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert error_line(result.stderr) == "error: 2 of 5 maps failed: bad.tif, damaged.tif"
    failed = [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 2
    assert f"failed: {maps}/bad.tif contains value 99" in failed[0]
    assert f"failed: {maps}/damaged.tif" in failed[1] and "cut short" in failed[1]
    assert names(tmp_path / "out") == ["drawn.tif", "place0.tif", "place1.tif"]
    write_map(maps / "bad.tif")
    (maps / "damaged.tif").unlink()
    made(run, maps, "-o", tmp_path / "out")
    assert "bad.tif" in names(tmp_path / "out")


def test_a_killed_series_goes_on_with_the_map_it_was_at(run, tmp_path):
    folder, output = tmp_path / "maps", tmp_path / "out"
    write_map(folder / "a.tif", 40, 50)
    write_map(folder / "b.tif", 3000, 100)
    kill_when(output, "b.tif.part/piece-*.tif", "generate", folder, "-o", output, "--run", run.folder)
    assert not (output / "b.tif").exists()
    before = (output / "a.tif").stat().st_mtime_ns
    kept = {path: path.stat().st_mtime_ns for path in output.glob("b.tif.part/piece-*.tif")}
    assert 0 < len(kept) < 6
    made(run, folder, "-o", output)
    assert (output / "a.tif").stat().st_mtime_ns == before
    made(run, folder / "b.tif", "-o", tmp_path / "alone.tif")
    with rasterio.open(output / "b.tif") as one, rasterio.open(tmp_path / "alone.tif") as other:
        assert np.array_equal(one.read(), other.read())


def test_what_is_wrong_with_the_options_is_said_once(run, maps, tmp_path):
    told = refused(run, 2, maps, "-o", tmp_path / "out", "--overlap", "all")
    assert told.startswith("error: --overlap all") and told.count("--overlap") == 1
    assert not (tmp_path / "out").exists()


def test_an_area_cuts_the_maps_it_meets(run, maps, tmp_path):
    bounds = "411450,3899300,411700,3899600"  # beyond the smaller map's edge, and a PNG lies nowhere
    result = generate(run, maps, "-o", tmp_path / "out", "--bounds", bounds)
    assert error_line(result.stderr) == "error: 2 of 3 maps failed: drawn.png, place0.tif"
    assert "is outside" in result.stderr and "drawn.png, which has no georeference" in result.stderr
    assert names(tmp_path / "out") == ["place1.tif"]


def test_where_the_images_go(run, maps, tmp_path):
    assert "give a folder" in refused(run, 2, maps, "-o", tmp_path / "out.tif")
    assert "is what the command reads" in refused(run, 2, maps, "-o", maps, "--overwrite")
    assert "is what the command reads" in refused(run, 2, maps, "-o", maps / ".." / "maps")
    photos = write_raster(tmp_path / "photos" / "place0.tif", VALUES[make_indices(30, 30, 3)]).parent
    before = (photos / "place0.tif").read_bytes()
    for more in ((), ("--overwrite",)):
        told = refused(run, 2, maps, "-o", photos, *more)
        assert "photos holds place0.tif, which sattrans did not make" in told and "--overwrite" not in told
    assert (photos / "place0.tif").read_bytes() == before
    (tmp_path / "file").write_text("")
    assert "give a folder" in refused(run, 2, maps, "-o", tmp_path / "file")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "has no map" in refused(run, 2, empty, "-o", tmp_path / "out")
    write_raster(maps / "place0.png", VALUES[make_indices(30, 30, 3)], None, None, driver="PNG")
    assert "would both become place0.tif" in refused(run, 2, maps, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (maps / "place0.png").unlink()
    for _ in range(2):  # a folder within is none of the maps
        result = generate(run, maps, "-o", maps / "out")
        assert result.exit_code == 0 and names(maps / "out") == ["drawn.tif", "place0.tif", "place1.tif"]
    assert result.stdout.count("nothing to do") == 3


def test_python_gets_what_was_made_and_what_failed_by_file(run, maps, tmp_path):
    (maps / "bad.tif").write_text("no raster")
    result = generate_batch(maps, tmp_path / "out", GenerateOptions(run=run.folder, batch_size=1))
    assert [one.output.name for one in result.made] == ["drawn.tif", "place0.tif", "place1.tif"]
    assert list(result.failed) == [maps / "bad.tif"]
    with pytest.raises(OptionError, match="batch-size"):
        generate_batch(maps, tmp_path / "out", GenerateOptions(run=run.folder, batch_size=0))
    with pytest.raises(UsageError, match="is not a run"):
        generate_batch(maps, tmp_path / "out", GenerateOptions(run=tmp_path))


def test_vector_maps_in_a_folder_and_a_folder_of_shapefiles(run, tmp_path):
    (tmp_path / "rules.toml").write_text(RULES.replace("[[rule]]", "optional = true\n[[rule]]", 1))
    folder = tmp_path / "maps"
    for name in ("a", "b"):
        write_layer(folder / f"{name}.gpkg", [box(0, 0, 400, 300)], kind=["wood"])
    made(run, folder, "-o", tmp_path / "out", "--rules", tmp_path / "rules.toml")
    assert names(tmp_path / "out") == ["a.tif", "b.tif"]
    shapes = tmp_path / "shapes"  # one map, a layer a file
    for name, x in (("a", 0), ("b", 400)):
        how = {"driver": "ESRI Shapefile", "geometry_type": "Polygon"}
        write_layer(shapes / f"{name}.shp", [box(x, 0, 400, 300)], **how, kind=["wood"])
    assert not is_batch(shapes) and is_batch(folder)
    (shapes / "photo.jpg").write_bytes(b"")
    assert is_batch(shapes)
    (shapes / "photo.jpg").unlink()
    assert "shapes, which the command reads" in refused(run, 2, shapes, "-o", shapes / "one.tif", "--rules", "osm")
    made(run, shapes, "-o", tmp_path / "one.tif", "--rules", tmp_path / "rules.toml")
    with rasterio.open(tmp_path / "one.tif") as out:
        assert (out.height, out.width) == (30, 80)


def test_maps_come_in_the_order_of_their_names_and_hidden_files_are_none(maps):
    (maps / ".hidden.tif").write_bytes(b"")
    assert [path.name for path in maps_in(maps)] == ["drawn.png", "place0.tif", "place1.tif"]
