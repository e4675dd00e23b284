"""Files of weights (safetensors): their tensors are checked before they reach a network."""

import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

MAX_HEADER = 1 << 23
"""Bytes of the longest header of a file: names, types and shapes of some ten thousand tensors, and the metadata."""

DTYPES = frozenset(
    {torch.float64, torch.float32, torch.float16, torch.bfloat16}
    | {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool}
)
"""The types of numbers that weights and buffers may have."""


def read_tensors(path: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file by name, and its metadata.

    Raises:
        ValueError: The file is damaged, or a tensor holds a number that is not finite; the text names the tensor.
        OSError: It cannot be read.
    """
    _check_header(path)
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
            metadata = dict(file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(str(error).splitlines()[0]) from error
    for name, tensor in tensors.items():
        check_tensor(name, tensor)
    return tensors, metadata


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 0 < length <= min(MAX_HEADER, path.stat().st_size - 8):
        raise ValueError(f"its header declares {length} bytes, at most {MAX_HEADER >> 20} MiB are read")


def check_tensor(name: str, tensor: Tensor) -> None:
    """Raise `ValueError` if a tensor has numbers of another type, or one that is not finite."""
    if tensor.dtype not in DTYPES:
        raise ValueError(f"tensor {name} has numbers of type {str(tensor.dtype).removeprefix('torch.')}")
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        raise ValueError(f"tensor {name} has numbers that are not finite")


def check_fit(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Raise `ValueError` that names the first tensor that is missing, unknown, or of another shape or type."""
    for name, tensor in expected.items():
        if name not in tensors:
            raise ValueError(f"tensor {name} is missing")
        found = tensors[name]
        if found.shape != tensor.shape:
            raise ValueError(f"tensor {name} has shape {_shape(found)}, expected {_shape(tensor)}")
        if found.dtype != tensor.dtype:
            raise ValueError(f"tensor {name} has type {found.dtype}, expected {tensor.dtype}".replace("torch.", ""))
    for name in tensors:
        if name not in expected:
            raise ValueError(f"tensor {name} is unknown")


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], assign: bool = False) -> None:
    """Load a network's weights. Raises `ValueError` that names the first tensor that does not fit."""
    check_fit(network.state_dict(), tensors)
    network.load_state_dict(tensors, assign=assign)


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "none"
