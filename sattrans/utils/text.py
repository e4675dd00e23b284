"""Text files of users: UTF-8 with or without a byte order mark, or UTF-16 with one, as Windows programs write them."""

import codecs
from pathlib import Path

BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def decode(data: bytes) -> str:
    """Return the text of a file's bytes, without a byte order mark. Raises `UnicodeDecodeError` for other encodings."""
    return data.decode(next((encoding for bom, encoding in BOMS.items() if data.startswith(bom)), "utf-8"))


def read_text(path: Path) -> str:
    """Return the text of a file; see `decode`. Raises `OSError` if it cannot be read."""
    return decode(path.read_bytes())
