"""Commands as Python functions that take what people type: `tile("place", size=128)`."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from inspect import Signature, signature
from os import PathLike, fspath
from pathlib import Path
from types import UnionType
from typing import Any, ParamSpec, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints, overload

from sattrans.errors import OptionError
from sattrans.utils.options import EMPTY, is_empty, with_values

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class Command(Protocol[P, R]):
    """A function of a command: with its own parameters, or with the fields of its options as keywords."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> R: ...


def command(function: Callable[P, R]) -> Command[P, R]:
    """Let a function take texts as paths, and the fields of its `options` as keywords.

    Keywords change the options that are given with them.

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
            given.arguments[name] = _as_paths(value, hints[name])
        if "options" in parameters.parameters:
            default = parameters.parameters["options"].default
            options = given.arguments.get("options", default)
            if not isinstance(options, type(default)):
                needed, got = (type(one).__name__ for one in (default, options))
                raise TypeError(f"{function.__name__}(): options must be {needed}, got {got}")
            given.arguments["options"] = with_values(options, fields, parameters.parameters, f"{function.__name__}()")
        elif fields:
            raise TypeError(f"{function.__name__}(): got an unexpected keyword argument '{next(iter(fields))}'")
        return function(*given.args, **given.kwargs)

    return call


@cache
def _described(function: Callable[..., object]) -> tuple[Signature, Mapping[str, Any]]:
    return signature(function), get_type_hints(function)


def _as_paths(value: Any, hint: Any) -> Any:
    """Return a path for a text, and paths for a sequence of them, where the parameter is one or several paths."""
    kinds = set(get_args(hint)) if get_origin(hint) in (Union, UnionType) else {hint}
    if Path in kinds and str not in kinds:
        return Path(fspath(value)) if isinstance(value, str | PathLike) else value
    if get_origin(hint) is Sequence and get_args(hint) == (Path,):
        return tuple(map(Path, (value,) if isinstance(value, str | PathLike) else value))
    return value
