"""Creation options (`--co`): how a large GeoTIFF is encoded, in the names of GDAL's COG driver."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sattrans.errors import OptionError, did_you_mean
from sattrans.raster.cog.overviews import DOWNSAMPLERS, OverviewMethod

LOSSLESS = ("ZSTD", "DEFLATE", "LZW", "LZMA", "NONE")
"""Compressions of chunks that the complete file can take over, so that nothing is encoded twice."""

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
"""Patterns of values of the options of https://gdal.org/en/stable/drivers/raster/cog.html that keep the grid."""

LEVELS = {"ZSTD": ("zstd_level", 1, 22), "DEFLATE": ("zlevel", 1, 12), "LZMA": ("lzma_preset", 0, 9)}
"""Of each compression with levels: the name of GDAL's option in a GeoTIFF, the lowest and the highest level."""


@dataclass(frozen=True)
class CreationOptions:
    """How a large GeoTIFF is encoded.

    Attributes:
        values: The values of options by name, both in capitals. The default is ZSTD at level 1.
    """

    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def compression(self) -> str:
        """The name of the compression."""
        return self.values.get("COMPRESS", "ZSTD")

    @property
    def by_gdal(self) -> bool:
        """Whether GDAL's COG driver has to encode the complete file again at the end."""
        without_gdal = {"COMPRESS", "LEVEL", "PREDICTOR", "BIGTIFF", "OVERVIEW_RESAMPLING"}
        resampling = self.values.get("OVERVIEW_RESAMPLING", "AVERAGE").lower()
        return (
            bool(set(self.values) - without_gdal) or self.compression not in LOSSLESS or resampling not in DOWNSAMPLERS
        )

    def overviews(self, default: OverviewMethod) -> OverviewMethod:
        """Return the method that makes overviews."""
        value = self.values.get("OVERVIEW_RESAMPLING", "").lower()
        return next((method for method in DOWNSAMPLERS if method == value), default)

    def profile(self, photo: bool) -> dict[str, Any]:
        """Return the encoding of the chunks as options of rasterio; the predictor improves it for a `photo`."""
        if self.by_gdal:
            return {"compress": "zstd", "zstd_level": 1, "predictor": 2 if photo else 1}
        name = self.compression
        profile: dict[str, Any] = {"compress": name.lower()}
        if name in LEVELS:
            option, lowest, _ = LEVELS[name]
            default = {"ZSTD": 1, "DEFLATE": 6}.get(name, 6)
            profile[option] = max(lowest, int(self.values.get("LEVEL", default)))
        predictor = self.values.get("PREDICTOR", "YES" if photo else "NO")
        if name in ("ZSTD", "DEFLATE", "LZW"):
            profile["predictor"] = 1 if predictor == "NO" else 2
        return profile

    def big(self, needed: bool) -> bool:
        """Return whether the file is a BigTIFF. Raises `OptionError` if it has to be one and must not."""
        bigtiff = self.values.get("BIGTIFF") if not self.by_gdal else None
        if bigtiff == "NO" and needed:
            raise OptionError("--co BIGTIFF=NO: the file is over 4 GB; use BIGTIFF=YES, or another COMPRESS")
        return needed or bigtiff == "YES"

    @property
    def for_gdal(self) -> dict[str, str]:
        """All options for GDAL's COG driver."""
        default = {} if "COMPRESS" in self.values else {"COMPRESS": "ZSTD", "LEVEL": "1", "PREDICTOR": "YES"}
        return {**default, **self.values}

    def added_to(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that decide an output's bytes, with these added."""
        return {**options, "co": dict(self.values)} if self.values else dict(options)


def parse_creation_options(texts: Sequence[str]) -> CreationOptions:
    """Parse `NAME=VALUE` texts, the arguments of `--co`, in small letters or capitals. Raises `OptionError`."""
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip().upper() for part in text.partition("="))
        if not equals or not value:
            raise OptionError(f"--co {text}: give NAME=VALUE, such as COMPRESS=DEFLATE")
        if name not in KNOWN:
            raise OptionError(f"--co {text}: unknown option {name} of a COG{did_you_mean(name, KNOWN)}")
        if not re.fullmatch(KNOWN[name], value):
            raise OptionError(f"--co {text}: {name} must be {_describe(KNOWN[name])}")
        if values.get(name, value) != value:
            raise OptionError(f"--co {name} is given twice: {values[name]} and {value}")
        values[name] = value
    _check(values)
    return CreationOptions(values)


def _check(values: Mapping[str, str]) -> None:
    compression = values.get("COMPRESS", "ZSTD")
    if "LEVEL" in values and compression in LEVELS:
        _, lowest, highest = LEVELS[compression]
        if not lowest <= int(values["LEVEL"]) <= highest:
            raise OptionError(f"--co LEVEL={values['LEVEL']}: {compression} has levels {lowest} to {highest}")
    if not 1 <= int(values.get("QUALITY", 75)) <= 100:
        raise OptionError(f"--co QUALITY={values['QUALITY']}: give 1 to 100")
    side = int(values.get("BLOCKSIZE", 512))
    if side % 16 or not 64 <= side <= 4096:
        raise OptionError(f"--co BLOCKSIZE={side}: give a multiple of 16 from 64 to 4096")


def _describe(pattern: str) -> str:
    if pattern.startswith(r"\d"):
        return "a number"
    return "one of " + ", ".join(pattern.replace("\\", "").split("|"))
