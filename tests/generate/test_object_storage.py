"""Inputs from object storage and outputs to it, on a real S3 server: the bytes of a local command, whatever happens."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from commands import error_line, sattrans
from generate_command import write_map
from makers import make_folder, write_raster
from object_storage import BUCKET, object_storage
from pages import DOCS, blocks, run_line

from sattrans.tile import tile
from sattrans.utils.addresses import cache_folder


@pytest.fixture(scope="module")
def server():
    with object_storage() as made:
        yield made


@pytest.fixture
def storage(server, tmp_path, monkeypatch, timeless):
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SATTRANS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    server.empty()
    return server


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def copy_of(name):
    return cache_folder() / "copies" / "s3" / BUCKET / name


def outputs(tmp_path):
    """Return what the cache holds of outputs, besides copies of their records."""
    return [name for name in files(tmp_path / "cache") if name.startswith("outputs/") and ".published/" not in name]


def done(*arguments):
    result = sattrans(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(code, *arguments):
    result = sattrans(*arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return error_line(result.stderr)


def test_the_page_writes_what_local_commands_write(run, storage, tmp_path):
    place = make_folder(tmp_path / "place", scenes=3, size=64, classes_toml=True)
    map_ = write_map(tmp_path / "map.tif", 70, 90)
    address = storage.put(place, "place")
    storage.put(map_, "map.tif")
    Path("runs").mkdir()
    Path("runs/a").symlink_to(run.folder)
    (block,) = blocks(DOCS / "object-storage.md", "bash")
    for line in block.text.splitlines():
        run_line(line)
    (others,) = [block for block in blocks(DOCS / "object-storage.md", "text") if "sattrans train" in block.text]
    training, evaluating, coloring = others.text.splitlines()
    run_line(f"{training} --dry-run")
    run_line(f"{coloring} --dry-run")
    told = error_line(sattrans(*evaluating.split()[1:]).stderr)
    assert told == f"error: s3://{BUCKET}/tiles/place is not the tileset that runs/a was trained on"
    local = files(tile(place, tmp_path / "local", size=64).folder)
    made = storage.files("tiles/place")
    manifest = made.pop("tileset.json").decode()
    assert json.loads(local.pop("tileset.json"))["tiles"] == json.loads(manifest)["tiles"]
    assert f'"{address}/images/place0.tif"' in manifest
    assert str(tmp_path) not in manifest
    assert made == local
    done("generate", map_, "-o", "sat.tif", "--run", "runs/a")
    done("generate", map_, "-o", "parts", "--run", "runs/a")
    assert storage.read("sat.tif") == Path("sat.tif").read_bytes()
    assert json.loads(storage.read("sat.tif.json"))["seal"] == json.loads(Path("sat.tif.json").read_text())["seal"]
    tiles = {name: data for name, data in files(Path("parts")).items() if name.endswith(".tif")}
    assert tiles and storage.files("parts").items() >= tiles.items()
    done("mosaic", copy_of("parts"), "-o", "whole.tif")
    assert storage.read("whole.tif") == Path("whole.tif").read_bytes()
    assert not [name for name in storage.names() if name.endswith(".begun")]
    tiling, generating, *_ = block.text.splitlines()
    assert "already" in run_line(tiling) and "already" in run_line(generating)
    out = f"s3://{BUCKET}/sat.tif"
    assert "seed: 0 before, 1 now" in refused(2, "generate", map_, "-o", out, "--run", "runs/a", "--seed", 1)
    assert outputs(tmp_path) == []


def test_a_tileset_there_is_replaced_or_refused_as_on_a_disk(storage, tmp_path):
    place = make_folder(tmp_path / "place", scenes=1, size=128, classes_toml=True)
    out = f"s3://{BUCKET}/tiles/place"
    done("tile", place, "--size", 64, "-o", out)
    assert "size: 64 before, 128 now" in refused(2, "tile", place, "--size", 128, "-o", out)
    assert len(storage.names("tiles/place/images")) == 4
    shutil.rmtree(tmp_path / "cache")  # as from another machine
    assert "already" in done("tile", place, "--size", 64, "-o", out)
    done("tile", place, "--size", 128, "-o", out, "--overwrite")
    assert len(storage.names("tiles/place/images")) == 1
    image = f"s3://{BUCKET}/m.tif"
    joining = "mosaic", noise(tmp_path / "t", 64), "-o", image
    for options in ([], ["--method", "last", "--overwrite"], ["--overwrite"]):
        done(*joining, *options)  # in one process, in which GDAL may remember an older object
        assert "already" in done(*joining, *[option for option in options if option != "--overwrite"])
    storage.put(place / "classes.toml", "photos/mine.toml")
    told = refused(2, "tile", place, "-o", f"s3://{BUCKET}/photos", "--size", 64, "--overwrite")
    assert told == f"error: s3://{BUCKET}/photos holds objects that sattrans did not make; choose another output"
    assert storage.names("photos") == ["photos/mine.toml"]
    assert outputs(tmp_path) == []


def noise(folder, side=1200):
    """Two tiles of noise side by side, more than one part of an upload when they are joined."""
    rng = np.random.default_rng(0)
    for number in range(2):
        place = rasterio.Affine(1, 0, 500_000 + side * number, 0, -1, 4_000_000)
        write_raster(folder / f"t{number}.tif", rng.integers(0, 256, (3, side, side), np.uint8), "EPSG:32652", place)
    return folder


def test_a_mosaic_killed_in_its_upload_leaves_the_old_object_and_resumes(storage, tmp_path):
    folder = noise(tmp_path / "t")
    out = f"s3://{BUCKET}/whole.tif"
    storage.put(folder / "t0.tif", "one/t0.tif")
    done("mosaic", f"s3://{BUCKET}/one/", "-o", out)
    before = storage.read("whole.tif")
    command = "mosaic", storage.put(folder, "t"), "-o", out, "--overwrite"
    process = subprocess.Popen([sys.executable, "-m", "sattrans", *map(str, command)])

    def kill(method, path):
        if method == "PUT" and "partNumber=2" in path:
            process.kill()
            return "AccessDenied"
        return None

    with storage.refusing(kill):
        process.wait()
    assert storage.read("whole.tif") == before
    done(*command)
    done("mosaic", copy_of("t"), "-o", tmp_path / "local.tif")
    assert storage.read("whole.tif") == (tmp_path / "local.tif").read_bytes()
    assert storage.names() == ["one/t0.tif", "t/t0.tif", "t/t1.tif", "whole.tif"]
    assert outputs(tmp_path) == []


def test_a_tileset_killed_or_cut_off_in_its_upload_resumes(storage, tmp_path, monkeypatch):
    place = make_folder(tmp_path / "place", scenes=1, size=192, classes_toml=True)
    out = f"s3://{BUCKET}/tiles"
    command = "tile", place, "--size", 32, "-o", out
    process, sent = subprocess.Popen([sys.executable, "-m", "sattrans", *map(str, command)]), []

    def kill(method, path):
        if method == "PUT" and "/images/" in path:
            sent.append(path)
            if len(sent) == 10:
                process.kill()

    with storage.refusing(kill):
        process.wait()
    assert "tiles/tileset.json" not in storage.names("tiles")

    def cut_off(method, path):
        if method == "PUT" and "/images/" in path:
            sent.append(path)
            if len(sent) == 25:
                storage.stop()

    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "2")
    with storage.refusing(cut_off):
        told = refused(1, *command)
    assert "the server does not answer (" in told and told.endswith("to resume, repeat the command")
    storage.start()
    storage.requests.clear()
    done(*command)
    assert sum(request.startswith("PUT") and "/images/" in request for request in storage.requests) < 26
    local = files(tile(place, tmp_path / "local", size=32).folder)
    assert storage.files("tiles") == local
    assert outputs(tmp_path) == []


def test_what_is_read_there_is_not_written_and_may_have_any_name(run, storage, tmp_path):
    name = "Häu ser+ö%25&#?x"
    maps = storage.put(write_map(tmp_path / "map.tif", 70, 90), f"{name}/m.tif").removesuffix("/m.tif")
    before = storage.read(f"{name}/m.tif")
    image = "generate", f"{maps}/m.tif", "--run", run.folder, "--overwrite", "-o"
    for command in (image, ("mosaic", maps, "--overwrite", "-o")):
        assert "choose another" in refused(2, *command, f"{maps}/m.tif")
    assert "would be among the tiles" in refused(2, "mosaic", maps, "-o", f"{maps}/joined.tif")
    assert storage.files(name) == {"m.tif": before}
    done(*image, f"{maps}/sat.tif")
    assert storage.names() == [f"{name}/m.tif", f"{name}/sat.tif", f"{name}/sat.tif.json"]


def test_what_storage_refuses_is_said_in_one_line(storage, tmp_path, monkeypatch):
    folder = noise(tmp_path / "t", 64)
    denied = lambda method, path: "AccessDenied" if method == "PUT" else None  # noqa: E731
    out = f"s3://{BUCKET}/m.tif"
    with storage.refusing(denied):
        told = refused(1, "mosaic", folder, "-o", out)
    assert told.startswith(f"error: {out}.begun: these credentials may not write it (access denied)")
    for other in ("S3://bucket/m.tif", "ftp://host/m.tif"):
        assert "there are only addresses of s3://, gs://" in refused(2, "mosaic", folder, "-o", other)
    with storage.refusing(lambda method, path: "AccessDenied"):
        told = refused(1, "mosaic", f"s3://{BUCKET}/t", "-o", tmp_path / "m.tif")
        assert told.startswith(f"error: s3://{BUCKET}/t: these credentials may not read it (access denied)")
    assert "there is no bucket s3://other" in refused(2, "mosaic", folder, "-o", "s3://other/m.tif")
    assert "no object has this name" in refused(1, "mosaic", f"s3://{BUCKET}/none", "-o", tmp_path / "m.tif")
    assert "outputs go to folders and to s3:// addresses" in refused(2, "mosaic", folder, "-o", "gs://b/m.tif")
    assert "is a whole bucket" in refused(2, "tile", folder, "-o", "s3://b")
    (tmp_path / "t" / "o.toml").write_text(f'[train]\ninit = "s3://{BUCKET}/run"\n')
    asked = len(storage.requests)
    assert "opened only where it is typed: --init" in refused(2, "train", "--options", folder / "o.toml")
    assert len(storage.requests) == asked
    assert "writes to a folder of this machine" in refused(2, "colorize", folder, "-o", out)
    with monkeypatch.context() as patch:
        patch.delenv("AWS_SECRET_ACCESS_KEY")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
        assert "no credentials; set AWS_ACCESS_KEY_ID" in refused(2, "mosaic", folder, "-o", out)
        assert "no credentials; set AZURE_STORAGE" in refused(2, "mosaic", "az://b/t", "-o", "m.tif")
    with monkeypatch.context() as patch:
        patch.setenv("AWS_S3_ENDPOINT", "no host")
        assert "AWS_S3_ENDPOINT is no host, which is no server" in refused(2, "mosaic", folder, "-o", out)
    storage.stop()
    try:
        monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "1")
        assert "the server does not answer" in refused(1, "mosaic", folder, "-o", out)
    finally:
        storage.start()
    monkeypatch.setitem(sys.modules, "obstore", None)
    assert "pip install 'sattrans[s3]'" in refused(2, "mosaic", folder, "-o", out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "t"]
