"""A report as a browser reads it: its elements, attributes and texts in their order."""

from collections.abc import Iterator

from justhtml import JustHTML, Text


def parsed(html):
    """Return a page's document; it must hold no error that the HTML standard knows."""
    document = JustHTML(html, sanitize=False, collect_errors=True)
    assert document.errors == []
    return document


def elements(node) -> Iterator:
    """Yield every element below a node, in the document's order."""
    for child in node.children or ():
        if not isinstance(child, Text) and child.attrs is not None:
            yield child
        yield from elements(child)


def content(node) -> Iterator[tuple[str, str]]:
    """Yield all there is below a node: elements, attributes, texts, comments, each with what it holds."""
    for child in node.children or ():
        if isinstance(child, Text):
            yield "text", child.data
            continue
        yield "element", child.name
        for name, value in (child.attrs or {}).items():
            yield f"attribute {name}", value or ""
        if child.name == "#comment":
            yield "comment", str(child.data)
        yield from content(child)
        yield "end", child.name


def said(node) -> str:
    """Return a node's text in single spaces."""
    return " ".join("".join(value for kind, value in content(node) if kind == "text").split())
