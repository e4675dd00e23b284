"""Mutants of every format that sattrans reads end as data or as one line; `make fuzz N=2000` reads more of them.

Counted are crashes, tracebacks, more than 20 s, more than 1 GB, and silent acceptance of a tile whose hash is known.
"""

import contextlib
import json
import os
import signal
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from makers import HERE, make_indices, make_picture, write_raster
from makers_vectors import box, in_degrees, make_town, write_geofabrik, write_layer, write_osm, write_pbf, write_tags
from mapped import HALF_METRE, PALETTE
from mutants import fuzz
from run_records import LINE, MANIFEST
from safetensors.torch import save

from sattrans.data.classes_toml import read_classes
from sattrans.data.dataset_toml import read_dataset_toml
from sattrans.data.split_lists import read_split_lists
from sattrans.data.tileset import Tileset
from sattrans.errors import RasterError, SattransError
from sattrans.evaluate.api import EvaluationOutput
from sattrans.evaluate.segmenter import Segmenter, SmallUNet
from sattrans.generate.axis import Span
from sattrans.generate.tiles import GeneratedTiles
from sattrans.generate.update import TAG, read_record, record_path, write_record
from sattrans.generate.windows import WindowPlan
from sattrans.maps.area import read_area
from sattrans.maps.class_mapping import parse_class_mapping
from sattrans.maps.ogr import layers_of, read_box, vector_files
from sattrans.maps.open import open_map
from sattrans.maps.options import MapOptions
from sattrans.maps.rules import read_rules
from sattrans.raster.cog.chunks import ChunkFiles
from sattrans.raster.cog.output import GeoTiffOutput
from sattrans.raster.cog.overviews import Chunk
from sattrans.raster.gsd import measure_gsd
from sattrans.raster.open import open_raster
from sattrans.raster.palette import LandClass, Palette
from sattrans.raster.window import Window
from sattrans.runs.run import METRICS, Run, load_checkpoint
from sattrans.tile.journal import Journal
from sattrans.train.options import read_recipe
from sattrans.utils.arrays import read_arrays
from sattrans.utils.hashing import sha256
from sattrans.utils.manifest import write_manifest

pytestmark = [
    pytest.mark.short,
    pytest.mark.skipif(
        sys.platform != "linux", reason="a process that has loaded torch is forked safely on Linux only"
    ),
]

COUNT = int(os.environ.get("SATTRANS_FUZZ", "12"))
"""Mutants of each format."""

SLOW = {"osm": 4, "osm.pbf": 4}
"""Of these, a part: GDAL takes a second for each."""

PICTURE = make_picture(make_indices(64, 64, 4))


def read_raster(path):
    with open_raster(path) as raster:
        measure_gsd(raster.georeference, raster.height, raster.width)
        if raster.height * raster.width <= 1 << 24:
            raster.read()


def read_vector(path, rules):
    """Read all of a vector map, and draw what lies in its middle."""
    for layer in layers_of(vector_files(path)):
        read_box(layer, layer.fields, None)
    with open_map(path, MapOptions(rules=rules), PALETTE, HALF_METRE) as map_:
        map_.check()
        map_.read(Window(max(0, map_.height // 2 - 32), max(0, map_.width // 2 - 32), 64, 64))


def raster(path, **profile):
    write_raster(path, PICTURE, **profile)
    return path, lambda: read_raster(path)


def picture(path, driver):
    write_raster(path, PICTURE, None, None, driver=driver)
    return path, lambda: read_raster(path)


def beside(path, name, text):
    write_raster(path / "a.png", PICTURE, None, None, driver="PNG")
    (path / name).write_text(text)
    return path / name, lambda: read_raster(path / "a.png")


def vector(path, rules="osm"):
    return path, lambda: read_vector(path, rules)


def part_of_shapefile(folder, suffix):
    write_geofabrik(folder / "town", make_town(64))
    part = next((folder / "town").glob(f"*buildings*.{suffix}"))
    return part, lambda: read_vector(folder / "town", "osm")


def text(path, content, read):
    path.write_text(content)
    return path, lambda: read(path)


def data(path, content, read):
    path.write_bytes(content)
    return path, lambda: read(path)


def tileset_file(folder, name):
    def read():
        tileset = Tileset.open(folder)
        _ = tileset.tiles, tileset.palette, tileset.scenes, tileset.ground_resolution, tileset.side_by_side

    return folder / name, read


def run_file(tmp_path, name):
    (tmp_path / "run.json").write_text(json.dumps(MANIFEST))
    (tmp_path / METRICS).write_text(json.dumps(LINE) + "\n" + json.dumps(LINE) + "\n")

    def read():
        run = Run.open(tmp_path)
        _ = run.palette, run.spec, run.ground_resolution, run.metrics(), run.build_model

    return tmp_path / name, read


def weights(path):
    tensors = {"generator.w": torch.arange(64.0).reshape(8, 8), "n": torch.tensor(3)}
    return data(
        path, save(tensors, {"state": json.dumps({"step": 1})}), lambda p: load_checkpoint(p, torch.device("cpu"))
    )


def arrays(path):
    np.savez_compressed(path, a=np.arange(64.0), b=np.ones((3, 3), np.int8))
    return path, lambda: _as_ours(lambda: read_arrays(path, 1 << 24))


def _as_ours(read):
    """Arrays and journals are read inside other records, which turn a ValueError into their line."""
    try:
        read()
    except ValueError as error:
        raise SattransError(str(error)) from error


OPTIONS = {"map": ["m.tif", 96, 128, 5, 7], "seed": 0, "window": 64}
PLAN = WindowPlan.anchored(Span.all_of(128), Span.all_of(96), 64, 16, "bands")


def begun(output, manifest):
    """An output that was begun with some options: its record, and what the same command does first."""
    with output.claim():
        pass

    def read():
        found = output.find_unfinished()
        _ = output.needs_recovery(), output.state
        if found.refusal:
            raise found.refusal

    return manifest, read


def finished(output):
    """An output that was made with some options, and how the same command finds that there is nothing to do."""
    output.path.mkdir()
    write_manifest(output.finished_manifest, output.kind, output.version, {"options": OPTIONS})
    return output.finished_manifest, lambda: output.is_finished(dry_run=True)


def record_of_windows(path):
    rows, cols = map(len, PLAN.used)
    hashes = np.arange(rows * cols, dtype=np.uint64).reshape(rows, cols)
    image = path / "sat.tif"
    write_record(record_path(image), OPTIONS, PLAN, hashes, "0" * 16)
    return record_path(image), lambda: read_record(image, {TAG: "0" * 16}, PLAN, OPTIONS, frozenset())


def segmenter(path):
    tileset = SimpleNamespace(folder=path.parent, palette=Palette((LandClass(1, "a", (1, 2, 3)),)))
    about = {"classes": ["a"], "width": 8, "steps": 1, "seed": 0}
    weights = save(SmallUNet(1, 8).state_dict(), {"segmenter": json.dumps(about)})
    return data(path, weights, lambda p: Segmenter.open(p, tileset, torch.device("cpu")))


def area(path):
    return path, lambda: read_area(path)


def aux(path):
    place = ",".join(map(str, HERE.to_gdal()))
    return beside(path, "a.png.aux.xml", f"<PAMDataset><GeoTransform>{place}</GeoTransform></PAMDataset>")


CLASSES = '[grass]\nvalue = 1\ncolor = "#508c3c"\n[lake]\nvalue = 3\ncolor = [40, 70, 160]\n'
RULES = 'background = "grass"\n[[rule]]\nclass = "lake"\nwhere = { kind = ["water", 3] }\nwidth = 2.5\n'
DATASET = f'images = "a/*"\nmasks = "b/*"\nbands = [3, 2, 1]\nthreshold = 128\nlicence = "CC0"\n[classes]\n{CLASSES}'
DATASET = DATASET.replace("[grass]", "[classes.grass]").replace("[lake]", "[classes.lake]")
RECIPE = 'lr = 0.0002\nsource = "onehot"\n[train]\nsteps = 10\nema = 0.9\n'

FORMATS = {
    "tif": lambda p, t: raster(p / "a.tif"),
    "tiled tif": lambda p, t: raster(p / "a.tif", tiled=True, blockxsize=16, blockysize=16, compress="deflate"),
    "jpeg in tif": lambda p, t: raster(p / "a.tif", compress="jpeg", photometric="ycbcr"),
    "png": lambda p, t: picture(p / "a.png", "PNG"),
    "jpg": lambda p, t: picture(p / "a.jpg", "JPEG"),
    "jp2": lambda p, t: picture(p / "a.jp2", "JP2OpenJPEG"),
    "aux.xml": lambda p, t: aux(p),
    "world file": lambda p, t: beside(p, "a.pgw", "1.0\n0.0\n0.0\n-1.0\n500000.5\n4100000.5\n"),
    "gpkg": lambda p, t: vector(write_geofabrik(p / "town.gpkg", make_town(64))),
    "geojson": lambda p, t: vector(write_tags(p / "town.geojson", make_town(64))),
    **{suffix: lambda p, t, suffix=suffix: part_of_shapefile(p, suffix) for suffix in ("shp", "dbf", "shx", "prj")},
    "run.json": lambda p, t: run_file(p, "run.json"),
    "metrics.jsonl": lambda p, t: run_file(p, METRICS),
    "tileset.json": lambda p, t: tileset_file(t, "tileset.json"),
    "tiles.geojson": lambda p, t: tileset_file(t, "tiles.geojson"),
    "journal": lambda p, t: text(
        p / "j", '{"row":"a","tiles":[],"dropped":{"empty":3}}\n' * 9, lambda q: Journal(q).read()
    ),
    "classes.toml": lambda p, t: text(p / "classes.toml", CLASSES, read_classes),
    "rules.toml": lambda p, t: text(p / "rules.toml", RULES, read_rules),
    "class map": lambda p, t: text(p / "map.toml", '5 = 2\n7 = "lake"\n', lambda q: parse_class_mapping([str(q)])),
    "options.toml": lambda p, t: text(p / "options.toml", RECIPE, read_recipe),
    "safetensors": lambda p, t: weights(p / "a.safetensors"),
    "npz": lambda p, t: arrays(p / "a.npz"),
    "dataset.toml": lambda p, t: text(p / "dataset.toml", DATASET, lambda q: read_dataset_toml(q.parent)),
    "split list": lambda p, t: text(p / "train.txt", "a.tif\nb/c.png\n", lambda q: read_split_lists(q.parent)),
    "fgb": lambda p, t: vector(write_layer(p / "a.fgb", [box(0, 0, 9, 9)], driver="FlatGeobuf", n=[3]), "building"),
    "osm": lambda p, t: vector(write_osm(p / "town.osm")),
    "osm.pbf": lambda p, t: vector(write_pbf(p / "town.osm.pbf")),
    "aoi geojson": lambda p, t: area(
        write_layer(p / "a.geojson", [in_degrees(box(0, 0, 9, 9))], driver="GeoJSON", crs="EPSG:4326")
    ),
    "aoi gpkg": lambda p, t: area(write_layer(p / "a.gpkg", [box(0, 0, 9, 9)])),
    "record of windows": lambda p, t: record_of_windows(p),
    "rows.json": lambda p, t: begun(GeoTiffOutput(p / "o.tif", OPTIONS), p / "o.tif.part" / "rows.json"),
    "generated.json": lambda p, t: begun(GeneratedTiles(p / "o", OPTIONS, PLAN, "m"), p / "o" / "generated.json.begun"),
    "scores.json": lambda p, t: finished(EvaluationOutput(p / "o", OPTIONS)),
    "segmenter": lambda p, t: segmenter(p / "s.safetensors"),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_mutants_end_as_data_or_as_one_line(tmp_path, tiny_tileset, kind):
    path, read = FORMATS[kind](tmp_path, tiny_tileset)
    read()  # as it was, it is read
    count = COUNT // SLOW.get(kind, 1)
    outcome = fuzz(path, read, count)
    print(kind, dict(outcome.counts))  # noqa: T201  the figures that make fuzz shows
    assert not outcome.worse, "\n".join(outcome.worse[:20])
    assert sum(outcome.counts.values()) == count


def test_a_tile_whose_hash_is_known_is_never_accepted_with_other_bytes(tiny_tileset):
    image = tiny_tileset / "images" / "a_0.tif"
    (tile,) = Tileset.open(tiny_tileset).tiles

    def read():
        if sha256(image) != tile.image_sha256:
            from sattrans.data.batches import TileStore

            TileStore(Tileset.open(tiny_tileset), [tile])._read_image(tile)
            raise AssertionError("it was accepted")

    outcome = fuzz(image, read, COUNT)
    assert not outcome.worse, "\n".join(outcome.worse[:20])


def test_a_chunk_of_an_unfinished_image_is_never_accepted_with_other_bytes(tmp_path):
    files, chunk = ChunkFiles(tmp_path), Chunk(0, Window(0, 0, 64, 64))
    files.put(chunk, b"encoded" * 99)
    whole = files.path(chunk).read_bytes()

    def read():
        with_other_bytes = files.path(chunk).read_bytes() != whole
        with contextlib.suppress(RasterError):
            files.get(chunk)
            assert not with_other_bytes, "it was accepted"

    outcome = fuzz(files.path(chunk), read, COUNT)
    assert not outcome.worse, "\n".join(outcome.worse[:20])


def test_what_fuzzing_counts_is_noticed(tmp_path):
    """The harness itself: a traceback, a crash and a refusal are told apart."""
    path = tmp_path / "a"
    path.write_bytes(struct.pack("<8Q", *range(8)))

    def read():
        kind = sum(path.read_bytes()) % 3
        if kind == 0:
            raise KeyError("kind")
        if kind == 1:
            os.kill(os.getpid(), signal.SIGKILL)  # prints no stack, as a segmentation fault would
        raise SattransError("one line")

    outcome = fuzz(path, read, 40)
    assert outcome.counts["traceback"] and outcome.counts["crash"] and sum(outcome.counts.values()) == 40
