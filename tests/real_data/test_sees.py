"""Which faults scores see in real tiles of Sentinel-2; `make faults` checks the page. Skipped if there is no data."""

import importlib.util
import os
from pathlib import Path

import pytest
from fault_scores import fault_scores

DATA = Path(os.environ.get("SATTRANS_DATA", Path(__file__).parents[3] / "shared" / "data"))
DOCS = Path(__file__).parents[2] / "docs"
pytestmark = pytest.mark.skipif(not (DATA / "korea_s2").is_dir(), reason=f"no real data in {DATA}")
spec = importlib.util.spec_from_file_location("make_sees", DOCS / "make_sees.py")
make_sees = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_sees)


@pytest.fixture(scope="module")
def scores():
    metrics = ("kid_lite1", "kid_lite1_texture", "mae", "checkerboard", "phase")
    return fault_scores(*make_sees.real_tiles(DATA, 128, 8), metrics)


def seen(scores, name):
    metric = next(metric for metric in scores.metrics if metric.name == name)
    return {fault.split(",")[0].split(" of ")[0] for fault in scores.faults if scores.sees(metric, fault)}


def test_kid_ranks_real_mild_and_strong(scores):
    for name in ("kid_lite1", "kid_lite1_texture"):
        assert {"blur", "noise", "checkerboard", "plaid", "flat class colours"} <= seen(scores, name)
        for fault, (mild, strong) in scores.faults.items():
            assert scores.real[name].value < mild[name] < strong[name], (name, fault)


def test_the_phase_sees_the_plaid_and_not_the_blur(scores):
    assert scores.real["phase"].value == pytest.approx(1, abs=0.1)
    assert "plaid" in seen(scores, "phase")
    assert not {"blur", "noise", "hue", "colours"} & seen(scores, "phase")
    assert "plaid" not in seen(scores, "checkerboard")


def test_pixel_errors_see_nothing(scores):
    assert seen(scores, "mae") == set()


@pytest.mark.faults
def test_the_page_contains_the_measured_table():
    found = fault_scores(*make_sees.real_tiles(DATA))
    assert make_sees.table(found) in (DOCS / "evaluating.md").read_text(encoding="utf-8")
