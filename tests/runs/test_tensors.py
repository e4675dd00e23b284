"""Weights are checked before a network gets them; what is wrong is named by file and tensor."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sattrans.errors import SattransError
from sattrans.runs.run import load_checkpoint, save_checkpoint
from sattrans.runs.tensors import MAX_HEADER, check_fit, load_into, read_tensors

CPU = torch.device("cpu")


def test_weights_come_back(tmp_path):
    tensors = {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}
    save_checkpoint(tmp_path / "a.safetensors", tensors, {"step": 1})
    read, state = load_checkpoint(tmp_path / "a.safetensors", CPU)
    assert state == {"step": 1} and all(torch.equal(read[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_number_that_is_not_finite_is_refused(tmp_path, value, dtype):
    tensors = {"good": torch.zeros(3), "down.0.weight": torch.tensor([1.0, value]).to(dtype)}
    save_checkpoint(tmp_path / "a.safetensors", tensors, {})
    with pytest.raises(SattransError, match=r"a\.safetensors is damaged \(tensor down\.0\.weight .*not finite\)"):
        load_checkpoint(tmp_path / "a.safetensors", CPU)


def test_numbers_of_eight_bits_are_refused(tmp_path):
    save_file({"w": torch.zeros(3).to(torch.float8_e4m3fn)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="tensor w has numbers of type float8_e4m3fn"):
        read_tensors(tmp_path / "a.safetensors")


def header(fields, length=None):
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no",
        struct.pack("<Q", 1 << 60),
        header(b"{}", 1 << 63),
        header(b"[" * 5000),
        header({"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}) + bytes(4),
        header({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 800]}}) + bytes(8),
        header({"w": {"dtype": "XX", "shape": [2], "data_offsets": [0, 8]}}) + bytes(8),
        header({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}),
        header({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}) + bytes(9),
        header({"__metadata__": {"state": "[" * 3000}}),
        header({"__metadata__": {"state": '{"a": 1, "a": 2}'}}),
        header({"__metadata__": {"state": "[]"}}),
        header({}),
    ],
)
def test_a_file_that_is_not_right_is_refused(tmp_path, data):
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(SattransError, match=r"a\.safetensors is damaged") as refused:
        load_checkpoint(tmp_path / "a.safetensors", CPU)
    assert "\n" not in str(refused.value)


def test_a_header_of_a_hundred_megabytes_is_not_read(tmp_path):
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 100_000_000))
        file.truncate(100_000_100)
    with pytest.raises(ValueError, match=f"at most {MAX_HEADER >> 20} MiB"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: w.pop("0.weight"), "tensor 0.weight is missing"),
        (lambda w: w.update(other=torch.zeros(1)), "tensor other is unknown"),
        (lambda w: w.update({"0.bias": torch.zeros(3)}), "tensor 0.bias has shape 3, expected 2"),
        (lambda w: w.update({"0.bias": torch.zeros(())}), "tensor 0.bias has shape none, expected 2"),
        (lambda w: w.update({"0.bias": torch.zeros(2, dtype=torch.int64)}), "has type int64, expected float32"),
    ],
)
def test_weights_that_do_not_fit_are_named(change, told):
    network = nn.Sequential(nn.Linear(3, 2))
    weights = dict(network.state_dict())
    change(weights)
    with pytest.raises(ValueError, match=told):
        load_into(network, weights)
    check_fit(network.state_dict(), network.state_dict())
