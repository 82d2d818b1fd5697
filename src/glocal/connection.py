"""Requests to `glocal serve`, and the forms that carry images.

Each request has a connection of its own, so any thread may make one.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from glocal.errors import GlocalError
from glocal.gallery.results import GalleryImage

Image = str | os.PathLike[str] | bytes
"""An image to send: the path of a file, or the content of one."""


class ServerError(GlocalError, RuntimeError):
    """The server refused a request, or cannot be reached.

    Attributes:
        status: the HTTP status; 0 if there was no response.
        kind: the type of the problem, a code for programs.
    """

    def __init__(self, text: str, status: int = 0, kind: str = "about:blank") -> None:
        super().__init__(text)
        self.status = status
        self.kind = kind


class Connection:
    """Sends requests to one server.

    Args:
        address: the server's address, such as ``http://127.0.0.1:8470``.
        token: the server's token, if it has one.
        timeout: seconds without any response after which a request fails.

    Raises:
        ServerError: from every method, if the server refuses the request or cannot be reached.
    """

    def __init__(self, address: str, token: str | None, timeout: float) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerError(
                f"{address!r} is not the address of a server; give one such as "
                "http://127.0.0.1:8470"
            )
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._token = token
        self._timeout = timeout

    def json(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "",
        *,
        parameters: Mapping[str, object] | None = None,
    ) -> Any:
        """What the server responds with, as JSON.

        Args:
            method: of the request.
            path: below the server's address.
            body: to send.
            kind: its content type.
            parameters: of the address; those that are `None` are left out.
        """
        given = {name: value for name, value in (parameters or {}).items() if value is not None}
        with self.answer(method, path + (f"?{urlencode(given)}" if given else ""), body, kind) as (
            response
        ):
            return json.load(response)

    def read(self, path: str) -> bytes:
        """What the server responds with, as bytes."""
        with self.answer("GET", path) as response:
            return response.read()

    @contextmanager
    def answer(
        self, method: str, path: str, body: bytes | None = None, kind: str = ""
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request, and read the response inside the block; see `json`."""
        make = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = make(self._host, self._port, timeout=self._timeout)
        headers = {"X-Glocal": "1"} | ({"Content-Type": kind} if kind else {})
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request(method, self._base + path, body, headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise _error(response.status, response.read())
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(
                f"cannot reach the server at {self._host}: {error}; check that glocal serve runs "
                "there"
            ) from error
        finally:
            connection.close()


def _error(status: int, body: bytes) -> ServerError:
    try:
        return problem_error(json.loads(body), status)
    except (ValueError, KeyError, TypeError, AttributeError):
        return ServerError(f"the server responded with status {status}", status)


def problem_error(problem: dict[str, Any], status: int) -> ServerError:
    """A problem of RFC 9457, as the server tells it, as an error."""
    text = problem.get("detail") or problem["title"]
    return ServerError(f"{text} (status {status})", status, problem["type"])


def encode_form(
    options: dict[str, object], images: Sequence[tuple[str, Image | GalleryImage]]
) -> tuple[bytes, str]:
    """The body of a form and its content type (RFC 7578)."""
    mark = secrets.token_hex(16)
    parts: list[bytes] = []
    for name, value in options.items():
        if value is not None:
            text = str(value).encode("utf-8", "surrogateescape")
            parts.append(_part(mark, f'name="{name}"', text))
    for name, image in images:
        if isinstance(image, GalleryImage):
            parts.append(_part(mark, f'name="{name}"', image.id.encode()))
        else:
            data = image if isinstance(image, bytes) else Path(image).expanduser().read_bytes()
            parts.append(_part(mark, f'name="{name}"; filename="image"', data))
    body = b"".join([*parts, f"--{mark}--\r\n".encode()])
    return body, f"multipart/form-data; boundary={mark}"


def _part(mark: str, disposition: str, body: bytes) -> bytes:
    head = f"--{mark}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + body + b"\r\n"
