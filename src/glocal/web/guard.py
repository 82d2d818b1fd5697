"""Who may ask for what: the token, the page's cookie, the name asked for, the page that asks."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict, deque
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from glocal.web.problems import ProblemError
from glocal.web.settings import LOOPBACK, Settings

COOKIE = "glocal_session"
OWN_HEADER = "x-glocal"
"""A header that a form or a link of another site cannot send: whoever sends it means it."""

_SESSION_SECONDS = 30 * 86_400
_MOST_SESSIONS = 1_000
_MOST_FAILURES = 10  # of logging in, in a minute, by all clients together
_OPEN = frozenset({"/v1/health", "/v1/ready", "/v1/login", "/v1/logout"})
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_READS = frozenset({"/v1/search"})  # a POST because it carries an image; it changes nothing


class Sessions:
    """The cookies that stand for the token; they are forgotten when the server ends."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else _digest(token)
        self._ends: OrderedDict[bytes, float] = OrderedDict()
        self._failures: deque[float] = deque()

    def knows_token(self, token: str) -> bool:
        """Whether this is the token; takes as long for any other."""
        return self._token is not None and hmac.compare_digest(_digest(token), self._token)

    def open(self, token: str) -> str:
        """Begin a session.

        Raises:
            ProblemError: the token is wrong, or was wrong too often.
        """
        now = time.monotonic()
        while self._failures and self._failures[0] < now - 60:
            self._failures.popleft()
        if len(self._failures) >= _MOST_FAILURES:
            raise ProblemError(
                429, "too many wrong tokens; wait a minute", headers={"Retry-After": "60"}
            )
        if not self.knows_token(token):
            self._failures.append(now)
            raise ProblemError(401, "this is not the server's token")
        value = secrets.token_urlsafe(32)
        self._ends[_digest(value)] = now + _SESSION_SECONDS
        while len(self._ends) > _MOST_SESSIONS:
            self._ends.popitem(last=False)
        return value

    def knows(self, value: str) -> bool:
        """Whether a cookie is one of ours; the digest makes the look-up's time tell nothing."""
        return self._ends.get(_digest(value), 0.0) > time.monotonic()

    def close(self, value: str) -> None:
        """End a session."""
        self._ends.pop(_digest(value), None)


class Guard:
    """Lets through what the owner allows, and answers everything else with a problem."""

    def __init__(self, app: ASGIApp, settings: Settings, sessions: Sessions) -> None:
        self._app = app
        self._settings = settings
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(Request(scope))
        except ProblemError as problem:
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, request: Request) -> None:
        headers, path = request.headers, request.scope["path"]
        self._check_host(headers)
        by_token = self._check_token(request, path)
        if request.method in _HARMLESS:
            return
        # Also with a token: a proxy may be adding it to whatever it passes on.
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "same-origin")
        if origin is not None and not _same_origin(origin, headers.get("host", "")):
            raise ProblemError(403, "a page of another site asked for this")
        if origin is None and site not in ("same-origin", "none"):
            raise ProblemError(403, "a page of another site asked for this")
        if self._settings.read_only and path not in _READS | _OPEN:
            raise ProblemError(403, "this server changes nothing: it was started with --read-only")
        if origin is None and not by_token and path not in _READS and OWN_HEADER not in headers:
            raise ProblemError(
                403,
                "this changes something: show that you mean it with the header X-Glocal: 1",
                kind="urn:glocal:csrf",
            )

    def _check_host(self, headers: Headers) -> None:
        """Answer to our own names only: a name of an attacker may be made to point here."""
        named = headers.getlist("host")
        name = _host_name(named[0]) if len(named) == 1 else None
        if name is None:
            raise ProblemError(400, "the Host header is missing or makes no sense")
        allowed = self._settings.hosts
        if self._settings.loopback:
            allowed |= LOOPBACK
        elif not allowed:
            return
        if name not in allowed:
            raise ProblemError(
                421,
                "this server does not answer to that name; its owner can allow it: "
                "glocal serve --allow-host NAME",
            )

    def _check_token(self, request: Request, path: str) -> bool:
        """Whether a bearer token was shown; refuses who needs one and has none."""
        if self._settings.token is None:
            return False
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if self._sessions.knows_token(shown.strip()):
                return True
            raise _unknown("this is not the server's token")
        if path in _OPEN or not _is_data(path):
            return False
        cookie = request.cookies.get(COOKIE)
        if cookie is not None and self._sessions.knows(cookie):
            return False
        raise _unknown("show the server's token: Authorization: Bearer TOKEN")


def _unknown(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers={"WWW-Authenticate": 'Bearer realm="glocal"'})


def _is_data(path: str) -> bool:
    """Everything but the page's own files, which say nothing about the gallery."""
    return path.startswith("/v1/") or path in ("/v1", "/metrics")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _host_name(host: str) -> str | None:
    """The name in a Host header, without port and brackets; `None` when it is none."""
    if not host or any(mark in host for mark in "/\\@?# \t,"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return (parts.hostname or "").rstrip(".").lower() or None


def _same_origin(origin: str, host: str) -> bool:
    """Whether a page's origin is this server, as the client names it.

    The scheme is left out: behind a proxy that ends TLS the two differ. The port counts, but for a
    scheme's own.
    """
    try:
        page, own = urlsplit(origin), urlsplit(f"//{host}")
        usual = {"http": 80, "https": 443}.get(page.scheme)
        ports = page.port or usual, own.port or usual
    except ValueError:
        return False
    return usual is not None and page.hostname == own.hostname and ports[0] == ports[1]
