"""Weights: published weights by path - found, held to their hash, loaded without unpickling anything but tensors."""

import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sattrans.errors import UsageError, did_you_mean
from sattrans.metrics.features import VGG19, InceptionV3
from sattrans.utils.hashing import sha256

FOLDER_VARIABLE = "SATTRANS_WEIGHTS"
"""A folder where weights lie under their published names."""

PUBLISHED = {
    "vgg19": ("vgg19-dcbb9e9d.pth",),
    "inception": ("pt_inception-2015-12-05-6726825d.pth", "inception_v3_google-0cc3c7bd.pth"),
}
"""The published names, the one that is meant first: the digits at their end open the file's SHA-256."""

PREFIX = re.compile(r"-([0-9a-f]{8})$")


@dataclass(frozen=True, slots=True)
class Weights:
    """A network with its weights, and the path and SHA-256 of their file."""

    network: nn.Module
    path: Path
    hash: str


def find_weights(told: Mapping[str, Path]) -> dict[str, Path]:
    """Return the file of each network there is one for: as told, else in the folder `SATTRANS_WEIGHTS`.

    Nothing is ever downloaded. Raises `UsageError` for a network that there is not, or a file that is not there.
    """
    for name, path in told.items():
        if name not in PUBLISHED:
            raise UsageError(f"there are no weights '{name}'{did_you_mean(name, PUBLISHED)}")
        if not path.is_file():
            raise UsageError(f"no file {path}: --weights {name}=FILE")
    found = dict(told)
    folder = os.environ.get(FOLDER_VARIABLE)
    for name, files in PUBLISHED.items():
        for file in files if folder else ():
            for path in (Path(str(folder)) / file, (Path(str(folder)) / file).with_suffix(".safetensors")):
                if name not in found and path.is_file():
                    found[name] = path
    return found


def how_to_get(name: str) -> str:
    """Return where weights that are missing may lie, besides under `--weights`."""
    return f"or {PUBLISHED[name][0]} in the folder that ${FOLDER_VARIABLE} names"


def load_weights(name: str, path: Path, device: torch.device) -> Weights:
    """Load a network's weights. Raises `UsageError` where the file is not what its name says, or does not fit."""
    digest = sha256(path)
    prefix = PREFIX.search(path.stem)
    if prefix and path.suffix != ".safetensors" and not digest.startswith(prefix.group(1)):
        raise UsageError(
            f"{path} is not the file of that name: its SHA-256 begins {digest[:8]}; get it again, or rename it"
        )
    tensors = _read(path)
    fid = name == "inception" and tensors.get("fc.weight", torch.empty(1008)).shape[0] == 1008
    network = VGG19() if name == "vgg19" else InceptionV3(fid)
    ignored = VGG19.ignored if name == "vgg19" else InceptionV3.ignored
    wanted = {key: tensor for key, tensor in tensors.items() if not key.startswith(ignored)}
    try:
        # Counters of batches seen are in newer files only, and nothing here reads them.
        missing = network.load_state_dict(wanted, strict=False)
    except RuntimeError as error:
        raise UsageError(f"{path} does not fit {name}: {str(error).splitlines()[-1].strip()}") from error
    lacking = [key for key in missing.missing_keys if not key.endswith("num_batches_tracked")]
    if lacking or missing.unexpected_keys:
        raise UsageError(f"{path} does not fit {name}: {[*lacking, *missing.unexpected_keys][0]} is missing or unknown")
    return Weights(network.to(device).eval(), path, digest)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        # What PyTorch says of a file that it cannot unpickle safely is an advice to do it unsafely.
        raise UsageError(f"{path} holds no weights: a file of tensors is needed, .pth or .safetensors") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise UsageError(f"{path} holds something else than named tensors")
    return tensors
