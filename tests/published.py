"""Whether a JSON document is what its published schema says, and says nothing that the schema does not."""

from __future__ import annotations

from typing import Any

import jsonschema

from supcam.spread.schema import read_schema


def require_published(document: object, *, name: str) -> None:
    """Nothing for a document of the schema ``name`` without a key that is not published there."""
    jsonschema.Draft202012Validator(read_schema(name)).validate(document)
    jsonschema.Draft202012Validator(_closed(read_schema(name))).validate(document)


def _closed(schema: Any) -> Any:  # noqa: ANN401  any JSON
    """``schema`` without room for other keys."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return closed | ({"additionalProperties": False} if "properties" in schema else {})
