"""--json: one document on stdout that the published schema describes, and for a failing command one on stderr."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from commands import sattrans
from jsonschema import Draft202012Validator
from makers import make_folder

from sattrans.cli.documents import documents

DOCS = Path(__file__).parents[2] / "docs"


def read(text):
    """Return a document, held against its schema."""
    document = json.loads(text)
    name = f"{document['format'].removeprefix('sattrans.')}-{document['version']}.json"
    Draft202012Validator(json.loads((DOCS / "schemas" / name).read_text(encoding="utf-8"))).validate(document)
    return document


def prints(*arguments, cwd):
    """Run a command that has to succeed, and print nothing but a document."""
    done = sattrans(*arguments, "--json", cwd=cwd)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    return read(done.stdout)


def fails(*arguments, cwd):
    done = sattrans(*arguments, cwd=cwd)
    assert done.stdout == ""
    document = read(done.stderr)
    assert (document["format"], document["exit_code"]) == ("sattrans.error", done.exit_code)
    return document


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which a tileset was cut, a model trained, and images were made of two maps; and the documents."""
    folder = tmp_path_factory.mktemp("place")
    make_folder(folder / "own", size=128)
    maps = sorted((folder / "own" / "masks").glob("*.tif"))
    (folder / "maps").mkdir()
    for number, path in enumerate(maps[:2]):
        shutil.copy(path, folder / "maps" / f"{number}.tif")
    short = ("--steps", "1", "--monitor", "l1", "--set", "width=4")
    printed = {
        "planned tiles": prints("tile", "own", "--size", "64", "--dry-run", cwd=folder),
        "tiles": prints("tile", "own", "--size", "64", cwd=folder),
        "tiles again": prints("tile", "own", "--size", "64", cwd=folder),
        "planned run": prints("train", "-m", "pix2pix", *short, "--dry-run", cwd=folder),
        "run": prints("train", "-m", "pix2pix", *short, cwd=folder),
        "planned image": prints("generate", "maps/0.tif", "-o", "sat.tif", "--dry-run", cwd=folder),
        "image": prints("generate", "maps/0.tif", "-o", "sat.tif", cwd=folder),
        "images": prints("generate", "maps", "-o", "sats", cwd=folder),
        "planned mosaic": prints("mosaic", "maps", "-o", "all.tif", "--dry-run", cwd=folder),
        "mosaic": prints("mosaic", "maps", "-o", "all.tif", cwd=folder),
        "colored": prints("colorize", "own", "-o", "colored", cwd=folder),
        "planned scores": prints("evaluate", "--metrics", "mae", "--dry-run", cwd=folder),
        "scores": prints("evaluate", "--metrics", "mae", cwd=folder),
        "seams": prints("evaluate", "sat.tif", cwd=folder),
    }
    return folder, printed


def test_tiles_are_counted_as_the_index_has_them(place):
    folder, printed = place
    index = json.loads((folder / "tiles" / "own-64" / "tiles.geojson").read_text())["features"]
    made, again, planned = printed["tiles"], printed["tiles again"], printed["planned tiles"]
    assert (made["made"], again["made"], planned["made"]) == (True, False, False)
    assert sum(made["tiles"].values()) == len(index) == sum(planned["tiles"].values())
    assert {**again, "made": True, "notes": made["notes"]} == made
    for split, shares in made["classes"].items():
        assert sum(shares.values()) == pytest.approx(1), split
    assert planned["bytes"] > 0 and made["bytes"] is None
    assert {scene["id"]: sum(scene["tiles"].values()) for scene in made["scenes"]} == {
        scene["id"]: sum(scene["tiles"].values()) for scene in planned["scenes"]
    }


def test_what_was_made_and_what_would_be_are_told_apart(place):
    folder, printed = place
    for planned, made in (("planned image", "image"), ("planned mosaic", "mosaic")):
        one, other = (printed[name]["images"][0] if "image" in name else printed[name] for name in (planned, made))
        assert (one["dry_run"], one["made"], other["dry_run"], other["made"]) == (True, False, False, True)
        assert one["memory"] > 0 and other["memory"] is None
        assert one["output"] == other["output"] and (folder / other["output"]).is_file()
    assert [Path(image["output"]).name for image in printed["images"]["images"]] == ["0.tif", "1.tif"]
    assert printed["planned run"]["steps"] == printed["run"]["steps"] == 1
    assert printed["run"]["best"] is not None and printed["planned run"]["best"] is None
    assert all((folder / path).is_file() for path in printed["colored"]["made"])


def test_scores_are_those_of_the_file(place):
    folder, printed = place
    kept = json.loads((folder / printed["scores"]["folder"] / "scores.json").read_text())
    (column,) = printed["scores"]["columns"]
    assert column["scores"]["mae"]["value"] == kept["columns"][0]["means"]["mae"]
    assert [column["scores"]["mae"]["low"], column["scores"]["mae"]["high"]] == kept["columns"][0]["intervals"]["mae"]
    assert (printed["scores"]["verdict"], printed["planned scores"]["verdict"]) == (kept["verdict"], "")
    assert printed["planned scores"]["names"] == printed["scores"]["names"]
    assert printed["seams"]["images"][0]["image"] == "sat.tif"


def test_lists_and_what_they_show(place):
    folder, printed = place
    (run,) = prints("runs", cwd=folder)["runs"]
    assert run == prints("runs", "list", "runs", cwd=folder)["runs"][0]
    assert (run["finished"], run["best"]) == (True, printed["run"]["best"])
    assert prints("runs", "show", run["name"], cwd=folder)["manifest"]["options"]["width"] == 4
    (tileset,) = prints("tilesets", cwd=folder)["tilesets"]
    assert tileset["tiles"] == printed["tiles"]["tiles"]
    assert prints("tilesets", "show", "own-64", cwd=folder)["tilesets"] == [tileset]
    for what in ("models", "datasets", "plugins"):
        every = prints(what, cwd=folder)[what]
        assert prints(what, "list", cwd=folder)[what] == every
        assert prints(what, "show", every[0]["name"], cwd=folder)[what] == every[:1]
    assert [model["name"] for model in prints("models", cwd=folder)["models"] if model["default"]] == ["projected"]
    assert prints("check", cwd=folder)["ok"]


def test_a_run_is_known_by_its_name_to_every_command(place):
    folder, _ = place
    (name,) = (path.name for path in (folder / "runs").iterdir())
    for command in (
        ("evaluate", name, "--metrics", "mae", "--dry-run"),
        ("generate", "maps/0.tif", "-o", "b.tif", "--run", name, "--dry-run"),
    ):
        assert prints(*command, cwd=folder)
    assert "is finished, after 1 step" in fails("train", "--resume", name, "--json", cwd=folder)["error"]


def test_images_beside_their_maps_are_no_data(place, tmp_path):
    folder, printed = place
    shutil.copytree(folder / "own", tmp_path / "own")
    mask = next((tmp_path / "own" / "masks").glob("*.tif"))
    run = next((folder / "runs").iterdir())
    (image,) = prints("generate", mask, "--run", run, cwd=tmp_path)["images"]
    assert Path(image["output"]) == mask.with_name(f"{mask.stem}.sat.tif")
    assert prints("tile", "own", "--size", "64", cwd=tmp_path)["tiles"] == printed["tiles"]["tiles"]
    images = prints("generate", "own/masks", "-o", "many", "--run", run, "--dry-run", cwd=tmp_path)["images"]
    assert len(images) == len(list((tmp_path / "own" / "images").iterdir()))


def test_a_run_is_removed_only_if_it_is_one(place, tmp_path):
    folder, _ = place
    shutil.copytree(folder / "runs", tmp_path / "runs")
    (name,) = (path.name for path in (tmp_path / "runs").iterdir())
    assert "is not a run" in fails("runs", "remove", name, "maps", "--json", cwd=tmp_path)["error"]
    planned = prints("runs", "remove", name, "--dry-run", cwd=tmp_path)
    assert planned["bytes"] > 0 and (tmp_path / "runs" / name / "run.json").is_file()
    assert prints("runs", "remove", name, cwd=tmp_path)["folders"] == [f"runs/{name}"]
    assert list((tmp_path / "runs").iterdir()) == []


def test_notes_are_in_the_document(tmp_path):
    make_folder(tmp_path / "own", scenes=1, size=64)
    printed = prints("tile", "own", "--size", "64", cwd=tmp_path)
    assert printed["notes"] and all(isinstance(note, str) for note in printed["notes"])


def test_a_command_that_fails_prints_one_document_on_stderr(tmp_path):
    assert fails("tile", "nothere", "--json", cwd=tmp_path)["exit_code"] == 2
    (tmp_path / "empty").mkdir()
    printed = fails("tile", "empty", "--json", cwd=tmp_path)
    assert printed["details"]  # what each dataset looks for
    assert "No such option" in fails("tile", "empty", "--sizes", "3", "--json", cwd=tmp_path)["error"]
    assert "unknown model" in fails("models", "show", "rese", "--json", cwd=tmp_path)["error"]


def test_a_document_is_ascii(tmp_path):
    """A pipe whose encoding lacks a character would hold another one."""
    done = sattrans("runs", "list", "läufe", "--json", cwd=tmp_path)
    assert done.stdout.isascii() and read(done.stdout)["folder"] == "läufe"


def test_the_schemas_are_those_of_the_documents():
    spec = importlib.util.spec_from_file_location("make_schemas", DOCS / "make_schemas.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    kept = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "schemas").iterdir()}
    assert kept == {make.schema_name(one): make.schema_text(one) for one in documents()}
