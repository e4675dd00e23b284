"""Scoring: statistics of pairs, the cache, baselines, columns, and which scores distinguish what."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import COLORS, make_indices, make_picture

from sattrans.evaluate.aggregate import absent_class_notes, comparable_baseline, group_columns
from sattrans.evaluate.base import ImagePair, MetricContext
from sattrans.evaluate.images import ImageSource, RealImage, RealImages, without_duplicates
from sattrans.evaluate.pairwise import ClassColors, PixelMetrics, StructuralSimilarity
from sattrans.evaluate.pretrained import SegmentationConsistency
from sattrans.evaluate.registry import select_families
from sattrans.evaluate.scoring import MeasurementCache, Scorer, SetScores, SetStatistics
from sattrans.evaluate.setwise import SlicedWasserstein
from sattrans.evaluate.significance import best_column, best_columns, comparison_notes
from sattrans.evaluate.table import table_rows
from sattrans.metrics.baselines import paint, partners
from sattrans.metrics.pixel import mae, psnr
from sattrans.raster.palette import UNKNOWN

COUNT, SIZE = 12, 64
CONTEXT = MetricContext(SIZE, COUNT, ("a", "b", "c"))
MAPS = [torch.from_numpy(make_indices(SIZE, SIZE, 3, seed, 16)) for seed in range(COUNT)]
REAL = [torch.from_numpy(make_picture(map_.numpy(), seed)) for seed, map_ in enumerate(MAPS)]
TABLE = np.zeros((256, 3), np.uint8)
TABLE[: len(COLORS)] = COLORS


def scored(fakes):
    families = [kind(CONTEXT) for kind in (PixelMetrics, StructuralSimilarity, ClassColors, SlicedWasserstein)]
    own, shuffled = SetStatistics(families), SetStatistics(families[:3])
    for number, other in enumerate(partners(COUNT)):
        own.add(own.measure(ImagePair(fakes[number], REAL[number], number, MAPS[number], MAPS[number])))
        shuffled.add(shuffled.measure(ImagePair(fakes[number], REAL[other], number, MAPS[other], MAPS[other])))
    each = {str(number): own.image_scores(number) for number in range(COUNT)}
    return SetScores(own.scores(), shuffled.scores(), each, own.details())


@pytest.mark.slow
def test_images_that_follow_their_map_are_distinguished_from_shuffled_ones():
    result = scored([paint(map_, TABLE) for map_ in MAPS])
    for name in ("mae", "psnr", "class_color"):
        assert result.distinguishes_pairs(name) is True, name
    assert result.distinguishes_pairs("swd") is None
    assert result.details["class_color"].keys() == {"a", "b", "c"}


@pytest.mark.slow
def test_images_that_do_not_depend_on_a_map_are_not_distinguished():
    grey = torch.full((3, SIZE, SIZE), 110, dtype=torch.uint8)
    result = scored([grey] * COUNT)
    for name in ("mae", "psnr", "ssim"):
        assert result.distinguishes_pairs(name) is False, name


@pytest.mark.slow
def test_the_score_of_a_set_is_the_mean_of_its_images():
    fakes = [paint(map_, TABLE) for map_ in MAPS]
    fakes[3] = REAL[3]  # has no PSNR: it is counted apart
    result = scored(fakes)
    assert result.metrics["mae"].value == pytest.approx(np.mean([mae(f, r) for f, r in zip(fakes, REAL, strict=True)]))
    there = [psnr(f, r) for n, (f, r) in enumerate(zip(fakes, REAL, strict=True)) if n != 3]
    assert result.metrics["psnr"].value == pytest.approx(np.mean(there))
    assert result.images["3"]["psnr"] is None
    assert result.images["3"]["mae"] == 0
    assert result.details["equal_images"] == 1
    assert "swd" not in result.images["0"]
    low, high = result.metrics["mae"].interval
    assert low < result.metrics["mae"].value < high


class GivenImages(ImageSource):
    """A source of given images that records which were read, and fails at a given one."""

    def __init__(self, name, fakes, recipe=None, fails_at=None):
        self.name, self.about, self.recipe, self.key, self.folder = name, {}, recipe, name, Path(name)
        self.fakes, self.fails_at, self.numbers = fakes, fails_at, []

    def images(self, numbers):
        for number in numbers:
            if number == self.fails_at:
                raise KeyboardInterrupt
            self.numbers.append(number)
            yield self.fakes[number]


class ManyReal(RealImages):
    """The real images of this file, repeated."""

    size, classes, key = SIZE, ("a", "b", "c"), "many"

    def __init__(self, count=COUNT):
        self.ids = [str(number) for number in range(count)]

    def read(self, number):
        return RealImage(REAL[number % COUNT], MAPS[number % COUNT])


def noisy(strength, seed):
    draw = torch.Generator().manual_seed(seed)
    noise = torch.randn(COUNT, 3, SIZE, SIZE, generator=draw) * strength
    return [(image + noise[number]).clamp(0, 255).byte() for number, image in enumerate(REAL)]


def scoring(folder, count=COUNT):
    families = [kind(CONTEXT) for kind in (PixelMetrics, StructuralSimilarity, ClassColors)]
    return families, Scorer(ManyReal(count), families, 0, MeasurementCache(folder))


def metric(families, name):
    return next(m for family in families for m in family.metrics if m.name == name)


def segmented(image):
    """See class a in dark pixels, b in others, and d, which is nowhere, in bright ones."""
    grey = image.float().mean(0)
    return (grey > 90).byte() + 2 * (grey > 200).byte()


def test_classes_that_no_real_image_contains_count_in_no_column(tmp_path):
    context = MetricContext(SIZE, COUNT, ("a", "b", "c", "d"), {"segmenter": segmented})
    families = [ClassColors(context), SegmentationConsistency(context)]
    measure = Scorer(ManyReal(), families, 0, MeasurementCache(tmp_path))
    sources = [
        GivenImages("dark", [image // 2 for image in REAL]),
        GivenImages("bright", [image | 128 for image in REAL]),
    ]
    columns = group_columns(sources, [measure.score(source) for source in sources])
    assert any((segmented(image) == 3).any() for image in sources[1].fakes)
    assert not any((segmented(image) == 3).any() for image in sources[0].fakes)
    for column in columns:
        iou = column.scores.details["iou"]
        assert iou["d"] is None
        assert column.scores.value("miou") == pytest.approx(np.mean([iou[name] for name in "abc"]))
    metrics = [metric for family in families for metric in family.selected]
    (note,) = absent_class_notes(metrics, columns[0].scores)
    assert "no real image here contains d: left out of class colour, class spread and mIoU" in note
    assert absent_class_notes(metrics[:0], columns[0].scores) == []


def test_training_tiles_without_a_class_are_no_baseline_for_a_mean_over_it(tmp_path):
    class Elsewhere(ManyReal):
        def __init__(self, lacks):
            super().__init__()
            self.lacks, self.key = lacks, f"elsewhere {lacks}"

        def read(self, number):
            image, map_ = super().read(number)
            return RealImage(255 - image, torch.where(map_ == 2, UNKNOWN, map_) if self.lacks else map_)

    families = [kind(CONTEXT) for kind in (PixelMetrics, ClassColors)]
    measure = Scorer(ManyReal(), families, 0, MeasurementCache(tmp_path))
    scored = measure.score(GivenImages("fine", noisy(5, 1)))
    metrics = [metric for family in families for metric in family.selected]
    whole, nothing = comparable_baseline(metrics, scored, measure.real_baseline(Elsewhere(lacks=False)))
    assert nothing == []
    assert whole.value("class_color") > 0
    assert whole.details["class_color"]["c"] > 0
    lacking, (note,) = comparable_baseline(metrics, scored, measure.real_baseline(Elsewhere(lacks=True)))
    assert lacking.value("class_color") is lacking.value("class_spread") is None
    assert lacking.value("mae") == 0
    assert "the training tiles of the baseline real do not contain c: it has no class colour and class spread" in note


@pytest.mark.slow
@pytest.mark.parametrize("selected", [("mae",), ("psnr", "class_spread"), ()])
def test_scores_that_were_not_selected_are_not_computed(tmp_path, selected):
    context = replace(CONTEXT, selected=selected)
    families, _ = select_families(context)
    scored = Scorer(ManyReal(), families, 0, MeasurementCache(tmp_path)).score(GivenImages("fine", noisy(5, 1)))
    for names in (scored.metrics, scored.shuffled, scored.images["0"]):
        assert set(names) <= set(selected) if selected else {"mae", "psnr", "class_spread"} <= set(names)
    assert set(scored.metrics) == set(selected) or not selected
    assert ("class_color" in scored.details) == (not selected)


def test_a_source_that_is_given_twice_counts_once(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a")

    def made(folder, key, recipe="r"):
        source = GivenImages(key, [], recipe)
        source.folder = tmp_path / folder
        return source

    a, again, linked, copied, other = (
        made("a", "1"), made("b/../a", "1"), made("link", "1"), made("copy", "1"), made("c", "2")
    )  # fmt: skip
    distinct, notes = without_duplicates([a, again, linked, copied, other])
    assert distinct == [a, other]
    assert [line.endswith("counts once") for line in notes] == [True, True, False]
    assert notes[2] == f"{tmp_path}/copy has the same weights as {tmp_path}/a: they count once, as one seed"
    assert without_duplicates([a, made("copy", "1", "another recipe")])[1] == []
    assert without_duplicates([made("x", "1", None), made("y", "1", None)])[1] == []  # equal images of two folders


@pytest.mark.slow
def test_the_best_column_needs_a_significant_difference(tmp_path):
    families, measure = scoring(tmp_path)
    sources = [GivenImages("fine", noisy(5, 1)), GivenImages("coarse", noisy(20, 2))]
    columns = group_columns(sources, [measure.score(source) for source in sources])
    for name in ("mae", "psnr", "ssim"):
        assert best_column(metric(families, name), columns, None).name == "fine"
        assert best_column(metric(families, name), columns[::-1], None).name == "fine"
    same = [GivenImages("one", noisy(5, 1)), GivenImages("other", noisy(5, 3))]
    columns = group_columns(same, [measure.score(source) for source in same])
    assert best_column(metric(families, "mae"), columns, None) is None


@pytest.mark.slow
def test_a_value_close_to_that_of_real_images_is_better(tmp_path):
    families, measure = scoring(tmp_path)
    sources = [GivenImages("fine", noisy(5, 1)), GivenImages("coarse", noisy(20, 2))]
    columns = group_columns(sources, [measure.score(source) for source in sources])
    towards = replace(metric(families, "mae"), better="real")
    assert best_column(towards, columns, 16.0).name == "coarse"


@pytest.mark.slow
def test_runs_of_one_recipe_are_one_column_with_their_spread(tmp_path):
    _, measure = scoring(tmp_path)
    sources = [
        GivenImages("a-1", noisy(5, 1), "a"),
        GivenImages("b", noisy(20, 2)),
        GivenImages("a-2", noisy(8, 3), "a"),
    ]
    scored = [measure.score(source) for source in sources]
    one, other = group_columns(sources, scored)
    assert (one.name, other.name) == ("a ×2", "b")
    values = [scored[place].metrics["mae"].value for place in (0, 2)]
    assert one.scores.metrics["mae"].value == pytest.approx(np.mean(values))
    assert one.spread["mae"] == (min(values), max(values))
    assert one.scores.images["0"]["mae"] == pytest.approx(np.mean([scored[p].images["0"]["mae"] for p in (0, 2)]))
    assert not other.spread


@pytest.mark.slow
def test_each_column_has_its_own_shuffled_score_if_they_differ(tmp_path):
    families, measure = scoring(tmp_path)
    fine, coarse = (
        measure.score(GivenImages(name, noisy(*of))) for name, of in (("fine", (5, 1)), ("coarse", (60, 2)))
    )
    sources = [GivenImages(name, []) for name in ("one", "same", "other")]
    columns = group_columns(sources, [fine, fine, coarse])
    mae = metric(families, "mae")
    (row,) = table_rows([mae], {}, {"mae": None}, columns, {"real": measure.real_baseline(None)}, COUNT)
    one, same, other = row.baselines["shuffled"].split(" / ")
    assert one == same != other
    (row,) = table_rows([mae], {}, {"mae": None}, columns[:2], {"real": measure.real_baseline(None)}, COUNT)
    assert row.baselines["shuffled"] == one


@pytest.mark.slow
def test_the_notes_name_the_best_column_and_the_scores_that_flat_colours_win(tmp_path):
    families, measure = scoring(tmp_path)
    sources = [GivenImages("a", noisy(60, 1)), GivenImages("b", noisy(70, 2))]
    columns = group_columns(sources, [measure.score(source) for source in sources])
    baselines = {"real": measure.real_baseline(None), "class_colors": measure.class_color_baseline(TABLE)}
    metrics = [m for family in families for m in family.metrics]
    notes = comparison_notes(metrics, best_columns(metrics, columns, baselines["real"]), columns, baselines)
    assert notes[0].startswith(
        "by 9 of 9 scores, a is clearly the best (95 % intervals of its differences from the others exclude 0): MAE, "
    )
    same = group_columns(sources[:1] * 2, [columns[0].scores] * 2)
    undecided = comparison_notes(metrics, best_columns(metrics, same, baselines["real"]), same, baselines)
    assert undecided[0].startswith("by 9 of 9 scores, none is clearly the best: MAE, ")
    assert "MAE" in notes[-1]
    assert "maps in flat class colours score better than every column by" in notes[-1]


@pytest.mark.slow
def test_what_was_measured_before_an_interruption_is_not_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr("sattrans.evaluate.scoring.CACHE_CHUNK", 8)
    count = 25
    whole = scoring(tmp_path / "whole", count)[1].score(GivenImages("a", noisy(5, 1) * 3))
    stopped, going_on = GivenImages("a", noisy(5, 1) * 3, fails_at=18), GivenImages("a", noisy(5, 1) * 3)
    with pytest.raises(KeyboardInterrupt):
        scoring(tmp_path / "again", count)[1].score(stopped)
    scored = scoring(tmp_path / "again", count)[1].score(going_on)
    assert going_on.numbers[0] == 16  # two chunks were cached
    assert scored.images == whole.images
    assert {n: s.value for n, s in scored.metrics.items()} == {n: s.value for n, s in whole.metrics.items()}
    other = GivenImages("b", noisy(5, 1) * 3)
    scoring(tmp_path / "again", count)[1].score(other)
    assert other.numbers[0] == 0


def test_one_image_has_scores_but_no_shuffled_ones(tmp_path):
    families, measure = scoring(tmp_path, 1)
    sources = [GivenImages("a", noisy(5, 1)), GivenImages("b", noisy(9, 1))]
    columns = group_columns(sources, [measure.score(source) for source in sources])
    assert columns[0].scores.metrics["mae"].value > 0
    assert columns[0].scores.metrics["mae"].interval is None
    assert columns[0].scores.shuffled == {}
    assert best_column(metric(families, "mae"), columns, None) is None
