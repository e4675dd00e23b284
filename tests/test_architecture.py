"""The architecture: short files, a core that names no plugin, and plugins that import public names only."""

import ast
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
POINTS = PROJECT["project"]["entry-points"]
PLUGINS = sorted({package for group in POINTS.values() for package in group.values()})


def sources(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_file_is_over_400_lines():
    long = {
        str(p.relative_to(ROOT)): n
        for p in sources("sattrans", "plugins", "tests")
        if (n := len(p.read_text().splitlines())) > 400
    }
    assert long == {}


def test_the_core_names_no_plugin():
    # Words of their own: a path, what a map shows, a layout of tiles, coordinates in metres, and an option of generate.
    words = ("folder", "landcover", "pairs", "projected", "refine")
    names = [name for group in POINTS.values() for name in group if name not in words]
    pattern = re.compile(rf"\b({'|'.join(names)})\b|sattrans_\w+")
    for path in sources("sattrans"):
        code = re.sub(r'""".*?"""|#.*', "", path.read_text(), flags=re.DOTALL)
        found = [m.group() for m in pattern.finditer(code)]
        assert found == [], f"{path} names {found}"


def imports_of(package):
    """Yield the dotted name of everything that a plugin's files import."""
    for path in sources(f"plugins/{package}"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                yield base
                # A name may be a module: `from sattrans.raster import open` reaches as deep as `sattrans.raster.open`.
                inner = (ROOT / base.replace(".", "/") / f"{alias.name}.py" for alias in node.names)
                yield from (f"{base}.{path.stem}" for path in inner if base.startswith("sattrans") and path.exists())


def test_every_plugin_is_an_entry_point_and_typed():
    assert sorted(p.name for p in (ROOT / "plugins").iterdir() if (p / "__init__.py").exists()) == PLUGINS
    for package in PLUGINS:
        assert (ROOT / "plugins" / package / "py.typed").exists()


@pytest.mark.parametrize("package", PLUGINS)
def test_a_plugin_imports_only_public_names_of_sattrans(package):
    private = [name for name in imports_of(package) if name.startswith("sattrans.") and name.count(".") > 1]
    assert private == [], f"{package} imports {private}: `sattrans` and `sattrans.<name>` are public, deeper is private"


def test_dataset_plugins_know_no_plugin_and_model_plugins_no_dataset_plugin():
    datasets = set(POINTS["sattrans.datasets"].values())
    for package in PLUGINS:
        others = {name.partition(".")[0] for name in imports_of(package)} & set(PLUGINS) - {package}
        assert not others & datasets, f"{package} imports {others & datasets}"
        assert package not in datasets or not others, f"{package} imports {others}"


def test_model_plugins_do_not_import_each_other_in_a_circle():
    models = sorted(set(POINTS["sattrans.models"].values()))
    graph = {one: {name.partition(".")[0] for name in imports_of(one)} & set(models) - {one} for one in models}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_what_needs_no_torch_loads_none():
    code = "import sys, sattrans.tile, sattrans.colorize, sattrans.mosaic; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_dependency_says_why():
    text = (ROOT / "pyproject.toml").read_text()
    table = text[text.index("dependencies = [") : text.index("[project.scripts]")]
    for line in table.splitlines():
        stripped = line.strip()
        if stripped.startswith('"') and not stripped.startswith('"sattrans['):
            if "types-" in stripped:
                continue  # stubs for the type checker
            assert "#" in stripped or '", "' in stripped, f"no reason beside {stripped}"
