"""Which class is which: what a user says of a map's values, or of a rule file's classes, in the run's classes."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from sattrans.errors import OptionError, did_you_mean
from sattrans.raster.palette import Palette


def parse_classes(texts: Iterable[str]) -> dict[str, str]:
    """Read "5=2" or "5=woodland", or the names of TOML files of such lines. Raises `OptionError`.

    What is told twice is refused, unless both say the same.
    """
    told: dict[str, str] = {}
    for text in texts:
        if "=" in text:
            source, _, target = text.rpartition("=")
            pairs = {source.strip(): target.strip()}
        else:
            pairs = _read(Path(text))
        for source, target in pairs.items():
            if not source or not target:
                raise OptionError(f"--map {text}: write a value of the map and a class of the run, such as 5=2")
            if told.setdefault(source, target) != target:
                raise OptionError(f"--map: {source} is told twice, as {told[source]} and as {target}")
    return told


def _read(path: Path) -> dict[str, str]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OptionError(f"--map {path}: no such file; for one value write it with a class, such as 5=2") from None
    except OSError as error:
        raise OptionError(f"--map {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"--map {path} is no TOML: {error}") from error
    for source, target in table.items():
        if type(target) not in (int, str):
            raise OptionError(f"--map {path}: {source} = {target!r} is no class; write lines such as 5 = 2")
    return {source: str(target) for source, target in table.items()}


def value_classes(told: Mapping[str, str], palette: Palette) -> dict[int, int]:
    """Return the class index of each value of a raster map that was told. Raises `OptionError`."""
    classes: dict[int, int] = {}
    for source, target in told.items():
        if not source.isdecimal() or not 0 <= int(source) <= 255:
            raise OptionError(f"--map {source}={target}: {source} is no value of a map, which are 0 to 255")
        index = _index_of(source, target, palette)
        if classes.setdefault(int(source), index) != index:
            raise OptionError(
                f"--map: {int(source)} is told twice, as {palette.names[classes[int(source)]]} and {target}"
            )
    return classes


def rule_classes(told: Mapping[str, str], names: Iterable[str], palette: Palette) -> dict[str, int | None]:
    """Return the class index of each class that rules name: the one told, that of its name or value, or None.

    Raises `OptionError` where something is told of a class that the rules do not have.
    """
    named = dict.fromkeys(names)
    for source, target in told.items():
        if source not in named:
            raise OptionError(
                f"--map {source}={target}: the rules have no class '{source}'{did_you_mean(source, named)}"
            )
    return {name: _index_of(name, told[name], palette) if name in told else _find(name, palette) for name in named}


def _index_of(source: str, target: str, palette: Palette) -> int:
    index = _find(target, palette)
    if index is None:
        raise OptionError(f"--map {source}={target}: the run has no class '{target}', it has {palette}")
    return index


def _find(target: str, palette: Palette) -> int | None:
    """Return the index of a class by its name, or else by its value."""
    if target in palette.names:
        return palette.names.index(target)
    if target.isdecimal() and int(target) in palette.values:
        return palette.values.index(int(target))
    return None
