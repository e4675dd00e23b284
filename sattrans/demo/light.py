"""The light of a synthetic orthophoto: one sun, in the south because training flips tiles horizontally, and the sky.

Heights are in pixels above the ground, as lengths are.
"""

from dataclasses import dataclass

import numpy as np

from sattrans.demo.noise import FloatImage

FALL = np.float32(np.tan(np.deg2rad(48)))
"""How far a ray of the sun falls in a pixel: at noon in Poland, the sun stands 48° high in April and in August."""

SKY = np.array((0.32, 0.37, 0.45), np.float32)[:, np.newaxis, np.newaxis]
"""Share of the light on open flat ground that comes from the sky, for red, green and blue: shadows are bluish."""


@dataclass(slots=True)
class Surface:
    """The surface that the camera sees.

    Attributes:
        albedo: Colour under full light on flat ground, (3, H, W), 0 to 255.
        height: Height above the ground, (H, W).
        sunlight: Direct light by the slope alone, (H, W), relative to flat ground.
    """

    albedo: FloatImage
    height: FloatImage
    sunlight: FloatImage

    @classmethod
    def flat(cls, albedo: FloatImage) -> "Surface":
        """Return flat ground of some colours."""
        shape = albedo.shape[1:]
        return cls(albedo, np.zeros(shape, np.float32), np.ones(shape, np.float32))

    def lit(self) -> FloatImage:
        """Return the surface in the light of sun and sky, with cast shadows, (3, H, W)."""
        direct = self.sunlight * (1 - shadow(self.height))
        return self.albedo * (SKY + (1 - SKY) * direct)


def sunlight(height: FloatImage) -> FloatImage:
    """Return the direct light on a relief (H, W), relative to flat ground: Lambert's law."""
    south, east = (np.asarray(rise, np.float32) for rise in np.gradient(height))
    return slope_light(-south, south**2 + east**2)


def slope_light(facing: FloatImage, steepness: FloatImage) -> FloatImage:
    """Return the direct light on slopes, relative to flat ground.

    Args:
        facing: Fall towards the sun, in px per px; negative on slopes that face away from it.
        steepness: The square of the steepest fall.
    """
    light: FloatImage = np.maximum((1 + facing / FALL) / np.sqrt(1 + steepness), 0).astype(np.float32)
    return light


def shadow(height: FloatImage) -> FloatImage:
    """Return how much of the sun's disc is hidden, (H, W), from 0 to 1, by whatever stands farther south."""
    ray = np.arange(len(height), dtype=np.float32)[:, np.newaxis] * FALL
    # The lower limit of the sunlit air: it falls by `FALL` a pixel northwards, and rises to whatever it meets.
    limit = np.maximum.accumulate((height - ray)[::-1])[::-1] + ray
    hidden: FloatImage = np.clip((limit - height - 0.3) / 1.5, 0, 1)
    return hidden
