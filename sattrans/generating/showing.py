"""How strongly a window shows what windows repeat: more than the mean of them, less, or not at all."""

from math import gcd

import numpy as np

from sattrans.blend import Floats, blurred, cell_means, drawn_out

CELL = 4
"""Side in pixels of the cells that have one strength; three of these to a side say what it is."""

ALIKE = 1 / 6
"""Of a texture's variance, what is left of it in the mean over those cells: it is alike over some 5 px."""

MOST = 10.0
"""Times the mean that a blotch is shown at the most."""

NOTHING = 1e-6


class Share:
    """Memory to look at a class's part of a window in: to ask for it anew each time is slow."""

    def __init__(self, size: int) -> None:
        self.mask = np.zeros((size, size), np.float32)
        """1 where the window is of the class at hand, else 0; (S, S)."""
        self.part = np.zeros((3, size, size), np.float32)
        """What it differs from that class's mean there, and 0 elsewhere; (3, S, S)."""

    def take(self, image: Floats, shade: Floats | None = None) -> None:
        """Take of an image (3, S, S), without its `shade`, what is of the class at hand."""
        np.subtract(image, 0 if shade is None else shade, out=self.part)
        self.part -= (self.part.reshape(3, -1) @ self.mask.ravel() / self.mask.sum())[:, None, None]
        self.part *= self.mask


class Workspace(Share):
    """Memory to look at one window in, class by class, and then as a whole."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._cell = gcd(size, CELL)
        self._planes = np.zeros((10, size, size), np.float32)
        self._own, self._image, self._blotches = self._planes[0], self._planes[1:4], self._planes[4:7]
        self._shade = np.zeros((3, size, size), np.float32)
        self._shares: list[Floats] = []

    def begin(self) -> None:
        """Forget the window before."""
        self._shares.clear()

    def lay(self, image: Floats, shade: Floats, blotches: Floats) -> None:
        """Lay what is of the class at hand, and what is repeated there, beside those of other classes."""
        self.take(image, shade)
        beside = np.add if self._shares else lambda _, part, out: np.copyto(out, part)
        beside(self._own, self.mask, out=self._own)
        beside(self._image, self.part, out=self._image)
        for whole, part in ((self._shade, shade), (self._blotches, blotches)):
            np.multiply(part, self.mask, out=self.part)
            beside(whole, self.part, out=whole)
        self._shares.append(cell_means(self.mask[np.newaxis], self._cell)[0])

    def take_from(self, image: Floats) -> None:
        """Take from the window's image (3, S, S) what it shows of all that was laid, in place."""
        if self._shares:
            self._blotches *= self._shown()
            image -= self._shade
            image -= self._blotches

    def _shown(self) -> Floats:
        """Return how strongly the window shows the blotches, (S, S): 1 as the mean of all windows does.

        Around each cell it is fitted with them by least squares, held to 1 where they are faint beside the texture:
        ridge regression (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634).
        """
        products = (self._image, self._blotches), (self._image, self._image), (self._blotches, self._blotches)
        for plane, (one, other) in zip(self._planes[7:], products, strict=True):
            np.einsum("chw,chw->hw", one, other, out=plane)
        cells = blurred(cell_means(self._planes, self._cell))
        filled, image, blotch = np.maximum(cells[0], NOTHING), cells[1:4], cells[4:7]
        common = cells[7] - (image * blotch).sum(axis=0) / filled
        texture = (cells[8] - (image * image).sum(axis=0) / filled) / filled
        power = cells[9] - (blotch * blotch).sum(axis=0) / filled
        held = np.full_like(filled, NOTHING)
        for share in self._shares:
            held += share * (ALIKE / 3 * max(0, float(np.median(texture[share > 0]))))
        strength: Floats = np.clip((common + held) / (np.maximum(power, 0) + held), 0, MOST)
        drawn: Floats = drawn_out(blurred(strength[np.newaxis]), self._cell)[0]
        return drawn
