"""Run docs/notebooks/first-image.ipynb, and write what its cells print and show: `python docs/make_notebook.py`.

The outputs go into the notebook and into a page of the same name, with the pictures in docs/images/notebook. The cells
run in an empty folder of their own, in this process, as Jupyter would run them. It takes two CPU minutes; `--page`
writes the page alone, after a change of the text.
"""

import ast
import base64
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

DOCS = Path(__file__).resolve().parent
NOTEBOOK = DOCS / "notebooks" / "first-image.ipynb"
PAGE = NOTEBOOK.with_suffix(".md")
PICTURES = DOCS / "images" / "notebook"

HEAD = """\
<!-- Written by docs/make_notebook.py: edit the notebook. -->

"""
FOOT = """
This page shows [the notebook](first-image.ipynb), which you can download and run.
"""
PARAMETERS = "parameters"
"""The tag of the cell whose values a caller may replace, as in papermill."""


def read() -> dict[str, Any]:
    """Return the notebook."""
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def source(cell: Mapping[str, Any]) -> str:
    """Return the text of a cell."""
    return "".join(cell["source"])


def run(notebook: Mapping[str, Any], parameters: Mapping[str, Any] | None = None) -> Iterator[list[dict[str, Any]]]:
    """Run the cells of code in their order in the current folder, and yield the outputs of each.

    Args:
        notebook: As `read` returns it.
        parameters: Values instead of those in the cell with the tag `parameters`.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse(source(cell), filename=f"cell {number}")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        printed, value = io.StringIO(), None
        with redirect_stdout(printed):
            exec(compile(tree, f"cell {number}", "exec"), names)  # noqa: S102 - the notebook is our own
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)  # noqa: S307
        if PARAMETERS in cell["metadata"].get("tags", ()):
            names.update(parameters or {})
        outputs: list[dict[str, Any]] = []
        if printed.getvalue():
            outputs.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(True)})
        if value is not None:
            outputs.append({"output_type": "display_data", "metadata": {}, "data": _shown(value)})
        yield outputs


def _shown(value: object) -> dict[str, Any]:
    """Return how Jupyter shows a value: a picture of Pillow as a JPEG, everything else by its repr."""
    if hasattr(value, "convert"):
        data = io.BytesIO()
        value.convert("RGB").save(data, "JPEG", quality=85)
        return {"image/jpeg": base64.b64encode(data.getvalue()).decode(), "text/plain": ["a picture"]}
    return {"text/plain": repr(value).splitlines(True)}


def with_outputs(notebook: Mapping[str, Any], outputs: Iterator[list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the notebook with the outputs of its cells of code."""
    cells, count = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell = {**cell, "execution_count": count, "outputs": next(outputs)}
        cells.append(cell)
    return {**notebook, "cells": cells}


def page(notebook: Mapping[str, Any]) -> tuple[str, dict[str, bytes]]:
    """Return the notebook as a page of Markdown, and the pictures on it by the names of their files."""
    parts, pictures = [], {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            parts.append(source(cell))
            continue
        parts.append(f"```python\n{source(cell)}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/jpeg" in data:
                name = f"{len(pictures) + 1}.jpg"
                pictures[name] = base64.b64decode(data["image/jpeg"])
                parts.append(f"![The picture that the cell shows](../images/notebook/{name})")
            else:
                text = "".join(data.get("text/plain", output.get("text", "")))
                parts.append(f"```text\n{text.rstrip()}\n```")
    return HEAD + "\n\n".join(parts) + "\n" + FOOT, pictures


def main() -> None:
    """Run the notebook and write the page."""
    notebook = read()
    if "--page" not in sys.argv:
        with TemporaryDirectory() as folder:
            os.chdir(folder)
            notebook = with_outputs(notebook, run(notebook))
            os.chdir(DOCS)
        NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text, pictures = page(notebook)
    PAGE.write_text(text, encoding="utf-8")
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    for name, data in pictures.items():
        (PICTURES / name).write_bytes(data)


if __name__ == "__main__":
    main()
