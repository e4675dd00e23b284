"""The page for scripts names every document, and every environment variable."""

from pathlib import Path

from sattrans.cli.documents import documents
from sattrans.cli.installation import VARIABLES

PAGE = (Path(__file__).parents[2] / "docs" / "scripts.md").read_text(encoding="utf-8")


def test_every_document_and_variable_is_on_the_page():
    for document in documents():
        name = document.model_fields["format"].default
        assert f"| `{name}` | [{name.removeprefix('sattrans.')}-1.json]" in PAGE
    assert all(f"| `{name}` |" in PAGE for name in VARIABLES if name.startswith("SATTRANS_"))
