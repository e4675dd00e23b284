"""Creation options: how a large GeoTIFF is encoded, as GDAL's COG driver names it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sattrans.errors import OptionError, did_you_mean
from sattrans.raster.cog.overviews import HALVES, Overviews

LOSSLESS = ("ZSTD", "DEFLATE", "LZW", "LZMA", "NONE")
"""What the pieces can be encoded in as the whole is, so that nothing is encoded twice."""

YES_NO = "YES|NO"
NUMBER = r"\d+"
COMPRESSION = "|".join((*LOSSLESS, "JPEG", "WEBP", "LERC", "LERC_DEFLATE", "LERC_ZSTD"))
RESAMPLING = "NEAREST|AVERAGE|MODE|BILINEAR|CUBIC|CUBICSPLINE|LANCZOS|RMS"
KNOWN = {
    "ADD_ALPHA": YES_NO,
    "BIGTIFF": f"{YES_NO}|IF_NEEDED|IF_SAFER",
    "BLOCKSIZE": NUMBER,
    "COMPRESS": COMPRESSION,
    "GEOTIFF_VERSION": r"AUTO|1\.0|1\.1",
    "LEVEL": NUMBER,
    "MAX_Z_ERROR": r"\d+(\.\d+)?",
    "OVERVIEWS": "AUTO|IGNORE_EXISTING|FORCE_USE_EXISTING|NONE",
    "OVERVIEW_COMPRESS": f"AUTO|{COMPRESSION}",
    "OVERVIEW_COUNT": NUMBER,
    "OVERVIEW_PREDICTOR": f"{YES_NO}|STANDARD",
    "OVERVIEW_QUALITY": NUMBER,
    "OVERVIEW_RESAMPLING": RESAMPLING,
    "PREDICTOR": f"{YES_NO}|STANDARD",
    "QUALITY": NUMBER,
    "RESAMPLING": RESAMPLING,
    "SPARSE_OK": YES_NO,
    "STATISTICS": f"{YES_NO}|AUTO",
}
"""The options of https://gdal.org/en/stable/drivers/raster/cog.html that leave the grid alone, and their values."""

LEVELS = {"ZSTD": ("zstd_level", 1, 22), "DEFLATE": ("zlevel", 1, 12), "LZMA": ("lzma_preset", 0, 9)}
"""Of each compression that has levels: GDAL's name for them in a GeoTIFF, the lowest and the highest."""


@dataclass(frozen=True)
class Creation:
    """What a user said of the encoding, by name, in capitals; nothing is ZSTD at level 1."""

    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def compression(self) -> str:
        """The name of the compression."""
        return self.asked.get("COMPRESS", "ZSTD")

    @property
    def by_gdal(self) -> bool:
        """Whether GDAL's COG driver has to encode it all anew at the end."""
        own = {"COMPRESS", "LEVEL", "PREDICTOR", "BIGTIFF", "OVERVIEW_RESAMPLING"}
        resampling = self.asked.get("OVERVIEW_RESAMPLING", "AVERAGE").lower()
        return bool(set(self.asked) - own) or self.compression not in LOSSLESS or resampling not in HALVES

    def overviews(self, otherwise: Overviews) -> Overviews:
        """Return how overviews are made."""
        asked = self.asked.get("OVERVIEW_RESAMPLING", "").lower()
        return next((how for how in HALVES if how == asked), otherwise)

    def profile(self, photo: bool) -> dict[str, Any]:
        """Return how the pieces are encoded, as rasterio wants it; the predictor helps with a `photo`'s pixels."""
        if self.by_gdal:
            return {"compress": "zstd", "zstd_level": 1, "predictor": 2 if photo else 1}
        name = self.compression
        profile: dict[str, Any] = {"compress": name.lower()}
        if name in LEVELS:
            option, lowest, _ = LEVELS[name]
            default = {"ZSTD": 1, "DEFLATE": 6}.get(name, 6)
            profile[option] = max(lowest, int(self.asked.get("LEVEL", default)))
        asked = self.asked.get("PREDICTOR", "YES" if photo else "NO")
        if name in ("ZSTD", "DEFLATE", "LZW"):
            profile["predictor"] = 1 if asked == "NO" else 2
        return profile

    def big(self, needed: bool) -> bool:
        """Say whether the file is a BigTIFF. Raises `OptionError` where it has to be and must not."""
        asked = self.asked.get("BIGTIFF") if not self.by_gdal else None
        if asked == "NO" and needed:
            raise OptionError("--co BIGTIFF=NO: over 4 GB need BIGTIFF=YES, or another COMPRESS")
        return needed or asked == "YES"

    @property
    def for_gdal(self) -> dict[str, str]:
        """The options for GDAL's COG driver."""
        default = {} if "COMPRESS" in self.asked else {"COMPRESS": "ZSTD", "LEVEL": "1", "PREDICTOR": "YES"}
        return {**default, **self.asked}

    def added_to(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that decide an output's bytes, these among them."""
        return {**options, "co": dict(self.asked)} if self.asked else dict(options)


def parse_creation(texts: Sequence[str]) -> Creation:
    """Read `NAME=VALUE` as `--co` takes it, in small letters or capitals. Raises `OptionError`."""
    asked: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip().upper() for part in text.partition("="))
        if not equals or not value:
            raise OptionError(f"--co {text}: NAME=VALUE is needed, such as COMPRESS=DEFLATE")
        if name not in KNOWN:
            raise OptionError(f"--co {text}: a COG has no option {name} here{did_you_mean(name, KNOWN)}")
        if not re.fullmatch(KNOWN[name], value):
            raise OptionError(f"--co {text}: {name} is {_said(KNOWN[name])}")
        if asked.get(name, value) != value:
            raise OptionError(f"--co {name} is given twice: {asked[name]} and {value}")
        asked[name] = value
    _check(asked)
    return Creation(asked)


def _check(asked: Mapping[str, str]) -> None:
    compression = asked.get("COMPRESS", "ZSTD")
    if "LEVEL" in asked and compression in LEVELS:
        _, lowest, highest = LEVELS[compression]
        if not lowest <= int(asked["LEVEL"]) <= highest:
            raise OptionError(f"--co LEVEL={asked['LEVEL']}: {compression} has levels {lowest} to {highest}")
    if not 1 <= int(asked.get("QUALITY", 75)) <= 100:
        raise OptionError(f"--co QUALITY={asked['QUALITY']}: 1 to 100 is needed")
    side = int(asked.get("BLOCKSIZE", 512))
    if side % 16 or not 64 <= side <= 4096:
        raise OptionError(f"--co BLOCKSIZE={side}: a multiple of 16, from 64 to 4096, is needed")


def _said(pattern: str) -> str:
    if pattern.startswith(r"\d"):
        return "a number"
    return "one of " + ", ".join(pattern.replace("\\", "").split("|"))
