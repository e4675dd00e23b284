"""The conformance checks of dataset plugins."""

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from sattrans.data.dataset import Dataset, Scene, Split
from sattrans.errors import DatasetNotFound, SattransError
from sattrans.raster.alignment import check_aligned
from sattrans.raster.class_map import class_map
from sattrans.raster.open import open_raster
from sattrans.raster.palette import Palette
from sattrans.raster.rgb_map import rgb_map
from sattrans.raster.window import tile_cells
from sattrans.testing.require import require, require_name
from sattrans.utils.console import pluralize

SCENE_ID = re.compile(r"[^\s/\\.][^\s/\\]*")
"""The pattern of a scene's id, with which the file names of its tiles begin."""


def check_dataset(dataset: type[Dataset], root: Path) -> None:
    """Check that a dataset class behaves as the core expects of every dataset.

    Args:
        dataset: The class to check.
        root: A small example: a folder with at least one scene, with the published layout and file names.

    Raises:
        AssertionError: A check failed; the message says which.
    """
    require(issubclass(dataset, Dataset), f"{dataset.__name__} is not a subclass of sattrans.Dataset")
    require_name(dataset)
    require(dataset.layout.strip(), f"{dataset.__name__}.layout is empty; it must say which files are expected")
    _check_recognition(dataset, root)
    _check_missing_files(dataset)
    scenes = _check_scenes(dataset, root)
    palette = _check_palette(dataset, root)
    for scene in scenes:
        _check_rasters(scene, palette)
        _check_published_split(dataset, root, scene)


def _check_recognition(dataset: type[Dataset], root: Path) -> None:
    with TemporaryDirectory() as folder:
        empty, file = Path(folder) / "empty", Path(folder) / "file"
        empty.mkdir()
        file.write_bytes(b"no dataset")
        for path, expected, what in (
            (root, True, "its example"),
            (empty, False, "an empty folder"),
            (file, False, "a file"),
            (Path(folder) / "missing", False, "a path that does not exist"),
        ):
            try:
                recognised = dataset.recognises(path)
            except Exception as error:
                raise AssertionError(f"{dataset.name}.recognises raises on {what}: {error!r}") from error
            require(recognised is expected, f"{dataset.name}.recognises returns {recognised!r} for {what} ({path})")


def _check_missing_files(dataset: type[Dataset]) -> None:
    with TemporaryDirectory() as folder:
        for path, what in (
            (Path(folder), "an empty folder"),
            (Path(folder) / "missing", "a folder that does not exist"),
        ):
            try:
                found = list(dataset(path).scenes())
            except DatasetNotFound as error:
                require(str(path) in str(error), f"the error for {what} does not contain the path {path}: {error}")
                continue
            except Exception as error:
                raise AssertionError(f"{what} raises {error!r} instead of DatasetNotFound") from error
            raise AssertionError(f"{what} yields {pluralize(len(found), 'scene')} instead of raising DatasetNotFound")


def _check_scenes(dataset: type[Dataset], root: Path) -> Sequence[Scene]:
    opened = dataset(root)
    scenes = list(opened.scenes())
    require(scenes, f"{dataset.name} yields no scene from its example {root}")
    require(list(opened.scenes()) == scenes, f"{dataset.name}.scenes() yields other scenes the second time")
    require(list(dataset(root).scenes()) == scenes, f"{dataset.name}.scenes() of a second instance differs")
    ids = [scene.id for scene in scenes]
    require(len(set(ids)) == len(ids), f"{dataset.name} yields several scenes with the same id: {', '.join(ids)}")
    for scene in scenes:
        require(SCENE_ID.fullmatch(scene.id), f"scene id {scene.id!r} cannot be the beginning of a file name")
        require(scene.image or scene.map, f"scene {scene.id} has neither image nor map")
        for path in (scene.image, scene.map):
            require(path is None or path.is_file(), f"scene {scene.id} names {path}, which is not a file")
        require(
            not scene.side_by_side or scene.image == scene.map,
            f"scene {scene.id} is side_by_side, but its image {scene.image} and map {scene.map} are two files",
        )
    for notice in opened.notices():
        require(notice and "\n" not in notice, f"a notice must be one line of text, got {notice!r}")
    return scenes


def _check_palette(dataset: type[Dataset], root: Path) -> Palette | None:
    palette = dataset(root).palette
    require(
        palette is None or isinstance(palette, Palette),
        f"{dataset.name}.palette must be a Palette, or None if maps are pictures; got {palette!r}",
    )
    require(dataset(root).palette == palette, f"{dataset.name}.palette of a second instance differs")
    return palette


def _check_rasters(scene: Scene, palette: Palette | None) -> None:
    try:
        if scene.map and not (palette and scene.side_by_side):  # half of such a file is a photo, without classes
            with open_raster(scene.map) as map_:
                (class_map(map_, palette) if palette else rgb_map(map_)).check()
        if scene.map and scene.image:
            with open_raster(scene.image) as image, open_raster(scene.map) as map_:
                check_aligned(image, map_)
    except SattransError as error:
        raise AssertionError(f"scene {scene.id} cannot be tiled: {error}") from error


def _check_published_split(dataset: type[Dataset], root: Path, scene: Scene) -> None:
    path = scene.image or scene.map
    assert path
    with open_raster(path) as raster:
        height, width = raster.height, raster.width // 2 if scene.side_by_side else raster.width
    size = dataset.published_size
    require(
        size is None or size > 0,
        f"{dataset.name}.published_size must be a positive number of pixels or None, got {size}",
    )
    cells = list(tile_cells(height, width, size or max(1, min(height, width) // 2)))
    first, second = dataset(root), dataset(root)
    splits = [first.published_split(scene, cell) for cell in cells]
    allowed = (*get_args(Split), None)
    invalid = [split for split in splits if split not in allowed]
    require(not invalid, f"{dataset.name}.published_split must return one of {allowed}, got {invalid[:1]}")
    again = [second.published_split(scene, cell) for cell in reversed(cells)]
    require(again[::-1] == splits, f"{dataset.name}.published_split of a second instance differs")
    require(
        size or len(set(splits)) == 1,
        f"{dataset.name}.published_split splits scene {scene.id}, but published_size does not give a tile size",
    )
