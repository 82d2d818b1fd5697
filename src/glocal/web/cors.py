"""Pages of other origins that the owner allows (the CORS protocol of the Fetch standard)."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from glocal.web.guard import OWN_HEADER
from glocal.web.problems import ProblemError


class Cors(CORSMiddleware):
    """Lets pages of the allowed origins read responses; never with cookies.

    Args:
        app: the application.
        origins: the allowed origins; ``*`` stands for every origin.
    """

    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        super().__init__(
            app,
            allow_origins=sorted(origins),
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "If-None-Match", OWN_HEADER),
            expose_headers=("ETag", "Location", "Retry-After"),
            allow_credentials=False,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer the browser's question whether a request is allowed."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        return ProblemError(
            403,
            "this server does not allow that request from that origin; its owner can allow the "
            "origin: glocal serve --cors-origin ORIGIN",
            kind="urn:glocal:cors",
        ).response()
