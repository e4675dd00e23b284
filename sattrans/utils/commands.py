"""Commands as Python functions that take what people type: `tile("place", size=128)`."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial, wraps
from inspect import Signature, signature
from os import PathLike, fspath
from pathlib import Path
from types import UnionType
from typing import Any, ParamSpec, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints, overload

from sattrans.errors import OptionError, SattransError
from sattrans.utils.addresses import address_of, output_for, spelled
from sattrans.utils.object_store import share_with_gdal
from sattrans.utils.options import EMPTY, is_empty, with_values

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class Command(Protocol[P, R]):
    """A function of a command: with its own parameters, or with the fields of its options as keywords."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> R: ...


def publishing(function: Callable[P, R]) -> Callable[P, R]:
    """Say of a function, before `command`, that its `output` may lie at an address."""
    function.publishes = True  # type: ignore[attr-defined]
    return function


def command(function: Callable[P, R]) -> Command[P, R]:
    """Let a function take texts as paths, and the fields of its `options` as keywords.

    Keywords change the options that are given with them. An address in place of a path is one of a folder or file that
    is copied, or, for `output`, where the output is published (`sattrans.utils.addresses`).

    Raises:
        TypeError: From the function that is returned, if a keyword is neither a parameter nor an option.
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> R:
        parameters, hints = _described(function)
        fields = {name: kwargs.pop(name) for name in tuple(kwargs) if name not in parameters.parameters}
        try:
            given = parameters.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{function.__name__}(): {error}") from None
        for name, value in given.arguments.items():
            if is_empty(value):
                raise OptionError(f"{function.__name__}(): {name} {EMPTY}")
            here = _output_here if name == "output" else _copied
            given.arguments[name] = _as_paths(value, hints[name], partial(here, function))
        if "options" in parameters.parameters:
            default = parameters.parameters["options"].default
            options = given.arguments.get("options", default)
            if not isinstance(options, type(default)):
                needed, got = (type(one).__name__ for one in (default, options))
                raise TypeError(f"{function.__name__}(): options must be {needed}, got {got}")
            options = with_values(options, fields, parameters.parameters, f"{function.__name__}()")
            given.arguments["options"] = _with_copies(options, function)
        elif fields:
            raise TypeError(f"{function.__name__}(): got an unexpected keyword argument '{next(iter(fields))}'")
        try:
            return function(*given.args, **given.kwargs)
        except SattransError as error:
            if isinstance(error.args[0] if error.args else None, str):
                error.args = (spelled(error.args[0]), *error.args[1:])
            raise

    return call


def _output_here(function: Callable[..., object], path: Path) -> Path:
    """Return the path for an output, which for one at an address lies in the cache."""
    address = address_of(path)
    if address is None:
        return path
    if not getattr(function, "publishes", False):
        raise OptionError(f"-o {address}: {function.__name__} writes to a folder of this machine; copy that afterwards")
    share_with_gdal()
    return output_for(address)


def _copied(function: Callable[..., object], path: Path) -> Path:
    """Return the path of an input, which for one at an address is that of a copy."""
    address = address_of(path)
    if address is None:
        return path
    from sattrans.utils.copies import copied

    return copied(address)


def _with_copies(options: Any, function: Callable[..., object]) -> Any:
    """Return options with the paths of copies in place of addresses."""
    changes = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if isinstance(value, Path) and (address := address_of(value)):
            if field.name in WRITTEN:
                raise OptionError(f"--{field.name} {address}: it is written to a file of this machine; give a path")
            changes[field.name] = _copied(function, value)
    return dataclasses.replace(options, **changes) if changes else options


WRITTEN = ("preview", "update")
"""Options that name a file that is written, or whose place on this machine counts."""


@cache
def _described(function: Callable[..., object]) -> tuple[Signature, Mapping[str, Any]]:
    return signature(function), get_type_hints(function)


def _as_paths(value: Any, hint: Any, here: Callable[[Path], Path]) -> Any:
    """Return a path for a text, and paths for a sequence of them, where the parameter is one or several paths."""
    kinds = set(get_args(hint)) if get_origin(hint) in (Union, UnionType) else {hint}
    if Path in kinds and str not in kinds:
        return here(Path(fspath(value))) if isinstance(value, str | PathLike) else value
    if get_origin(hint) is Sequence and get_args(hint) == (Path,):
        return tuple(here(Path(one)) for one in ((value,) if isinstance(value, str | PathLike) else value))
    if str in kinds and address_of(value):  # GDAL reads it there
        share_with_gdal()
    return value
