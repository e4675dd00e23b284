"""The page on metrics: its row for each metric, and its ladders of images that get worse in four steps."""

import importlib.util
from itertools import pairwise
from pathlib import Path

import pytest

from sattrans.evaluate.registry import METRICS
from sattrans.metrics.kid_lite import LAYERS

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("make_ladder", DOCS / "make_ladder.py")
make_ladder = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_ladder)

EXPECTED = {
    "blur": {"mae", "rmse", "psnr", "ssim", "ms_ssim", "class_spread", "swd", "spectrum", *LAYERS},
    "noise": {"mae", "rmse", "psnr", "ssim", "ms_ssim", "sam", "class_spread", "swd", "spectrum", *LAYERS},
    "hue": {"mae", "rmse", "psnr", "sam", "class_color", "swd", *LAYERS},
    "checkerboard": {"mae", "rmse", "psnr", "ssim", "ms_ssim", "swd", "checkerboard", *LAYERS},
    "plaid": {"mae", "rmse", "psnr", "ssim", "ms_ssim", "swd", *LAYERS},
}


@pytest.fixture(scope="module")
def measured():
    return make_ladder.measure()


@pytest.mark.faults
@pytest.mark.parametrize("ladder", EXPECTED)
def test_metrics_react_to_each_step(measured, ladder):
    metrics, found, real = measured
    values = next(values for name, values in found.items() if name.startswith(ladder))
    for metric in metrics:
        if metric.name in EXPECTED[ladder]:
            steps = values[metric.name]
            if real[metric.name] is not None:
                steps = [real[metric.name], *steps]
            worse = -1 if metric.better == "higher" else 1
            assert all(worse * (b - a) > 0 for a, b in pairwise(steps)), (metric.name, steps)


@pytest.mark.faults
def test_some_metrics_react_to_one_fault_alone(measured):
    _, found, real = measured
    hue = next(values for name, values in found.items() if name.startswith("hue"))
    assert max(hue["spectrum"]) < 0.1  # it does not depend on colour
    assert abs(max(hue["checkerboard"]) - real["checkerboard"]) < 0.1
    board = next(values for name, values in found.items() if name.startswith("checkerboard"))
    assert max(board["class_color"]) < 0.1
    plaid = next(values for name, values in found.items() if name.startswith("plaid"))
    assert real["phase"] + 0.05 < plaid["phase"][1] < plaid["phase"][2] < plaid["phase"][3]
    assert max(plaid["checkerboard"]) < real["checkerboard"] + 0.5


@pytest.mark.faults
def test_the_page_contains_the_measured_table(measured, monkeypatch):
    monkeypatch.setattr(make_ladder, "measure", lambda: measured)
    assert make_ladder.table() in (DOCS / "metrics.md").read_text(encoding="utf-8")


def test_the_page_explains_each_metric():
    table, _, _ = (DOCS / "metrics.md").read_text(encoding="utf-8").partition("\n## ")
    first_cells = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines() if line.startswith("| ")]
    explained = {title.casefold() for cell in first_cells for title in cell.split(", ")}
    assert not [m.title for m in METRICS if m.title.removesuffix(" × 10³").casefold() not in explained]
