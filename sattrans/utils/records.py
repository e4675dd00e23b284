"""The one room in which records and settings are read: bounded in size and depth, parsed, and checked by a schema.

What is wrong with a file is a `ValueError` whose text names the field, what was found and what was expected; the caller
adds the file's name and what to do about it.
"""

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sattrans.errors import SattransError
from sattrans.utils.text import decode

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

S = TypeVar("S", bound="BaseModel")

MAX_RECORD = 1 << 28
"""Bytes of the largest record: 256 MiB, such as the hashes of 16 million windows."""

MAX_SETTINGS = 1 << 20
"""Bytes of the largest file of settings that people write."""

MAX_VALUES = 4_000_000
"""The most values of a JSON record: a tileset of 130,000 scenes has 3 million. Each may take 100 bytes of memory."""

MAX_DEPTH = 32
"""How deep values may be nested; our own are nested five deep."""

MAX_SHOWN = 60
"""Characters of a wrong value that a message shows."""

MAX_WHOLE = 1 << 62
"""Whole numbers in records and options are below it."""

MAX_NUMBER = 1 << 63
"""Whole numbers in TOML are below it, and not below its negative."""

UNKNOWN_KEY = "unknown_key"
"""The kind of error of a key that no schema has, whose message says all."""

PLAIN = {
    r"^Value error, ": "",
    r", unable to parse string as an? \w+": "",
    r"^\w+ should ": "must ",
    r"be a valid ": "be a ",
    r"\ba integer": "an integer",
    r"\ba dictionary(?: or instance of \w+)?": "a table",
    r"greater than or equal to": "at least",
    r"less than or equal to": "at most",
    r"greater than": "above",
    r"less than": "below",
    r" after validation, not \d+": "",
}
"""Words of pydantic, and plain ones."""


def read_bytes(path: Path, limit: int = MAX_RECORD) -> bytes:
    """Return a file's bytes. Raises `ValueError` if it is larger than `limit` or no file, `OSError` if unreadable."""
    if path.is_fifo() or path.is_socket():  # opening one would wait until another process writes to it
        raise ValueError("it is a pipe or a socket")
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it is larger than {limit >> 20} MiB")
    return data


def read_text(path: Path, limit: int = MAX_SETTINGS) -> str:
    """Return a file's text, in UTF-8, or in what its byte order mark names. Raises `ValueError` or `OSError`."""
    try:
        return decode(read_bytes(path, limit))
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not text in UTF-8; save the file in that encoding") from error


def parse_json(text: str | bytes, nan: bool = False) -> Any:
    """Parse JSON. Raises `ValueError` for a key that is used twice, a number that is not finite, or deep nesting.

    Text that may hold more than `MAX_VALUES` values is refused before memory is taken for them.

    Args:
        text: The JSON.
        nan: Whether numbers may be NaN or infinite, as Python writes them.
    """
    if text.count("," if isinstance(text, str) else b",") > MAX_VALUES:  # type: ignore[arg-type]  # of the same type
        raise ValueError(f"it has more than {MAX_VALUES // 10**6} million values")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=None if nan else _no_constant,
            parse_float=None if nan else _finite,
        )
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not text in UTF-8") from error
    check_depth(value)
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML. Raises `ValueError` for other text, deep nesting, a date, NUL, or no finite number of 64 bits."""
    try:
        table = tomllib.loads(text, parse_float=_finite)
        check_depth(table)
    except RecursionError:
        raise ValueError(f"it is not valid TOML: it is nested more than {MAX_DEPTH} deep") from None
    except ValueError as error:
        raise ValueError(f"it is not valid TOML: {error}") from error
    _check_scalars(table)
    return table


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table of a TOML file that a user wrote. Raises `ValueError` or `OSError`."""
    return parse_toml(read_text(path))


@contextmanager
def refusing(where: str, refusal: Callable[[str], SattransError]) -> Iterator[None]:
    """Raise what goes wrong while a file is read and checked as a refusal in one line.

    Args:
        where: What the message calls the file, such as "--rules town.toml".
        refusal: The class of the error.
    """
    try:
        yield
    except OSError as error:
        raise refusal(f"{where} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise refusal(f"{where}: {error}") from error


def check_depth(value: Any) -> None:
    """Raise `ValueError` if lists and tables are nested more than `MAX_DEPTH` deep."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return
    raise ValueError(f"it is nested more than {MAX_DEPTH} deep")


def checked(schema: "type[S]", value: Any, first: int = 0) -> S:
    """Return a value as a schema's object. Raises `ValueError` that names the field, and what is wrong with it.

    Args:
        schema: What the value must be.
        value: What was read.
        first: The number that a message gives the first entry of a list: 0 in records, 1 in files that people write.
    """
    from pydantic import ValidationError

    try:
        return schema.model_validate(value)
    except ValidationError as error:
        raise ValueError(describe(error, first)) from error


def checked_json(schema: "type[S]", data: bytes) -> S:
    """Parse and check JSON in one go, which is faster for a large file; keys that repeat are not noticed.

    Raises `ValueError` that names the field, and what is wrong with it.
    """
    from pydantic import ValidationError

    try:
        return schema.model_validate_json(data)
    except ValidationError as error:
        raise ValueError(describe(error)) from error


def read_lines(path: Path, schema: "type[BaseModel]") -> list[dict[str, Any]]:
    """Return the entries of a file with a JSON object in each line; a last line that a kill cut off is left out.

    Raises `ValueError` that names the line, or `OSError`.
    """
    lines = read_bytes(path).split(b"\n")
    whole, rest = lines[:-1], lines[-1]
    entries = list(_entries(whole, schema))
    with suppress(ValueError):  # a line that does not end may be torn
        entries += _entries([rest] if rest.strip() else [], schema)
    return entries


def _entries(lines: list[bytes], schema: "type[BaseModel]") -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            entry = parse_json(line, nan=True)
            checked(schema, entry)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        yield entry


def describe(error: "ValidationError", first: int = 0) -> str:
    """Return the first thing that is wrong: the field, what was expected, and what was found; see `checked`."""
    details = error.errors(include_url=False, include_context=False)[0]
    kind, message, found = details["type"], details["msg"], details["input"]
    field = _place(details["loc"], first)
    if kind == "json_invalid":
        return message.removeprefix("Invalid JSON: ")
    if kind == "missing":
        return f"{field} is missing"
    if kind == "extra_forbidden":
        return f"{field} is unknown"
    for pattern, words in PLAIN.items():
        message = re.sub(pattern, words, message)
    about_several = kind == "value_error" and isinstance(found, dict)  # and says which of them disagree
    got = "" if kind == UNKNOWN_KEY or about_several else f", got {shown(found)}"
    return f"{field} {message}{got}".strip()


def _place(parts: tuple[int | str, ...], first: int) -> str:
    """Return where a value stands: "parts.1.value" in a record, "rule 2: where.kind" in a file that people write."""
    text = between = ""
    for part in parts:
        if first and isinstance(part, int):
            text, between = f"{text} {part + first}", ": "
        else:
            text, between = f"{text}{between}{_in_a_line(str(part))}", "."
    return text


def _in_a_line(name: str) -> str:
    return name if name.isprintable() and len(name) <= MAX_SHOWN else shown(name)


def shown(value: Any) -> str:
    """Return a value as a short text in one line."""
    if isinstance(value, dict | list):
        return f"{'a table' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _parts(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check_scalars(value: Any) -> None:
    for part in _parts(value):
        _check_scalars(part)
    if isinstance(value, date | time):
        raise ValueError(f"{value} is a date or a time, which no setting is; put a text into quotation marks")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("a text must not contain the character NUL")
    if isinstance(value, int) and not -MAX_NUMBER <= value < MAX_NUMBER:
        raise ValueError(f"a whole number must be at least -2^63 and below 2^63, got one of {value.bit_length()} bits")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is there twice")
    return table


def _no_constant(name: str) -> float:
    raise ValueError(f"a number must be finite, got {name}")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"a number must be finite, got {text[:MAX_SHOWN]}")
    return number
