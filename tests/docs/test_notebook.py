"""The notebook: its cells run, and its page shows what they showed when it was last run."""

import importlib.util
import json

import pytest
import rasterio
from pages import DOCS

from sattrans.train import validation


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_notebook", DOCS / "make_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_cells_train_and_paint_and_score(maker, folder, monkeypatch):
    """As they stand, on small scenes and with one step of a network one channel wide."""
    monkeypatch.setattr(validation, "JUDGED_TILES", 2)
    monkeypatch.setattr("sattrans.train.api.write_curves", lambda run: None)
    shown = list(maker.run(maker.read(), {"scenes": 3, "side": 512, "steps": 1, "width": 1}))
    recorded = [cell["outputs"] for cell in maker.read()["cells"] if cell["cell_type"] == "code"]
    kinds = [[(output["output_type"], sorted(output.get("data", ()))) for output in outputs] for outputs in shown]
    assert kinds == [
        [(output["output_type"], sorted(output.get("data", ()))) for output in outputs] for outputs in recorded
    ]
    assert any("KID" in "".join(output.get("text", ())) for output in shown[-1])
    with rasterio.open("sat.tif") as sat, rasterio.open("map.tif") as map_:
        assert (sat.shape, sat.transform, sat.crs) == (map_.shape, map_.transform, map_.crs)


def test_the_parameters_are_those_that_the_notebook_has(maker):
    """Else the test above would replace nothing, and train for a minute."""
    (cell,) = [cell for cell in maker.read()["cells"] if maker.PARAMETERS in cell["metadata"].get("tags", ())]
    names: dict[str, int] = {}
    exec(maker.source(cell), names)
    assert {"scenes", "side", "steps", "width"} == set(names) - {"__builtins__"}


def test_the_page_is_what_the_notebook_shows(maker):
    text, pictures = maker.page(maker.read())
    assert text == maker.PAGE.read_text(encoding="utf-8"), "run: python docs/make_notebook.py"
    assert {path.name: path.read_bytes() for path in maker.PICTURES.iterdir()} == pictures
    assert len(pictures) > 3


def test_the_notebook_is_one_that_jupyter_opens(maker):
    """What the schema of format 4.5 asks for: each cell with an id of its own, outputs and counts where code is."""
    notebook = json.loads(maker.NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        code = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | code
        assert all(line.endswith("\n") for line in cell["source"][:-1])
