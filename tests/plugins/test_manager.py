"""The plugin manager: names without imports, and one plugin's trouble that stays its own."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from makers import make_folder, make_inria, make_landcover
from makers_pictures import make_pairs

from sattrans.data.dataset import Dataset
from sattrans.errors import DatasetNotFound, PluginError
from sattrans.model import Model
from sattrans.plugins import PluginManager, default_model, manager, open_dataset

DATASET = """
from sattrans import Dataset, hookimpl

class Mine(Dataset):
    name = "{name}"
    layout = "mine.txt"

    @classmethod
    def recognises(cls, root):
        {recognises}

    @property
    def palette(self):
        return None

    def scenes(self):
        yield from ()

@hookimpl
def register_datasets(register):
    register(Mine)
"""

HOOK = "from sattrans import Dataset, hookimpl\n@hookimpl\ndef register_datasets(register):\n    {body}\n"

BROKEN = {
    "raising": ("raise RuntimeError('no licence\\nsecond line')", "RuntimeError: no licence second line"),
    "exiting": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "lost": ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
    "illegible": ("def register_datasets(:", "SyntaxError"),
    "misspelt": (
        "from sattrans import hookimpl\n@hookimpl\ndef register_dataset(register): ...",
        "unknown hook 'register_dataset'",
    ),
    "otherwise": (
        "from sattrans import hookimpl\n@hookimpl\ndef register_datasets(registrar): ...",
        "Argument(s) {'registrar'} are declared",
    ),
    "raising-hook": (HOOK.format(body="raise ValueError('later')"), "ValueError: later"),
    "exiting-hook": (HOOK.format(body="raise SystemExit(0)"), "SystemExit: 0"),
    "idle": ("", "registers nothing; the entry point and the class's `name` must be equal"),
    "renamed": (DATASET.format(name="other", recognises="return True"), "registers other; the entry point and"),
    "typeless": (
        HOOK.format(body="register(type('X', (), {'name': 'typeless'}))"),
        "a subclass of sattrans.Dataset",
    ),
    "unfinished": (
        HOOK.format(body="register(type('X', (Dataset,), {'name': 'unfinished'}))"),
        "does not define palette, recognises, scenes",
    ),
}
"""Plugins by name: a module's text, and what `sattrans plugins` must say of it."""


class Site:
    """A folder that is on the path as an installation would be: modules, and the metadata that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, text: str, kind: str = "dataset", distribution: str = "", version: str = "1.2") -> str:
        """Add a distribution with one plugin; return its module's name."""
        distribution = distribution or f"sattrans-{name}"
        module = f"{distribution}_{name}".replace("-", "_")
        (self.folder / f"{module}.py").write_text(text, encoding="utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[sattrans.{kind}s]\n{name} = {module}\n")
        importlib.invalidate_caches()
        return module


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    manager.cache_clear()
    yield Site(folder)
    manager.cache_clear()
    for name in set(sys.modules) - before:
        if tmp_path in Path(getattr(sys.modules[name], "__file__", None) or "").parents:
            del sys.modules[name]


def good(name, recognises="return (root / 'mine.txt').is_file()"):
    return DATASET.format(name=name, recognises=recognises)


def row_of(name):
    return next(row for row in PluginManager().rows() if row.name == name)


# Names, found without importing anything.


def test_the_built_in_plugins_come_in_by_their_entry_points():
    assert set(PluginManager().names("dataset")) >= {"folder", "inria", "landcover", "pairs"}
    assert set(PluginManager().names("model")) >= {"cyclegan", "pix2pix", "projected", "resse", "spade", "wgan"}
    for row in PluginManager().rows():
        assert (row.origin, row.error) == ("sattrans", "")


def test_names_come_from_metadata_and_nothing_is_imported(site):
    module = site.add("mine", good("mine"))
    assert "mine" in PluginManager().names("dataset")
    assert "mine" not in PluginManager().names("model")
    assert module not in sys.modules
    PluginManager().get("dataset", "mine")
    assert module in sys.modules


def test_asking_for_one_plugin_imports_no_other(site):
    module = site.add("mine", good("mine"))
    assert PluginManager().get("dataset", "inria").name == "inria"
    assert PluginManager().row("dataset", "inria").version
    assert module not in sys.modules


def test_the_name_stands_in_the_metadata_of_a_plugin_that_cannot_load(site):
    site.add("raising", "raise RuntimeError")
    assert "raising" in PluginManager().names("dataset")


# Getting one.


def test_a_plugin_gives_the_class_it_registers(site):
    site.add("mine", good("mine"))
    found = PluginManager().get("dataset", "mine")
    assert issubclass(found, Dataset)
    assert found.name == "mine"


def test_a_plugin_that_registers_several_classes_gives_the_one_named(site):
    text = good("first").replace(
        "register(Mine)", "register(Mine)\n    register(type('B', (Mine,), {'name': 'second'}))"
    )
    site.add("second", text)
    assert PluginManager().get("dataset", "second").name == "second"


def test_a_module_may_bring_a_dataset_and_a_model(site):
    text = good("both") + (
        "\n@hookimpl\ndef register_models(register):\n"
        "    from sattrans_pix2pix.model import Pix2Pix\n    register(type('M', (Pix2Pix,), {'name': 'both'}))\n"
    )
    module = site.add("both", text)
    info = next(site.folder.glob("*.dist-info"))
    (info / "entry_points.txt").write_text(
        f"[sattrans.datasets]\nboth = {module}\n[sattrans.models]\nboth = {module}\n"
    )
    found = PluginManager()
    assert issubclass(found.get("dataset", "both"), Dataset)
    assert issubclass(found.get("model", "both"), Model)


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("dataset", "landcovr", "unknown dataset 'landcovr'; did you mean 'landcover'?"),
        ("model", "pix2pixx", "unknown model 'pix2pixx'; did you mean 'pix2pix'?"),
        (
            "model",
            "zzz",
            "unknown model 'zzz'; available: cyclegan, exemplar, pix2pix, projected, refine, resse, spade, wgan",
        ),
        (
            "model",
            "landcover",
            "unknown model 'landcover'; available: cyclegan, exemplar, pix2pix, projected, refine, resse, spade, wgan",
        ),
    ],
)
def test_an_unknown_name_says_what_there_is_or_was_meant(kind, name, message):
    with pytest.raises(PluginError) as caught:
        PluginManager().get(kind, name)
    assert str(caught.value) == message


def test_did_you_mean_knows_third_party_names(site):
    site.add("spacenet", good("spacenet"))
    with pytest.raises(PluginError, match="did you mean 'spacenet'"):
        PluginManager().get("dataset", "spacenett")


def test_a_name_that_two_distributions_bring_is_refused_with_both(site):
    site.add("mine", good("mine"), distribution="first-maps")
    site.add("mine", good("mine"), distribution="second-maps")
    with pytest.raises(PluginError, match="uninstall one") as caught:
        PluginManager().get("dataset", "mine")
    assert "first-maps (first_maps_mine)" in str(caught.value)
    assert "second-maps (second_maps_mine)" in str(caught.value)
    assert "uninstall one" in row_of("mine").error


def test_a_name_that_clashes_with_a_built_in_is_refused_with_both(site):
    site.add("landcover", good("landcover"), distribution="other-maps")
    with pytest.raises(PluginError, match=r"'landcover' is provided by .*other-maps") as caught:
        PluginManager().get("dataset", "landcover")
    assert "sattrans (sattrans_landcover)" in str(caught.value)


def test_a_distribution_found_twice_on_the_path_is_one(site, tmp_path, monkeypatch):
    site.add("mine", good("mine"))
    again = tmp_path / "again"
    again.mkdir()
    Site(again).add("mine", good("mine"))
    monkeypatch.syspath_prepend(again)
    assert PluginManager().get("dataset", "mine").name == "mine"


# Broken plugins.


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_a_row_with_its_reason_and_the_others_work(name, site):
    text, reason = BROKEN[name]
    site.add(name, text)
    row = row_of(name)
    assert reason in row.error
    assert "\n" not in row.error
    assert (row.kind, row.origin, row.version) == ("dataset", f"sattrans-{name}", "1.2")
    with pytest.raises(PluginError) as caught:
        PluginManager().get("dataset", name)
    assert str(caught.value) == row.error
    assert {row.name for row in PluginManager().rows() if not row.error} >= {
        "folder",
        "inria",
        "landcover",
        "pairs",
        "pix2pix",
    }
    assert name not in {dataset.name for dataset in PluginManager().loadable("dataset")}


@pytest.mark.slow
def test_a_model_that_is_none_is_a_row_with_its_reason(site):
    site.add("odd", HOOK.format(body="register(Dataset)").replace("datasets", "models"), kind="model")
    assert "registers nothing" not in row_of("odd").error
    assert "the entry point and the class's `name` must be equal" in row_of("odd").error
    site.add(
        "flat",
        HOOK.format(body="register(type('X', (Dataset,), {'name': 'flat'}))").replace("datasets", "models"),
        kind="model",
    )
    assert "not a subclass of sattrans.model.Model" in row_of("flat").error


def test_a_broken_plugin_is_imported_once_and_fails_alike_each_time(site):
    site.add("raising", "import sys\nsys.counted = getattr(sys, 'counted', 0) + 1\nraise RuntimeError(sys.counted)")
    found = PluginManager()
    errors = set()
    for _ in range(3):
        with pytest.raises(PluginError) as caught:
            found.get("dataset", "raising")
        errors.add(str(caught.value))
    assert len(errors) == 1


def test_a_row_of_no_plugin_is_refused():
    with pytest.raises(PluginError, match="unknown dataset 'nowhere'"):
        PluginManager().row("dataset", "nowhere")


# Which dataset a folder is, which model is taken unasked.


@pytest.mark.slow
def test_a_folder_is_opened_by_the_dataset_that_recognises_it(tmp_path):
    for make, name in (
        (make_landcover, "landcover"),
        (make_inria, "inria"),
        (make_pairs, "pairs"),
        (make_folder, "folder"),
    ):
        assert open_dataset(make(tmp_path / name)).name == name


def test_a_third_partys_dataset_goes_before_a_fallback(site, tmp_path):
    site.add("mine", good("mine", "return (root / 'images').is_dir()"))
    assert open_dataset(make_folder(tmp_path / "data")).name == "mine"


def test_a_folder_that_two_datasets_recognise_must_be_named(site, tmp_path):
    site.add("mine", good("mine", "return (root / 'images').is_dir()"))
    root = make_landcover(tmp_path / "data", scenes=1, height=600, width=600)
    with pytest.raises(DatasetNotFound, match="looks like each of landcover, mine: choose one with --dataset"):
        open_dataset(root)
    assert open_dataset(root, "mine").name == "mine"


def test_a_dataset_that_fails_to_look_stops_no_other(site, tmp_path):
    site.add("mine", good("mine", "raise RuntimeError"))
    assert open_dataset(make_folder(tmp_path / "data")).name == "folder"


def test_a_folder_that_none_recognises_is_told_what_each_expects(site, tmp_path):
    site.add("mine", good("mine"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "things").mkdir()
    with pytest.raises(DatasetNotFound, match="no dataset recognises") as caught:
        open_dataset(tmp_path / "data")
    *looked, found, todo = caught.value.details
    assert str(caught.value) == f"no dataset recognises {tmp_path / 'data'}"
    assert "looked for mine: mine.txt" in looked
    assert {line.split(":")[0] for line in looked} >= {"looked for folder", "looked for landcover", "looked for pairs"}
    assert found == "found: things/"
    assert todo.startswith("to do: say which with --images GLOB --masks GLOB, or in a dataset.toml")


@pytest.mark.parametrize(("path", "message"), [("missing", "no such folder"), ("file", "is a file")])
def test_a_root_that_is_no_folder_is_refused(path, message, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatasetNotFound, match=message):
        open_dataset(tmp_path / path)


MODEL = """
from sattrans import hookimpl
from sattrans_projected.model import ProjectedGAN

@hookimpl
def register_models(register):
    register(type("Mine", (ProjectedGAN,), {body}))
"""


def test_the_model_taken_unasked_is_the_one_that_says_so(site):
    assert default_model() == "projected"
    site.add("mine", MODEL.format(body={"name": "mine"}), kind="model")
    manager.cache_clear()
    assert "mine" in {model.name for model in manager().loadable("model")}
    assert default_model() == "projected"  # its subclass does not ask to be taken


def test_two_models_that_want_to_be_taken_unasked_are_not(site):
    site.add("mine", MODEL.format(body={"name": "mine", "fallback": True}), kind="model")
    names = "cyclegan, exemplar, mine, pix2pix, projected, refine, resse, spade, wgan"
    with pytest.raises(PluginError, match=f"no default model.*{names}"):
        default_model()


# From the command line.


def sattrans(*arguments, site):
    program = Path(sys.executable).with_name("sattrans")
    environment = {**os.environ, "PYTHONPATH": str(site.folder)}
    return subprocess.run([program, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False)


def test_the_command_line_lists_every_reason_and_exits_2_only_for_what_is_asked(site, tmp_path):
    for name, (text, _) in BROKEN.items():
        site.add(name, text)
    listed = sattrans("plugins", site=site)
    assert listed.returncode == 0, listed.stderr
    lines = {line.split()[1]: line for line in listed.stdout.splitlines()[1:] if line.startswith(("dataset", "model"))}
    assert lines["landcover"].rstrip().endswith("loaded")
    for name in BROKEN:
        assert "loaded" not in lines[name].replace("failed to load", "")
    assert "Traceback" not in listed.stdout + listed.stderr

    root = make_folder(tmp_path / "data", scenes=1, size=64)
    asked = sattrans("tile", root, "--dataset", "exiting", "-o", tmp_path / "t", site=site)
    assert asked.returncode == 2
    assert "failed to load: SystemExit: 3" in asked.stderr
    assert len(asked.stderr.strip().splitlines()) == 1
    unasked = sattrans("tile", root, "--size", "32", "-o", tmp_path / "t", site=site)
    assert unasked.returncode == 0, unasked.stderr


def test_help_loads_no_plugin(site):
    site.add("exiting", "raise SystemExit(9)")
    code = "import sys, sattrans.cli; sys.exit('sattrans_exiting_exiting' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(site.folder)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    shown = sattrans("--help", site=site)
    assert shown.returncode == 0
