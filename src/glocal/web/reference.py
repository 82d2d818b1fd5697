"""The reference of the API as one plain page: made from its description, without any script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>glocal: API reference</title>
<link rel="icon" href="assets/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="assets/reference.css">
</head>
<body>
<main>
"""
_INTRODUCTION = """<p>{summary} Version {version}. Generate clients from the
<a href="v1/openapi.json">OpenAPI description</a>. Every error is a
<a href="#type-Problem">Problem</a> (RFC 9457). HEAD is allowed wherever GET is. Unknown parameters
and fields are refused.</p>
"""


def reference_page(description: dict[str, Any]) -> str:
    """Write the reference of an API.

    Args:
        description: the API as OpenAPI 3.1.

    Returns:
        HTML that loads nothing but the page's own style sheet.
    """
    info = description["info"]
    operations = [
        (method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    introduction = _INTRODUCTION.format(
        summary=escape(info["summary"]), version=escape(info["version"])
    )
    parts = [_HEAD, f"<h1>{escape(info['title'])}: API reference</h1>\n", introduction]
    parts += ["<nav aria-label='Operations'><ul>\n", *map(_entry, operations), "</ul></nav>\n"]
    for method, path, operation in operations:
        parts += _operation(method, path, operation)
    parts.append("<h2 id='types'>Types</h2>\n")
    for name, schema in sorted(description["components"]["schemas"].items()):
        parts += _type(name, schema)
    return "".join([*parts, "</main>\n</body>\n</html>\n"])


def _entry(operation: tuple[str, str, dict[str, Any]]) -> str:
    method, path, described = operation
    name = escape(described["operationId"])
    return (
        f"<li><a href='#{name}'><code>{method} {escape(path)}</code></a> "
        f"{_prose(_summary(described))}</li>\n"
    )


def _summary(operation: dict[str, Any]) -> str:
    return str(operation["description"]).partition("\n")[0]


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    name = escape(operation["operationId"])
    yield f"<section aria-labelledby='{name}'>\n"
    yield f"<h2 id='{name}'><code>{method} {escape(path)}</code></h2>\n"
    for paragraph in operation["description"].split("\n\n"):
        yield f"<p>{_prose(paragraph)}</p>\n"
    parameters = [
        (each["name"], f"{each['in']}, {_shape(each['schema'])}", each.get("description", ""))
        for each in operation.get("parameters", [])
    ]
    if parameters:
        yield _table("Parameters", parameters)
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content["schema"]
        if "properties" in schema:
            yield _table(f"Body as {kind}", _fields(schema))
        else:
            yield f"<p>Body as {escape(kind)}: {_shape(schema)}</p>\n"
    answers = [
        f"<code>{status}</code> {_answer(answer)}"
        for status, answer in operation["responses"].items()
        if int(status) < 400
    ]
    yield f"<p>Returns {'; '.join(answers)}.</p>\n</section>\n"


def _answer(answer: dict[str, Any]) -> str:
    content = answer.get("content")
    if not content:
        return _prose(answer["description"]).rstrip(".").lower()
    shapes = [
        _shape(each["schema"]) if kind == "application/json" else escape(kind)
        for kind, each in content.items()
    ]
    return " or ".join(shapes)


def _type(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"<h3 id='type-{escape(name)}'>{escape(name)}</h3>\n"
    if "description" in schema:
        yield f"<p>{_prose(schema['description'])}</p>\n"
    if "properties" in schema:
        yield _table("Fields", _fields(schema))
    elif "enum" in schema:
        yield f"<p>One of {_shape(schema)}.</p>\n"


def _fields(schema: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (name, _shape(field), field.get("description", ""))
        for name, field in schema["properties"].items()
    ]


def _table(caption: str, rows: Iterable[tuple[str, str, str]]) -> str:
    lines = [
        f"<tr><th scope='row'><code>{escape(name)}</code></th><td>{shape}</td>"
        f"<td>{_prose(words)}</td></tr>\n"
        for name, shape, words in rows
    ]
    return f"<table><caption>{escape(caption)}</caption>\n{''.join(lines)}</table>\n"


def _shape(schema: dict[str, Any]) -> str:  # noqa: PLR0911 - a case for each form of a schema
    """A schema in a few words, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#type-{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(map(_shape, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if schema.get("format") == "binary":
        return "file"
    if schema.get("type") == "array":
        least, most = schema.get("minItems"), schema.get("maxItems")
        number = f"{most} times " if most is not None and least == most else ""
        return f"list of {number}{_shape(schema['items'])}"
    return escape(str(schema.get("type", "any value")))


def _prose(text: str) -> str:
    """Text as HTML, with code between backticks."""
    pieces = text.split("`")
    return "".join(
        f"<code>{escape(piece)}</code>" if number % 2 else escape(piece)
        for number, piece in enumerate(pieces)
    )
