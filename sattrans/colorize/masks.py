"""The masks that lie under a path, and the classes that their values stand for."""

from dataclasses import dataclass
from pathlib import Path

from sattrans.data.classes_toml import CLASSES_FILE, read_classes
from sattrans.data.dataset import Dataset, named_as_raster
from sattrans.data.tileset import MANIFEST, Tileset
from sattrans.errors import OptionError, UsageError
from sattrans.plugins import dataset_class, open_dataset
from sattrans.raster.inspect import MaskFacts, inspect_mask
from sattrans.raster.palette import Palette
from sattrans.utils.console import bar
from sattrans.utils.manifest import begun_of


@dataclass(frozen=True, slots=True)
class Masks:
    """Masks, their common classes, and what a user should know about how these were found.

    A source is a `Path`, or the text of one that the user typed, which may be a `.vrt`.
    """

    sources: tuple[Path | str, ...]
    palette: Palette
    notices: tuple[str, ...]


def find_masks(path: Path, dataset: str | None = None, classes: Path | None = None) -> Masks:
    """Return the mask, or all masks, under `path`: a file, a folder of masks, a dataset or a tileset.

    The classes are those of the file `classes`, or of the dataset named `dataset`; else a tileset's own; those of
    a `classes.toml` that lies in the folder (in its parent for a `masks/`); those of the dataset that recognises
    the folder; or else what the masks' colour tables and values give. Raises `UsageError` where there are no
    masks, or maps without classes; `ClassesError` and `RasterError` for masks and classes that are not right.
    """
    if dataset and classes:
        raise OptionError("--dataset and --classes both say what the values mean: give one of them")
    if classes and not classes.is_file():
        raise OptionError(f"--classes {classes}: no such file")
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    told = read_classes(classes) if classes else None
    if path.is_dir() and ((path / MANIFEST).is_file() or begun_of(path / MANIFEST).is_file()):
        return _of_tileset(Tileset.open(path), told or (_palette_of(dataset, path) if dataset else None))
    masks = [path] if path.is_file() else _rasters(path)
    if not masks:
        return _of_dataset(path, dataset, told)
    sources: tuple[Path | str, ...] = (str(path),) if path.is_file() else tuple(masks)
    if told or dataset:
        return Masks(sources, told or _palette_of(str(dataset), path), ())
    lying = _classes_file(path.parent if path.is_file() else path)
    if lying:
        return Masks(sources, read_classes(lying), (f"classes taken from {lying}",))
    return _of_values(path, sources)


def _rasters(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if named_as_raster(path) and path.is_file())


def _classes_file(folder: Path) -> Path | None:
    """Return the `classes.toml` that lies in a folder of masks, or beside one that is called `masks`."""
    named = folder if folder.name else folder.resolve()  # the current folder has no name of its own
    folders = [folder, named.parent] if named.name == "masks" else [folder]
    return next((place / CLASSES_FILE for place in folders if (place / CLASSES_FILE).is_file()), None)


def _palette_of(dataset: str, path: Path) -> Palette:
    return _with_classes(dataset_class(dataset)(path))


def _with_classes(dataset: Dataset) -> Palette:
    palette = dataset.palette
    if palette is None:
        raise UsageError(f"dataset '{dataset.name}' has maps without classes: there is nothing to colour")
    return palette


def _of_tileset(tileset: Tileset, told: Palette | None) -> Masks:
    if tileset.side_by_side:
        raise UsageError(
            f"{tileset.folder} holds maps and images side by side in one file, drawn already: nothing is to be coloured"
        )
    palette = told or tileset.palette
    if palette is None:
        raise UsageError(f"{tileset.folder} has maps without classes, pictures: there is nothing to colour")
    maps = tuple(tile.map_path(tileset.folder) for tile in tileset.tiles if tile.map)
    if not maps:
        raise UsageError(f"{tileset.folder} has no maps, all of its tiles are unpaired: there is nothing to colour")
    return Masks(maps, palette, ())


def _of_dataset(path: Path, dataset: str | None, told: Palette | None) -> Masks:
    found = open_dataset(path, dataset)
    palette = told or _with_classes(found)
    scenes = list(found.scenes())
    if any(scene.side_by_side for scene in scenes):
        raise UsageError(f"{path} holds maps and images side by side in one file: there is no mask to colour")
    maps = tuple(scene.map for scene in scenes if scene.map)
    if not maps:
        raise UsageError(f"{path} has no maps, as dataset '{found.name}' sees it: there is nothing to colour")
    if told:
        return Masks(maps, palette, ())
    lying = path / CLASSES_FILE
    taken = lying.is_file() and read_classes(lying) == palette
    return Masks(maps, palette, (f"classes taken from {lying}",) if taken else tuple(found.notices()))


def _of_values(path: Path, sources: tuple[Path | str, ...]) -> Masks:
    facts = []
    with bar(len(sources), "inspect", "map") as progress:
        for source in sources:
            facts.append(inspect_mask(source))
            progress.update()
    merged = MaskFacts.merged(path, facts)
    if merged.colormap and merged.table_fits:
        return Masks(sources, merged.palette(), ())
    return Masks(
        sources,
        merged.palette(),
        (f"{path}: classes named after the values found; --dataset NAME or --classes FILE.toml names them",),
    )
