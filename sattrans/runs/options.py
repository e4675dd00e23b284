"""The options of a run that translates, in a module that loads no torch."""

from typing import Literal

Precision = Literal["auto", "32", "bf16"]
"""The numbers that networks compute with: 32-bit floats or bfloat16; `auto` takes bf16 if the device is fast at it."""

Stats = Literal["run", "tile"]
"""The statistics that batch norms use: those of the run, or those of each tile."""

DEVICES = ("auto", "cpu", "cuda", "mps")
"""The names of devices; `auto` is the fastest that is available."""
