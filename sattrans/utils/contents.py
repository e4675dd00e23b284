"""What a folder holds, in a few words, for an error about what it does not hold."""

from collections import Counter
from pathlib import Path

MOST = 5
"""The most kinds of files, and the most folders, that are named."""


def contents_of(folder: Path) -> str:
    """Return what is in a folder, such as "3 .img files and the folder city"; "nothing" if it is empty or missing."""
    paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")] if folder.is_dir() else []
    folders = [path.name for path in paths if path.is_dir()]
    kinds = Counter(path.suffix.lower() or "unnamed" for path in paths if not path.is_dir())
    parts = [f"{count} {kind} file{'s' if count > 1 else ''}" for kind, count in kinds.most_common(MOST)]
    if folders:
        more = f" and {len(folders) - MOST} more" if len(folders) > MOST else ""
        parts.append(f"the folder{'s' if len(folders) > 1 else ''} {', '.join(folders[:MOST])}{more}")
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else "nothing"
