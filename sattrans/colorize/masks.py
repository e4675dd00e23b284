"""Find the masks under a path, and the classes of their values."""

from dataclasses import dataclass
from pathlib import Path

from sattrans.data.classes_toml import CLASSES_FILE, read_classes
from sattrans.data.dataset import Dataset, named_as_raster
from sattrans.data.tileset import MANIFEST, Tileset
from sattrans.errors import OptionError, UsageError
from sattrans.plugins import dataset_class, open_dataset
from sattrans.raster.inspect import MaskFacts, inspect_mask
from sattrans.raster.palette import Palette
from sattrans.utils.console import progress_bar
from sattrans.utils.manifest import begun_of


@dataclass(frozen=True, slots=True)
class Masks:
    """Masks and their classes.

    Attributes:
        sources: The masks: paths, or one path as the text that the user typed, which may be a `.vrt`.
        palette: The classes that all masks have in common.
        notices: How the classes were found, if the user should know, a line each.
        images: Folders that belong to the masks, such as those of a dataset's images; no copies go there.
    """

    sources: tuple[Path | str, ...]
    palette: Palette
    notices: tuple[str, ...]
    images: tuple[Path, ...] = ()

    @property
    def folders(self) -> list[Path]:
        """The folders of the masks, and of what belongs to them."""
        return [*dict.fromkeys(Path(source).parent for source in self.sources), *self.images]


def find_masks(path: Path, dataset: str | None = None, classes: Path | None = None) -> Masks:
    """Return the mask or masks under `path`, and their classes.

    The classes come from `classes` or `dataset`, if one is given. If not, they come from the tileset; from a
    `classes.toml` in the folder (for a folder `masks`, also in its parent); from the dataset that recognises the
    folder; or from the masks' colour tables and values.

    Args:
        path: A mask, a folder of masks, a dataset, or a tileset.
        dataset: Name of the dataset whose classes the masks have.
        classes: A `classes.toml` file.

    Raises:
        UsageError: There are no masks, or the maps have no classes.
        ClassesError: The classes file is invalid, or a mask has other values.
        RasterError: A mask cannot be read.
    """
    if dataset and classes:
        raise OptionError("--dataset and --classes both define the classes: give only one of them")
    if classes and not classes.is_file():
        raise OptionError(f"--classes {classes}: no such file")
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    given = read_classes(classes) if classes else None
    if path.is_dir() and ((path / MANIFEST).is_file() or begun_of(path / MANIFEST).is_file()):
        return _of_tileset(Tileset.open(path), given or (_palette_of(dataset, path) if dataset else None))
    masks = [path] if path.is_file() else _rasters(path)
    if not masks:
        return _of_dataset(path, dataset, given)
    sources: tuple[Path | str, ...] = (str(path),) if path.is_file() else tuple(masks)
    if given or dataset:
        return Masks(sources, given or _palette_of(str(dataset), path), ())
    found = _classes_file(path.parent if path.is_file() else path)
    if found:
        return Masks(sources, read_classes(found), (f"classes read from {found}",))
    return _of_values(path, sources)


def _rasters(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if named_as_raster(path) and path.is_file())


def _classes_file(folder: Path) -> Path | None:
    """Return the `classes.toml` in a folder of masks, or in the parent of a folder named `masks`."""
    named = folder if folder.name else folder.resolve()  # the current folder has no name of its own
    folders = [folder, named.parent] if named.name == "masks" else [folder]
    return next((parent / CLASSES_FILE for parent in folders if (parent / CLASSES_FILE).is_file()), None)


def _palette_of(dataset: str, path: Path) -> Palette:
    return _with_classes(dataset_class(dataset)(path))


def _with_classes(dataset: Dataset) -> Palette:
    palette = dataset.palette
    if palette is None:
        raise UsageError(f"dataset '{dataset.name}' has maps without classes: there is nothing to colour")
    return palette


def _of_tileset(tileset: Tileset, given: Palette | None) -> Masks:
    if tileset.side_by_side:
        raise UsageError(
            f"{tileset.folder} has maps and images side by side in one file, already in colours: there is nothing to "
            "colour"
        )
    palette = given or tileset.palette
    if palette is None:
        raise UsageError(f"{tileset.folder} has maps without classes (RGB images): there is nothing to colour")
    maps = tuple(tile.map_path(tileset.folder) for tile in tileset.tiles if tile.map)
    if not maps:
        raise UsageError(f"{tileset.folder} has no maps, all its tiles are unpaired: there is nothing to colour")
    return Masks(maps, palette, (), (tileset.folder,))


def _of_dataset(path: Path, dataset: str | None, given: Palette | None) -> Masks:
    found = open_dataset(path, dataset)
    palette = given or _with_classes(found)
    scenes = list(found.scenes())
    if any(scene.side_by_side for scene in scenes):
        raise UsageError(f"{path} has maps and images side by side in one file, which colorize does not support")
    maps = tuple(scene.map for scene in scenes if scene.map)
    if not maps:
        raise UsageError(f"{path}, read as dataset '{found.name}', has no maps: there is nothing to colour")
    images = tuple(dict.fromkeys(scene.image.parent for scene in scenes if scene.image))
    if given:
        return Masks(maps, palette, (), images)
    classes_file = path / CLASSES_FILE
    is_source = classes_file.is_file() and read_classes(classes_file) == palette
    notices = (f"classes read from {classes_file}",) if is_source else tuple(found.notices())
    return Masks(maps, palette, notices, images)


def _of_values(path: Path, sources: tuple[Path | str, ...]) -> Masks:
    facts = []
    with progress_bar(len(sources), "inspect", "map") as progress:
        for source in sources:
            facts.append(inspect_mask(source))
            progress.update()
    merged = MaskFacts.merged(path, facts)
    if merged.colormap and merged.table_fits:
        return Masks(sources, merged.palette(), ())
    return Masks(
        sources,
        merged.palette(),
        (f"{path}: classes are named after their values; give names with --dataset NAME or --classes FILE.toml",),
    )
