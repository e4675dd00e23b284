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


class Workspace:
    """Memory to look at one class of one window in: to ask for it anew each time is slow."""

    def __init__(self, size: int) -> None:
        self._planes = np.zeros((10, size, size), np.float32)
        self.own = self._planes[0]
        """1 where the window is of the class, else 0; (S, S)."""
        self.image = self._planes[1:4]
        """What the window differs from its class's mean, 0 where it is of another; (3, S, S)."""
        self._blotches = self._planes[4:7]

    def take(self, image: Floats, shade: Floats | None = None) -> None:
        """Take an image (3, S, S), but for its `shade`: what it differs from its mean where it is of the class."""
        if shade is None:
            self.image[:] = image
        else:
            np.subtract(image, shade, out=self.image)
        mean = self.image.reshape(3, -1) @ self.own.ravel() / self.own.sum()
        self.image -= mean[:, None, None]
        self.image *= self.own

    def shown(self, blotches: Floats) -> Floats:
        """Return how strongly the window shows blotches (3, S, S), (S, S): 1 as the mean of all windows does.

        Around each cell it is fitted with them by least squares, held to 1 where they are faint beside the texture:
        ridge regression (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634).
        """
        np.multiply(blotches, self.own, out=self._blotches)
        products = (self.image, self._blotches), (self.image, self.image), (self._blotches, self._blotches)
        for plane, (one, other) in zip(self._planes[7:], products, strict=True):
            np.einsum("chw,chw->hw", one, other, out=plane)
        cell = gcd(len(self.own), CELL)
        cells = blurred(cell_means(self._planes, cell))
        filled = np.maximum(cells[0], NOTHING)

        def about_means(product: Floats, one: Floats, other: Floats) -> Floats:
            varied: Floats = product - (one * other).sum(axis=0) / filled
            return varied

        image, blotch = cells[1:4], cells[4:7]
        common, texture, power = (
            about_means(*parts)
            for parts in ((cells[7], image, blotch), (cells[8], image, image), (cells[9], blotch, blotch))
        )
        held = ALIKE / 3 * max(0, float(np.median((texture / filled)[cells[0] > 0]))) + NOTHING
        strength: Floats = np.clip((common + held) / (np.maximum(power, 0) + held), 0, MOST)
        drawn: Floats = drawn_out(blurred(strength[np.newaxis]), cell)[0]
        return drawn
