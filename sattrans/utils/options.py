"""Options, each written once: a field of a dataclass with an `Option` beside its type.

```python
@dataclass(frozen=True, slots=True)
class TileOptions:
    overlap: Annotated[int, Option("Pixels that neighbouring tiles share.", minimum=0)] = 0
```

That line gives the option of the command line (`sattrans.cli.options`), its check (`check`), its value in a manifest
(`recorded`), its name in an options file (`from_mapping`), and its row in the documentation
(`sattrans.utils.option_tables`). A field without an `Option` is for Python alone.
"""

import json
import math
import operator
import re
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sattrans.errors import OptionError, did_you_mean
from sattrans.utils.records import MAX_WHOLE, describe, shown

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option:
    """What a field's type does not say of an option.

    Args:
        help: One sentence for `--help` and for the documentation.
        panel: The heading in `--help` that the option stands under; None for the general one.
        short: A flag of one letter, such as `-s`.
        name: The name on the command line, when it is not the field's.
        aliases: Other names that the command line accepts but does not list.
        default: What None means, such as "as published, or 256".
        metavar: What `--help` calls the value.
        minimum: The lowest number.
        maximum: The highest number.
        above: A number that the value must exceed.
        below: A number that the value must stay under.
        decides_bytes: Whether the option can change the output; only then a manifest records it.
        recorded_as: The key in a manifest, when it is not the field's name.
        parse: Read one text of the command line. For a mapping, it returns a part of the mapping.
        variable: The environment variable that sets it, unless the command line does.
        complete: What a shell completes: models, datasets, runs, tilesets or classes.
    """

    help: str
    panel: str | None = field(default=None, kw_only=True)
    short: str | None = field(default=None, kw_only=True)
    name: str | None = field(default=None, kw_only=True)
    aliases: tuple[str, ...] = field(default=(), kw_only=True)
    default: str | None = field(default=None, kw_only=True)
    metavar: str | None = field(default=None, kw_only=True)
    minimum: float | None = field(default=None, kw_only=True)
    maximum: float | None = field(default=None, kw_only=True)
    above: float | None = field(default=None, kw_only=True)
    below: float | None = field(default=None, kw_only=True)
    decides_bytes: bool = field(default=True, kw_only=True)
    recorded_as: str | None = field(default=None, kw_only=True)
    parse: Callable[[str], Any] | None = field(default=None, kw_only=True)
    variable: str | None = field(default=None, kw_only=True)
    complete: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class OptionField:
    """A field of an options dataclass, and its `Option`.

    `kind` is the field's type without `None` and without the annotation.
    """

    name: str
    kind: Any
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        """The option on the command line, such as `--min-valid`."""
        return self.option.name or f"--{self.name.replace('_', '-')}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a `Literal`; nothing for any other type."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping, each part of which is one text on the command line."""
        return get_origin(self.kind) is Mapping

    @property
    def repeatable(self) -> bool:
        """Whether the command line takes the option several times."""
        return self.is_mapping or (get_origin(self.kind) in (tuple, Sequence) and self.option.parse is None)

    def read(self, texts: str | Sequence[str]) -> Any:
        """Return the value that the command line's text, or texts of a repeatable option, stand for."""
        parse: Callable[[str], Any] = self.option.parse or str
        if isinstance(texts, str):
            return parse(texts)
        if not self.is_mapping:
            return tuple(parse(text) for text in texts)
        value: dict[str, Any] = {}
        for text in texts:
            for key, part in parse(text).items():
                if value.setdefault(key, part) != part:
                    raise OptionError(f"{self.flag} gives {key} twice, as {value[key]} and as {part}")
        return value


def option_fields(options: type) -> tuple[OptionField, ...]:
    """Return the fields of an options dataclass that have an `Option`, in their order."""
    return _described(options)


@cache
def _described(options: Any) -> tuple[OptionField, ...]:
    hints = get_type_hints(options, include_extras=True)
    found = []
    for entry in fields(options):
        described = [part for part in get_args(hints[entry.name])[1:] if isinstance(part, Option)]
        if get_origin(hints[entry.name]) is Annotated and described:
            kind = _without_none(get_args(hints[entry.name])[0])
            default = entry.default if entry.default_factory is MISSING else entry.default_factory()
            found.append(OptionField(entry.name, kind, default, described[0]))
    return tuple(found)


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        rest = [part for part in get_args(kind) if part is not type(None)]
        return rest[0] if len(rest) == 1 else Union[tuple(rest)]  # noqa: UP007  made of a tuple
    return kind


def check(options: Any) -> None:
    """Raise `OptionError` for a value of an options dataclass that is empty, out of bounds, or none of the choices."""
    for entry in option_fields(type(options)):
        value = getattr(options, entry.name)
        if value is None:
            continue
        _check_filled(entry, value)
        if entry.choices and value not in entry.choices:
            raise OptionError(f"{entry.flag} must be one of {', '.join(entry.choices)}, got {value}")
        if isinstance(value, Mapping):
            for key, part in value.items():
                _check_number(entry, part, f"{key}=")
        else:
            for part in value if isinstance(value, tuple) else (value,):
                _check_number(entry, part)


def is_empty(value: Any) -> bool:
    """Whether a value is, or has, an empty text, which code takes for no value, and `Path` for the current folder."""
    parts = value if isinstance(value, list | tuple | Mapping) else (value,)
    return any(isinstance(part, str) and not part.strip() for part in parts)


def _check_filled(entry: OptionField, value: Any) -> None:
    if entry.default != "" and is_empty(value):
        raise OptionError(f"{entry.flag} {EMPTY}")


def _check_number(entry: OptionField, value: Any, key: str = "") -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    if isinstance(value, int) and abs(value) >= MAX_WHOLE:
        raise OptionError(f"{entry.flag} must be below 2^62, got {key}a number of {value.bit_length()} bits")
    option, got = entry.option, f"got {key}{value:g}" if isinstance(value, float) else f"got {key}{value}"
    limits = (
        ("at least", option.minimum, operator.ge),
        ("above", option.above, operator.gt),
        ("at most", option.maximum, operator.le),
        ("below", option.below, operator.lt),
    )
    bounds = [(f"{name} {bound}", holds(value, bound)) for name, bound, holds in limits if bound is not None]
    if bounds and not (all(holds for _, holds in bounds) and math.isfinite(value)):
        limit = " and ".join(text for text, _ in bounds)
        raise OptionError(f"{entry.flag} must be {limit}{' and finite' if math.isinf(value) else ''}, {got}")


def recorded(options: Any) -> dict[str, Any]:
    """Return the options that decide the output, as a manifest keeps them."""
    named = [entry for entry in option_fields(type(options)) if entry.option.decides_bytes]
    return {entry.option.recorded_as or entry.name: _plain(getattr(options, entry.name)) for entry in named}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def from_mapping(options: type[T], given: Mapping[str, Any], where: str, without: Collection[str] = ()) -> T:
    """Return options from names and values, such as a table of a TOML file.

    Args:
        options: The options dataclass.
        given: Values by the names of fields.
        where: What a message says that the names stand in, such as "--options recipe.toml: [train]".
        without: Names of fields that may not be given here.

    Raises:
        OptionError: A name is unknown, or a value is not of the field's type. Values are not converted: 1 is accepted
            neither as a text nor as a flag.
    """
    from pydantic import TypeAdapter, ValidationError

    known = [entry.name for entry in option_fields(options) if entry.name not in without]
    for name in given:
        if name not in known:
            raise OptionError(f"{where}: unknown option {shown(name)}{did_you_mean(name, known)}")
    try:
        for entry in option_fields(options):  # before a text becomes a path
            _check_filled(entry, given.get(entry.name))
        # As JSON, whose lists are tuples, and whose texts are paths, to a check that is strict.
        return TypeAdapter(options).validate_json(json.dumps(dict(given)), strict=True)
    except ValidationError as error:
        own = error.errors()[0].get("ctx", {}).get("error")  # an error that the dataclass itself raised
        message = _named_as_in_a_file(options, str(own)) if own else describe(error, first=1)
        raise OptionError(f"{where}: {message}") from error
    except OptionError as error:
        raise OptionError(f"{where}: {_named_as_in_a_file(options, str(error))}") from error


def with_values(options: T, given: Mapping[str, Any], others: Iterable[str] = (), where: str = "options") -> T:
    """Return options with other values for some fields, converted to the fields' types.

    Args:
        options: An options dataclass.
        given: Values by the names of fields. A text may be a path, a number, or what the command line takes; what is
            written with commas there may be a sequence.
        others: Further names, which a message may suggest.
        where: What a message begins with, such as "tile()".

    Raises:
        TypeError: A name is unknown.
        OptionError: A value is not of the field's type, or out of bounds.
    """
    if not given:
        return options
    from pydantic import TypeAdapter, ValidationError

    kinds = get_type_hints(type(options))
    described = {entry.name: entry for entry in option_fields(type(options))}
    try:
        values = {}
        for name, value in given.items():
            if name not in kinds:
                raise TypeError(f"{where}: unknown option {shown(name)}{did_you_mean(name, [*kinds, *others])}")
            if name in described:
                _check_filled(described[name], value)
            typed = _as_typed(described[name], value) if name in described else value
            try:
                values[name] = TypeAdapter(kinds[name]).validate_python(typed)
            except ValidationError as error:
                raise OptionError(f"{name}: {describe(error, first=1)}") from error
        return replace(options, **values)  # type: ignore[type-var]  # a dataclass
    except OptionError as error:
        raise OptionError(f"{where}: {_named_as_in_a_file(type(options), str(error))}") from error


def _as_typed(entry: OptionField, value: Any) -> Any:
    """Return what a text means on the command line, a text for what is written with commas there, Python's numbers."""
    if isinstance(value, str) and (entry.repeatable or entry.option.parse):
        return entry.read([value] if entry.repeatable else value)
    if isinstance(value, list | tuple) and entry.kind is str:
        return ",".join(map(str, value))
    return value.item() if hasattr(value, "item") and not getattr(value, "ndim", 0) else value  # a number of NumPy


def _named_as_in_a_file(options: type, message: str) -> str:
    """Return an error with the names of fields instead of those on the command line."""
    names = {entry.flag: entry.name for entry in option_fields(options)}
    return re.sub(r"--[a-z][a-z-]*", lambda flag: names.get(flag[0], flag[0]), message)


EMPTY = "is empty; give a value, or leave it out"
"""What a message says of an option whose value is an empty text."""

BOUNDS = "LEFT,BOTTOM,RIGHT,TOP"
"""What `--help` calls the bounds of an area."""

Seed = Annotated[int, Option("Same seed, same result.", minimum=0)]
"""Seed of all random generators, 0 or more."""

Device = Annotated[
    str,
    Option(
        "auto, cpu, cuda or mps; auto takes the fastest that is available.",
        decides_bytes=False,
        metavar="DEVICE",
        variable="SATTRANS_DEVICE",
        complete="devices",
    ),
]
"""Device that networks run on."""

WORKERS = "Threads that work at once; with --scheduler local, processes."
"""What `--workers` is, for commands that can hand out their work."""

Workers = Annotated[
    int | None,
    Option(
        WORKERS,
        default="one per processor",
        minimum=1,
        decides_bytes=False,
        variable="SATTRANS_WORKERS",
    ),
]
"""Number of threads, 1 or more; None for one per processor."""

LOCAL = "local"
"""What `--scheduler` calls a cluster of processes of this machine."""

Scheduler = Annotated[
    str | None,
    Option(
        "A Dask cluster that does the work: its scheduler's address, such as tcp://host:8786, or local for processes "
        "of this machine.",
        metavar="ADDRESS|local",
        decides_bytes=False,
    ),
]
"""Address of a Dask scheduler, or `local`; None for threads of this process."""


def check_scheduler(scheduler: str | None, workers: int | None) -> None:
    """Raise `OptionError` if this is no address, or a number of workers is given for a cluster that has its own."""
    if scheduler is None or scheduler == LOCAL:
        return
    if not all(scheduler.partition("://")):
        raise OptionError(f"--scheduler must be an address such as tcp://host:8786, or local, got {scheduler}")
    if workers is not None:
        raise OptionError(
            f"--workers and --scheduler {scheduler} exclude each other, since the cluster has its workers: give one"
        )


DatasetName = Annotated[
    str | None,
    Option(
        "The dataset's name (sattrans datasets).",
        default="recognised by its files",
        metavar="NAME",
        complete="datasets",
    ),
]
"""Name of a dataset plugin; None to find the one that recognises the folder."""

CreationOptions = Annotated[
    tuple[str, ...],
    Option(
        "An option of GDAL's COG driver, such as COMPRESS=DEFLATE; repeatable.",
        metavar="NAME=VALUE",
        decides_bytes=False,
    ),
]
"""Options of GDAL's COG driver, as NAME=VALUE."""
