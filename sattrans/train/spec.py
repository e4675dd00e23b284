"""What a model is built for: the size, channels, classes and scenes of a tileset's training tiles."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from sattrans.data.batches import source_channels
from sattrans.data.dataset import UNPAIRED
from sattrans.data.tileset import Tile, Tileset
from sattrans.errors import UsageError
from sattrans.model import Model, ModelOptions, Pairing, SourceEncoding, SourceOption, TileSpec
from sattrans.raster.palette import Palette
from sattrans.runs.model_options import resolve


def encoding(source: SourceOption, kind: type[Model], palette: Palette | None) -> SourceEncoding:
    """Return the source encoding that an option stands for, given the classes of the maps."""
    if source != "auto":
        return source
    return "color" if palette is None or kind.makes_maps else "onehot"


def _accepts(kind: type[Model], source: SourceEncoding) -> bool:
    """Return whether a model's options allow a source encoding."""
    try:
        kind.Options(source=source)
    except ValidationError:
        return False
    return True


def palette_of(tileset: Tileset, kind: type[Model]) -> Palette | None:
    """Return the classes of what a run reads: those of its maps; None for pictures, as of a model that makes maps."""
    return None if kind.makes_maps else tileset.palette


def tile_spec(tileset: Tileset, kind: type[Model], source: SourceEncoding) -> TileSpec:
    """Return what the model is built for. Raises `UsageError` if it cannot be trained on the tileset."""
    if tileset.side_by_side:
        raise UsageError(
            f"{tileset.folder} holds map and image side by side, for other tools: tile again without --layout pairs"
        )
    if tileset.size not in kind.sizes:
        raise UsageError(
            f"model '{kind.name}' takes tiles of {', '.join(map(str, kind.sizes))} px, {tileset.folder} "
            f"has {tileset.size}: tile again with --size"
        )
    if not _accepts(kind, source):
        need = "its maps are pictures without classes: choose another model, or tile masks of classes"
        raise UsageError(f"model '{kind.name}' needs classes, and of {tileset.folder} {need}")
    channels = source_channels(source, tileset.palette)
    if not channels:
        raise UsageError(
            f"the maps of {tileset.folder} are pictures without classes, source={source} needs classes: "
            "use --set source=color"
        )
    training = tileset.split("train")
    if not training:
        unpaired = len(tileset.split(UNPAIRED))
        maps = f" with a map, {unpaired} without one" if unpaired else ""
        raise UsageError(f"{tileset.folder} has no training tiles{maps}: tile again with another --split, or with maps")
    palette = palette_of(tileset, kind)
    names = palette.names if palette else ()
    scenes = tuple(sorted({tile.scene for tile in training}))
    shares = _class_shares(training, scenes, names) if names else ()
    return TileSpec(tileset.size, channels, classes=len(names), scenes=scenes, shares=shares, tiles=len(training))


def specified(
    kind: type[Model], given: Mapping[str, Any], tileset: Tileset
) -> tuple[type[Model], ModelOptions, TileSpec]:
    """Return a model's class, options and spec for a tileset. Raises `UsageError` if they do not fit together."""
    options = resolve(kind, given)
    kind = kind.configured(options)
    source = encoding(options.source, kind, tileset.palette)
    return kind, options.model_copy(update={"source": source}), tile_spec(tileset, kind, source)


def _class_shares(tiles: Sequence[Tile], scenes: Sequence[str], names: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """Return the part of each scene's tiles that each class covers."""
    sums = {scene: [0.0] * len(names) for scene in scenes}
    for tile in tiles:
        for number, name in enumerate(names):
            sums[tile.scene][number] += tile.shares.get(name, 0.0)
    return tuple(tuple(round(part / max(sum(sums[scene]), 1e-9), 6) for part in sums[scene]) for scene in scenes)


def unpaired_tiles(tileset: Tileset, pairing: Pairing) -> list[Tile]:
    """Return the tiles without a map that a model of this pairing trains on."""
    return tileset.split(UNPAIRED) if pairing == "unaligned" else []
