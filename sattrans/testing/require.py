"""The assertions of the conformance suite."""

import re

NAME = re.compile(r"[a-z][a-z0-9_-]*")
"""The pattern of the name of a dataset or a model, and of its entry point."""


def require(condition: object, message: str) -> None:
    """Raise `AssertionError` with the message unless the condition is true; also under `python -O`."""
    if not condition:
        raise AssertionError(message)


def require_name(kind: type) -> None:
    """Raise `AssertionError` unless the class has a valid `name`."""
    name = getattr(kind, "name", None)
    require(
        isinstance(name, str) and NAME.fullmatch(name),
        f"{kind.__name__}.name must have lower-case letters, digits, - and _ only, such as 'landcover'; got {name!r}",
    )
