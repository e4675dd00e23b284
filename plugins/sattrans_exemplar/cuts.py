"""Graph cuts: where a new piece of an image takes over from what is there, so that the seam is seen least.

After Kwatra, Schödl, Essa, Turk, Bobick: Graphcut Textures, SIGGRAPH 2003.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

Ints = NDArray[np.int32]

FREE, OLD, NEW = 0, 1, 2
"""What a pixel may become."""

CERTAIN = 1 << 24
"""More than any seam costs."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Which source pixel each pixel (…, H, W) of an image shows.

    Attributes:
        source: The number of the source pixel; -1 where there is none.
        turn: 1, or -1 where the source is mirrored: what one pixel to the right adds to that number.
    """

    source: Ints
    turn: NDArray[np.int8]

    @classmethod
    def none(cls, *shape: int) -> "Pieces":
        """Return an image of no sources."""
        return cls(np.full(shape, -1, np.int32), np.ones(shape, np.int8))

    def __getitem__(self, place: Any) -> "Pieces":
        return Pieces(self.source[place], self.turn[place])

    def __setitem__(self, place: Any, other: "Pieces") -> None:
        self.source[place], self.turn[place] = other.source, other.turn

    def where(self, mask: NDArray[np.bool_], other: "Pieces") -> "Pieces":
        """Return these pieces where a mask is true, and others elsewhere."""
        return Pieces(np.where(mask, self.source, other.source), np.where(mask, self.turn, other.turn))


Shown = TypeVar("Shown", Pieces, NDArray[np.uint8])


def continued(image: Shown, missing: NDArray[np.bool_]) -> Shown:
    """Return an image (…, H, W) whose missing pixels are as the nearest that is not; as it is if all are missing."""
    if not missing.any() or missing.all():
        return image
    rows, cols = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return image[..., rows, cols]


def cut(
    pixels: NDArray[np.uint8], stride: int, old: Pieces, new: Pieces, prefer_old: Ints, fixed: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Return where images should show the new pieces; the exact minimum, for each of n images by itself.

    Args:
        pixels: The colours of all source pixels, (N, 3).
        stride: What a pixel further down adds to the number of a source pixel.
        old: What is there, (n, H, W).
        new: The pieces that may take over, (n, H, W); each image's new pixels are one piece.
        prefer_old: What the new pixel costs more than the old one, (n, H, W), in grey levels of the three channels.
        fixed: `FREE`, `OLD` or `NEW` for each pixel. Pixels without a source on one side take the other.

    Returns:
        Whether each pixel becomes new, (n, H, W).
    """
    lacks_old, lacks_new = old.source < 0, new.source < 0
    fixed = np.where(lacks_new, OLD, np.where(lacks_old, NEW, fixed))
    # Where one side is missing its colour is that of the other, so that no seam is seen there.
    before = new.where(lacks_old, old)
    after = old.where(lacks_new, new)
    excess = prefer_old.astype(np.int64)
    now, then = _colors(pixels, before.source), _colors(pixels, after.source)
    edges = []
    numbers = np.arange(excess.size, dtype=np.int32).reshape(excess.shape)
    for step, first, second in (
        (before.turn, np.s_[:, :, :-1], np.s_[:, :, 1:]),
        (np.full_like(before.source, stride), np.s_[:, :-1], np.s_[:, 1:]),
    ):
        ahead = _colors(pixels, (before.source + step)[first])
        behind = _colors(pixels, (before.source - step)[second])
        kept = _distance(now[first], behind) + _distance(ahead, now[second])
        enters = _distance(now[first], then[first]) + _distance(ahead, then[second])
        leaves = _distance(then[first], behind) + _distance(then[second], now[second])
        excess[first] += leaves - kept
        excess[second] -= leaves
        edges.append((numbers[first], numbers[second], np.maximum(0, enters + leaves - kept)))
    excess[fixed == OLD] = CERTAIN
    excess[fixed == NEW] = -CERTAIN
    return ~_source_side(excess.ravel(), edges).reshape(excess.shape)


def _colors(pixels: NDArray[np.uint8], numbers: Ints) -> NDArray[np.int16]:
    return pixels[np.clip(numbers, 0, len(pixels) - 1)].astype(np.int16)


def _distance(first: NDArray[np.int16], second: NDArray[np.int16]) -> NDArray[np.int64]:
    difference = np.abs(first - second)
    found: NDArray[np.int64] = difference.sum(axis=-1, dtype=np.int64)
    return found


def _source_side(excess: NDArray[np.int64], edges: list[tuple[Ints, Ints, NDArray[np.int64]]]) -> NDArray[np.bool_]:
    """Return which nodes a minimum cut leaves on the side of the source.

    Args:
        excess: What a node costs on the side of the sink, more than on that of the source.
        edges: Nodes, nodes, and what it costs if the former are on the side of the source and the latter are not.
    """
    count = len(excess)
    source, sink = count, count + 1
    more, less = np.flatnonzero(excess > 0).astype(np.int32), np.flatnonzero(excess < 0).astype(np.int32)
    tails = [*(edge[0].ravel() for edge in edges), np.full(len(more), source, np.int32), less]
    heads = [*(edge[1].ravel() for edge in edges), more, np.full(len(less), sink, np.int32)]
    values = [*(edge[2].ravel() for edge in edges), excess[more], -excess[less]]
    ends = np.concatenate(tails + heads), np.concatenate(heads + tails)
    capacity = np.concatenate(values + [np.zeros_like(value) for value in values]).astype(np.int32)
    graph = csr_matrix((capacity, ends), shape=(count + 2, count + 2))
    graph.data -= maximum_flow(graph, source, sink, method="dinic").flow.data
    graph.eliminate_zeros()
    reached = np.zeros(count + 2, bool)
    reached[breadth_first_order(graph, source, return_predecessors=False)] = True
    return reached[:count]
