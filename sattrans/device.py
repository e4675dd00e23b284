"""The device torch works on."""

import torch

from sattrans.errors import OptionError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str) -> torch.device:
    """Return the device of that name; `auto` is CUDA, then MPS, then the CPU. Raises `OptionError`."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if available[device])
    if name not in available:
        raise OptionError(f"--device {name}: one of {', '.join(DEVICES)} is needed")
    if not available[name]:
        raise OptionError(f"--device {name}: this machine has none that PyTorch {torch.__version__} can use")
    return torch.device(name)
