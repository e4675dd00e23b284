"""Unrolled convolutions equal PyTorch's, in value, gradient and gradient's gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sattrans.networks import cpu as convolutions
from sattrans.networks.cpu import Conv2d, ConvTranspose2d, join, subpixel

LAYERS = [
    (Conv2d, nn.Conv2d, {"kernel_size": 4, "stride": 2, "padding": 1}),
    (Conv2d, nn.Conv2d, {"kernel_size": 3, "stride": 1, "padding": 1, "bias": False}),
    (Conv2d, nn.Conv2d, {"kernel_size": (2, 5), "stride": (1, 3), "padding": (0, 2)}),
    (ConvTranspose2d, nn.ConvTranspose2d, {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False}),
    (ConvTranspose2d, nn.ConvTranspose2d, {"kernel_size": (3, 2), "stride": (1, 2), "padding": (0, 1)}),
]


@pytest.fixture(autouse=True)
def unrolled(monkeypatch):
    """Unroll layers however small they are, and tell how many were."""
    monkeypatch.setattr(convolutions, "MIN_WEIGHTS", 0)
    monkeypatch.setattr(Conv2d, "few", {torch.float32: 10**6, torch.float64: 10**6, torch.bfloat16: 10**6})
    monkeypatch.setattr(ConvTranspose2d, "few", Conv2d.few)


def pair(ours, theirs, options, dtype=torch.float64):
    torch.manual_seed(1)
    one = ours(6, 10, **options).to(dtype).to(memory_format=torch.channels_last)
    other = theirs(6, 10, **options).to(dtype)
    other.load_state_dict(one.state_dict())
    return one, other


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "theirs", "options"), LAYERS)
@pytest.mark.parametrize("shape", [(1, 6, 7, 9), (3, 6, 4, 6), (2, 6, 2, 2)])
def test_values_and_gradients_are_pytorchs(ours, theirs, options, shape):
    one, other = pair(ours, theirs, options)
    maps = torch.randn(shape, dtype=torch.float64)
    results = []
    for layer in (one, other):
        seen = maps.clone().requires_grad_()
        made = layer(seen)
        made.square().sum().backward()
        results.append([made, seen.grad, *(p.grad for p in layer.parameters())])
    for mine, pytorchs in zip(*results, strict=True):
        torch.testing.assert_close(mine, pytorchs, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "theirs", "options"), [LAYERS[0], LAYERS[3]])
def test_a_gradient_of_the_gradient_is_known(ours, theirs, options):
    one, _ = pair(ours, theirs, options)
    maps = torch.randn(2, 6, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: one(x).square(), maps)


def test_what_is_not_unrolled_is_bit_for_bit_pytorchs(monkeypatch):
    one, other = pair(*LAYERS[0], dtype=torch.float32)
    maps = torch.randn(2, 6, 8, 8).contiguous(memory_format=torch.channels_last)
    other.to(memory_format=torch.channels_last)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    with torch.no_grad():  # translating: only gradients are slow there
        assert torch.equal(one(maps), other(maps))
    monkeypatch.setattr(convolutions, "MIN_WEIGHTS", one.weight.numel() + 1)
    assert torch.equal(one(maps), other(maps))


@pytest.mark.parametrize("layer", [LAYERS[0], LAYERS[3]])
def test_without_gradients_a_processor_without_avx512_unrolls_what_is_small(layer, monkeypatch):
    one, other = pair(*layer, dtype=torch.float32)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    for side, few in ((4, True), (32, False)):
        maps = torch.randn(2, 6, side, side).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            made = one(maps)
            positions = 2 * (made if isinstance(one, nn.Conv2d) else maps)[0, 0].numel()
            assert convolutions._unrolled(one, maps, positions, one.few, one.few_forward) == few
            torch.testing.assert_close(made, other(maps))


def test_a_map_smaller_than_the_kernel_is_refused_as_pytorch_does():
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        pair(*LAYERS[0])[0](torch.zeros(1, 6, 1, 1, dtype=torch.float64))


def test_under_autocast_it_is_bfloat16_to_rounding():
    one, other = pair(*LAYERS[3], dtype=torch.float32)
    maps = torch.randn(2, 6, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        mine = one(maps)
    assert mine.dtype == torch.bfloat16
    torch.testing.assert_close(mine.float(), other(maps), rtol=0.02, atol=0.02)


def test_joining_is_concatenating_with_gradients_in_one_piece():
    layout = torch.channels_last
    one, other = (torch.randn(2, n, 4, 4).contiguous(memory_format=layout).requires_grad_() for n in (3, 5))
    given = []
    other.register_hook(given.append)
    joined = join(one, other)
    assert torch.equal(joined, torch.cat([one, other], dim=1))
    laid = torch.arange(joined.numel(), dtype=torch.float32).view_as(joined)
    joined.backward(laid.contiguous(memory_format=layout))
    assert torch.equal(one.grad, laid[:, :3])
    assert torch.equal(other.grad, laid[:, 3:])
    assert given[0].is_contiguous(memory_format=layout)


SIDES = st.integers(1, 7)


@given(inside=st.integers(1, 9), outside=st.integers(1, 4), height=SIDES, width=SIDES, bias=st.booleans())
def test_a_transposed_convolution_of_stride_2_is_a_convolution_and_a_shuffle(inside, outside, height, width, bias):
    layer = nn.ConvTranspose2d(inside, outside, 4, 2, 1, bias=bias)
    same = subpixel(layer)
    maps = torch.randn(2, inside, height, width)
    with torch.no_grad():
        assert torch.allclose(same(maps), layer(maps), atol=1e-5)


def test_another_transposed_convolution_stays_as_it_is():
    assert subpixel(nn.ConvTranspose2d(8, 3, 3, 2, 1)) is None
    assert subpixel(nn.ConvTranspose2d(8, 3, 4, 2, 1, output_padding=1)) is None
