"""Scene sources: the bands of a scene, how its map encodes classes, and how image and map get onto one grid."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sattrans.data.dataset import Scene
from sattrans.data.tileset import SceneRecord
from sattrans.errors import AlignmentError, OptionError, RasterError
from sattrans.maps.labels import VectorLabels
from sattrans.maps.rules import BUILT_IN, Rules, read_rules
from sattrans.raster.alignment import (
    Grid,
    ResamplingMethod,
    check_aligned,
    choose_resampling,
    target_grid,
    warp_to_grid,
)
from sattrans.raster.bands import BIDX, Bands, choose_bands, rgb_bands
from sattrans.raster.class_map import ClassMap, Coding, by_threshold, class_map
from sattrans.raster.georeference import Georeference, window_corners
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.palette import Palette
from sattrans.raster.rgb_map import RGBMap, rgb_map
from sattrans.raster.validity import effective_nodata
from sattrans.raster.window import Window
from sattrans.tile.inputs import name_of
from sattrans.tile.options import Direction, TileOptions

SQUARE = 1e-3
"""Relative difference of a pixel's sides up to which it counts as square, as coordinates are rounded."""


@dataclass(frozen=True, slots=True)
class SceneSource:
    """A scene and how it is to be cut. Picklable; `open_scene` opens it.

    `record` has the grid that tiles are cut from; `height`, `width` and `image_georeference` are those of the image
    file. `bands` are bands of the image; `coding` is how the map encodes classes. `halves` says which half of a
    side-by-side file is the map. `rules` are the name and digest of those that draw a vector map. `beside` are
    the files beside image and map that are read with them.
    """

    record: SceneRecord
    height: int
    width: int
    image_georeference: Georeference
    bands: Bands
    image_kernel: ResamplingMethod | None
    map_kernel: ResamplingMethod | None
    coding: Coding | None
    halves: Direction | None
    threshold: int | None = None
    rules: tuple[str, str] | None = None
    beside: tuple[str, ...] = ()

    @property
    def grid(self) -> Grid:
        """The grid that tiles are cut from."""
        return Grid(self.record.height, self.record.width, self.record.georeference)

    @property
    def files(self) -> list[str]:
        """The names of its files, as they are recorded among the inputs."""
        return [name_of(path) for path in dict.fromkeys((self.record.image, self.record.map, *self.beside)) if path]

    def from_anywhere(self) -> "SceneSource":
        """Return the scene with absolute paths, for a process that may run in another folder."""
        image, map_ = self.record.image, self.record.map
        record = replace(self.record, image=name_of(image), map=name_of(map_) if map_ else None)
        rules = self.rules
        if rules and rules[0] not in BUILT_IN and Path(rules[0]).is_file():
            rules = name_of(rules[0]), rules[1]
        return replace(self, record=record, rules=rules)


@dataclass(frozen=True, slots=True)
class OpenScene:
    """The image and map of a scene, opened on one grid."""

    image: Raster
    map: ClassMap | RGBMap | VectorLabels | None = None


def inspect_scene(
    scene: Scene, palette: Palette | None, options: TileOptions, rules: Rules | None = None
) -> tuple[SceneSource, list[str]]:
    """Open a scene and find out how it is to be cut; return it with notices for the user, one line each.

    Raises `RasterError`, `AlignmentError`, `ClassesError` or `OptionError` if the scene cannot be cut.
    """
    assert scene.image
    halves = options.direction if scene.side_by_side else None
    if halves and options.res is not None:
        raise OptionError(f"--res: {scene.image} holds map and image side by side, which have no ground resolution")
    with ExitStack() as stack:
        image = _named(stack.enter_context(open_raster(scene.image)), options.bidx)
        map_ = None
        if halves:
            image, map_ = _halves(image, halves)
        elif scene.map and not rules:
            map_ = stack.enter_context(open_raster(scene.map))
        if map_ and not options.align:
            check_aligned(image, map_)
        if map_:
            image, map_ = _share_georeference(image, map_)
        grid = target_grid(image, options.res)
        record = SceneRecord(
            scene.id,
            scene.region,
            str(scene.image),
            str(scene.map) if scene.map else None,
            grid.height,
            grid.width,
            grid.georeference,
        )
        coding = None
        if map_ and palette:
            coding = class_map(map_, palette, values=by_threshold(map_, palette, options.threshold)).coding
        image_kernel = choose_resampling(image, grid, is_map=False)
        if image_kernel and image.table is not None:
            raise OptionError(
                f"--res: {image.path} has a colour table, whose indices cannot be resampled; expand it first, such as "
                "with gdal_translate -expand rgb"
            )
        source = SceneSource(
            record,
            image.height,
            image.width,
            image.georeference,
            rgb_bands(image, options.bidx, options.scale is not None),
            image_kernel,
            _map_kernel(map_, coding, grid, options) if map_ else None,
            coding,
            halves,
            options.threshold,
            (rules.name, rules.digest) if rules else None,
        )
        if map_ and source.map_kernel:
            _check_overlap(image, map_)
        notices = list(_notices(image, map_, palette, source, options))
        if rules and palette and scene.map and not VectorLabels(scene.map, rules, palette, source.grid).count():
            notices.append(f"{scene.image}: no feature of {scene.map} that the rules select lies here")
    return source, notices


def _named(image: Raster, bands: Sequence[int] | None) -> Raster:
    """Return an image of which the bands that are named as colours are not alpha, whatever the file says."""
    return replace(image, named=frozenset(bands)) if bands else image


def _map_kernel(map_: Raster, coding: Coding | None, grid: Grid, options: TileOptions) -> ResamplingMethod | None:
    if not options.align and options.res is None:
        return None  # image and map agree to a hundredth of a pixel, so the map is not resampled
    kernel = choose_resampling(map_, grid, is_map=coding is not None or map_.colormap() is not None)
    # Bands are warped separately, and the most frequent red, green and blue may not form the colour of a class.
    return "nearest" if kernel == "mode" and coding == "colors" else kernel


def _share_georeference(image: Raster, map_: Raster) -> tuple[Raster, Raster]:
    """Return image and map; if one of them has no georeference or no CRS, it gets that of the other.

    Raises `AlignmentError` if they differ in size, so that the georeference does not fit.
    """
    own, its = image.georeference, map_.georeference
    for raster, partner in ((image, map_), (map_, image)):
        same_size = (raster.height, raster.width) == (partner.height, partner.width)
        if raster.georeference.affine.is_identity and not same_size:
            raise AlignmentError(
                f"{raster.path} has no georeference and its size differs from {partner.path}, so it cannot be aligned"
            )
    if own.affine.is_identity and (not own.known or not its.affine.is_identity):
        return replace(image, georeference=its), map_
    if its.affine.is_identity:
        return image, replace(map_, georeference=own)
    crs = own.crs or its.crs
    return replace(image, georeference=replace(own, crs=crs)), replace(
        map_, georeference=replace(its, crs=its.crs or crs)
    )


def _halves(both: Raster, direction: Direction) -> tuple[Raster, Raster]:
    """Return image and map of a side-by-side file, with A on the left and B on the right."""
    if both.width % 2:
        raise RasterError(
            f"{both.path} is {both.width} px wide; a file of two halves side by side must have an even width"
        )
    half = both.width // 2
    a, b = (both.crop(Window(0, left, both.height, half)) for left in (0, half))
    # Both halves show the same area, and the file's transform fits neither, so both get one georeference.
    b = replace(b, georeference=a.georeference)
    return (b, a) if direction == "AtoB" else (a, b)


def _check_overlap(image: Raster, map_: Raster) -> None:
    from shapely import Polygon

    own = window_corners([image.window])
    there = image.georeference.to_pixels(
        map_.georeference.to_coordinates(window_corners([map_.window])), map_.georeference.crs
    )
    if there is None or not Polygon(own).intersects(Polygon(there)):
        raise AlignmentError(f"{map_.path} does not overlap {image.path}; is it the right mask?")


def _notices(
    image: Raster, map_: Raster | None, palette: Palette | None, source: SceneSource, options: TileOptions
) -> Iterator[str]:
    georeference = source.record.georeference
    wide, high = georeference.resolution
    if options.res is None and georeference.known and abs(wide - high) > SQUARE * max(wide, high):
        yield f"{image.path} has pixels of {wide:g} × {high:g}; --res makes them square"
    if georeference.known and not georeference.north_up:
        yield f"{image.path} is not north-up; its tiles keep its rows and columns"
    yield from image.notices
    yield from map_.notices if map_ and not source.halves else ()
    if notice := choose_bands(image, options.bidx, BIDX).notice:
        yield notice
    if map_ and (notice := _read_as(map_, palette, source).notice):
        yield notice
    if map_ and not georeference.crs and not source.halves:
        yield f"{image.path} has no CRS, so its tiles have no footprint in the index"


@contextmanager
def open_scene(source: SceneSource, palette: Palette | None) -> Iterator[OpenScene]:
    """Open a source's rasters on its grid."""
    with ExitStack() as stack:
        image = _named(stack.enter_context(open_raster(Path(source.record.image))), source.bands)
        if source.halves:
            image, half = _halves(image, source.halves)
            yield OpenScene(image, _read_as(half, palette, source))
            return
        image = replace(image, georeference=source.image_georeference)
        on_image = stack.enter_context(warp_to_grid(image, source.grid, source.image_kernel, effective_nodata(image)))
        if source.record.map is None:
            yield OpenScene(on_image)
            return
        if source.rules and palette:
            yield OpenScene(
                on_image, VectorLabels(Path(source.record.map), read_rules(source.rules[0]), palette, source.grid)
            )
            return
        map_ = stack.enter_context(open_raster(Path(source.record.map)))
        _, map_ = _share_georeference(image, map_)
        # The coding of the classes is read from the file itself, because warping may drop its colour table.
        whole = _read_as(map_, palette, source)
        warped = stack.enter_context(warp_to_grid(map_, source.grid, source.map_kernel, whole.nodata))
        yield OpenScene(on_image, replace(whole, raster=warped))


def _read_as(map_: Raster, palette: Palette | None, source: SceneSource) -> ClassMap | RGBMap:
    if palette is None:
        return rgb_map(map_)
    return class_map(map_, palette, source.coding, by_threshold(map_, palette, source.threshold))


SAMPLED_MAPS, SAMPLED_ROWS = 20, 64
"""Number of maps of which some rows are read before anything is written."""


def check_samples(sources: Sequence[SceneSource], palette: Palette) -> None:
    """Raise `ClassesError` if rows in the middle of some maps are not of the classes, such as smoothed masks."""
    maps = [source for source in sources if source.record.map and not source.halves and not source.rules]
    for source in maps[:: max(1, len(maps) // SAMPLED_MAPS)]:
        with suppress(RasterError), open_raster(Path(source.record.map or "")) as map_:
            top = max(0, map_.height // 2 - SAMPLED_ROWS // 2)
            rows = Window(top, 0, min(SAMPLED_ROWS, map_.height - top), map_.width)
            _read_as(map_, palette, source).read(rows)


class _CachedScene(threading.local):
    """The scene that this thread opened last; the next row of tiles usually belongs to the same scene.

    `scene` is the source, the classes and the state of its files: a worker of a cluster outlives a command, and files
    may be replaced before the next.
    """

    scene: object = None
    opened: OpenScene | None = None
    stack: ExitStack | None = None


_cached = _CachedScene()


def cached_scene(source: SceneSource, palette: Palette | None) -> OpenScene:
    """Return the rasters of a scene, which stay open until this thread requests another scene or closes them.

    A PNG or JPEG is always decoded from its first row, so opening it for each row of tiles would decode it that often.
    """
    scene = source, palette, [_state(path) for path in source.files]
    if _cached.opened is None or _cached.scene != scene:
        close_cached_scene()
        stack = ExitStack()
        _cached.opened = stack.enter_context(open_scene(source, palette))
        _cached.stack, _cached.scene = stack, scene
    return _cached.opened


def _state(path: str) -> tuple[int, ...]:
    """Return what changes if a file is replaced; nothing for one that cannot be looked at, such as an address."""
    try:
        stat = os.stat(path)  # noqa: PTH116  several for each row of tiles
    except OSError:
        return ()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def close_cached_scene() -> None:
    """Close the scene that this thread has open."""
    if _cached.stack is not None:
        _cached.stack.close()
    _cached.stack = _cached.opened = _cached.scene = None
