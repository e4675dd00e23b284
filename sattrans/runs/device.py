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


def quick_at_bf16(device: torch.device) -> bool:
    """Say whether a device computes bfloat16 faster than float32: GPUs that know it, CPUs with instructions for it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        known = torch.cpu.get_capabilities()
        return bool(known.get("avx512_bf16") or known.get("amx_bf16"))
    return False


def several(name: str, count: int) -> list[torch.device]:
    """Return so many devices of a name, each another. Raises `OptionError` where there are fewer."""
    first = choose_device(name)
    if count < 1:
        raise OptionError(f"--devices {count}: at least 1 is needed")
    if count == 1:
        return [first]
    if first.type != "cuda":
        raise OptionError(f"--devices {count}: several are for CUDA, the device here is {first}")
    there = torch.cuda.device_count()
    if count > there:
        raise OptionError(f"--devices {count}: this machine has {there}")
    return [torch.device("cuda", number) for number in range(count)]
