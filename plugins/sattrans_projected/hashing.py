"""Random numbers by position in the map: the same in every window, and on every machine."""

from torch import Tensor

_FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)


def mix(seed: int, one: Tensor, two: Tensor) -> Tensor:
    """Mix a seed and two integers into 32 bits, as int64."""
    mixed = (one * _FACTORS[0] + two * _FACTORS[1] + (seed * _FACTORS[2] & 0xFFFFFFFF)) & 0xFFFFFFFF
    for factor in (0x7FEB352D, 0x045D9F3B):
        mixed = ((mixed ^ (mixed >> 15)) * factor) & 0xFFFFFFFF
    return mixed ^ (mixed >> 16)


def unit(key: Tensor, salt: int) -> Tensor:
    """Return a number in [0, 1) for each key, float32."""
    return mix(salt, key, key >> 7).float() / 2**32
