"""What installs sattrans says the same everywhere: pyproject.toml, the conda recipe, the Dockerfile, the page."""

import re
import shlex
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from pages import DOCS, ROOT, blocks, section

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PAGE = DOCS / "install.md"

CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
"""The names on conda-forge that differ from those in pyproject.toml."""

DEVELOPMENT = {"dev", "docs", "bench", "browser"}


@pytest.fixture(scope="module")
def recipe() -> dict:
    return yaml.safe_load((DOCS / "packaging" / "recipe.yaml").read_text(encoding="utf-8"))


def conda_lines(requirements: list[str]) -> set[str]:
    read = [Requirement(line) for line in requirements]
    # Sorted as conda's recipes write them: the lower bound first.
    bounds = {it.name: ",".join(sorted(map(str, it.specifier), key=lambda bound: bound[0] != ">")) for it in read}
    return {f"{CONDA_NAMES.get(name, name)} {bound}" for name, bound in bounds.items()}


def test_the_recipe_has_the_projects_requirements(recipe):
    pinned = [line for line in PROJECT["dependencies"] if "==" in line]
    others = [line for line in PROJECT["dependencies"] if "==" not in line]
    assert set(recipe["requirements"]["run"]) == {"python >=${{ python_min }}", *conda_lines(others)}
    weights = next(line for line in recipe["build"]["script"] if "efficientnet" in line)
    assert set(weights.split()) >= {"--no-deps", *pinned}
    extras = PROJECT["optional-dependencies"]
    users = [line for name, lines in extras.items() if name not in DEVELOPMENT for line in lines]
    assert set(recipe["requirements"]["run_constraints"]) == conda_lines(users)
    assert conda_lines(PYPROJECT["build-system"]["requires"]) <= set(recipe["requirements"]["host"])


def test_the_recipe_has_the_projects_particulars(recipe):
    assert recipe["context"] == {
        "version": PROJECT["version"],
        "python_min": PROJECT["requires-python"].removeprefix(">="),
    }
    assert recipe["about"]["license"] == PROJECT["license"]
    assert recipe["about"]["summary"] == PROJECT["description"]
    assert recipe["about"]["homepage"] == PROJECT["urls"]["Homepage"]
    points = [f"{name} = {function}" for name, function in PROJECT["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == points
    here = DOCS / "packaging" / recipe["source"]["path"]
    assert (here / "pyproject.toml").samefile(ROOT / "pyproject.toml")
    assert (ROOT / recipe["about"]["license_file"]).is_file()


def test_the_dockerfile_copies_what_there_is_and_installs_what_the_project_names():
    told = (DOCS / "packaging" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in told.splitlines() if line and not line.startswith("#")]
    python = next(text for word, text in lines if word == "ARG" and text.startswith("PYTHON=")).partition("=")[2]
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    copied = [name for word, text in lines if word == "COPY" for name in text.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    needed = {"pyproject.toml", "constraints.txt", PROJECT["readme"], *PROJECT["license-files"], *wheel}
    assert set(copied) == needed
    run = " ".join(text for word, text in lines if word == "RUN")
    (extras,) = re.findall(r'"\.\[([a-z,]+)\]"', run)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"]) - DEVELOPMENT
    assert "\nuv==" in CONSTRAINTS
    assert "\ntorch==" in CONSTRAINTS
    assert run.count("--constraint constraints.txt") == len(re.findall(r"pip install\b", run))
    assert [shlex.join(PROJECT["scripts"])] == re.findall(r'^ENTRYPOINT \["(.*)"\]$', told, re.MULTILINE)


def test_the_page_names_each_extra_with_its_packages():
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", section(PAGE, "Extras"), re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    users = {name: lines for name, lines in extras.items() if name not in DEVELOPMENT}
    assert rows == {name: ", ".join(Requirement(line).name for line in lines) for name, lines in users.items()}


def test_the_lines_of_the_page_install_this_project():
    lines = [
        line
        for page in (PAGE, ROOT / "README.md")
        for block in blocks(page, "bash")
        for line in block.text.splitlines()
    ]
    addressed = [line for line in lines if "git+" in line]
    assert len(addressed) > 5
    assert all(f"git+{PROJECT['urls']['Source']}" in line for line in addressed)
    for extras in re.findall(r"sattrans\[([a-z,]+)\]", " ".join(lines)):
        assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    for path in re.findall(r"docs/packaging/[\w.]+", " ".join(lines)):
        assert (ROOT / path).is_file()
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {line.split()[1] for line in lines if line.startswith("make ")} <= targets
