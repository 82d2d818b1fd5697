"""The page: only files that lie in the package are served."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter, Request, Response

from glocal.web.problems import ProblemError

_ASSETS = Path(__file__).parent / "assets"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


def page_routes(reference: Callable[[], str]) -> APIRouter:
    """Routes to the files of the page that exist now, and to the reference of the API.

    Args:
        reference: makes the reference, as HTML.
    """
    files = {
        path.relative_to(_ASSETS).as_posix(): path
        for path in sorted(_ASSETS.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page(request: Request) -> Response:
        return _file(request, files, "index.html")

    @router.get("/assets/{name:path}")
    async def asset(request: Request, name: str) -> Response:
        return _file(request, files, name)

    @router.get("/docs")
    def docs(request: Request) -> Response:
        return _answer(request, reference().encode(), "text/html; charset=utf-8")

    @router.get("/favicon.ico")
    async def icon(request: Request) -> Response:
        return _file(request, files, "favicon.svg")

    return router


def _file(request: Request, files: dict[str, Path], name: str) -> Response:
    path = files.get(name)  # a name is looked up and never joined to a path
    if path is None:
        raise ProblemError(404, "there is nothing at this address; the API is described at /docs")
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return _answer(request, path.read_bytes(), kind or "application/octet-stream")


def _answer(request: Request, body: bytes, kind: str) -> Response:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind, headers=headers)
