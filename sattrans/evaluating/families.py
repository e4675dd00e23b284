"""Families that need nothing but the images and their maps."""

from sattrans.evaluating.family import Family
from sattrans.evaluating.pairwise import ClassColors, Consistency, Pixels, Structure, StructureAtScales
from sattrans.evaluating.setwise import Checkerboard, Memorising, Spectrum, Texture

FAMILIES: tuple[type[Family], ...] = (
    Pixels,
    Structure,
    StructureAtScales,
    ClassColors,
    Texture,
    Spectrum,
    Checkerboard,
    Memorising,
    Consistency,
)
