"""Own data as it lies on disks: which files of a folder are images, which are masks, and which belong together.

The name of a folder or file says what it holds: a role (`images`, `labels`, `1_sat`, `1_mask`), a split (`train`,
`val`, `test`), or both (`train_labels`). `find_layout` takes what is unambiguous, and says in a line what it took; the
rest is told by globs.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from unicodedata import normalize

from sattrans.data.dataset import Scene, Split, named_as_raster, no_partner
from sattrans.data.layout_names import Role, read_file_name, read_folder_name
from sattrans.data.not_recognised import TELL, not_recognised
from sattrans.errors import DatasetNotFound
from sattrans.raster.tile_formats import READABLE
from sattrans.utils.console import pluralize
from sattrans.utils.contents import contents_of

DEPTH = 3
"""Levels of folders that are looked at below the dataset's folder."""

LOSSY = (".jpg", ".jpeg")
"""Suffixes of files that are images, if files of one other suffix have the same stems."""

MOST_PATTERNS = 3


@dataclass(frozen=True, slots=True)
class File:
    """A raster of a folder.

    Attributes:
        path: Its path.
        role: Whether it is an image or a mask; None if no name says.
        split: The split of its folder.
        folder: The folder, relative to the dataset's, that is named after its role.
        below: Its folder below that one, such as a city.
        stem: Its stem.
        bare: Its stem without the word for its role.
        pattern: A glob that it is one of, relative to the dataset's folder.
    """

    path: Path
    role: Role | None
    split: Split | None
    folder: str
    below: str
    stem: str
    bare: str
    pattern: str


@dataclass(frozen=True)
class Layout:
    """The scenes of a folder.

    Attributes:
        scenes: The scenes, in the order of their images.
        split_of: The split of each scene that lies in the folder of a split, by its id.
        taken: What was taken for images and masks, in a line; empty for plain `images/` and `masks/`.
    """

    scenes: tuple[Scene, ...]
    split_of: Mapping[str, Split] = field(default_factory=dict)
    taken: str = ""


@dataclass
class _Found:
    """What a walk through a folder found: files, folders named after a role, and folders called A and B."""

    files: list[File] = field(default_factory=list)
    named: dict[Role, list[str]] = field(default_factory=lambda: {"image": [], "mask": []})
    sides: list[str] = field(default_factory=list)

    def of(self, role: Role) -> list[File]:
        return [file for file in self.files if file.role == role]

    @property
    def complete(self) -> bool:
        return all(self.of(role) or self.named[role] for role in self.named)


def has_layout(root: Path) -> bool:
    """Return whether the names in a folder say which files are images and which are masks. Never raises."""
    try:
        return root.is_dir() and _find(root).complete
    except OSError:
        return False


def find_layout(root: Path) -> Layout:
    """Return the scenes of a folder, judged by the names of its folders and files.

    Raises:
        DatasetNotFound: Nothing is recognised, several folders have the same role, or a file has no partner. The
            message says what was found and what to do.
    """
    if not root.is_dir():
        raise DatasetNotFound(f"{root}: no such folder")
    found = _find(root)
    if found.sides and not found.complete:
        first, second = (f"'{side}/*'" for side in sorted(found.sides)[:2]) if len(found.sides) > 1 else ("…", "…")
        raise DatasetNotFound(
            f"{root}: no name says which of {', '.join(sorted(found.sides))} holds the maps; say it with --images "
            f"{first} --masks {second}, or the other way round"
        )
    if not found.complete:
        raise not_recognised(root, ())
    for role in found.named:
        if not found.of(role):
            where = root / found.named[role][0]
            raise DatasetNotFound(
                f"no rasters in {where} (it holds {contents_of(where)}): expected images and masks of the same names "
                f"in {_both(found)} of {root}, as {READABLE}"
            )
        folders: dict[Split | None, set[str]] = defaultdict(set)
        for file in found.of(role):
            folders[file.split].add(file.folder)
        for split, several in folders.items():
            if len(several) > 1:
                listed = ", ".join(sorted(folder or "the folder itself" for folder in several))
                raise DatasetNotFound(
                    f"{root}: each of {listed} could hold the {role}s{f' of {split}' if split else ''}; {TELL}"
                )
    return _layout(root, found.of("image"), found.of("mask"))


def globbed_layout(root: Path, images: str, masks: str) -> Layout:
    """Return the scenes that two globs, relative to the folder, select.

    Raises:
        DatasetNotFound: A glob selects no file or both the same, or a file has no partner.
    """
    chosen: dict[str, list[File]] = {}
    for option, pattern in (("images", images), ("masks", masks)):
        paths = globbed(root, pattern, option)
        fixed = _fixed_part(pattern)
        chosen[option] = [_globbed(root, path, fixed, pattern) for path in paths]
    both = {file.path for file in chosen["images"]} & {file.path for file in chosen["masks"]}
    if both:
        raise DatasetNotFound(
            f"--images {images} and --masks {masks} both select {min(both)}; make one of them narrower"
        )
    splits = [{file.split for file in files} for files in chosen.values()]
    if splits[0] != splits[1]:  # the folders are not those of splits, since the user says that they belong together
        chosen = {name: [replace(file, split=None) for file in files] for name, files in chosen.items()}
    return _layout(root, chosen["images"], chosen["masks"])


def globbed(root: Path, pattern: str, option: str) -> list[Path]:
    """Return the files that a glob selects. Raises `DatasetNotFound` if there is none, or the glob is not relative."""
    if not PurePath(pattern).parts:
        raise DatasetNotFound(f"--{option} {pattern} is the folder itself; give a glob of files such as {option}/*.tif")
    try:
        paths = sorted(path for path in root.glob(pattern) if path.is_file() and not path.name.startswith("."))
    except (ValueError, NotImplementedError) as error:  # pathlib raises the second for an absolute pattern
        raise DatasetNotFound(f"--{option} {pattern}: {error}; give a glob relative to {root}") from error
    if not paths:
        raise DatasetNotFound(f"--{option} {pattern} selects no file of {root}; a glob is relative to that folder")
    return paths


def find_rasters(root: Path) -> list[Path]:
    """Return the files that are images by their names, or else the rasters in the folder itself."""
    images = [file.path for file in _find(root).of("image")]
    return images or sorted(path for path in root.iterdir() if named_as_raster(path) and path.is_file())


def _both(found: _Found) -> str:
    return " and ".join(f"{folders[0]}/" for folders in found.named.values() if folders)


def _find(root: Path) -> _Found:
    found = _Found()
    top = _unwrapped(root)
    _walk(root, top, None, None, "", "", DEPTH, found)
    by_folder: dict[Path, list[File]] = defaultdict(list)
    for file in found.files:
        by_folder[file.path.parent].append(file)
    found.files = [file for files in by_folder.values() for file in _with_roles(files, found)]
    return found


def _unwrapped(root: Path) -> Path:
    """Return the only folder in a folder without rasters, as archives unpack, or the folder itself."""
    entries = [path for path in root.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    folders = [path for path in entries if path.is_dir()]
    if len(folders) == 1 and not any(map(named_as_raster, entries)) and not read_folder_name(folders[0].name):
        return folders[0]
    return root


def _walk(
    root: Path, here: Path, role: Role | None, split: Split | None, folder: str, below: str, depth: int, found: _Found
) -> None:
    """Collect the rasters of a folder, and of those in it whose names say what they hold."""
    for path in sorted(here.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.is_dir():
            if named_as_raster(path):
                found.files.append(_file(root, path, role, split, folder, below))
            continue
        named = read_folder_name(path.name)
        if depth == 0 or (named is None and not role):
            continue
        if named and named.side and not role:
            found.sides.append(path.relative_to(root).as_posix())
        elif named is None or (named.role and role) or (named.split and split) or named.side:
            if role:  # a city among the images, or a further word for what they are
                _walk(root, path, role, split, folder, f"{below}/{path.name}".lstrip("/"), depth - 1, found)
        else:
            its_folder = folder
            if named.role:
                its_folder = path.relative_to(root).as_posix()
                found.named[named.role].append(its_folder)
            _walk(root, path, role or named.role, split or named.split, its_folder, below, depth - 1, found)


def _file(root: Path, path: Path, role: Role | None, split: Split | None, folder: str, below: str) -> File:
    stem = normalize("NFC", path.stem)
    named = read_file_name(stem)
    if named and role not in (None, named.role):
        named = None
    where = path.parent.relative_to(root).as_posix()
    pattern = f"{named.pattern if named else '*'}{path.suffix}"
    return File(
        path,
        role or (named.role if named else None),
        split,
        folder,
        below,
        stem,
        named.bare if named else stem,
        pattern if where == "." else f"{where}/{pattern}",
    )


def _with_roles(files: Sequence[File], found: _Found) -> list[File]:
    """Return the files of a folder, with a role for those without one, if the others leave only one."""
    roles = {file.role for file in files}
    if None not in roles:
        return list(files)
    split = files[0].split
    mask_folder = any((name := read_folder_name(Path(its).name)) and name.split == split for its in found.named["mask"])
    if roles == {None, "mask"} or (roles == {None} and split and mask_folder):
        return [replace(file, role=file.role or "image") for file in files]
    if roles == {None, "image"}:
        return [replace(file, role=file.role or "mask") for file in files]
    if roles == {None}:
        lossy = {file.stem for file in files if file.path.suffix.lower() in LOSSY}
        other = [file for file in files if file.path.suffix.lower() not in LOSSY]
        one_suffix = len({file.path.suffix.lower() for file in other}) == 1
        if lossy and one_suffix and {file.stem for file in other} == lossy:
            return [replace(file, role="mask" if file in other else "image") for file in files]
    return [file for file in files if file.role]


def _fixed_part(pattern: str) -> Path:
    """Return the folders of a glob before its first wildcard."""
    parts = Path(pattern).parts[:-1]
    wild = next((n for n, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
    return Path(*parts[:wild])


def _globbed(root: Path, path: Path, fixed: Path, pattern: str) -> File:
    folder = path.parent.relative_to(root)
    splits = {name.split for part in folder.parts if (name := read_folder_name(part)) and name.split}
    below = folder.relative_to(fixed).as_posix() if folder.is_relative_to(fixed) else ""
    file = _file(root, path, None, splits.pop() if len(splits) == 1 else None, "", "" if below == "." else below)
    return replace(file, pattern=pattern)


Key = tuple[str, str]
KEYS: tuple[Callable[[File], Key], ...] = (
    lambda file: (file.below, file.stem),
    lambda file: (file.below, file.bare),
    lambda file: ("", file.stem),
    lambda file: ("", file.bare),
)
"""What an image and its mask have in common, in the order in which they are tried."""


def _layout(root: Path, images: Sequence[File], masks: Sequence[File]) -> Layout:
    for files in (images, masks):
        _check_stems(files)
    best: tuple[dict[File, File], list[File], list[File]] | None = None
    for key in KEYS:
        pairs, alone, lost = _paired(images, masks, key)
        if best is None or len(pairs) > len(best[0]):
            best = pairs, alone, lost
    assert best
    pairs, alone, lost = best
    splits_with_masks = {file.split for file in masks}
    # The images of a split without any mask, as test images often are, have none; another image has lost it.
    without = [
        file for file in alone if file.split and file.split not in splits_with_masks and None not in splits_with_masks
    ]
    unmatched = [file for file in alone if file not in without] or lost
    if unmatched or not pairs:
        unmatched = unmatched or list(images)
        partners = masks if unmatched[0].role == "image" or unmatched[0] in images else images
        what = "image" if partners is masks else "mask"
        folder = partners[0].path.parent
        if not pairs:
            raise DatasetNotFound(
                f"{what} {unmatched[0].path} has no partner in {folder}, nor has any other; if these belong together, "
                f"{TELL}"
            )
        raise no_partner(what, [file.path for file in unmatched], folder)
    return _scenes(root, pairs, without)


def _check_stems(files: Sequence[File]) -> None:
    """Raise `DatasetNotFound` for two files of one folder that differ in their suffixes only."""
    of_stem: dict[tuple[Path, str], Path] = {}
    for file in files:
        first = of_stem.setdefault((file.path.parent, file.stem), file.path)
        if first != file.path:
            raise DatasetNotFound(f"{first} and {file.path.name} have the same stem: move one of them away")


def _paired(
    images: Sequence[File], masks: Sequence[File], key: Callable[[File], Key]
) -> tuple[dict[File, File], list[File], list[File]]:
    """Return the pairs, the images without a mask, and the masks without an image."""
    of_key: dict[tuple[Split | None, Key], list[File]] = defaultdict(list)
    for mask in masks:
        of_key[mask.split, key(mask)].append(mask)
    pairs: dict[File, File] = {}
    alone: list[File] = []
    used: Counter[File] = Counter()
    splits = {mask.split for mask in masks}
    for image in images:
        fitting = of_key.get((image.split, key(image))) or of_key.get((None, key(image))) or []
        if not image.split and not fitting:  # masks in split folders, images not
            fitting = [mask for split in splits for mask in of_key.get((split, key(image)), [])]
        if len(fitting) == 1 and not used[fitting[0]]:
            pairs[image] = fitting[0]
            used[fitting[0]] += 1
        else:
            alone.append(image)
    return pairs, alone, [mask for mask in masks if not used[mask]]


def _scenes(root: Path, pairs: Mapping[File, File], without: Sequence[File]) -> Layout:
    files = sorted([*pairs, *without], key=lambda file: (_order(file.split), file.below, file.stem))
    bare = Counter(_id(file.bare if _is_bare(file, pairs) else file.stem) for file in files)
    scenes: list[Scene] = []
    split_of: dict[str, Split] = {}
    path_of: dict[str, Path] = {}
    for file in files:
        name = file.bare if _is_bare(file, pairs) else file.stem
        id_ = _id(name)
        if bare[id_] > 1:
            id_ = _id("_".join(part for part in (file.split, file.below, name) if part))
        if id_ in path_of:
            raise DatasetNotFound(f"{path_of[id_]} and {file.path} would have the same name {id_}; rename one")
        path_of[id_] = file.path
        mask = pairs.get(file)
        split = file.split or (mask.split if mask else None)
        if split and mask:
            split_of[id_] = split
        scenes.append(Scene(id_, file.path, mask.path if mask else None, region=file.below))
    return Layout(tuple(scenes), split_of, _taken(root, pairs, without))


def _is_bare(file: File, pairs: Mapping[File, File]) -> bool:
    """Return whether a scene is named without the word for the role: its mask has another word, or none."""
    return file in pairs and pairs[file].stem != file.stem


def _id(name: str) -> str:
    return name.replace("/", "_").lstrip(".")


def _order(split: Split | None) -> int:
    return ("train", "val", "test", None).index(split)


def _taken(root: Path, pairs: Mapping[File, File], without: Sequence[File]) -> str:
    images, masks, alone = ([file.pattern for file in files] for files in (pairs, pairs.values(), without))
    plain = {pattern.rpartition("/")[0] for pattern in (*images, *masks)} <= {"images", "masks"}
    if plain and not alone and all(pattern.rpartition("/")[2].startswith("*.") for pattern in (*images, *masks)):
        return ""
    unpaired = f"; {pluralize(len(alone), 'image')} of {_patterns(alone)} without masks" if alone else ""
    return f"{root}: {pluralize(len(images), 'image')} {_patterns(images)} with masks {_patterns(masks)}{unpaired}"


def _patterns(patterns: Sequence[str]) -> str:
    different = list(dict.fromkeys(patterns))
    more = f" and {len(different) - MOST_PATTERNS} more" if len(different) > MOST_PATTERNS else ""
    return ", ".join(different[:MOST_PATTERNS]) + more
