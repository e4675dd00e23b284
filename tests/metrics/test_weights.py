"""Weights by path: networks of the published names and counts, files held to their hash, scores with them."""

import hashlib
import json

import pytest
import torch
from commands import error_line, sattrans
from makers import make_folder
from safetensors.torch import save_file

from sattrans.errors import UsageError
from sattrans.evaluate import EvaluateOptions, evaluate
from sattrans.metrics.features import VGG19, InceptionV3, imagenet_normalised
from sattrans.metrics.weights import find_weights, load_weights
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

CPU = torch.device("cpu")


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def images(number=2, size=64):
    return torch.randint(0, 256, (number, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def vgg_file(path):
    torch.manual_seed(0)
    network = VGG19()
    save_file(network.state_dict() | {"classifier.0.bias": torch.zeros(4)}, path)
    return path


@pytest.mark.slow
def test_networks_are_as_large_as_the_published_ones():
    assert count(VGG19()) == 20_024_384
    assert count(InceptionV3()) + 2049 * 1000 == 23_834_568  # with its last layer, without the auxiliary one
    names = set(InceptionV3().state_dict())
    for name in ("Conv2d_1a_3x3.conv.weight", "Mixed_5b.branch_pool.bn.running_var", "Mixed_6a.branch3x3dbl_3.bn.bias"):
        assert name in names
    assert {"Mixed_6e.branch7x7dbl_5.conv.weight", "Mixed_7c.branch3x3dbl_3b.conv.weight"} <= names


@pytest.mark.slow
def test_features_have_their_shape_and_no_image_changes_anothers():
    torch.manual_seed(0)
    network = InceptionV3().eval()
    with torch.no_grad():
        both, one = network(images()), network(images()[:1])
        assert both.shape == (2, 2048)
        assert both[0] == pytest.approx(one[0], abs=1e-5)
        assert VGG19()(imagenet_normalised(images())).shape == (2, 512, 4, 4)


@pytest.mark.slow
def test_the_two_networks_differ_in_their_poolings_alone():
    torch.manual_seed(0)
    fid, other = InceptionV3(fid=True).eval(), InceptionV3(fid=False).eval()
    other.load_state_dict(fid.state_dict())
    with torch.no_grad():
        assert not torch.allclose(fid(images(1)), other(images(1)))


@pytest.mark.slow
def test_a_file_is_held_to_the_hash_in_its_name(tmp_path):
    torch.manual_seed(0)
    torch.save(VGG19().state_dict(), tmp_path / "x.pth")
    digest = hashlib.sha256((tmp_path / "x.pth").read_bytes()).hexdigest()
    right = (tmp_path / "x.pth").rename(tmp_path / f"vgg19-{digest[:8]}.pth")
    assert load_weights("vgg19", right, CPU).hash == digest
    wrong = right.rename(tmp_path / "vgg19-dcbb9e9d.pth")
    with pytest.raises(UsageError, match=digest[:8]):
        load_weights("vgg19", wrong, CPU)


def test_files_that_are_no_weights_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"features.0.weight": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "text.pth").write_text("no")
    (tmp_path / "text.safetensors").write_text("no")
    torch.save([1], tmp_path / "list.pth")
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "part.safetensors")
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "shape.safetensors")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(UsageError) as told:
            load_weights("vgg19", path, CPU)
        assert path.name in str(told.value)
        assert "\n" not in str(told.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_where_weights_are_looked_for(tmp_path, monkeypatch):
    assert find_weights({}) == {}
    file = vgg_file(tmp_path / "vgg19-dcbb9e9d.safetensors")
    monkeypatch.setenv("SATTRANS_WEIGHTS", str(tmp_path))
    assert find_weights({}) == {"vgg19": file}
    assert load_weights("vgg19", file, CPU).hash == hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(UsageError, match="did you mean 'vgg19'"):
        find_weights({"vgg16": file})
    with pytest.raises(UsageError, match="no such file"):
        find_weights({"vgg19": tmp_path / "none"})


@pytest.mark.faults
def test_evaluate_with_and_without(tmp_path):
    tileset = tile(make_folder(tmp_path / "f", classes_toml=True), tmp_path / "t", options=TileOptions(size=64)).tileset
    train(tileset.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings={"width": 4}, steps=1, monitor="l1"))
    done = sattrans("evaluate", tmp_path / "r", "--metrics", "fid", "-o", tmp_path / "e")
    assert done.exit_code == 2
    assert "--weights inception=FILE" in error_line(done.stderr)
    assert "SATTRANS_WEIGHTS" in error_line(done.stderr)
    done = sattrans("evaluate", tmp_path / "r", "--weights", "vgg19", "-o", tmp_path / "e")
    assert done.exit_code == 2
    assert "NAME=FILE" in error_line(done.stderr)
    torch.manual_seed(0)
    save_file(InceptionV3().state_dict(), tmp_path / "inception.safetensors")
    files = {"vgg19": vgg_file(tmp_path / "vgg.safetensors"), "inception": tmp_path / "inception.safetensors"}
    names = ["vgg_cosine", "vgg_centred", "kid", "fid"]
    result = evaluate([tmp_path / "r"], tmp_path / "e", EvaluateOptions(metrics=names, weights=files))
    scores, real = result.columns[0].scores, result.baselines["real"]
    assert set(scores.metrics) == set(names)
    assert scores.metrics["fid"].value > real.metrics["fid"].value > 0
    assert scores.metrics["fid"].interval is None
    assert scores.metrics["kid"].interval is not None
    assert real.metrics["vgg_cosine"].value == pytest.approx(1)
    told = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert told["weights"]["vgg19"]["sha256"] == hashlib.sha256(files["vgg19"].read_bytes()).hexdigest()
