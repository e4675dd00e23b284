"""A rule file to start from: a rule for each layer of a vector map, or for each value of an attribute of kinds."""

from collections import Counter
from pathlib import Path

from sattrans.errors import RasterError
from sattrans.maps.ogr import FORMATS, Layer, layers_of, other_format, read_batches, vector_files

MOST_VALUES = 12
"""Attributes with more different values do not tell kinds."""

KINDS = ("fclass", "building", "highway", "landuse", "natural", "waterway", "class", "kind", "type", "code")
"""Attributes that are looked at before the others."""


def starting_rules(path: Path) -> str:
    """Return the text of a rule file for a vector map, with the values that its features have.

    Raises `RasterError` if the file is not a vector map that can be read.
    """
    files = vector_files(path)
    if not files:
        raise RasterError(other_format(path) or f"{path} is not a vector map; {FORMATS} are read")
    layers = [layer for layer in layers_of(files) if layer.extent]
    if not layers:
        raise RasterError(f"{path} has no features with geometries, so there is nothing to make rules for")
    head = (
        f"# Rules for {path.name}: later ones paint over earlier ones. Name classes of the run, and give lines\n"
        "# a width in metres (width = 5).\n"
        'background = "background"\n'
    )
    return head + "".join(_rules_of(layer) for layer in layers)


def _rules_of(layer: Layer) -> str:
    values = _values(layer)
    about = f"\n# Layer {layer.name}: {', '.join(layer.fields[:MOST_VALUES]) or 'no attributes'}\n"
    named = f"layer = {_quoted(layer.name)}\n"
    if not values:
        return f"{about}[[rule]]\nclass = {_quoted(layer.name)}\n{named}"
    name, counts = values
    key = _quoted(name)
    return about + "".join(
        f"[[rule]]  # {count} features\nclass = {_quoted(value)}\n{named}where = {{ {key} = {_quoted(value)} }}\n"
        for value, count in counts.most_common()
    )


def _values(layer: Layer) -> tuple[str, Counter[str]] | None:
    """Return the attribute that best tells kinds apart, and how many features have each of its values."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in layer.fields}
    for batch in read_batches(layer, layer.fields):
        for name, texts in batch.attributes.items():
            if len(counts[name]) <= MOST_VALUES:
                counts[name].update(text for text in texts if text)
    telling = [name for name, values in counts.items() if 1 <= len(values) <= MOST_VALUES]
    ordered = sorted(telling, key=lambda name: (KINDS.index(name) if name in KINDS else len(KINDS), -len(counts[name])))
    known = [name for name in ordered if name in KINDS or sum(counts[name].values()) > 2 * len(counts[name])]
    return (known[0], counts[known[0]]) if known else None


def _quoted(text: str) -> str:
    """Return a text as TOML has it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in escaped) + '"'
