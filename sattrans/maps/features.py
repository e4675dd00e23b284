"""The features of a vector map that its rules mean: looked through once, then given box by box, in a grid's pixels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.errors import OptionError, RasterError
from sattrans.maps.ogr import Box, Features, Layer, read_all, read_box
from sattrans.maps.rules import Rule, Rules
from sattrans.raster.alignment import Grid
from sattrans.raster.georeference import WGS84, reproject
from sattrans.raster.window import Window
from sattrans.utils.console import counted

Shapes = NDArray[np.object_]


@dataclass(frozen=True)
class Source:
    """A layer with the rules that fit it, by their place in the file."""

    layer: Layer
    rules: dict[int, Rule]

    @property
    def attributes(self) -> list[str]:
        """The attributes that the rules ask for."""
        return sorted({name for rule in self.rules.values() for name in rule.where})

    def meant(self, features: Features) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Yield each rule's place, and the features that it means."""
        for place, rule in self.rules.items():
            yield place, rule.chosen(features.attributes, len(features.geometry))


def fit(rules: Rules, layers: Sequence[Layer], path: str) -> list[Source]:
    """Return the layers that rules fit. Raises `OptionError` for a rule that fits none, unless rules are optional."""
    if not layers:
        raise RasterError(f"{path} has no layer with geometries: there is nothing to draw")
    fitting: dict[Layer, dict[int, Rule]] = {}
    for place, rule in enumerate(rules.rules):
        named = [layer for layer in layers if rule.layer_fits(layer.name)]
        fits = [layer for layer in named if set(rule.where) <= set(layer.fields)]
        if not fits and not rules.optional:
            where = f"--rules {rules.name}, rule {place + 1} ({rule.land_class})"
            if not named:
                listed = ", ".join(layer.name for layer in layers)
                raise OptionError(f"{where}: {path} has no layer {rule.layer}, it has {listed}")
            raise OptionError(f"{where}: {path} has no attribute {', '.join(rule.where)}; there is {_fields(named)}")
        for layer in fits:
            fitting.setdefault(layer, {})[place] = rule
    if not fitting:
        raise OptionError(f"--rules {rules.name}: no rule fits {path}, which has {_fields(layers)}")
    return [Source(layer, chosen) for layer, chosen in fitting.items()]


def _fields(layers: Sequence[Layer], most: int = 6) -> str:
    told = [f"{layer.name} ({', '.join(layer.fields[:most]) or 'no attributes'})" for layer in layers[:most]]
    return ", ".join(told) + (f" and {counted(len(layers) - most, 'layer')} more" if len(layers) > most else "")


@dataclass
class Findings:
    """What looking through all features found: how many each rule means, how many are bare, how many are mended."""

    meant: dict[int, int] = field(default_factory=dict)
    bare: int = 0
    mended: int = 0


class FeatureStore:
    """Features in the pixels of a grid. A GeoJSON is read once, for it has no index; other files box by box."""

    def __init__(self, sources: Sequence[Source], grid: Grid, path: str) -> None:
        self.sources, self.grid, self.path = sources, grid, path
        self._whole: dict[Layer, tuple[Features, shapely.STRtree]] = {}

    def look(self, part: Window | None) -> Findings:
        """Look through the features in a part of the grid, or through all of them."""
        found = Findings()
        for source in self.sources:
            box = self._box(source.layer, part) if part else None
            for features in self._in_turn(source, box):
                bare = shapely.is_missing(features.geometry) | shapely.is_empty(features.geometry)
                any_rule = np.zeros(len(features.geometry), bool)
                for place, chosen in source.meant(features):
                    found.meant[place] = found.meant.get(place, 0) + int((chosen & ~bare).sum())
                    any_rule |= chosen
                found.bare += int((any_rule & bare).sum())
                found.mended += int((any_rule & ~bare & ~shapely.is_valid(features.geometry)).sum())
        return found

    def shapes(self, window: Window) -> dict[int, Shapes]:
        """Return what each rule means within a window of the grid, by the rule's place: single shapes, in pixels."""
        shapes: dict[int, Shapes] = {}
        for source in self.sources:
            features = self._near(source, self._box(source.layer, window))
            for place, chosen in source.meant(features):
                if chosen.any():
                    more = self._in_pixels(features.geometry[chosen], source.layer)
                    shapes[place] = np.concatenate([shapes[place], more]) if place in shapes else more
        return shapes

    def _in_turn(self, source: Source, box: Box | None) -> Iterable[Features]:
        if source.layer.driver != "GeoJSON":
            return read_all(source.layer, source.attributes, box)
        return [self._near(source, box)]

    def _near(self, source: Source, box: Box | None) -> Features:
        if source.layer.driver != "GeoJSON":
            return read_box(source.layer, source.attributes, box)
        if source.layer not in self._whole:
            features = read_box(source.layer, source.attributes, None)
            self._whole[source.layer] = features, shapely.STRtree(features.geometry)
        features, tree = self._whole[source.layer]
        if box is None:
            return features
        near = np.sort(tree.query(shapely.box(*box)))  # in the file's order, as boxes of other files come
        return Features(features.geometry[near], {name: column[near] for name, column in features.attributes.items()})

    def _in_pixels(self, geometry: Shapes, layer: Layer) -> Shapes:
        place = self.grid.georeference

        def there(points: NDArray[np.float64]) -> NDArray[np.float64]:
            pixels = place.pixels_of(points, layer.crs)
            if pixels is None:
                raise RasterError(
                    f"{self.path}: layer {layer.name} has coordinates that lie nowhere in its CRS: mend it"
                )
            return pixels

        parts = shapely.get_parts(geometry[~shapely.is_missing(geometry)])
        invalid = ~shapely.is_valid(parts)
        if invalid.any():
            parts = np.concatenate([parts[~invalid], shapely.get_parts(shapely.make_valid(parts[invalid]))])
        moved: Shapes = shapely.transform(parts, there)
        return moved

    def _box(self, layer: Layer, window: Window) -> Box:
        """Return the box around a window of the grid, in a layer's CRS; its edges are followed, for they may bend."""
        place = self.grid.georeference
        edge = shapely.get_coordinates(
            shapely.segmentize(
                shapely.box(window.col, window.row, window.right, window.bottom), max(window.height, window.width) / 64
            )
        )
        points = reproject(place.points_of(edge), place.crs, layer.crs)
        if points is None:
            raise RasterError(f"{self.path}: nothing relates the CRS of layer {layer.name} to that of the others")
        (left, bottom), (right, top) = points.min(axis=0), points.max(axis=0)
        slack = 1e-7 if layer.crs == WGS84 else 0.0
        return float(left) - slack, float(bottom) - slack, float(right) + slack, float(top) + slack
