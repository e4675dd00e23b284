"""Names of a package that are imported from its modules when they are first used."""

from __future__ import annotations

TYPE_CHECKING = (
    False  # what typing has for type checkers, without loading it: this is imported before Ctrl-C is handled
)
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


def lazy_names(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package (PEP 562), so that importing the package loads none of its modules.

    Args:
        package: The `__name__` of the package.
        names: The names that each module gives, by the module's name within the package.
    """
    homes = {name: module for module, given in names.items() for name in given}

    def get(name: str) -> Any:
        from importlib import import_module

        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get
