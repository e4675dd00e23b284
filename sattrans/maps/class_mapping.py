"""Mapping the values of a raster map, or the classes of a rule file, to the classes of a run (`--class-map`)."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from sattrans.errors import OptionError, did_you_mean
from sattrans.raster.class_map import MAX_VALUE
from sattrans.raster.palette import Palette
from sattrans.utils.records import checked, read_toml, refusing


def parse_class_mapping(texts: Iterable[str]) -> dict[str, str]:
    """Parse "5=2" or "5=woodland", or the names of TOML files of such lines.

    Raises `OptionError` for other texts, and for a value that is mapped to two classes.
    """
    mapping: dict[str, str] = {}
    for text in texts:
        if "=" in text:
            source, _, target = text.rpartition("=")
            pairs = {source.strip(): target.strip()}
        else:
            pairs = _read(Path(text))
        for source, target in pairs.items():
            if not source or not target:
                raise OptionError(f"--class-map {text}: give a value of the map and a class of the run, such as 5=2")
            if mapping.setdefault(source, target) != target:
                raise OptionError(f"--class-map maps {source} twice, to {mapping[source]} and to {target}")
    return mapping


def _read(path: Path) -> dict[str, str]:
    from sattrans.maps.schemas import ClassMapFile

    if not path.exists():
        raise OptionError(f"--class-map {path}: no such file; for a single value, give its class, such as 5=2")
    with refusing(f"--class-map {path}", OptionError):
        return checked(ClassMapFile, read_toml(path), first=1).root


def indices_of_values(mapping: Mapping[str, str], palette: Palette) -> dict[int, int]:
    """Return the class index of each value in the mapping of a raster map. Raises `OptionError`."""
    indices: dict[int, int] = {}
    for source, target in mapping.items():
        if not source.isdecimal() or int(source) > MAX_VALUE:
            raise OptionError(f"--class-map {source}={target}: a map has values 0 to {MAX_VALUE}, got {source}")
        index = _index_of(source, target, palette)
        if indices.setdefault(int(source), index) != index:
            raise OptionError(
                f"--class-map maps {int(source)} twice, to {palette.names[indices[int(source)]]} and to {target}"
            )
    return indices


def indices_of_rule_classes(
    mapping: Mapping[str, str], names: Iterable[str], palette: Palette
) -> dict[str, int | None]:
    """Return the class index of each class of the rules: as mapped, else by its name or value, else None.

    Raises `OptionError` for a class in the mapping that the rules do not have.
    """
    rule_classes = dict.fromkeys(names)
    for source, target in mapping.items():
        if source not in rule_classes:
            raise OptionError(
                f"--class-map {source}={target}: the rules have no class '{source}'{did_you_mean(source, rule_classes)}"
            )
    return {
        name: _index_of(name, mapping[name], palette) if name in mapping else _find(name, palette)
        for name in rule_classes
    }


def _index_of(source: str, target: str, palette: Palette) -> int:
    index = _find(target, palette)
    if index is None:
        raise OptionError(f"--class-map {source}={target}: the run has no class '{target}', it has {palette}")
    return index


def _find(target: str, palette: Palette) -> int | None:
    """Return the index of a class by its name or, if no class is named so, by its value."""
    if target in palette.names:
        return palette.names.index(target)
    if target.isdecimal() and int(target) in palette.values:
        return palette.values.index(int(target))
    return None
