"""Maps, images and networks in memory, to test the windows of `generate` without files and models."""

import zlib

import numpy as np
from hypothesis import strategies as st

from sattrans.generate.axis import Span
from sattrans.generate.windows import WindowPlan
from sattrans.raster.window import Window

blends = st.sampled_from(["none", "linear", "hann", "bands"])


class Part:
    """A map in memory, of which a part is selected."""

    has_nodata = False

    def __init__(self, pixels, part=None):
        size = pixels.shape[-2:]
        self.pixels, self.part = pixels, part or Window(0, 0, *size)
        self.height, self.width = self.part.height, self.part.width
        self.whole = Window(-self.part.row, -self.part.col, *size)

    def read(self, window):
        place = window.shifted(self.part.row, self.part.col)
        assert Window(0, 0, *self.pixels.shape[-2:]).contains(place)
        return self.pixels[(..., *place.slices)]


class Memory:
    """A writer into memory, by chunks of any size."""

    def __init__(self, height, width, panel=96, block=32, before=None, done=()):
        tops, lefts = range(0, height, block), range(0, width, panel)
        self.pieces = [Window(t, c, min(block, height - t), min(panel, width - c)) for t in tops for c in lefts]
        self.left = [chunk for number, chunk in enumerate(self.pieces) if number not in done]
        self.image = np.zeros((3, height, width), np.uint8) if before is None else before.copy()
        self.written = []

    def missing(self):
        return self.left

    def write(self, chunk, pixels):
        self.written.append(chunk)
        self.image[(slice(None), *chunk.slices)] = pixels


def noise(windows, origins):
    """A network that sees the whole window: each gives other noise, the same for the same map."""
    seeds = [zlib.crc32(np.ascontiguousarray(window).tobytes()) for window in windows]
    return np.stack([np.random.default_rng(s).uniform(0, 255, windows.shape[1:]).astype(np.float32) for s in seeds])


def picture(height, width):
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (3, height, width), dtype=np.uint8)


def plan_of(height, width, size, overlap, blend="none", at=(0, 0)):
    rows, cols = (Span.all_of(length, anchor) for length, anchor in zip((height, width), at, strict=True))
    return WindowPlan.anchored(rows, cols, size, overlap, blend)
