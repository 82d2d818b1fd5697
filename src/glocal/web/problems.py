"""Errors as problem details (RFC 9457); nothing else about a failure leaves the server."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from glocal.errors import (
    DiskFullError,
    GalleryLockedError,
    GlocalError,
    ImageError,
    QueryError,
)

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


class ProblemError(Exception):
    """An answer other than the one that was asked for.

    Args:
        status: the HTTP status.
        detail: what was wrong and what to do, fit for a person; `None` where the status says it.
        headers: more headers of the answer.
        kind: a word for programs that tell problems of one status apart.
        more: further members of the answer.
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

    def response(self) -> Response:
        """The answer itself."""
        body = {
            "type": self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            **({} if self.detail is None else {"detail": printable(self.detail)}),
            **self.more,
        }
        return Response(
            json.dumps(body),
            self.status,
            media_type=MEDIA_TYPE,
            headers={"Cache-Control": "no-store", **self.headers},
        )


def printable(text: str) -> str:
    """Text that UTF-8 can hold: bytes of file names that are no text are shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def as_problem(error: GlocalError) -> ProblemError:
    """What one of glocal's own errors means to a client; their text is fit to be shown."""
    if isinstance(error, ImageError):
        return ProblemError(422, str(error), kind="urn:glocal:image")
    if isinstance(error, QueryError):
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
    return ProblemError(503, "the gallery cannot be used; the server's log says why")


def answer_with_problems(app: FastAPI) -> None:
    """Make every error of an application, expected or not, a problem."""

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
        return ProblemError(400, "the client left before its request was whole").response()

    async def unexpected(_: Request, __: Exception) -> Response:
        return ProblemError(500, "something went wrong; the server's log says what").response()

    app.add_exception_handler(ProblemError, own)
    app.add_exception_handler(GlocalError, glocals)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, unexpected)


def invalid_request(errors: Any) -> ProblemError:
    """What pydantic found wrong, by place, without repeating what was sent."""
    found = [
        {"where": ".".join(map(str, error["loc"])), "what": str(error["msg"])} for error in errors
    ][:50]
    first = found[0] if found else {"where": "request", "what": "invalid"}
    return ProblemError(
        422,
        printable(f"{first['where']}: {first['what']}"),
        kind="urn:glocal:invalid",
        errors=[{key: printable(value) for key, value in one.items()} for one in found],
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems an operation answers with, for the API's description.

    Besides the named ones those that any may: 400, 401, 403, 405, 408, 413, 421, 429, 500, 503.
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
