"""The one assertion of the conformance suite."""

import re

NAME = re.compile(r"[a-z][a-z0-9_-]*")
"""How a dataset or a model is named, and so the entry point that brings it."""


def require(condition: object, message: str) -> None:
    """Raise `AssertionError` with the message unless the condition holds; also under `python -O`."""
    if not condition:
        raise AssertionError(message)


def require_name(kind: type) -> None:
    """Raise `AssertionError` unless the class has a `name` that can be typed and be an entry point's."""
    name = getattr(kind, "name", None)
    require(
        isinstance(name, str) and NAME.fullmatch(name),
        f"{kind.__name__}.name is {name!r}: lower-case letters, digits, - and _ are needed, such as 'landcover'",
    )
