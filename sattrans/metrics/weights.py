"""Published network weights: found by path, checked against their hash, and loaded without running any code."""

import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sattrans.errors import UsageError, did_you_mean
from sattrans.metrics.features import VGG19, InceptionV3
from sattrans.runs.tensors import check_tensor, read_tensors
from sattrans.utils.hashing import sha256

FOLDER_VARIABLE = "SATTRANS_WEIGHTS"
"""The environment variable that names a folder with weights under their published names."""

PUBLISHED = {
    "vgg19": ("vgg19-dcbb9e9d.pth",),
    "inception": ("pt_inception-2015-12-05-6726825d.pth", "inception_v3_google-0cc3c7bd.pth"),
}
"""Published file names of each network, the preferred one first; a name ends with the start of the SHA-256."""

PREFIX = re.compile(r"-([0-9a-f]{8})$")


@dataclass(frozen=True, slots=True)
class PublishedWeights:
    """A network with published weights, and the path and SHA-256 of their file."""

    network: nn.Module
    path: Path
    hash: str


def find_weights(given: Mapping[str, Path]) -> dict[str, Path]:
    """Return the weights file of each network: the given one, else one in the folder `SATTRANS_WEIGHTS`.

    Nothing is ever downloaded. Raises `UsageError` for an unknown network or a missing file.
    """
    for name, path in given.items():
        if name not in PUBLISHED:
            raise UsageError(f"unknown weights '{name}'{did_you_mean(name, PUBLISHED)}")
        if not path.is_file():
            raise UsageError(f"--weights {name}={path}: no such file")
    found = dict(given)
    folder = os.environ.get(FOLDER_VARIABLE)
    for name, files in PUBLISHED.items():
        for file in files if folder else ():
            for path in (Path(str(folder)) / file, (Path(str(folder)) / file).with_suffix(".safetensors")):
                if name not in found and path.is_file():
                    found[name] = path
    return found


def weights_hint(name: str) -> str:
    """Return where else missing weights may lie, besides under `--weights`."""
    return f"or {PUBLISHED[name][0]} in the folder that ${FOLDER_VARIABLE} names"


def load_weights(name: str, path: Path, device: torch.device) -> PublishedWeights:
    """Load a network's weights. Raises `UsageError` if the file does not match its name or the network."""
    digest = sha256(path)
    prefix = PREFIX.search(path.stem)
    if prefix and path.suffix != ".safetensors" and not digest.startswith(prefix.group(1)):
        raise UsageError(
            f"{path} does not match the hash in its name: its SHA-256 begins with {digest[:8]}; "
            "download it again or rename it"
        )
    tensors = _read(path)
    fid = name == "inception" and tensors.get("fc.weight", torch.empty(1008)).shape[0] == 1008
    network = VGG19() if name == "vgg19" else InceptionV3(fid)
    ignored = VGG19.ignored if name == "vgg19" else InceptionV3.ignored
    wanted = {key: tensor for key, tensor in tensors.items() if not key.startswith(ignored)}
    try:
        # Only newer files contain counters of batches, and nothing here reads them.
        missing = network.load_state_dict(wanted, strict=False)
    except RuntimeError as error:
        raise UsageError(f"{path} does not fit {name}: {str(error).splitlines()[-1].strip()}") from error
    absent = [key for key in missing.missing_keys if not key.endswith("num_batches_tracked")]
    if absent or missing.unexpected_keys:
        raise UsageError(f"{path} does not fit {name}: {[*absent, *missing.unexpected_keys][0]} is missing or unknown")
    return PublishedWeights(network.to(device).eval(), path, digest)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return read_tensors(path)[0]
        tensors: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        # PyTorch's own message about such a file advises to unpickle it unsafely.
        raise UsageError(f"{path} contains no weights; give a .pth or .safetensors file of tensors") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise UsageError(f"{path} contains something other than named tensors")
    try:
        for name, tensor in tensors.items():
            check_tensor(name, tensor)
    except ValueError as error:
        raise UsageError(f"{path}: {error}; download it again") from error
    return tensors
