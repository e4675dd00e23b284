"""The verdict: one sentence that says what the scores mean, whichever of them were computed."""

import json

import numpy as np
import pytest
from commands import sattrans
from makers import make_indices, make_picture, write_raster
from parsed import parsed, said

from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.registry import METRICS
from sattrans.evaluate.scoring import Score, SetScores
from sattrans.evaluate.significance import best_columns
from sattrans.evaluate.verdict import verdict
from sattrans.metrics.bootstrap import interval

NOISE = np.linspace(-1, 1, 101)
FLAT = SetScores({"kid_lite1": Score(2.16), "mae": Score(44.0)})
REAL = SetScores({"kid_lite1": Score(0.07), "mae": Score(0.0)})


def score(value, noise=NOISE):
    resampled = value + 0.1 * noise
    return Score(value, interval(resampled), resampled)


def column(name, shuffled=(), **values):
    scores = SetScores(
        {n: score(v) for n, v in values.items()}, {n: score(v, -NOISE) for n, v in dict(shuffled).items()}
    )
    return Column(name, [], [scores], scores)


def sentence(*columns, real=REAL, flat=FLAT):
    metrics = [metric for metric in METRICS if metric.name in columns[0].scores.metrics]
    baselines = {"real": real} | ({"class_colors": flat} if flat else {})
    return verdict(metrics, best_columns(metrics, columns, real), columns, baselines)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, "(0.5) look more real than maps in flat class colours (2.16), but less real than real images of other"),
        (0.1, "(0.1) cannot be told from real images of other places (0.07)."),
        (0.02, "(0.02) cannot be told from real images of other places (0.07)."),
        (2.1, "(2.1) do not clearly look more real than maps in flat class colours (2.16)."),
        (5.0, "(5) do not clearly look more real than maps in flat class colours (2.16)."),
    ],
)
def test_a_run_lies_between_flat_colours_and_real_images(value, expected):
    assert sentence(column("a", kid_lite1=value)).startswith(f"By KID (EfficientNet-Lite1), the images of a {expected}")


def test_without_baselines_it_says_less():
    images = column("a", kid_lite1=0.5)
    assert sentence(images, flat=None).endswith("look less real than real images of other places (0.07).")
    assert sentence(images, real=SetScores({})).endswith("look more real than maps in flat class colours (2.16).")
    assert sentence(images, real=SetScores({}), flat=None).endswith("the images of a have 0.5.")


@pytest.mark.parametrize(("shuffled", "are"), [(88.0, "are nearer"), (45.05, "are no nearer"), (20.0, "are no nearer")])
def test_it_says_whether_images_belong_to_their_places(shuffled, are):
    images = column("a", {"mae": shuffled}, kid_lite1=0.5, mae=45.0)
    end = f"by MAE, they {are} to the real images of their places (45) than to others ({shuffled:g})."
    assert sentence(images).endswith(f"; {end}")
    assert sentence(column("a", {"mae": shuffled}, mae=45.0)) == f"By MAE, the images of a{end[12:]}"


def test_a_score_of_which_more_is_better_is_read_the_other_way():
    assert "are nearer" in sentence(column("a", {"ssim": 0.3}, ssim=0.7))
    assert "are no nearer" in sentence(column("a", {"ssim": 0.9}, ssim=0.7))


def test_of_several_runs_it_names_the_best_or_that_none_is():
    a, b, c = column("a", kid_lite1=0.5), column("b", kid_lite1=2.0), column("c", kid_lite1=8.0)
    ends = "; real images of other places have 0.07, maps in flat class colours have 2.16."
    by = "By KID (EfficientNet-Lite1), "
    assert sentence(c, a) == f"{by}a (0.5) looks clearly more real than c (8){ends}"
    assert sentence(c, b, a) == f"{by}a (0.5) looks clearly more real than b (2), the next best of 3{ends}"
    alike = column("d", kid_lite1=0.5)
    assert sentence(a, alike) == f"{by}none looks clearly more real than the other: a has 0.5, d 0.5{ends}"
    assert sentence(c, a, alike).startswith(f"{by}none looks clearly more real than the others: a has 0.5, d 0.5")


def test_runs_without_a_score_of_realism_are_compared_by_their_pixels():
    far, near = (column(name, {"mae": 90.0}, mae=value) for name, value in (("far", 50.0), ("near", 30.0)))
    assert sentence(far, near) == "By MAE, near (30) is clearly nearer to the real images than far (50)."


def test_there_is_none_for_one_image_or_for_scores_that_say_nothing():
    single = SetScores({"kid_lite1": Score(0.5)})
    assert sentence(Column("a", [], [single], single)) == ""
    assert sentence(column("a", nearest=30.0)) == ""
    assert sentence(column("a", nearest=30.0), column("b", nearest=31.0)) == ""


def test_it_is_in_the_terminal_and_in_every_file(tmp_path):
    for number in range(3):
        real = make_picture(make_indices(64, 64, 3, number, 16), number)
        for name, image in (("real", real), ("fake", real // 2)):
            write_raster(tmp_path / name / f"{number}.tif", image)
    folders = (tmp_path / "real", tmp_path / "fake")
    done = sattrans("evaluate", "--pairs", *folders, "--metrics", "mae", "-o", tmp_path / "e")
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "e" / "scores.json").read_text())["verdict"]
    assert told.startswith("By MAE, the images of fake are no")
    assert told in " ".join(done.stdout.split())
    assert (tmp_path / "e" / "scores.md").read_text().splitlines()[0] == told
    assert said(parsed((tmp_path / "e" / "report.html").read_text()).query_one(".verdict")) == told
