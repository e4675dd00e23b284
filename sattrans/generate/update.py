"""The record beside a generated image, which holds a hash of each window's map, and updates of the image by it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from sattrans.errors import OutputExists, RasterError, SattransError, UsageError
from sattrans.generate.schemas import WindowsManifest
from sattrans.generate.stream import read_map_row
from sattrans.generate.windows import WindowPlan
from sattrans.maps.open import Map
from sattrans.raster.cog.layout import is_complete
from sattrans.raster.cog.options import CreationOptions
from sattrans.raster.cog.output import GeoTiffOutput
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.validity import has_transparency, read_with_alpha
from sattrans.raster.window import Window
from sattrans.utils.atomic import part_of
from sattrans.utils.console import progress_bar
from sattrans.utils.manifest import as_json, read_manifest, write_manifest
from sattrans.utils.output import REPLACE, RESUME, difference

VERSION = 1
DIGEST = 8
"""Bytes of a window's hash: among a million windows, two that differ have the same hash once in 10^7 times."""

Digests = NDArray[np.uint64]
"""The hash of each window's map, (rows, columns)."""


def record_path(output: Path) -> Path:
    """Return the path of an image's record: `sat.tif.json` beside `sat.tif`."""
    return output.with_name(output.name + ".json")


def digests(map_: Map, plan: WindowPlan) -> Digests:
    """Read what the part needs of the map once, and return the hash of each window's map."""
    rows, cols = plan.used
    lefts = plan.cols.relative(cols)
    found = np.zeros((len(rows), len(cols)), np.uint64)
    with progress_bar(len(rows), "read the map", "row") as progress:
        for number, row in enumerate(rows):
            band = read_map_row(map_, plan, row, cols[0], cols[-1])
            for col, left in enumerate(lefts):
                window = np.ascontiguousarray(band[..., left - lefts[0] :][..., : plan.seen])
                digest = blake2b(window.data, digest_size=DIGEST).digest()
                found[number, col] = int.from_bytes(digest, "big")
            progress.update()
    return found


TAG = "SATTRANS_WINDOWS"
"""The tag with the seal of the image's map, which tells whether a record belongs to the image."""


def seal(hashes: Digests, map_: Map) -> str:
    """Return a hash of all that an image takes from its map: windows, size, georeference, whether it has nodata."""
    about = json.dumps([map_.georeference.to_json(), map_.has_nodata, map_.height, map_.width])
    return blake2b(hashes.astype(">u8").tobytes() + about.encode(), digest_size=DIGEST).hexdigest()


def record_of(output: Path) -> dict[str, Any] | None:
    """Return an image's record; None if there is none or it cannot be read."""
    with suppress(SattransError):
        return read_manifest(record_path(output), "windows", VERSION, _schema)
    return None


def _schema() -> type[BaseModel]:
    return WindowsManifest


PENDING = "record.json"
"""The record of an unfinished image, among its chunks."""


def recover_record(output: Path) -> None:
    """Put the record beside its image if a kill between the two steps left it behind."""
    pending = part_of(output) / PENDING
    if pending.is_file() and output.is_file():
        with open_raster(output) as image:
            image_seal = image.tags().get(TAG)
        if read_manifest(pending, "windows", VERSION, _schema)["seal"] == image_seal:
            pending.replace(record_path(output))


def write_record(
    path: Path,
    options: Mapping[str, Any],
    plan: WindowPlan,
    hashes: Digests,
    map_seal: str,
    consistency: float | None = None,
) -> None:
    """Write the record of an image that was made with these options, with the `consistency` of a refined one."""
    rows = ["".join(f"{int(value):016x}" for value in row) for row in hashes]
    body: dict[str, Any] = {
        "options": dict(options),
        "size": [plan.height, plan.width],
        "seal": map_seal,
        "windows": rows,
    }
    if consistency is not None:
        body["consistency"] = round(consistency, 3)
    write_manifest(path, "windows", VERSION, body)


REMAKE = "to make it again, give --overwrite without --update"
"""What to do if an update is not possible."""


def read_record(
    output: Path, tags: Mapping[str, str], plan: WindowPlan, options: Mapping[str, Any], ignored: frozenset[str]
) -> Digests:
    """Return the hashes of the map that an image was made from.

    Args:
        output: the image.
        tags: its tags.
        plan: the windows of the map as it is now.
        options: the recorded options of this command.
        ignored: the names of options that need not be the same.

    Raises:
        UsageError: there is no record of this image, or it was made from a map of another size or with other options.
    """
    path = record_path(output)
    if not path.is_file():
        raise UsageError(f"--update {output}: its record {path} is missing; {REMAKE}")
    record = read_manifest(path, "windows", VERSION, _schema)
    if record["seal"] != tags.get(TAG):
        raise UsageError(f"--update {output}: {path} is not the record of this image; {REMAKE}")
    if record["size"] != [plan.height, plan.width]:
        height, width = record["size"]
        raise UsageError(
            f"--update {output}: it is {width} wide × {height} high, the map is now {plan.width} × {plan.height}; "
            f"{REMAKE}"
        )
    for name, value in options.items():
        before = record["options"].get(name)
        if name not in ignored and before != value:
            how = reasons_of(record["options"]).get(name, f"with {name} {before}, not {value}")
            raise UsageError(f"--update {output}: it was made {how}; give the same options, or {REMAKE}")
    rows, cols = plan.used
    if {len(row) for row in record["windows"]} != {16 * len(cols)} or len(record["windows"]) != len(rows):
        raise UsageError(f"--update {output}: {path} is damaged: it has other windows than the image; {REMAKE}")
    found = [[int(row[at : at + 16], 16) for at in range(0, len(row), 16)] for row in record["windows"]]
    return np.array(found, np.uint64)


REASONS = {
    "map": "from another map, or from this map before it changed",
    "run_created": "by another run of the same name",
    "refine_created": "with another run of the same name that refines",
    "calibration": "before the run was calibrated again",
    "starts": "with windows that start elsewhere",
}
"""How an image was made if only these options differ, whose values tell a reader nothing."""

OLDER = "by an older version of sattrans, whose windows started elsewhere"


def reasons_of(recorded: Mapping[str, Any]) -> Mapping[str, str]:
    """Return how an output with these recorded options was made if only options of `REASONS` differ."""
    return REASONS if "starts" in recorded else dict.fromkeys(REASONS, OLDER)


@dataclass(frozen=True)
class PreviousImage:
    """An existing image, open for an update, and the hashes of its map's windows."""

    path: Path
    image: Raster
    digests: Digests

    @property
    def name(self) -> str:
        """The file's name and the seal of its map."""
        return f"{self.path.name} ({self.image.tags()[TAG]})"

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return all bands of a window, (bands, H, W), with alpha if there is one."""
        try:
            return read_with_alpha(self.image, window, (1, 2, 3))
        except RasterError as error:
            raise RasterError(f"--update {self.path}: part of it cannot be read; {REMAKE}") from error


@contextmanager
def open_previous(path: Path, options: Mapping[str, Any], plan: WindowPlan, bands: int) -> Iterator[PreviousImage]:
    """Open an existing image for an update. Raises `UsageError` if it is damaged or was made with other options."""
    recover_record(path)
    with open_raster(path) as image:
        if not is_complete(path):
            raise UsageError(f"--update {path}: the image is damaged, its end is missing; {REMAKE}")
        found = read_record(path, image.tags(), plan, options, frozenset({"map"}))
        found_bands = 3 + has_transparency(image)  # a mask stands for alpha in a JPEG
        if image.bands < 3 or found_bands != bands:
            raise UsageError(f"--update {path}: the image has {found_bands} bands, not {bands}; {REMAKE}")
        yield PreviousImage(path, image, found)


UPDATE = "update"
"""The option of an unfinished image that names the image it updates."""


class GeneratedImage(GeoTiffOutput):
    """A generated image.

    Of its map the contents count, not the file: the map is read for its seal only if nothing else differs and the file
    is not the one in the record of the image.

    Args:
        path: the GeoTIFF.
        options: the recorded options, with the map's file under "map".
        seal: reads the map and returns the seal of its contents.
        updatable: whether an update could take over the finished image.
        update: the image that is updated, if one is.
        creation: how it is encoded.
        overwrite: see `Output`.
    """

    def __init__(
        self,
        path: Path,
        options: Mapping[str, Any],
        seal: Callable[[], str],
        updatable: Callable[[], bool],
        update: PreviousImage | None = None,
        *,
        creation: CreationOptions | None = None,
        overwrite: bool = False,
    ) -> None:
        super().__init__(path, options, creation=creation, overwrite=overwrite)
        self._file_options, self._seal, self._updatable, self._update = options, seal, updatable, update

    @property
    def options(self) -> Mapping[str, Any]:
        """The recorded options, with the seal of the map."""
        return self._with_map(self._seal())

    @property
    def unfinished_options(self) -> Mapping[str, Any]:
        """Those, and the image that is updated."""
        return {**self.options, UPDATE: self._update.name} if self._update else self.options

    @property
    def in_place(self) -> bool:
        """Whether the image is updated in place."""
        return self._update is not None and self.path.exists() and self.path.samefile(self._update.path)

    @property
    def replaces(self) -> bool:
        """Whether an image of other options makes way: an update of another image has other pixels, too."""
        if self.overwrite or self.in_place:
            return True
        begun = self._begun()
        return self._update is not None and begun.get(UPDATE, self._update.name) != self._update.name

    def is_finished(self, dry_run: bool = False) -> bool:
        """See `Output`. An image of other options that is updated in place is not finished."""
        try:
            return super().is_finished(dry_run)
        except OutputExists:
            if self.in_place:
                return False
            raise

    def compare(self, recorded: Mapping[str, Any]) -> SattransError | None:
        """See `Output`. Another map counts last, as it is read for that."""
        if "map" not in recorded:
            return difference(self.path, recorded, self._options)
        # Where windows start follows from where the map lies, which its seal tells.
        same = {"map": recorded["map"], **({"starts": recorded["starts"]} if "starts" in recorded else {})}
        refusal = difference(self.path, recorded, {**self._options, **same}, self.reasons_for(recorded))
        if refusal:
            return refusal
        with self.companion(record_path(self.path)):
            record = record_of(self.path)
        same_file = record is not None and record["options"] == as_json(self._file_options)
        options = self._with_map(record["seal"]) if record and same_file else self.options
        if options["map"] == recorded["map"]:
            return None
        if record is None or record["seal"] != recorded["map"]:
            return difference(self.path, recorded, options, self.reasons_for(recorded))
        before, now = record["options"]["map"][0], self._file_options["map"][0]
        source = "this map before it changed" if before == now else f"another map, {before}"
        return OutputExists(f"{self.path} was made from {source}; {self._remedy(options)}")

    def _remedy(self, options: Mapping[str, Any]) -> str:
        """Return how to turn an image of another map into that of this one."""
        begun = self._begun()
        if {**begun, UPDATE: None} == {**as_json(options), UPDATE: None}:
            option = f"--update {self.path}" if UPDATE in begun else "--overwrite"
            return f"{RESUME} with {option}: {self.unfinished} holds its unfinished image"
        if self._updatable():
            return f"--update {self.path} makes the changed parts again, --overwrite all of it"
        return REPLACE

    def reasons_for(self, recorded: Mapping[str, Any]) -> Mapping[str, str]:
        """See `Output`."""
        return reasons_of(recorded)

    def recover(self) -> None:
        """Put the record of the finished image beside it, and remove its chunks."""
        if self.needs_recovery():
            recover_record(self.path)
        super().recover()

    def _with_map(self, map_: str) -> dict[str, Any]:
        return {**self._options, "map": map_}

    def _begun(self) -> Mapping[str, Any]:
        with suppress(SattransError):
            return self.read_unfinished() or {}
        return {}
