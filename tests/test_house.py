"""The house: small rooms, a core that names no plugin, and contracts that list every plugin there is."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
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
    # Words of their own: a folder's path, what a map shows, and a layout of tiles.
    names = [name for group in POINTS.values() for name in group if name not in ("folder", "landcover", "pairs")]
    pattern = re.compile(rf"\b({'|'.join(names)})\b|sattrans_\w+")
    for path in sources("sattrans"):
        code = re.sub(r'""".*?"""|#.*', "", path.read_text(), flags=re.DOTALL)
        found = [m.group() for m in pattern.finditer(code)]
        assert found == [], f"{path} names {found}"


def test_the_contracts_list_every_plugin_and_every_plugin_is_typed():
    contracts = PROJECT["tool"]["importlinter"]
    assert sorted(set(contracts["root_packages"]) - {"sattrans"}) == PLUGINS
    for contract in contracts["contracts"]:
        if contract["name"] in ("The core knows no plugin", "A plugin uses only public rooms"):
            listed = contract.get("source_modules" if "uses only" in contract["name"] else "forbidden_modules")
            assert sorted(listed) == PLUGINS
    assert sorted(p.name for p in (ROOT / "plugins").iterdir() if (p / "__init__.py").exists()) == PLUGINS
    for package in PLUGINS:
        assert (ROOT / "plugins" / package / "py.typed").exists()


def test_private_rooms_are_closed_to_plugins():
    closed = next(
        c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["name"] == "A plugin uses only public rooms"
    )
    rooms = {p.stem if p.is_file() else p.name for p in (ROOT / "sattrans").iterdir() if p.name != "__pycache__"}
    public = {"__init__", "__main__", "model", "networks", "errors", "testing", "version", "py"}
    assert {f"sattrans.{room}" for room in rooms - public} == set(closed["forbidden_modules"])


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
