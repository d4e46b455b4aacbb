"""An OpenAPI description as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]


def described(document: Schema) -> str:
    """Every operation, then every message, with links between them."""
    lines = [f"# {document['info']['title']} over HTTP", "", document["info"]["description"]]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            lines += _operation(method.upper(), path, operation)
    lines += ["", "## Messages"]
    for name, schema in document["components"]["schemas"].items():
        lines += _message(name, schema)
    return "\n".join(lines)


def _operation(method: str, path: str, operation: Schema) -> Iterator[str]:
    yield f"\n## {method} {path}\n\n{operation.get('description') or operation.get('summary', '')}\n"
    if "requestBody" in operation:
        yield f"- takes {_content(operation['requestBody'])}"
    for parameter in operation.get("parameters", []):
        yield f"- `{parameter['name']}` in the {parameter['in']}: {kind(parameter['schema'])}"
    answers: dict[str, list[str]] = {}
    for status, response in operation["responses"].items():
        answers.setdefault(_content(response), []).append(f"{status} {response['description']}")
    for content, statuses in answers.items():
        yield f"- answers {', '.join(statuses)}{content and ': '}{content}"


def _content(body: Schema) -> str:
    return ", ".join(kind(part.get("schema", {})) for part in body.get("content", {}).values())


def _message(name: str, schema: Schema) -> Iterator[str]:
    yield f"\n### {name}\n\n{schema.get('description', '')}\n"
    if "properties" not in schema:
        yield kind(schema)
        return
    yield "| field | type | meaning |\n|---|---|---|"
    required = schema.get("required", [])
    for field, value in schema["properties"].items():
        needed = "" if field in required else " (optional)"
        yield f"| `{field}`{needed} | {_cell(kind(value))} | {_cell(value.get('description', ''))} |"


def kind(schema: Schema) -> str:
    """The allowed values, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(kind(part) for part in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}{_limits(schema)}"
    if schema.get("properties"):
        return "object: " + "; ".join(f"`{name}` {kind(value)}" for name, value in schema["properties"].items())
    return f"{schema.get('format') or schema.get('type', 'anything')}{_limits(schema)}"


LIMITS = {
    **{
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "above",
        "exclusiveMaximum": "below",
    },
    **{"minLength": "length at least", "maxLength": "length at most", "pattern": "like"},
    **{"minItems": "length at least", "maxItems": "length at most"},
}


def _limits(schema: Schema) -> str:
    found = [f"{words} `{schema[name]}`" for name, words in LIMITS.items() if name in schema]
    return f", {', '.join(found)}" if found else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
