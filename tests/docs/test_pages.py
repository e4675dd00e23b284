"""The documentation is true: commands print what the pages say, packages load, tables are what the code says."""

import ast
import importlib.util
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import rasterio
import torch
from makers import make_folder, make_indices, make_landcover, write_raster
from makers_bad_input import change_what_was_tiled, make_bad_input
from makers_tiles import make_bad_tiles, make_tiles
from pages import BLOCK, DOCS, ROOT, SWITCHES, blocks, levelled, run_line, run_page, sattrans, section, write_files

from sattrans import train as training
from sattrans.cli import app
from sattrans.data.tileset import Tileset
from sattrans.model import TileSpec
from sattrans.mosaic.methods import METHODS
from sattrans.plugins import dataset_class, hookspecs, manager, model_class
from sattrans.runs.run import Run
from sattrans.train import validation

README = ROOT / "README.md"
PAGES = sorted([README, ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])


# What the pages run


def test_where_resse_is_trained_a_cpu_is_told_what_to_take():
    """Close to the line itself, with options that exist: at full width it takes hours there."""
    for page in (README, DOCS / "index.md"):
        _, _, after = page.read_text(encoding="utf-8").partition("sattrans train --model resse\n")
        near = after[:600]
        assert "hours" in near and "--set width=16" in near and "--size 128" in near, page.name
    assert 128 in model_class("resse").sizes
    assert "width" in model_class("resse").Options.model_fields


def test_readme_lines(folder, monkeypatch):
    """The three lines as they stand, on a small look-alike; the training alone is cut short, at its very end."""
    (lines,) = [b.text.splitlines() for b in blocks(README, "bash") if b.text.startswith("sattrans tile landcover/ ")]
    assert lines == [
        "sattrans tile landcover/ --size 512",
        "sattrans train --model resse",
        "sattrans generate map.tif -o sat.tif",
    ]
    assert "\n".join(lines) + "\n" in [block.text for block in blocks(DOCS / "index.md", "bash")]
    make_landcover(folder / "landcover", scenes=3, height=512, width=512)
    write_raster(folder / "map.tif", make_indices(600, 700, 5))
    monkeypatch.setattr(validation, "JUDGED_TILES", 1)
    monkeypatch.setattr("sattrans.train.api.write_curves", lambda run: None)
    cut_short(monkeypatch, steps=1, width=1)
    for line in lines:
        run_line(line)
    assert Tileset.open(Path("tiles/landcover-512")).size == 512
    run = Run.open(Path("runs/resse-landcover-512-1"))
    assert run.finished
    assert run.manifest["settings"] | {"patience": 10, "monitor": "joint_kid"} == run.manifest["settings"]
    assert Path("sat.tif").is_file()


def cut_short(monkeypatch, steps, **settings):
    """Have training end after so many steps: what it prints has the same lines."""
    whole = training.train

    def short(data, output, options, **how):
        return whole(data, output, replace(options, steps=steps, settings=options.settings | settings), **how)

    monkeypatch.setattr(training, "train", short)


def test_readme_names_every_command():
    text = README.read_text(encoding="utf-8")
    named = {command.name for command in (*app.registered_commands, *app.registered_groups)}
    assert not [name for name in named if not re.search(rf"`(sattrans )?{name}\b", text)]


def test_tutorial(folder, monkeypatch):
    """All of its lines; only the number of steps is smaller than on the page, where numbers are not compared."""
    page = DOCS / "tutorial.md"
    cut_short(monkeypatch, steps=2)
    monkeypatch.setattr(validation, "JUDGED_TILES", 16)
    write_files(page, folder)
    make_folder(folder / "place", scenes=2, size=128, classes_toml=True)
    run_page(page)
    assert Path("sat.tif").is_file()
    on_disk = (DOCS / "design.md").read_text(encoding="utf-8")
    for made in ("tiles/landcover-128", "runs/projected-landcover-128-1", "evaluations/projected-landcover-128-1-test"):
        for path in Path(made).rglob("*"):
            if path.is_file() and path.suffix not in (".tif", ".png") and path.parent.name != "tensorboard":
                assert path.name in on_disk, f"design.md does not name {path}"


def test_the_page_on_tiling(folder):
    make_landcover(folder / "landcover", scenes=3, height=1100, width=1100)
    run_page(DOCS / "tiling.md")
    drawn = section(DOCS / "tiling.md", "What is written")
    made = Path("tiles/landcover-256")
    assert not [path.name for path in made.iterdir() if path.name not in drawn + "preview.png"]
    assert (made / "preview.png").is_file()
    assert Tileset.open(Path("tiles/half-metre")).manifest["scenes"][0]["transform"][0] == 0.5
    assert Tileset.open(Path("tiles/apart")).manifest["leakage"]["tiles"] == 0


def test_the_page_on_tiling_names_every_option():
    text = (DOCS / "tiling.md").read_text(encoding="utf-8")
    told = section(DOCS / "cli.md", "`sattrans tile`")
    options = set(re.findall(r"^\* `(?:-\w, )?(--[a-z-]+)", told, re.MULTILINE))
    options -= {"--output", "--dataset", "--unpaired"} | SWITCHES
    assert len(options) > 20
    assert not [option for option in options if option not in text]


def test_the_page_on_joining_and_that_it_names_every_option(folder):
    make_tiles()
    page = DOCS / "mosaic.md"
    ran = 0
    for block in blocks(page):
        told = [line for line in block.text.splitlines() if not line.startswith("sattrans generate")]
        if block.language == "bash":
            ran += len([run_line(line) for line in told])
        elif block.language == "console":
            printed, expected = run_line(told[0].removeprefix("$ ")), "\n".join(told[1:])
            assert levelled(printed)[0].startswith(levelled(expected)[0].removesuffix(" …"))
            assert len(levelled(printed)) == len(levelled(expected))
            ran += 1
    assert ran == 7
    text = page.read_text(encoding="utf-8")
    options = set(
        re.findall(r"^\* `(?:-\w, )?(--[a-z-]+)", section(DOCS / "cli.md", "`sattrans mosaic`"), re.MULTILINE)
    )
    assert len(options) > 8
    assert not [option for option in options - {"--output", *SWITCHES} if option not in text]
    table = [f"| `{name}` | {method.summary} |" for name, method in METHODS.items()]
    assert "\n".join(table) in text


@pytest.mark.faults
def test_the_page_on_training(folder):
    make_landcover(folder / "landcover")
    run_line("sattrans tile landcover/ --size 64")
    run_page(DOCS / "training.md")
    (run,) = Run.all()
    told = section(DOCS / "training.md", "Monitoring")
    made = {path.name for path in run.folder.iterdir()} - {"run.json", "checkpoints", "calibration.json"}
    assert made == {"metrics.jsonl", "samples", "losses.png", "tensorboard"}
    assert not [name for name in made if name not in told]


def test_the_python_snippet_of_the_api(folder):
    make_folder(folder / "place", scenes=4, size=128)
    shutil.copy(folder / "place" / "masks" / "place0.tif", folder / "map.tif")
    (snippet,) = blocks(DOCS / "api.md", "python")
    names = {}
    exec(compile(snippet.text, "api.md", "exec"), names)
    assert repr(names["tileset"]) in snippet.text
    assert repr(names["run"]) == f"<Run '{names['run'].folder}': pix2pix>"
    with rasterio.open("sat.tif") as image, rasterio.open("map.tif") as map_:
        assert (image.width, image.height, image.transform) == (map_.width, map_.height, map_.transform)
    assert "ssim" in (names["scores"].folder / "scores.json").read_text()
    assert repr(names["scores"]).startswith(f"<Evaluation '{names['scores'].folder}': pix2pix")


@pytest.mark.faults
def test_the_fifteen_minutes(folder, monkeypatch):
    """Both packages, written as the pages have them, installed, tested and used as the pages say."""
    (folder / "site").mkdir()
    monkeypatch.syspath_prepend(str(folder / "site"))
    monkeypatch.setenv("PYTHONPATH", str(folder / "site"))
    for name in ("dataset-in-15-minutes.md", "model-in-15-minutes.md"):
        write_files(DOCS / name, folder)
        run_page(DOCS / name)
    assert Tileset.open(Path("tiles/county-64")).manifest["tiles"] == {"train": 12, "val": 8, "test": 4, "unpaired": 0}
    states = {row.name: row.error for row in manager().rows()}
    assert not any(states[name] for name in ("county", "dilated", "dilated-gan"))


def test_error_lines(folder):
    """Each command of the page fails with the line that the page prints."""
    make_bad_input()
    make_bad_tiles()
    for line in (
        "sattrans tile landcover/ --size 128",
        "sattrans train --model pix2pix --data tiles/landcover-128 --set width=1 --steps 1",
        "sattrans tile changed/ --size 64 -o tiles/changed",
        "sattrans tile renamed/ --size 64 -o tiles/renamed",
    ):
        run_line(line)
    change_what_was_tiled()
    commands = 0
    for block in blocks(DOCS / "bad-input.md", "console"):
        told = block.text.splitlines()
        for line, expected in zip(told[::2], told[1::2], strict=True):
            result = sattrans(line.removeprefix("$ "))
            errors = [text for text in result.stderr.splitlines() if text.startswith("error:")]
            assert result.exit_code in (1, 2)
            assert len(errors) == 1
            if expected.endswith("…"):
                assert errors[0].startswith(expected.removesuffix("…"))
            else:
                assert errors[0] == expected
            commands += 1
    assert commands > 10


# What the pages say


@pytest.mark.parametrize("hook", [name for name, it in vars(hookspecs).items() if hasattr(it, "sattrans_spec")])
def test_every_hook_has_its_page(hook):
    source = inspect.getsource(getattr(hookspecs, hook)).removeprefix("@hookspec\n")
    assert source in (DOCS / "hooks" / f"{hook}.md").read_text(encoding="utf-8")


def test_cli_page_is_what_the_commands_say():
    spec = importlib.util.spec_from_file_location("make_cli", DOCS / "make_cli.py")
    make_cli = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_cli)
    assert make_cli.PAGE.read_text(encoding="utf-8") == make_cli.page(), "run: python docs/make_cli.py"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "<!-- end of options -->" in page.read_text(encoding="utf-8")]
)
def test_tables_of_options_are_what_the_options_say(page):
    spec = importlib.util.spec_from_file_location("make_options", DOCS / "make_options.py")
    make_options = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_options)
    text = page.read_text(encoding="utf-8")
    assert text == make_options.with_tables(text), "run: python docs/make_options.py"


@pytest.mark.parametrize("name", manager().names("model"))
def test_models_page(name):
    model = model_class(name)
    text = section(DOCS / "models.md", name)
    given = {k: v for k, v in asdict(model.defaults).items() if v is not None}
    if model.defaults.steps:
        del given["epochs"]  # which steps replace
    defaults = [f"{k.replace('_', ' ')} {v}" for k, v in given.items()]
    assert f"Training: {', '.join(defaults)}." in text
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", text, re.MULTILINE)
    fields = model.Options.model_fields.items()
    assert rows == [(k, "" if f.default is None else str(f.default), f.description) for k, f in fields]
    with torch.device("meta"):
        built = model(TileSpec(256, 3), model.Options())
    generator, whole = (sum(p.numel() for p in network.parameters()) for network in (built.generator, built))
    costs = section(DOCS / "models.md", "Size and cost")
    assert f"| {name} | {generator:,} | {whole - generator:,} |" in costs


@pytest.mark.parametrize("name", manager().names("dataset"))
def test_datasets_page(name):
    dataset = dataset_class(name)
    text = section(DOCS / "datasets.md", name)
    for pattern in dataset.layout.split("\n"):
        for word in re.findall(r"[\w<>/.*]*(?:\.txt|\.tif|\.toml|/\*)", pattern):
            assert word in text, f"{word} of the layout"
    assert dataset.homepage in text
    if name == "folder":
        return
    rows = re.findall(r"^\| (\d+) \| (.*) \| (#\w+) \|$", text, re.MULTILINE)
    palette = dataset(Path()).palette
    classes = palette.classes if palette else ()
    assert rows == [(str(c.value), c.name, "#{:02x}{:02x}{:02x}".format(*c.color)) for c in classes]


def test_classes_toml_of_the_datasets_page(folder):
    write_files(DOCS / "datasets.md", folder)
    make_folder(folder / "place", scenes=1, size=64)
    assert dataset_class("folder")(folder / "place").palette.names == ("water", "forest", "built-up")
    run_page(DOCS / "datasets.md")
    assert [path.name for path in sorted(Path("place-color").iterdir())] == ["legend.png", "place0.tif"]


def test_the_design_page_names_every_package():
    drawn = section(DOCS / "design.md", "The packages")
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in config["contracts"] if contract.get("containers") == ["sattrans"])
    rooms = [room for layer in layers for room in re.findall(r"\w+", layer)]
    assert not [room for room in rooms if not re.search(rf"\b{room}\b", drawn)]
    inside = [path.stem for path in (ROOT / "sattrans" / "raster").glob("[a-z]*.py")]
    assert not [room for room in inside if f"`{room}`" not in drawn]


def test_changelog_has_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in [re.sub(r"[^a-z0-9]+", "-", t.lower()) for t in headings(there)] or there.stem == "api"


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_and_toml_are_well_formed(page):
    for block in blocks(page, "python"):
        ast.parse(block.text)
    for block in blocks(page, "toml"):
        tomllib.loads(block.text)


def test_site_builds(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    # Not --quiet: that hides warnings from --strict, too.
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "published_split" in (tmp_path / "api" / "index.html").read_text(encoding="utf-8")
    page = (tmp_path / "tutorial" / "index.html").read_text(encoding="utf-8")
    repository = set(re.findall(r'<a href="([^"]*)"[^>]* class="md-source"([^>]*)>', page))
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert repository == {(urls["Source"], "")}  # the attribute data-md-component would have a script ask GitHub
    assert {"slate", "default"} <= set(re.findall(r'data-md-color-scheme="(\w+)"', page))
    assert len(re.findall(r'class="md-footer__link md-footer__link--(?:prev|next)"', page)) == 2
