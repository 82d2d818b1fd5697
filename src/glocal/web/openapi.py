"""The description of the API (OpenAPI 3.1), such that clients can be generated from it."""

from __future__ import annotations

import inspect
import re
from dataclasses import is_dataclass
from typing import Any

from fastapi import FastAPI

from glocal.gallery import indexing, layout
from glocal.gallery import results as python
from glocal.geography import world_model
from glocal.ranking import evidence
from glocal.web import forms, results, schemas
from glocal.web.guard import COOKIE

_SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "The server's token, if it has one.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The session of the page; see /v1/login.",
    },
}
_ENTRY = re.compile(r"^(\w+): ", re.MULTILINE)


def operation_id(name: str) -> str:
    """The id of an operation by the name of its function: ``list_images`` is ``listImages``."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def describe(app: FastAPI, *, token: bool) -> dict[str, Any]:
    """Describe an application.

    Args:
        app: with all routes.
        token: whether the server has a token.
    """
    found = FastAPI.openapi(app)
    components = found["components"]
    components["schemas"] |= forms.BODIES | {"Problem": schemas.Problem.model_json_schema()}
    # FastAPI's own errors, which `glocal.web.problems` replaces.
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["securitySchemes"] = _SECURITY
    found["security"] = [*([] if token else [{}]), *({name: []} for name in _SECURITY)]
    classes = _classes()
    for name, schema in components["schemas"].items():
        if name in classes:
            _document(schema, classes[name])
    simplified: dict[str, Any] = _simplify(found)
    return simplified


def _simplify(value: Any) -> Any:
    """Tuples of one type as arrays of fixed length, which all tools understand."""
    if isinstance(value, list):
        return [_simplify(each) for each in value]
    if not isinstance(value, dict):
        return value
    simple = {name: _simplify(each) for name, each in value.items()}
    match simple.get("prefixItems"):
        case [first, *others] if all(each == first for each in others):
            del simple["prefixItems"]
            simple["items"] = first
    return simple


def _classes() -> dict[str, type]:
    """Every result type by its name; those of the wire come last, and so count."""
    modules = (evidence, layout, indexing, world_model, python, results, schemas)
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and is_dataclass(value)
    }


def _document(schema: dict[str, Any], of: type) -> None:
    """Describe the properties of a result as its docstring does; every one is always present."""
    schema["description"] = (inspect.getdoc(of) or "").partition("\n\nAttributes:\n")[0]
    texts = attribute_docs(of)
    for name, field in schema.get("properties", {}).items():
        field.pop("default", None)
        if name in texts:
            field["description"] = texts[name]
    if "properties" in schema:
        schema["required"] = list(schema["properties"])


def attribute_docs(of: type) -> dict[str, str]:
    """What the docstrings of a class and its bases say about each attribute."""
    found: dict[str, str] = {}
    for each in reversed(of.__mro__):
        text = inspect.cleandoc(each.__doc__ or "").partition("Attributes:\n")[2]
        text = inspect.cleandoc(text)
        starts = list(_ENTRY.finditer(text))
        ends = [start.start() for start in starts[1:]] + [len(text)]
        for start, end in zip(starts, ends, strict=False):
            words = " ".join(text[start.end() : end].split()).replace("``", "`")
            found[start[1]] = words[:1].upper() + words[1:]
    return found
