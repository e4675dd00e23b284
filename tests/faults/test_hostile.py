"""Commands over hostile files: no connection is made, and no byte of a file beside them comes out (`make hostile`).

A web server on this machine counts what it is asked for. Secret files lie beside the folder; each hostile file names
one of them, or the server, in another way.
"""

import json
import shutil
from pathlib import Path

import pytest
import rasterio
from hostile import SECRET, WORD, crs_of, write_hostile, write_hostile_vectors, write_secrets
from makers import make_folder, make_indices, make_picture, web_server, write_raster
from makers_scenes import vrt_of
from typer.testing import CliRunner

from sattrans.cli import app
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train
from sattrans.utils.hashing import sha256

short = pytest.mark.short
"""What `make test` runs of it, too."""

COMMANDS = {
    "colorize": lambda each, out: ["colorize", each, "-o", out / "c"],
    "mosaic": lambda each, out: ["mosaic", each, "-o", out / "m.tif"],
    "tile": lambda each, out: ["tile", each.parent, "--size", "32", "-o", out / "t"],
    "evaluate": lambda each, out: ["evaluate", "--pairs", each, each, "--metrics", "mae", "-o", out / "e"],
    "aoi": lambda each, out: ["tile", each.parent, "--size", "32", "--aoi", each / "area.geojson", "-o", out / "a"],
}


@short
@pytest.mark.parametrize("command", COMMANDS)
def test_no_connection_and_no_byte_of_another_file(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    secret, _ = write_secrets(tmp_path)
    with web_server() as (address, asked):
        images = write_hostile(tmp_path / "own" / "images", address, secret)
        masks = tmp_path / "own" / "masks"
        shutil.copytree(images, masks, symlinks=True)
        for path in sorted(images.iterdir()):
            if path.name == "plain.tif":
                write_raster(path, make_picture(make_indices(64, 64, 3)))
        (masks / "area.geojson").write_text(
            f'{{"type":"Polygon","coordinates":[],"crs":{{"type":"link","properties":{{"href":"{address}"}}}}}}'
        )
        whole = _run(COMMANDS[command](masks, tmp_path / "out"))
        for path in sorted(masks.iterdir()):  # and each file alone, as others may stop it before
            if command in ("colorize", "mosaic", "evaluate"):
                alone = tmp_path / "alone"
                alone.mkdir()
                for part in masks.glob(f"{path.name}*"):
                    shutil.copy(part, alone, follow_symlinks=False)
                whole += _run(COMMANDS[command](alone, tmp_path / "out" / path.name.replace(":", "")))
                shutil.rmtree(alone)
        assert asked == []
    assert "Traceback" not in whole
    for made in (path for path in (tmp_path / "out").rglob("*.tif") if path.is_file()):
        with rasterio.open(made) as raster:
            assert not (raster.read() == SECRET).any(), made


RULES = 'background = "class0"\n[[rule]]\nclass = "class1"\n'


@pytest.fixture(scope="module")
def made(shared):
    """A tileset `t` of classes 0, 1 and 2, and a run `r` of a step."""

    def fill(folder):
        root = make_folder(folder / "f", size=64, values=(0, 1, 2), classes_toml=True)
        tile(root, folder / "t", options=TileOptions(size=64))
        train(folder / "t", folder / "r", TrainOptions(model="pix2pix", steps=1, settings={"width": 4}))

    return shared("hostile", fill)


def test_a_map_is_translated_or_refused_without_a_look_at_another_file(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with web_server() as (address, asked):
        maps = write_hostile(tmp_path / "maps", address, write_secrets(tmp_path)[0])
        whole = _run(["generate", maps, "-o", "all", "--run", made / "r"])
        for path in sorted(maps.iterdir()):
            if path.suffix in (".tif", ".ovr", ".msk", ".xml"):  # not a .vrt: whoever types it wants what it names
                whole += _run(["generate", path, "-o", f"out/{path.name.replace(':', '')}.tif", "--run", made / "r"])
        assert asked == []
    assert "Traceback" not in whole and f"value {SECRET}" not in whole
    assert len(list(Path("out").glob("*.tif"))) == 9, whole  # those that are rasters, whatever lies beside them


VECTOR_COMMANDS = {
    "rules init": lambda path, made: ["rules", "init", path],
    "generate": lambda path, made: ["generate", path, "-o", "o.tif", "--run", made / "r", "--rules", "r.toml"],
    "aoi": lambda path, made: ["tile", "place", "--size", "64", "--aoi", path, "-o", "t"],
    "labels": lambda path, made: ["tile", path, "--images", "image.tif", "--rules", "house", "--size", "64", "-o", "l"],
}


@pytest.mark.parametrize("command", [pytest.param("rules init", marks=short), "generate", "aoi", "labels"])
def test_vector_maps_bring_no_connection_and_no_word_of_another_file(made, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text(RULES)
    make_folder(tmp_path / "place", scenes=1, size=64)
    with web_server() as (address, asked):
        maps = write_hostile_vectors(tmp_path / "maps", address, write_secrets(tmp_path)[1])
        whole = ""
        for path in sorted(maps.iterdir()):
            if command == "labels":
                folder = tmp_path / "labels"
                shutil.copytree(path, folder) if path.is_dir() else folder.mkdir()
                if not path.is_dir():
                    shutil.copy(path, folder, follow_symlinks=False)
                shutil.copy(tmp_path / "place" / "images" / "place0.tif", folder / "image.tif")
                whole += _run(VECTOR_COMMANDS[command](folder, made))
                shutil.rmtree(folder)
            else:
                whole += _run(VECTOR_COMMANDS[command](path, made))
            assert asked == [], path
    assert "Traceback" not in whole and WORD not in whole


TILESET_COMMANDS = {
    "train": lambda made, out: ["train", "-d", "t", "-m", "pix2pix", "--set", "width=4", "--steps", "1", "-o", out],
    "evaluate": lambda made, out: ["evaluate", made / "r", "--data", "t", "--metrics", "mae", "-o", out],
    "mosaic": lambda made, out: ["mosaic", "t", "-o", f"{out}.tif"],
    "colorize": lambda made, out: ["colorize", "t", "-o", out],
}


@short
@pytest.mark.parametrize("command", TILESET_COMMANDS)
def test_a_tileset_that_is_hostile_makes_no_connection(made, tmp_path, command, monkeypatch):
    """One that was unpacked from somewhere: its images and masks are texts, whose hashes its index has, or its scenes'
    CRS names a file."""
    monkeypatch.chdir(tmp_path)
    secret, _ = write_secrets(tmp_path)
    whole = ""
    with web_server() as (address, asked):
        for number, where in enumerate((str(secret), f"/vsicurl/{address}/a.tif")):
            for kind, change in enumerate((_make_vrts, _make_services, _set_crs)):
                shutil.copytree(made / "t", "t")
                change(where)
                whole += _run(TILESET_COMMANDS[command](made, f"out{number}{kind}"))
                shutil.rmtree("t")
        assert asked == []
    assert "Traceback" not in whole and whole.count("error: ") == 6, whole


def _make_vrts(where):
    _replace_tiles(vrt_of(where))


def _make_services(where):
    _replace_tiles(f"<GDAL_WMS><Service><ServerUrl>{where}</ServerUrl></Service></GDAL_WMS>")


def _replace_tiles(text):
    """Make the images and maps of the tileset `t` texts."""
    index = json.loads(Path("t/tiles.geojson").read_text())
    for properties in (feature["properties"] for feature in index["features"]):
        for kind in ("image", "map"):
            path = Path("t", properties[kind])
            path.write_text(text)
            properties[f"{kind}_sha256"] = sha256(path)
    Path("t/tiles.geojson").write_text(json.dumps(index))


def _set_crs(where):
    """Make the CRS of the scenes one that needs a grid file."""
    manifest = json.loads(Path("t/tileset.json").read_text())
    for scene in manifest["scenes"]:
        scene["crs"] = crs_of(where)
    Path("t/tileset.json").write_text(json.dumps(manifest))


@short
@pytest.mark.parametrize("key", ["data", "init"])
def test_a_run_that_names_an_address_makes_no_connection(made, tmp_path, key, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "r", "r")
    record = json.loads(Path("r/run.json").read_text())
    with web_server() as (address, asked):
        for where in (f"/vsicurl/{address}", address):
            changed = {**record, key: where if key == "init" else {**record["data"], "folder": where}}
            Path("r/run.json").write_text(json.dumps(changed))
            whole = _run(["evaluate", "r", "--metrics", "mae", "-o", "e"]) + _run(["runs", "show", "r"])
            Path("r/run.json").rename("r/run.json.begun")
            whole += _run(["train", "--resume", "r"])
            Path("r/run.json.begun").unlink()
        assert asked == []
    assert "Traceback" not in whole


def _run(arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output
