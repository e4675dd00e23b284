"""evaluate --downstream: it finds help where there is some, claims none where there is none, resumes, and refuses."""

import json
import shutil

import numpy as np
import pytest
import torch
from commands import error_line, sattrans
from makers import make_folder

from sattrans.data.tileset import Tileset
from sattrans.errors import OptionError, UsageError
from sattrans.evaluate import EvaluateOptions, evaluate, generated_tiles, kept_images, segmenter
from sattrans.evaluate.downstream import measure_downstream, tile_counts
from sattrans.evaluate.downstream_results import (
    CurvePoint,
    DownstreamColumn,
    RepeatedScore,
    finding,
    mean_of_repeats,
    paired_gain,
)
from sattrans.evaluate.generated_tiles import GeneratedTiles, SomeTiles
from sattrans.evaluate.images import ImageSource, RealTiles
from sattrans.evaluate.scoring import MeasurementCache, Score
from sattrans.evaluate.segmenter import train_segmenter
from sattrans.metrics.bootstrap import Interval
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("small_crops")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    root = make_folder(folder / "f", size=256, classes_toml=True)
    return tile(root, folder / "t", options=TileOptions(size=64)).tileset


@pytest.fixture(scope="module")
def run(place, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "made"
    train(place.folder, folder, TrainOptions(model="pix2pix", settings={"width": 4}, steps=1, monitor="l1"))
    return folder


class Images(ImageSource):
    """Images of real tiles, changed; it counts those that it was asked for."""

    def __init__(self, name, tiles, change=lambda image: image):
        self.name = self.key = name
        self.folder, self.about = tiles.tileset.folder, {}
        self.tiles, self.change, self.asked = tiles, change, 0

    def images(self, numbers):
        for number in numbers:
            self.asked += 1
            yield self.change(self.tiles.read(number).image)


def splits(tileset):
    return RealTiles(tileset, tileset.split("test")), RealTiles(tileset, tileset.split("train"))


def noise(image):
    made = torch.Generator().manual_seed(int(image.sum()))
    return torch.randint(0, 256, image.shape, generator=made).to(torch.uint8)


def ask(**values):
    return EvaluateOptions(downstream=True, **values)


@pytest.fixture(scope="module")
def measured(place, tmp_path_factory):
    """One real tile, alone, beside images equal to the real ones, and beside noise."""
    folder = tmp_path_factory.mktemp("measured")
    tested, real = splits(place)
    sources = [Images("equal", real), Images("noise", real, noise)]
    options = ask(downstream_shares=(0.02,), downstream_steps=30, downstream_repeats=2)
    found = measure_downstream(tested, real, sources, options, CPU, folder / "s", MeasurementCache(folder / "c"))
    return found, sources, options, folder


def test_images_as_good_as_real_ones_are_worth_more_than_a_single_real_tile(measured):
    equal, noise = measured[0].columns
    (point,) = equal.points
    assert point.real_tiles == 1
    assert point.both.value > point.real.value
    assert equal.generated.value > point.real.value > noise.generated.value
    assert point.both.value > noise.points[0].both.value


def test_noise_is_not_said_to_help(measured):
    noise = measured[0].columns[1]
    assert finding(noise.points[0].gain) != "helps"
    assert "tile they help" not in noise.verdict


def test_scores_have_intervals_around_them_and_a_value_for_each_segmenter(measured):
    for column in measured[0].columns:
        (point,) = column.points
        for score in (column.generated, point.real, point.both, point.gain):
            assert score.interval.low <= score.value <= score.interval.high
            assert score.value == pytest.approx(np.mean(score.values))
            assert len(score.values) == 2
        assert point.gain.value == pytest.approx(point.both.value - point.real.value)


def test_all_runs_are_compared_with_the_same_real_segmenters(measured):
    found = measured[0]
    assert len({tuple(column.points[0].real.values) for column in found.columns}) == 1
    assert [row[:2] for row in found.table()[1]] == [["equal", "0"], ["equal", "1"], ["noise", "0"], ["noise", "1"]]


def test_generated_images_that_equal_the_real_ones_train_the_same_segmenter(place, tmp_path):
    _, real = splits(place)
    some = SomeTiles(real, range(len(real)))
    equal = GeneratedTiles(Images("equal", real), real, MeasurementCache(tmp_path / "c"))
    pairs = [[some, some], [some, equal]]
    hashes = [train_segmenter(tmp_path / f"{n}", place, CPU, 1, 3, pair).hash for n, pair in enumerate(pairs)]
    assert hashes[0] == hashes[1]


def test_again_it_finds_the_same_and_trains_and_generates_nothing(measured, place, monkeypatch):
    found, sources, options, folder = measured
    asked = [source.asked for source in sources]
    assert asked == [len(place.split("train"))] * 2
    monkeypatch.setattr(segmenter, "_train", lambda *_: pytest.fail("a segmenter was trained again"))
    shutil.rmtree(folder / "c")  # what an evaluation removes at its end
    again = measure_downstream(*splits(place), sources, options, CPU, folder / "s", MeasurementCache(folder / "c"))
    assert again.to_json() == found.to_json()
    assert [source.asked for source in sources] == asked


def test_after_an_interruption_only_missing_images_are_generated(place, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_images, "CACHE_CHUNK", 4)
    _, real = splits(place)
    cache, whole = MeasurementCache(tmp_path), Images("a", real)

    def stop(image):
        if source.asked > 6:
            raise KeyboardInterrupt
        return image

    source = Images("a", real, stop)
    with pytest.raises(KeyboardInterrupt):
        GeneratedTiles(source, real, cache).stack([0])
    images, maps = GeneratedTiles(whole, real, cache).stack([3, 9])
    assert whole.asked == len(real) - 6
    assert torch.equal(images, real.store.images([3, 9]))
    assert torch.equal(maps, real.store.maps([3, 9]))
    monkeypatch.setattr(generated_tiles, "MOST_KEPT", 0)
    from_disk = GeneratedTiles(Images("a", real), real, cache)
    assert torch.equal(from_disk.stack([3, 9])[0], images)


def repeated(*values, spread=0.01):
    resampled = np.linspace(-spread, spread, 1000)
    return mean_of_repeats([Score(value, None, value + resampled) for value in values], seed=0)


def width(score):
    return score.interval.high - score.interval.low


def test_the_interval_holds_the_chance_of_tiles_and_that_of_segmenters():
    assert repeated(0.5, 0.5, 0.5).interval == pytest.approx((0.4905, 0.5095), abs=1e-3)
    # Three values: Student's t of 2 degrees is 4.30.
    expected = 2 * 4.30 * np.std([0.49, 0.5, 0.51], ddof=1) / 3**0.5
    assert width(repeated(0.49, 0.5, 0.51, spread=0)) == pytest.approx(expected, rel=0.25)
    # Segmenters are compared in pairs, so a gain is known better than its parts.
    gain = paired_gain(repeated(0.5, 0.7, 0.6), repeated(0.4, 0.6, 0.5), 0)
    assert gain.interval == pytest.approx((0.1, 0.1))
    assert gain.values == pytest.approx([0.1] * 3)


def test_luck_is_seldom_called_help():
    """Segmenters that differ by chance alone: at most one trial in forty says help, as 95 % intervals promise."""
    draw = np.random.default_rng(0)
    said = []
    for _ in range(400):
        one, other = (repeated(*(0.5 + 0.02 * draw.standard_normal(3)), spread=0) for _ in range(2))
        said.append(finding(paired_gain(one, other, 0)))
    assert 0.01 < said.count("helps") / 400 < 0.04
    real, better = repeated(0.5, 0.51, 0.5), repeated(0.6, 0.61, 0.61)
    assert finding(paired_gain(better, real, 0)) == "helps"
    assert finding(paired_gain(real, better, 0)) == "makes it worse"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.05, "helps"),
        (-0.05, -0.01, "makes it worse"),
        (-0.02, 0.005, "does not help"),
        (-0.02, 0.05, "cannot be told"),
    ],
)
def test_a_gain_is_put_in_words(low, high, said):
    assert finding(RepeatedScore((low + high) / 2, Interval(low, high))) == said


def test_the_verdict_says_beside_how_many_real_tiles_they_help():
    few, many = repeated(0.3, 0.31), repeated(0.6, 0.6)
    points = [CurvePoint(n, s, many, paired_gain(many, s, 0)) for n, s in ((5, few), (48, many))]
    assert DownstreamColumn("a", few, points).verdict == (
        "As training data for a segmenter, the images of a: beside 5 real tiles they help "
        f"(mIoU 0.305 → 0.600, +0.295, {points[0].gain.interval.low:+.3f} to {points[0].gain.interval.high:+.3f}); "
        "beside 48 real tiles they do not help (mIoU 0.600 → 0.600, +0.000, +0.000 to +0.000)."
    )


def test_shares_become_numbers_of_tiles_each_once():
    assert tile_counts(48, (1, 0.1, 0.33)) == [5, 16, 48]
    assert tile_counts(3, (0.1, 0.2, 1)) == [1, 3]


def test_the_command_tells_it_in_table_files_and_page(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("evaluate", run, "-o", "e", "--metrics", "mae", "--downstream", "--downstream-steps", "1")
    words += ("--downstream-shares", "0.1,1", "--downstream-repeats", "2")
    done = sattrans(*words)
    assert done.exit_code == 0
    assert "with generated" in done.stdout
    assert "As training data for a segmenter, the images of made: beside " in " ".join(done.stdout.split())
    assert "the run learned from all" in " ".join(done.stderr.split())
    told = json.loads((tmp_path / "e" / "scores.json").read_text())["downstream"]
    assert [point["real_tiles"] for point in told["runs"][0]["points"]] == [
        round(0.1 * told["generated_tiles"]),
        told["generated_tiles"],
    ]
    assert told["runs"][0]["verdict"] in (tmp_path / "e" / "report.html").read_text()
    assert "| made | 0 | – |" in (tmp_path / "e" / "scores.md").read_text()
    files = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "evaluations" / "segmenters").iterdir()}
    assert len(files) == 2 * (2 + 3)
    before = (tmp_path / "e" / "scores.json").read_bytes()
    again = sattrans(*words, "--json")
    assert json.loads(again.stdout)["downstream"] == told
    assert (tmp_path / "e" / "scores.json").read_bytes() == before
    assert files == {f.name: f.stat().st_mtime_ns for f in (tmp_path / "evaluations" / "segmenters").iterdir()}
    other = sattrans(*words[:-1], "3")
    assert other.exit_code == 2
    assert "downstream_repeats: 2 before, 3 now" in error_line(other.stderr)


def changed(tileset, folder, change):
    """Copy a tileset with another index."""
    shutil.copytree(tileset.folder, folder)
    index = json.loads((folder / "tiles.geojson").read_text())
    for feature in index["features"]:
        change(feature["properties"])
    (folder / "tiles.geojson").write_text(json.dumps(index))
    return Tileset.open(folder)


def test_what_it_cannot_measure_is_refused_in_a_line(place, run, tmp_path):
    from sattrans.evaluate.downstream import check_downstream

    check_downstream(place, "test")
    with pytest.raises(UsageError, match="no training has seen: choose --split test or val"):
        evaluate([run], tmp_path / "e", ask(split="train"))
    with pytest.raises(UsageError, match="--downstream needs a tileset and cannot be used with --pairs"):
        sattrans_pairs(tmp_path)
    one = changed(place, tmp_path / "one", lambda tile: tile.update(shares={"class10": tile["valid"]}))
    with pytest.raises(UsageError, match="show the single class class10, --downstream needs two"):
        check_downstream(one, "test")
    none = changed(place, tmp_path / "none", lambda tile: tile.update(split="test"))
    with pytest.raises(UsageError, match="has 0 train tiles, --downstream needs 2"):
        check_downstream(none, "test")
    pictures = Tileset(place.folder, {**place.manifest, "palette": None})
    with pytest.raises(UsageError, match="are pictures without classes, which --downstream needs"):
        check_downstream(pictures, "test")


def sattrans_pairs(folder):
    from sattrans.evaluate import evaluate_pairs

    evaluate_pairs(folder, [folder], options=ask())


def test_its_options_are_checked(tmp_path):
    with pytest.raises(OptionError, match="--downstream-steps needs --downstream"):
        EvaluateOptions(downstream_steps=5)
    for shares in ((0.0,), (1.5,)):
        with pytest.raises(
            OptionError, match="--downstream-shares must be above 0 and at most 1|at most 1 and above 0"
        ):
            ask(downstream_shares=shares)
    with pytest.raises(OptionError, match="--downstream-repeats must be at least 2, got 1"):
        ask(downstream_repeats=1)
    done = sattrans("evaluate", "--downstream", "--downstream-shares", "a,b")
    assert done.exit_code == 2
    assert "--downstream-shares must be shares such as 0.1,0.33,1, got a,b" in error_line(done.stderr)
