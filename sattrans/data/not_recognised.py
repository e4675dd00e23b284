"""What is said of a folder in which no dataset is recognised."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from sattrans.data.dataset import Dataset
from sattrans.errors import DatasetNotFound

TELL = "say which with --images GLOB --masks GLOB, or in a dataset.toml"
"""What to do where names do not say what is an image and what is a mask."""

MOST_FOLDERS, MOST_KINDS = 8, 6
"""Numbers of folders and of kinds of files that are named."""


def not_recognised(root: Path, datasets: Sequence[type[Dataset]]) -> DatasetNotFound:
    """Return the error: what was looked for, what is there instead, and what to do, on lines of their own."""
    layouts = [f"looked for {dataset.name}: {', '.join(dataset.layout.splitlines())}" for dataset in datasets]
    usual = "looked for folders such as images/ and masks/, or files such as 1_sat.jpg and 1_mask.png"
    found, todo = f"found: {_contents(root)}", f"to do: {TELL}, such as --images 'photos/*.jpg' --masks 'classes/*.png'"
    return DatasetNotFound(f"no dataset recognises {root}", (*(layouts or [usual]), found, todo))


def _contents(root: Path) -> str:
    folders: list[str] = []
    of_suffix: dict[str, list[str]] = defaultdict(list)
    for path in sorted(root.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            folders.append(f"{path.name}/")
        else:
            of_suffix[path.suffix.lower()].append(path.name)
    more = [f"{len(folders) - MOST_FOLDERS} more folders"] if len(folders) > MOST_FOLDERS else []
    files = [f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0] for names in of_suffix.values()]
    return ", ".join([*folders[:MOST_FOLDERS], *more, *files[:MOST_KINDS]]) or "nothing"
