"""Split lists: train.txt, val.txt and test.txt, each with the names of scenes or tiles, one a line."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from unicodedata import normalize

from sattrans.data.dataset import SPLITS, Split, named_as_raster
from sattrans.errors import DatasetNotFound
from sattrans.utils.console import pluralize
from sattrans.utils.text import read_text

MOST_NAMED = 3
"""Number of entries without a scene or tile that a notice names."""


@dataclass(frozen=True)
class SplitLists:
    """The entries of the lists in a folder.

    Attributes:
        split_of: The split of each name.
        line_of: The list and the entry as it stands there, by name.
        lists: The lists that are there, by split.
    """

    split_of: Mapping[str, Split] = field(default_factory=dict)
    line_of: Mapping[str, tuple[Path, str]] = field(default_factory=dict)
    lists: Mapping[Split, Path] = field(default_factory=dict)

    def notices(self, known: Collection[str], what: str) -> Iterator[str]:
        """Yield a notice for each list with entries that are not `known`; `what` is what they should name."""
        for path in self.lists.values():
            unknown = [line for name, (its, line) in self.line_of.items() if its == path and name not in known]
            if unknown:
                more = " …" if len(unknown) > MOST_NAMED else ""
                entries = pluralize(len(unknown), "entry that names", "entries that name")
                yield f"{path} has {entries} no {what}: {', '.join(unknown[:MOST_NAMED])}{more}"


def read_split_lists(root: Path) -> SplitLists:
    """Read `train.txt`, `val.txt` and `test.txt` of a folder, those that are there.

    A name may be a path, with the suffix of a raster or without: only its stem counts.

    Raises:
        DatasetNotFound: A list is no text, or a name is in two lists.
    """
    split_of: dict[str, Split] = {}
    line_of: dict[str, tuple[Path, str]] = {}
    lists: dict[Split, Path] = {}
    for split in SPLITS:
        path = root / f"{split}.txt"
        if not path.is_file():
            continue
        lists[split] = path
        for line in _lines(path):
            name = _stem(line)
            if split_of.setdefault(name, split) != split:
                raise DatasetNotFound(
                    f"{path} lists {line}, which is in {split_of[name]}.txt, too; remove it from one of the lists"
                )
            line_of.setdefault(name, (path, line))
    return SplitLists(split_of, line_of, lists)


def _lines(path: Path) -> list[str]:
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise DatasetNotFound(
            f"{path} is not a list of names ({error.reason}); save it as UTF-8, or download it again"
        ) from error
    return [_first(line.strip()) for line in text.splitlines() if line.strip()]


def _first(line: str) -> str:
    """Return a line, or the image of a line with image and mask, as some segmentation tools write it."""
    first = line.split()[0]
    return first if named_as_raster(Path(first)) else line


def _stem(line: str) -> str:
    name = PureWindowsPath(line).name if "\\" in line else PurePosixPath(line).name
    path = Path(name)
    return normalize("NFC", path.stem if named_as_raster(path) else name)
