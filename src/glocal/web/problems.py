"""Errors as problem details (RFC 9457); clients learn nothing else about a failure."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from glocal.errors import (
    DiskFullError,
    GalleryDamagedError,
    GalleryLockedError,
    GlocalError,
    ImageError,
    PartError,
    QueryError,
    RankingError,
)
from glocal.images.url_paths import as_path

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


class ProblemError(Exception):
    """An error that a client is told about.

    Args:
        status: the HTTP status.
        detail: what was wrong and what to do, for people; `None` where the status says it all.
        headers: more headers of the response.
        kind: a code for programs that distinguish problems of one status.
        more: further members of the response.
    """

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        kind: str = "about:blank",
        **more: Any,
    ) -> None:
        super().__init__(detail or str(status))
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.kind = kind
        self.more = more

    def body(self) -> dict[str, Any]:
        """The problem as JSON has it."""
        return {
            "type": self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            **({} if self.detail is None else {"detail": printable(self.detail)}),
            **self.more,
        }

    def response(self) -> Response:
        """The problem as a response."""
        return Response(
            json.dumps(self.body()),
            self.status,
            media_type=MEDIA_TYPE,
            headers={"Cache-Control": "no-store", **self.headers},
        )


def printable(text: str) -> str:
    """Text that UTF-8 can hold: bytes of file names that are not text are shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def printable_path(path: Path) -> Path:
    """A path whose name UTF-8 can hold."""
    return as_path(printable(str(path)))


def as_problem(error: GlocalError) -> ProblemError:
    """One of glocal's own errors as a problem; the texts of the expected ones may be shown."""
    if isinstance(error, ImageError):
        return ProblemError(422, str(error), kind="urn:glocal:image")
    if isinstance(error, QueryError | RankingError | PartError):
        return ProblemError(422, str(error), kind="urn:glocal:query")
    _log.warning("%s: %s", type(error).__name__, error)
    if isinstance(error, GalleryLockedError):
        return ProblemError(
            409,
            "the gallery is being changed by another process; try again in a moment",
            headers={"Retry-After": "5"},
            kind="urn:glocal:busy",
        )
    if isinstance(error, DiskFullError):
        return ProblemError(507, "the server's disk is full", kind="urn:glocal:disk-full")
    if isinstance(error, GalleryDamagedError):
        return ProblemError(
            503,
            "the gallery is damaged; ask the server's owner to run: glocal check --repair",
            kind="urn:glocal:damaged",
        )
    return ProblemError(
        503,
        "the server could not read its gallery; try again in a moment, and if that does not help, "
        "ask its owner to look at the server's log",
        headers={"Retry-After": "5"},
    )


def answer_with_problems(app: FastAPI) -> None:
    """Return every error of an application, expected or not, as a problem."""

    async def own(_: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)  # noqa: S101 - it is registered for these alone
        return error.response()

    async def glocals(_: Request, error: Exception) -> Response:
        assert isinstance(error, GlocalError)  # noqa: S101 - as above
        return as_problem(error).response()

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        return invalid_request(error.errors()).response()

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as above
        detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
        return ProblemError(error.status_code, detail, headers=error.headers).response()

    async def gone(_: Request, __: Exception) -> Response:
        return ProblemError(
            400, "the client disconnected before its request was complete"
        ).response()

    async def unexpected(_: Request, __: Exception) -> Response:
        return ProblemError(500, "the server failed; see its log").response()

    app.add_exception_handler(ProblemError, own)
    app.add_exception_handler(GlocalError, glocals)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, unexpected)


def invalid_request(errors: Any) -> ProblemError:
    """What pydantic found wrong, field by field, without repeating the values that were sent."""
    found = [
        {"where": ".".join(map(str, error["loc"])) or "the body", "what": str(error["msg"])}
        for error in errors
    ][:50]
    first = found[0] if found else {"where": "request", "what": "invalid"}
    return ProblemError(
        422,
        printable(f"{first['where']}: {first['what']}"),
        kind="urn:glocal:invalid",
        errors=[{key: printable(value) for key, value in one.items()} for one in found],
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that an operation may return, for the description of the API.

    Besides the named ones these are 400, 401, 403, 408, 413, 421, 422, 429, 500 and 503.
    """
    every = {400, 401, 403, 408, 413, 421, 422, 429, 500, 503, *statuses}
    reference = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": reference}},
        }
        for status in sorted(every)
    }
