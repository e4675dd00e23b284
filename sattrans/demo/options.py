"""The options of `demo`."""

from dataclasses import dataclass

from sattrans.utils.options import Seed, check


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How large the demo is. The defaults take a few minutes on two processor cores.

    Attributes:
        seed: Seed of the landscape, 0 or more; the only one of these on the command line.
        scenes: Number of square scenes to learn from.
        side: Side of a scene in pixels.
        map_height: Height in pixels of the map to generate from.
        map_width: Width of that map in pixels.
        size: Side of a tile in pixels.
        steps: Steps of the training.
        batch_size: Tiles in a step.
        width: Channels of the network's first layer.
    """

    seed: Seed = 0
    scenes: int = 4
    side: int = 1024
    map_height: int = 768
    map_width: int = 1024
    size: int = 128
    steps: int = 256
    batch_size: int = 4
    width: int = 64

    def __post_init__(self) -> None:
        check(self)
