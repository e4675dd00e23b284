"""The devices that PyTorch computes on."""

import torch

from sattrans.errors import OptionError
from sattrans.runs.options import DEVICES


def choose_device(name: str) -> torch.device:
    """Return the device of a name; `auto` is CUDA if available, then MPS, then the CPU. Raises `OptionError`."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if available[device])
    if name not in available:
        raise OptionError(f"--device must be one of {', '.join(DEVICES)}, got {name}")
    if not available[name]:
        raise OptionError(f"--device {name}: PyTorch {torch.__version__} finds no such device on this machine")
    return torch.device(name)


def fast_at_bf16(device: torch.device) -> bool:
    """Return whether a device computes bfloat16 faster than float32, by instructions of its own for it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


def choose_devices(name: str, count: int) -> list[torch.device]:
    """Return `count` different devices of a name. Raises `OptionError` if there are fewer."""
    first = choose_device(name)
    if count < 1:
        raise OptionError(f"--devices must be at least 1, got {count}")
    if count == 1:
        return [first]
    if first.type != "cuda":
        raise OptionError(f"--devices {count}: more than one device needs CUDA, the device is {first}")
    available = torch.cuda.device_count()
    if count > available:
        raise OptionError(f"--devices {count}: this machine has {available}")
    return [torch.device("cuda", number) for number in range(count)]
