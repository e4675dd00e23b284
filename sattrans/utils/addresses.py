"""Addresses of object storage, such as `s3://bucket/name`, and the folders on this machine that stand for them.

What a command writes to an address lies in the cache until it is published, and what it reads of a folder at an address
is copied there. Where follows from the address alone, so that the same command finds it again, and so that messages can
say the address instead.
"""

import os
import re
from pathlib import Path, PurePosixPath

from sattrans.errors import OptionError

SCHEMES = ("s3", "gs", "az", "https", "http")
"""What may be read."""

BUCKETS = ("s3", "gs", "az")
"""Those of buckets, which can be listed."""

OUTPUT_SCHEME = "s3"
"""What may be written."""


LIKE_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?:/+([^/].*)?)?$", re.DOTALL)
"""An address of any scheme, or a path made of one, which has lost a slash."""


def address_of(value: object) -> str | None:
    """Return the address that a text is, or a path made of one; None for anything else.

    Raises `OptionError` for an address of another scheme, which would otherwise become a folder of that name.
    """
    if not isinstance(value, str | Path) or not (found := LIKE_ADDRESS.match(str(value))):
        return None
    scheme, rest = found[1], found[2] or ""
    if scheme not in SCHEMES and str(value).endswith(":"):  # a file may have such a name
        return None
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise OptionError(f"{scheme}://{rest}: there are only addresses of {known}; give one of these, or a path")
    if not rest:
        raise OptionError(f"{scheme}:// names no bucket or server; give one: {scheme}://BUCKET/NAME")
    return f"{scheme}://{rest}"


def cache_folder() -> Path:
    """Return the folder for copies and unfinished outputs: SATTRANS_CACHE, or `sattrans` in the user's cache."""
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.path.realpath(os.environ.get("SATTRANS_CACHE") or Path(user) / "sattrans"))


LOST_SLASH = re.compile(rf"(?<![\w/])({'|'.join(SCHEMES)}):/(?=[^/\s])")


def _outputs() -> Path:
    return cache_folder() / "outputs"


def _copies() -> Path:
    return cache_folder() / "copies"


def _below(folder: Path, address: str) -> Path:
    scheme, _, rest = address.partition("://")
    parts = rest.rstrip("/").split("/")
    if {"", ".", ".."} & set(parts):
        raise OptionError(f"{address}: an address must not have '.', '..' or an empty name in it")
    return folder.joinpath(scheme, *parts)


def output_for(address: str) -> Path:
    """Return where what is published at an address lies until then. Raises `OptionError` if none can be written."""
    scheme, _, rest = address.partition("://")
    if scheme != OUTPUT_SCHEME:
        raise OptionError(
            f"-o {address}: outputs go to folders and to {OUTPUT_SCHEME}:// addresses; choose one of these"
        )
    if "/" not in rest.rstrip("/"):
        raise OptionError(f"-o {address} is a whole bucket; give a name in it: {address.rstrip('/')}/NAME")
    return _below(_outputs(), address)


def copy_for(address: str) -> Path:
    """Return where the copy of a folder or a file at an address lies."""
    return _below(_copies(), address)


def destination_of(path: Path) -> str | None:
    """Return the address at which an output will be published; None for an output that stays where it is."""
    return _address_in(_outputs(), path)


def source_of(path: Path) -> str | None:
    """Return the address of which a path is the copy; None for any other path."""
    return _address_in(_copies(), path)


def _address_in(folder: Path, path: Path) -> str | None:
    if not path.is_absolute() or not path.is_relative_to(folder):
        return None
    scheme, *parts = path.relative_to(folder).parts or ("",)
    return f"{scheme}://{PurePosixPath(*parts)}" if parts else None


def place_of(path: str | Path) -> Path:
    """Return the real path, or for what lies at an address the path of its copy, whichever way it is named."""
    address = address_of(path) or destination_of(Path(path)) or source_of(Path(path))
    return copy_for(address) if address else Path(os.path.realpath(path))


def beside(source: str | Path, name: str, publishes: bool = True) -> Path:
    """Return the path of an output beside its source, which may be an address, or the copy of what lies at one.

    Raises `OptionError` if that is an address, and the command `publishes` nothing.
    """
    address = address_of(source) or source_of(Path(source))
    if address is None:
        return Path(source).with_name(name)
    if not publishes:
        raise OptionError(
            f"{address}: what is made of it is not written beside it; give a path of this machine with -o"
        )
    return output_for(f"{address.rstrip('/').rpartition('/')[0]}/{name}")


def spelled(text: str) -> str:
    """Return a text with addresses in place of the folders that stand for them, and of paths made of addresses."""
    text = LOST_SLASH.sub(r"\1://", text)
    cache = f"{cache_folder()}{os.sep}"
    if cache not in text:
        return text
    for kind in (_outputs(), _copies()):
        for scheme in SCHEMES:
            text = text.replace(f"{kind}{os.sep}{scheme}{os.sep}", f"{scheme}://")
    return text


def unspelled(text: str) -> str:
    """Return a JSON text with the folders of this machine that stand for the addresses in it, as if read from there."""
    for scheme in BUCKETS:
        text = text.replace(f'"{scheme}://', f'"{_copies() / scheme}{os.sep}')
    return text
