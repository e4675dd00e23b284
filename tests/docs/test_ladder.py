"""The ladders: images that get worse in four steps move the metrics that are meant for it, step by step."""

import importlib.util
from itertools import pairwise
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("make_ladder", DOCS / "make_ladder.py")
make_ladder = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_ladder)

MEANT = {
    "blur": {"mae", "rmse", "psnr", "ssim", "ms_ssim", "class_spread", "swd", "spectrum"},
    "noise": {"mae", "rmse", "psnr", "ssim", "ms_ssim", "sam", "class_spread", "swd", "spectrum"},
    "hue": {"mae", "rmse", "psnr", "sam", "class_color", "swd"},
    "checkerboard": {"mae", "rmse", "psnr", "ssim", "ms_ssim", "swd", "checkerboard"},
}


@pytest.fixture(scope="module")
def measured():
    return make_ladder.measure()


@pytest.mark.parametrize("ladder", MEANT)
def test_what_is_meant_for_it_sees_it(measured, ladder):
    metrics, found, real = measured
    values = next(values for name, values in found.items() if name.startswith(ladder))
    for metric in metrics:
        if metric.name in MEANT[ladder]:
            steps = values[metric.name]
            if real[metric.name] is not None:
                steps = [real[metric.name], *steps]
            worse = -1 if metric.better == "higher" else 1
            assert all(worse * (b - a) > 0 for a, b in pairwise(steps)), (metric.name, steps)


def test_what_is_blind_is_blind(measured):
    _, found, real = measured
    hue = next(values for name, values in found.items() if name.startswith("hue"))
    assert max(hue["spectrum"]) < 0.1  # it sees no colour
    assert abs(max(hue["checkerboard"]) - real["checkerboard"]) < 0.1
    board = next(values for name, values in found.items() if name.startswith("checkerboard"))
    assert max(board["class_color"]) < 0.1


def test_the_page_holds_what_is_measured(measured, monkeypatch):
    monkeypatch.setattr(make_ladder, "measure", lambda: measured)
    assert make_ladder.table() in (DOCS / "metrics.md").read_text(encoding="utf-8")
