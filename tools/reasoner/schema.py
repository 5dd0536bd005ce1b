"""JSON schemas as structured output and strict tools take them.

Every object is closed and requires all its properties; bounds on numbers, texts and arrays are not part of the subset
and stay with our own check of the answer. Source: the provider's page on structured outputs.
"""

from functools import cache

from pydantic import BaseModel

_KEPT = ("type", "enum", "const", "description", "anyOf", "$ref")


@cache
def strict_schema(model: type[BaseModel]) -> dict[str, object]:
    """The schema of a model in that subset; made once, not to be changed."""
    whole = model.model_json_schema()
    schema = _strict(whole)
    if "$defs" in whole:
        schema["$defs"] = {name: _strict(part) for name, part in whole["$defs"].items()}
    return schema


def _strict(schema: dict[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {name: schema[name] for name in _KEPT if name in schema}
    if isinstance(kept.get("anyOf"), list):
        kept["anyOf"] = [_strict(one) for one in _dicts(kept["anyOf"])]
    items, properties = schema.get("items"), schema.get("properties")
    if isinstance(items, dict):
        kept["items"] = _strict(items)
    if schema.get("type") == "object":
        found = properties if isinstance(properties, dict) else {}
        kept["properties"] = {name: _strict(one) for name, one in found.items()}
        kept["required"] = list(found)
        kept["additionalProperties"] = False
    return kept


def _dicts(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
