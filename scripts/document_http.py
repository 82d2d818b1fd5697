"""Write the HTTP reference from the OpenAPI document, when MkDocs builds the documentation."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

PAGE = "reference/http.md"
HEAD = """# HTTP

Every route of `glocal serve`, as its OpenAPI document describes it; a running server has that
document at `/v1/openapi.json`. [Serve a gallery to a team](../serving.md) says how to start one and
who can reach it. Every error is a problem (RFC 9457) of the type `application/problem+json`.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the files of the site (MkDocs calls this)."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=written(described())))
    return files


def described() -> dict[str, Any]:
    """Make the OpenAPI document of a server with an empty gallery."""
    import glocal
    from glocal.web.app import create_app
    from glocal.web.settings import Settings

    with tempfile.TemporaryDirectory() as folder, glocal.open(Path(folder) / "gallery") as gallery:
        document: dict[str, Any] = create_app(gallery, Settings()).openapi()
    return document


def written(document: dict[str, Any]) -> str:
    """Return the page of an OpenAPI document as Markdown."""
    parts = [HEAD]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(f"## `{method.upper()} {path}`\n")
            parts.append(operation.get("description") or operation.get("summary", ""))
            parts.append(_parameters(operation))
            parts.append(_body(operation, document))
            parts.append(_answers(operation))
    parts.append("## Schemas\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(f"### {name}\n")
        parts.append(schema.get("description", ""))
        parts.append(_fields(schema, document))
    return "\n\n".join(part for part in parts if part)


def _parameters(operation: dict[str, Any]) -> str:
    rows = [
        (
            f"`{one['name']}`",
            one["in"],
            _kind(one.get("schema", {})),
            "yes" if one.get("required") else "no",
            one.get("description") or one.get("schema", {}).get("description", ""),
        )
        for one in operation.get("parameters", [])
    ]
    return _table(("parameter", "in", "type", "required", "meaning"), rows)


def _body(operation: dict[str, Any], document: dict[str, Any]) -> str:
    parts = []
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"Body as `{media}`:")
        schema = content.get("schema", {})
        fields = _fields(_resolved(schema, document), document)
        parts.append(fields or f"{_kind(schema)}.")
    return "\n\n".join(parts)


def _answers(operation: dict[str, Any]) -> str:
    rows = []
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        kinds = [_kind(one.get("schema", {})) for one in content.values()]
        kind = ", ".join(dict.fromkeys(filter(None, kinds))) or ", ".join(
            f"`{media}`" for media in content
        )
        rows.append((status, kind, answer.get("description", "")))
    return _table(("status", "answer", "meaning"), rows)


def _fields(schema: dict[str, Any], document: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = []
    for name, field in schema.get("properties", {}).items():
        meaning = field.get("description") or _resolved(field, document).get("description", "")
        rows.append((f"`{name}`", _kind(field), "yes" if name in required else "no", meaning))
    return _table(("field", "type", "always there", "meaning"), rows)


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference to the schema it names."""
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _kind(schema: dict[str, Any]) -> str:  # noqa: PLR0911 - one for each form
    """Name the type of a schema, with a link where the page describes it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            kinds = [_kind(one) for one in schema[several]]
            return " or ".join(kind for kind in dict.fromkeys(kinds) if kind)
    if "const" in schema:
        return f"`{schema['const']!r}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {})) or 'anything'}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties']) or 'anything'}"
    return str(schema.get("format") or schema.get("type", ""))


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [head, tuple("---" for _ in head), *rows]
    cells = [[" ".join(str(cell).replace("|", "\\|").split()) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
