"""The features of a vector map that rules select: counted once for the complete map, then read box by box as pixels."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.errors import OptionError, RasterError
from sattrans.maps.ogr import WHOLE_DRIVERS, Box, Features, Layer, read_batches, read_box
from sattrans.maps.rules import Rule, Rules
from sattrans.raster.alignment import Grid
from sattrans.raster.georeference import WGS84, reproject
from sattrans.raster.window import Window
from sattrans.utils.console import pluralize
from sattrans.utils.hashing import fingerprint

Shapes = NDArray[np.object_]


@dataclass(frozen=True)
class RuleLayer:
    """A layer, and the rules that apply to it by their index in the rule file."""

    layer: Layer
    rules: dict[int, Rule]

    @property
    def attributes(self) -> list[str]:
        """The attributes that the rules test."""
        return sorted({name for rule in self.rules.values() for name in rule.where})

    def matches(self, features: Features) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Yield the index of each rule, and which features it selects."""
        for index, rule in self.rules.items():
            yield index, rule.matches(features.attributes, len(features.geometry))


def match_layers(rules: Rules, layers: Sequence[Layer], path: str) -> list[RuleLayer]:
    """Return the layers that rules apply to.

    Raises `OptionError` for a rule that applies to no layer, unless rules are optional.
    """
    if not layers:
        raise RasterError(f"{path} has no layer with geometries, so there is nothing to rasterize")
    if rules.one_layer and len(layers) > 1:
        names = ", ".join(layer.name for layer in layers)
        raise OptionError(f"--rules {rules.name} is for a map of one layer, {path} has {names}; {start_with(path)}")
    rules_of: dict[Layer, dict[int, Rule]] = {}
    for index, rule in enumerate(rules.rules):
        same_name = [layer for layer in layers if rule.matches_layer(layer.name)]
        matching = [layer for layer in same_name if rule.fits(layer.name, layer.fields)]
        if not matching and not rules.optional:
            where = f"--rules {rules.name}, rule {index + 1} ({rule.land_class})"
            if not same_name:
                listed = ", ".join(layer.name for layer in layers)
                raise OptionError(f"{where}: {path} has no layer {rule.layer}, it has {listed}")
            missing = ", ".join(rule.where) or f"layer without {', '.join(sorted(rule.lacking))}"
            raise OptionError(f"{where}: {path} has no attribute {missing}, it has {_fields(same_name)}")
        for layer in matching:
            rules_of.setdefault(layer, {})[index] = rule
    if not rules_of:
        raise OptionError(
            f"--rules {rules.name}: no rule applies to {path}, which has {_fields(layers)}; {start_with(path)}"
        )
    return [RuleLayer(layer, its_rules) for layer, its_rules in rules_of.items()]


def start_with(path: str) -> str:
    """Return how to begin a rule file for a map."""
    return f"sattrans rules init {path} prints rules to start from"


def _fields(layers: Sequence[Layer], most: int = 6) -> str:
    texts = [f"{layer.name} ({', '.join(layer.fields[:most]) or 'no attributes'})" for layer in layers[:most]]
    return ", ".join(texts) + (f" and {pluralize(len(layers) - most, 'layer')} more" if len(layers) > most else "")


@dataclass
class FeatureSummary:
    """Counts of features.

    Attributes:
        selected: The features that each rule selects, by the rule's index.
        without_geometry: Selected features without a geometry.
        repaired: Selected features with an invalid geometry.
    """

    selected: dict[int, int] = field(default_factory=dict)
    without_geometry: int = 0
    repaired: int = 0


WholeLayer = tuple[Features, shapely.STRtree]

_wholes: dict[tuple[Layer, tuple[str, ...], str], WholeLayer] = {}
_wholes_lock = threading.Lock()


def read_whole(layer: Layer, attributes: Sequence[str]) -> WholeLayer:
    """Return all features of a layer of a file without an index, and a tree of their boxes.

    The layers of the last file are kept, since many scenes, in several threads, may have their labels in one.
    """
    key = layer, tuple(attributes), fingerprint([layer.file])
    with _wholes_lock:
        if key not in _wholes:
            for other in [other for other in _wholes if (other[0].file, other[2]) != (layer.file, key[2])]:
                del _wholes[other]
            features = read_box(layer, attributes, None)
            _wholes[key] = features, shapely.STRtree(features.geometry)
        return _wholes[key]


class FeatureStore:
    """Features in the pixels of a grid. Files without an index (GeoJSON, OSM) are read once; others are read by box."""

    def __init__(self, sources: Sequence[RuleLayer], grid: Grid, path: str) -> None:
        self.sources, self.grid, self.path = sources, grid, path
        self._whole: dict[Layer, WholeLayer] = {}

    def summarize(self, window: Window | None) -> FeatureSummary:
        """Count the features in a window of the grid, or all of them."""
        summary = FeatureSummary()
        for source in self.sources:
            box = self._box(source.layer, window) if window else None
            for features in self._batches(source, box):
                no_geometry = shapely.is_missing(features.geometry) | shapely.is_empty(features.geometry)
                any_rule = np.zeros(len(features.geometry), bool)
                for index, matches in source.matches(features):
                    count = int((matches & ~no_geometry).sum())
                    summary.selected[index] = summary.selected.get(index, 0) + count
                    any_rule |= matches
                summary.without_geometry += int((any_rule & no_geometry).sum())
                summary.repaired += int((any_rule & ~no_geometry & ~shapely.is_valid(features.geometry)).sum())
        return summary

    def shapes(self, window: Window) -> dict[int, Shapes]:
        """Return the single shapes, in pixels, that each rule selects in a window of the grid, by the rule's index."""
        shapes: dict[int, Shapes] = {}
        for source in self.sources:
            features = self._read(source, self._box(source.layer, window))
            for index, matches in source.matches(features):
                if matches.any():
                    selected = self._to_pixels(features.geometry[matches], source.layer)
                    shapes[index] = np.concatenate([shapes[index], selected]) if index in shapes else selected
        return shapes

    def _batches(self, source: RuleLayer, box: Box | None) -> Iterable[Features]:
        if source.layer.driver not in WHOLE_DRIVERS:
            return read_batches(source.layer, source.attributes, box)
        return [self._read(source, box)]

    def _read(self, source: RuleLayer, box: Box | None) -> Features:
        if source.layer.driver not in WHOLE_DRIVERS:
            return read_box(source.layer, source.attributes, box)
        if source.layer not in self._whole:
            self._whole[source.layer] = read_whole(source.layer, source.attributes)
        features, tree = self._whole[source.layer]
        if box is None:
            return features
        near = np.sort(tree.query(shapely.box(*box)))  # in the file's order, as in boxes of other files
        return Features(features.geometry[near], {name: column[near] for name, column in features.attributes.items()})

    def _to_pixels(self, geometry: Shapes, layer: Layer) -> Shapes:
        georeference = self.grid.georeference

        def to_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
            pixels = georeference.to_pixels(points, layer.crs)
            if pixels is None:
                raise RasterError(f"{self.path}: layer {layer.name} has coordinates outside its CRS; repair it")
            return pixels

        parts = shapely.get_parts(geometry[~shapely.is_missing(geometry)])
        invalid = ~shapely.is_valid(parts)
        if invalid.any():
            parts = np.concatenate([parts[~invalid], shapely.get_parts(shapely.make_valid(parts[invalid]))])
        transformed: Shapes = shapely.transform(parts, to_pixels)
        return transformed

    def _box(self, layer: Layer, window: Window) -> Box:
        """Return the box around a window of the grid in a layer's CRS, where straight edges may be curved."""
        georeference = self.grid.georeference
        edge = shapely.get_coordinates(
            shapely.segmentize(
                shapely.box(window.col, window.row, window.right, window.bottom), max(window.height, window.width) / 64
            )
        )
        points = reproject(georeference.to_coordinates(edge), georeference.crs, layer.crs)
        if points is None:
            raise RasterError(f"{self.path}: the CRS of layer {layer.name} cannot be related to that of the others")
        (left, bottom), (right, top) = points.min(axis=0), points.max(axis=0)
        margin = 1e-7 if layer.crs == WGS84 else 0.0
        return float(left) - margin, float(bottom) - margin, float(right) + margin, float(top) + margin
