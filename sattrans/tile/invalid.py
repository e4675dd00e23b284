"""Why cells were left out for nodata: in whose pixels, by which declaration, and what to change."""

from collections.abc import Iterator, Mapping, Sequence

from sattrans.raster.class_map import ClassMap
from sattrans.raster.palette import Palette
from sattrans.raster.rgb_map import RGBMap
from sattrans.raster.validity import describe, effective_nodata
from sattrans.tile.scene import SceneSource, open_scene
from sattrans.utils.console import pluralize


def why_invalid(
    sources: Sequence[SceneSource], palette: Palette | None, invalid: Mapping[tuple[str, str], int]
) -> Iterator[str]:
    """Yield a line for images and one for maps that have invalid pixels in cells that were left out.

    Args:
        sources: The scenes.
        palette: The classes of their maps.
        invalid: The number of such cells, by scene and by "image" or "map".
    """
    by_id = {source.record.id: source for source in sources}
    for file, title in (("image", "image"), ("map", "mask")):
        counts = {scene: count for (scene, kind), count in invalid.items() if kind == file}
        if not counts:
            continue
        source = by_id[next(iter(counts))]
        with open_scene(source, palette) as opened:
            if file == "image":
                path, declared = opened.image.path, describe(opened.image, effective_nodata(opened.image))
                remedy = ""
                if opened.image.alpha_band is not None and not opened.image.resampled:
                    remedy = (
                        f"if band {opened.image.alpha_band} is not alpha, label it otherwise (rio edit-info "
                        f"--colorinterp {opened.image.alpha_band}=undefined); "
                    )
            else:
                assert isinstance(opened.map, ClassMap | RGBMap)  # vector labels are valid everywhere
                path = opened.map.raster.path
                if isinstance(opened.map, RGBMap):
                    declared, remedy = describe(opened.map.raster, effective_nodata(opened.map.raster)), ""
                else:
                    declared = opened.map.invalid_by
                    remedy = (
                        "if that is a class, give it one in a classes.toml, or remove the declaration (rio edit-info "
                        "--unset-nodata); "
                    )
        more = f" and {pluralize(len(counts) - 1, 'other')}" if len(counts) > 1 else ""
        what = f"nodata by the {declared}" if declared else "pixels without data"
        yield (
            f"{pluralize(sum(counts.values()), 'cell')} left out with nodata in the {title}: {path}{more} has {what}; "
            f"{remedy}--min-valid 0.5 accepts tiles of which half holds data"
        )
