"""Write the JSON Schema of each document that `--json` prints into docs/schemas: `python docs/make_schemas.py`."""

import json
from pathlib import Path

from sattrans.cli.documents import Document, documents

SCHEMAS = Path(__file__).parent / "schemas"


def schema_name(document: type[Document]) -> str:
    """Return the name of a schema's file, such as `tile-1.json`."""
    fields = document.model_fields
    return f"{fields['format'].default.removeprefix('sattrans.')}-{fields['version'].default}.json"


def schema_text(document: type[Document]) -> str:
    """Return a schema as its file holds it. It allows further fields, which may come within a version."""
    schema = document.model_json_schema(mode="serialization")
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("additionalProperties", None)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


if __name__ == "__main__":
    SCHEMAS.mkdir(exist_ok=True)
    for document in documents():
        (SCHEMAS / schema_name(document)).write_text(schema_text(document), encoding="utf-8")
