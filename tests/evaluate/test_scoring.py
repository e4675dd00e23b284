"""Evaluating: what is gathered of pairs, in any order of work, and whether a score tells pairs from shuffled ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import COLORS, make_indices, make_picture

from sattrans.evaluate.aggregate import columns_of, comparable, left_out
from sattrans.evaluate.base import Pair, Setting
from sattrans.evaluate.images import Real, Reference, Subject, each_once
from sattrans.evaluate.pairwise import ClassColors, Consistency, Pixels, Structure
from sattrans.evaluate.registry import choose_families
from sattrans.evaluate.scoring import Gathered, Kept, Scored, Scoring
from sattrans.evaluate.setwise import Texture
from sattrans.evaluate.significance import agreement, best, winners
from sattrans.evaluate.table import shown_rows
from sattrans.metrics.baselines import paint, partners
from sattrans.metrics.pixel import mae, psnr
from sattrans.raster.palette import UNKNOWN

COUNT, SIZE = 12, 64
SETTING = Setting(SIZE, COUNT, ("a", "b", "c"))
MAPS = [torch.from_numpy(make_indices(SIZE, SIZE, 3, seed, 16)) for seed in range(COUNT)]
REAL = [torch.from_numpy(make_picture(map_.numpy(), seed)) for seed, map_ in enumerate(MAPS)]
TABLE = np.zeros((256, 3), np.uint8)
TABLE[: len(COLORS)] = COLORS


def scored(fakes):
    families = [kind(SETTING) for kind in (Pixels, Structure, ClassColors, Texture)]
    own, shuffled = Gathered(families), Gathered(families[:3])
    for number, other in enumerate(partners(COUNT)):
        own.add(own.measure(Pair(fakes[number], REAL[number], number, MAPS[number], MAPS[number])))
        shuffled.add(shuffled.measure(Pair(fakes[number], REAL[other], number, MAPS[other], MAPS[other])))
    each = {str(number): own.each(number) for number in range(COUNT)}
    return Scored(own.scores(), shuffled.scores(), each, own.details())


def test_images_that_follow_their_map_are_told_from_shuffled_ones():
    result = scored([paint(map_, TABLE) for map_ in MAPS])
    for name in ("mae", "psnr", "class_color"):
        assert result.tells_pairs(name) is True, name
    assert result.tells_pairs("swd") is None
    assert result.details["class_color"].keys() == {"a", "b", "c"}


def test_images_that_know_no_map_are_not():
    grey = torch.full((3, SIZE, SIZE), 110, dtype=torch.uint8)
    result = scored([grey] * COUNT)
    for name in ("mae", "psnr", "ssim"):
        assert result.tells_pairs(name) is False, name


def test_the_score_of_a_set_is_the_mean_of_its_images():
    fakes = [paint(map_, TABLE) for map_ in MAPS]
    fakes[3] = REAL[3]  # has no PSNR: it is counted apart
    result = scored(fakes)
    assert result.scores["mae"].value == pytest.approx(np.mean([mae(f, r) for f, r in zip(fakes, REAL, strict=True)]))
    there = [psnr(f, r) for n, (f, r) in enumerate(zip(fakes, REAL, strict=True)) if n != 3]
    assert result.scores["psnr"].value == pytest.approx(np.mean(there))
    assert result.images["3"]["psnr"] is None
    assert result.images["3"]["mae"] == 0
    assert result.details["equal_images"] == 1
    assert "swd" not in result.images["0"]
    low, high = result.scores["mae"].interval
    assert low < result.scores["mae"].value < high


class Made(Subject):
    """Images that are at hand; tells how often they were asked for, and fails where it is told to."""

    def __init__(self, name, fakes, recipe=None, fails_at=None):
        self.name, self.about, self.recipe, self.key, self.folder = name, {}, recipe, name, Path(name)
        self.fakes, self.fails_at, self.asked = fakes, fails_at, []

    def images(self, numbers):
        for number in numbers:
            if number == self.fails_at:
                raise KeyboardInterrupt
            self.asked.append(number)
            yield self.fakes[number]


class Places(Reference):
    """The real images of this file, several times over."""

    size, classes, key = SIZE, ("a", "b", "c"), "places"

    def __init__(self, count=COUNT):
        self.ids = [str(number) for number in range(count)]

    def real(self, number):
        return Real(REAL[number % COUNT], MAPS[number % COUNT])


def noisy(strength, seed):
    draw = torch.Generator().manual_seed(seed)
    noise = torch.randn(COUNT, 3, SIZE, SIZE, generator=draw) * strength
    return [(image + noise[number]).clamp(0, 255).byte() for number, image in enumerate(REAL)]


def scoring(folder, count=COUNT):
    families = [kind(SETTING) for kind in (Pixels, Structure, ClassColors)]
    return families, Scoring(Places(count), families, 0, Kept(folder))


def metric(families, name):
    return next(m for family in families for m in family.metrics if m.name == name)


def segmented(image):
    """See class a in dark pixels, b in others, and d, which is nowhere, in bright ones."""
    grey = image.float().mean(0)
    return (grey > 90).byte() + 2 * (grey > 200).byte()


def test_classes_that_no_real_image_holds_count_in_no_column(tmp_path):
    setting = Setting(SIZE, COUNT, ("a", "b", "c", "d"), {"segmenter": segmented})
    families = [ClassColors(setting), Consistency(setting)]
    measure = Scoring(Places(), families, 0, Kept(tmp_path))
    subjects = [Made("dark", [image // 2 for image in REAL]), Made("bright", [image | 128 for image in REAL])]
    columns = columns_of(subjects, [measure.subject(subject) for subject in subjects])
    assert any((segmented(image) == 3).any() for image in subjects[1].fakes)
    assert not any((segmented(image) == 3).any() for image in subjects[0].fakes)
    for column in columns:
        iou = column.scored.details["iou"]
        assert iou["d"] is None
        assert column.scored.value("miou") == pytest.approx(np.mean([iou[name] for name in "abc"]))
    metrics = [metric for family in families for metric in family.wanted]
    (note,) = left_out(metrics, columns[0].scored)
    assert "no real image here holds d: left out of class colour, class spread and mIoU" in note
    assert left_out(metrics[:0], columns[0].scored) == []


def test_images_of_other_places_that_lack_a_class_are_no_floor_for_a_mean_over_it(tmp_path):
    class Elsewhere(Places):
        def __init__(self, lacks):
            super().__init__()
            self.lacks, self.key = lacks, f"elsewhere {lacks}"

        def real(self, number):
            image, map_ = super().real(number)
            return Real(255 - image, torch.where(map_ == 2, UNKNOWN, map_) if self.lacks else map_)

    families = [kind(SETTING) for kind in (Pixels, ClassColors)]
    measure = Scoring(Places(), families, 0, Kept(tmp_path))
    scored = measure.subject(Made("fine", noisy(5, 1)))
    metrics = [metric for family in families for metric in family.wanted]
    whole, nothing = comparable(metrics, scored, measure.real_floor(Elsewhere(lacks=False)))
    assert nothing == []
    assert whole.value("class_color") > 0
    assert whole.details["class_color"]["c"] > 0
    lacking, (note,) = comparable(metrics, scored, measure.real_floor(Elsewhere(lacks=True)))
    assert lacking.value("class_color") is lacking.value("class_spread") is None
    assert lacking.value("mae") == 0
    assert "the training tiles beside real have no c: it has no class colour and class spread" in note


@pytest.mark.parametrize("asked", [("mae",), ("psnr", "class_spread"), ()])
def test_scores_that_were_not_asked_for_are_not_given(tmp_path, asked):
    setting = replace(SETTING, wanted=asked)
    families, _ = choose_families(setting)
    scored = Scoring(Places(), families, 0, Kept(tmp_path)).subject(Made("fine", noisy(5, 1)))
    for names in (scored.scores, scored.shuffled, scored.images["0"]):
        assert set(names) <= set(asked) if asked else {"mae", "psnr", "class_spread"} <= set(names)
    assert set(scored.scores) == set(asked) or not asked
    assert ("class_color" in scored.details) == (not asked)


def test_what_is_given_twice_counts_once(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a")

    def made(folder, key, recipe="r"):
        subject = Made(key, [], recipe)
        subject.folder = tmp_path / folder
        return subject

    a, again, linked, copied, other = (
        made("a", "1"), made("b/../a", "1"), made("link", "1"), made("copy", "1"), made("c", "2")
    )  # fmt: skip
    kept, told = each_once([a, again, linked, copied, other])
    assert kept == [a, other]
    assert [line.endswith("counts once") for line in told] == [True, True, False]
    assert told[2] == f"{tmp_path}/copy has the weights of {tmp_path}/a: they count once, as one seed"
    assert each_once([a, made("copy", "1", "another recipe")])[1] == []
    assert each_once([made("x", "1", None), made("y", "1", None)])[1] == []  # equal images of two folders


def test_the_better_one_is_best_where_the_images_say_so_and_none_is_where_they_are_alike(tmp_path):
    families, measure = scoring(tmp_path)
    subjects = [Made("fine", noisy(5, 1)), Made("coarse", noisy(20, 2))]
    columns = columns_of(subjects, [measure.subject(subject) for subject in subjects])
    for name in ("mae", "psnr", "ssim"):
        assert best(metric(families, name), columns, None).name == "fine"
        assert best(metric(families, name), columns[::-1], None).name == "fine"
    same = [Made("one", noisy(5, 1)), Made("other", noisy(5, 3))]
    columns = columns_of(same, [measure.subject(subject) for subject in same])
    assert best(metric(families, "mae"), columns, None) is None


def test_a_score_that_is_near_that_of_real_images_is_better(tmp_path):
    families, measure = scoring(tmp_path)
    subjects = [Made("fine", noisy(5, 1)), Made("coarse", noisy(20, 2))]
    columns = columns_of(subjects, [measure.subject(subject) for subject in subjects])
    towards = replace(metric(families, "mae"), better="real")
    assert best(towards, columns, 16.0).name == "coarse"


def test_runs_of_one_recipe_are_one_column_with_their_spread(tmp_path):
    _, measure = scoring(tmp_path)
    subjects = [
        Made("a-1", noisy(5, 1), "a"),
        Made("b", noisy(20, 2)),
        Made("a-2", noisy(8, 3), "a"),
    ]
    scored = [measure.subject(subject) for subject in subjects]
    one, other = columns_of(subjects, scored)
    assert (one.name, other.name) == ("a ×2", "b")
    values = [scored[place].scores["mae"].value for place in (0, 2)]
    assert one.scored.scores["mae"].value == pytest.approx(np.mean(values))
    assert one.spread["mae"] == (min(values), max(values))
    assert one.scored.images["0"]["mae"] == pytest.approx(np.mean([scored[p].images["0"]["mae"] for p in (0, 2)]))
    assert not other.spread


def test_each_column_has_its_own_shuffled_score_where_they_differ(tmp_path):
    families, measure = scoring(tmp_path)
    fine, coarse = (measure.subject(Made(name, noisy(*of))) for name, of in (("fine", (5, 1)), ("coarse", (60, 2))))
    subjects = [Made(name, []) for name in ("one", "same", "other")]
    columns = columns_of(subjects, [fine, fine, coarse])
    mae = metric(families, "mae")
    (row,) = shown_rows([mae], {}, {"mae": None}, columns, {"real": measure.real_floor(None)}, COUNT)
    one, same, other = row.beside["shuffled"].split(" / ")
    assert one == same != other
    (row,) = shown_rows([mae], {}, {"mae": None}, columns[:2], {"real": measure.real_floor(None)}, COUNT)
    assert row.beside["shuffled"] == one


def test_the_notes_say_who_is_first_and_where_a_flat_colour_is_better(tmp_path):
    families, measure = scoring(tmp_path)
    subjects = [Made("a", noisy(60, 1)), Made("b", noisy(70, 2))]
    columns = columns_of(subjects, [measure.subject(subject) for subject in subjects])
    floors = {"real": measure.real_floor(None), "class_colors": measure.color_floor(TABLE)}
    metrics = [m for family in families for m in family.metrics]
    notes = agreement(metrics, winners(metrics, columns, floors["real"]), columns, floors)
    assert notes[0].startswith("a is better than each other beyond doubt by 9 of 9 scores: MAE, ")
    same = columns_of(subjects[:1] * 2, [columns[0].scored] * 2)
    undecided = agreement(metrics, winners(metrics, same, floors["real"]), same, floors)
    assert undecided[0].startswith("by 9 of 9 scores it stays open who is best: MAE, ")
    assert "MAE" in notes[-1]
    assert "flat colour" in notes[-1]


def test_what_was_measured_before_an_interruption_is_not_measured_again(tmp_path):
    count = 100
    whole = scoring(tmp_path / "whole", count)[1].subject(Made("a", noisy(5, 1) * 9))
    stopped, going_on = Made("a", noisy(5, 1) * 9, fails_at=70), Made("a", noisy(5, 1) * 9)
    with pytest.raises(KeyboardInterrupt):
        scoring(tmp_path / "again", count)[1].subject(stopped)
    scored = scoring(tmp_path / "again", count)[1].subject(going_on)
    assert going_on.asked[0] == 64  # two chunks were kept
    assert scored.images == whole.images
    assert {n: s.value for n, s in scored.scores.items()} == {n: s.value for n, s in whole.scores.items()}
    other = Made("b", noisy(5, 1) * 9)
    scoring(tmp_path / "again", count)[1].subject(other)
    assert other.asked[0] == 0


def test_one_image_has_scores_and_nothing_to_be_shuffled_with(tmp_path):
    families, measure = scoring(tmp_path, 1)
    subjects = [Made("a", noisy(5, 1)), Made("b", noisy(9, 1))]
    columns = columns_of(subjects, [measure.subject(subject) for subject in subjects])
    assert columns[0].scored.scores["mae"].value > 0
    assert columns[0].scored.scores["mae"].interval is None
    assert columns[0].scored.shuffled == {}
    assert best(metric(families, "mae"), columns, None) is None
