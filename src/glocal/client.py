"""A client of `glocal serve`, with nothing to install besides glocal.

>>> from glocal.client import Client
>>> client = Client("http://127.0.0.1:8470")                  # doctest: +SKIP
>>> for hit in client.search("query.jpg").hits:               # doctest: +SKIP
...     print(hit.rank, hit.image.path, hit.score)
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from glocal.errors import GlocalError

Image = str | os.PathLike[str] | bytes
"""An image to send: the path of a file, or what is in one."""

Region = tuple[float, float, float, float]

_ASK_AGAIN = 0.5
"""Seconds between two questions how far the server is."""


class ServerError(GlocalError, RuntimeError):
    """The server refused, or cannot be reached.

    Attributes:
        status: of HTTP; 0 when there was no answer.
        kind: of the problem, for programs.
    """

    def __init__(self, text: str, status: int = 0, kind: str = "about:blank") -> None:
        super().__init__(text)
        self.status = status
        self.kind = kind


@dataclass(frozen=True, slots=True)
class GalleryImage:
    """An image of the gallery.

    Attributes:
        id: names it.
        path: of a file that holds it, on the server.
        copies: how many files hold it.
        width: of the upright image, in pixels.
        height: of the upright image, in pixels.
        bytes: of the file.
        taken: by the camera's own clock.
        camera: make and model.
        position: latitude and longitude in degrees, where the server shows them.
    """

    id: str
    path: str
    copies: int
    width: int
    height: int
    bytes: int
    taken: datetime | None
    camera: str | None
    position: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer to a search: its rank from 1, its similarity, and what else speaks for it."""

    rank: int
    score: float
    image: GalleryImage
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answers to a search.

    Attributes:
        query: searches again with the same image, without sending it again.
        model: that compared.
        hits: best first.
        more: whether further hits follow.
        timings_ms: milliseconds of each stage.
    """

    query: str
    model: str
    hits: tuple[Hit, ...]
    more: bool
    timings_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class IndexRun:
    """An index run as it is, or was when it was asked about.

    Attributes:
        id: names it.
        folder: on the server.
        state: ``waiting``, ``running``, ``done``, ``failed`` or ``cancelled``.
        progress: ``stage``, ``done``, ``total``, ``unchanged``, ``failed``; or `None`.
        report: ``added``, ``updated``, ``unchanged``, ``removed``, ``failed``, ``skipped``,
            ``seconds`` when it is done.
        error: why it failed.
    """

    id: str
    folder: str
    state: str
    progress: dict[str, Any] | None
    report: dict[str, Any] | None
    error: str | None


@dataclass(frozen=True, slots=True)
class DuplicateImage:
    """An image of a group of duplicates.

    Attributes:
        image: whose `path` is, of the files that hold it, the one to keep.
        paths: of all files that hold it.
        spare: those of them without which nothing is lost.
        verdict: what it is to the group's first, or to the member it is tied to best: ``copy`` or
            ``same object or place``; `None`: it is the first.
        same_probability: that they show the same object or place.
        copy_probability: that one was made of the other.
        removable: whether the first shows all that it shows, about as finely.
    """

    image: GalleryImage
    paths: tuple[str, ...]
    spare: tuple[str, ...]
    verdict: str | None
    same_probability: float
    copy_probability: float
    removable: bool


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Images, or files of one image, of which one is enough.

    Attributes:
        kind: ``identical``, ``copy`` or ``same``: the weakest tie in it.
        images: the one to keep first.
        left_out: images at its end that were too many to list.
        bytes_to_free: of the files that are spare.
    """

    kind: str
    images: tuple[DuplicateImage, ...]
    left_out: int
    bytes_to_free: int


@dataclass(frozen=True, slots=True)
class Comparing:
    """How far the server is with comparing its images; the total may not be known yet."""

    stage: str
    done: int
    total: int | None


class Client:
    """Talks to one server; any thread may use it.

    Args:
        address: such as ``http://127.0.0.1:8470``.
        token: the server's, if it has one.
        timeout: seconds without any answer after which a call gives up.

    Raises:
        ServerError: from every method, when the server refuses or cannot be reached.
    """

    def __init__(self, address: str, *, token: str | None = None, timeout: float = 60.0) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerError(f"{address!r} is no address such as http://127.0.0.1:8470")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._token = token
        self._timeout = timeout

    def search(
        self,
        image: Image | None = None,
        *,
        query: str | None = None,
        like: Sequence[Image] = (),
        unlike: Sequence[Image] = (),
        region: Region | None = None,
        where: str | None = None,
        url: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Answer:
        """Find the same thing as in an image; see `glocal.Gallery.search`.

        Args:
            image: the query.
            query: in its place the `Answer.query` of an earlier search, or an image's id.
            like: more images of what is sought.
            unlike: images of what is not.
            region: X, Y, W, H of the query, in pixels or as fractions.
            where: a condition, such as ``taken >= 2019``.
            url: in place of the query its address, where the server's owner allows that.
            limit: how many hits at most.
            offset: how many of the best to leave out.
        """
        fields = {
            "query": query,
            "url": url,
            "where": where,
            "region": None if region is None else ",".join(map(str, region)),
            "limit": str(limit),
            "offset": str(offset),
        }
        files = [("image", one) for one in ([] if image is None else [image])]
        files += [("image", one) for one in like] + [("against", one) for one in unlike]
        answer = self._json("POST", "/v1/search", *_form(fields, files))
        return Answer(
            answer["query"],
            answer["model"],
            tuple(
                Hit(hit["rank"], hit["score"], _image(hit), hit["evidence"])
                for hit in answer["hits"]
            ),
            answer["more"],
            answer["timings_ms"],
        )

    def info(self) -> dict[str, Any]:
        """What the gallery holds and the server does, as the server says it."""
        known: dict[str, Any] = self._json("GET", "/v1/info")
        return known

    def images(
        self, *, where: str | None = None, order: str = "taken", page: int = 200
    ) -> Iterator[GalleryImage]:
        """Every image that meets a condition: the latest first, or by ``path``.

        Args:
            where: the condition.
            order: ``taken`` or ``path``.
            page: how many are asked for at once.
        """
        cursor = None
        while True:
            asked = {"where": where, "order": order, "limit": page, "cursor": cursor}
            given = {name: value for name, value in asked.items() if value is not None}
            answer = self._json("GET", f"/v1/images?{urlencode(given)}")
            yield from map(_image, answer["images"])
            cursor = answer["next"]
            if cursor is None:
                return

    def image(self, name: str) -> GalleryImage:
        """An image by its id."""
        return _image(self._json("GET", f"/v1/images/{quote(name, safe='')}"))

    def file(self, name: str) -> bytes:
        """An image's file, as browsers can show it."""
        return self._bytes(f"/v1/images/{quote(name, safe='')}/file")

    def thumbnail(self, name: str, size: int = 320) -> bytes:
        """A JPEG of an image, its longer side at most 160, 320, 640 or 1280 pixels."""
        return self._bytes(f"/v1/images/{quote(name, safe='')}/thumbnail?size={size}")

    def remove(self, name: str) -> int:
        """Let the gallery forget an image; returns how many files held it."""
        return int(self._json("DELETE", f"/v1/images/{quote(name, safe='')}")["removed"])

    def duplicates(
        self,
        level: str = "identical",
        *,
        page: int = 50,
        listen: Callable[[Comparing], None] | None = None,
    ) -> Iterator[DuplicateGroup]:
        """Groups of duplicates, those that would free most first; waits until they are found.

        Args:
            level: ``identical``: files that are the same byte for byte, at once; ``copy``: edited,
                cropped and re-encoded images too; ``object``: the same thing too. For these two
                the server compares all its images, unless it has since they last changed.
            page: how many are asked for at once.
            listen: told the progress while the server compares.
        """
        cursor = None
        while True:
            asked = {"level": level, "limit": page, "cursor": cursor}
            given = {name: value for name, value in asked.items() if value is not None}
            answer = self._json("GET", f"/v1/duplicates?{urlencode(given)}")
            if answer["state"] == "looking":
                if listen is not None and answer["progress"] is not None:
                    listen(Comparing(**answer["progress"]))
                time.sleep(_ASK_AGAIN)
                continue
            yield from map(_group, answer["groups"])
            cursor = answer["next"]
            if cursor is None:
                return

    def add(self, *images: Image) -> IndexRun:
        """Add images, where the server's owner allows that; the run makes them searchable."""
        form = _form({}, [("image", image) for image in images])
        return _run(self._json("POST", "/v1/images", *form)["run"])

    def index(self, folder: str | os.PathLike[str]) -> IndexRun:
        """Ask for an index run over a folder of the server's that its owner has allowed."""
        body = json.dumps({"folder": os.fspath(folder)}).encode()
        return _run(self._json("POST", "/v1/index-runs", body, "application/json"))

    def index_run(self, run: str) -> IndexRun:
        """How an index run is doing."""
        return _run(self._json("GET", f"/v1/index-runs/{quote(run, safe='')}"))

    def follow(self, run: str) -> Iterator[IndexRun]:
        """An index run after each change, until it is over."""
        with self._answer("GET", f"/v1/index-runs/{quote(run, safe='')}/events") as response:
            for line in response:
                if line.startswith(b"data: "):
                    yield _run(json.loads(line[6:]))

    def cancel(self, run: str) -> IndexRun:
        """Stop an index run; what it has done so far is kept."""
        return _run(self._json("DELETE", f"/v1/index-runs/{quote(run, safe='')}"))

    def _json(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Any:
        with self._answer(method, path, body, kind) as response:
            return json.load(response)

    def _bytes(self, path: str) -> bytes:
        with self._answer("GET", path) as response:
            return response.read()

    @contextmanager
    def _answer(
        self, method: str, path: str, body: bytes | None = None, kind: str = ""
    ) -> Iterator[http.client.HTTPResponse]:
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
            raise ServerError(f"the server at {self._host} does not answer: {error}") from error
        finally:
            connection.close()


def _error(status: int, body: bytes) -> ServerError:
    try:
        problem = json.loads(body)
        text = problem.get("detail") or problem["title"]
        return ServerError(f"{text} (status {status})", status, problem["type"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ServerError(f"the server answers with status {status}", status)


def _image(value: dict[str, Any]) -> GalleryImage:
    position = value["position"]
    return GalleryImage(
        value["id"],
        value["path"],
        value["copies"],
        value["width"],
        value["height"],
        value["bytes"],
        None if value["taken"] is None else datetime.fromisoformat(value["taken"]),
        value["camera"],
        None if position is None else (position["latitude"], position["longitude"]),
    )


def _group(value: dict[str, Any]) -> DuplicateGroup:
    images = tuple(
        DuplicateImage(
            _image(one),
            tuple(one["paths"]),
            tuple(one["spare"]),
            one["verdict"],
            one["same_probability"],
            one["copy_probability"],
            one["removable"],
        )
        for one in value["images"]
    )
    return DuplicateGroup(value["kind"], images, value["left_out"], value["bytes_to_free"])


def _run(value: dict[str, Any]) -> IndexRun:
    names = ("id", "folder", "state", "progress", "report", "error")
    return IndexRun(**{name: value[name] for name in names})


def _form(fields: dict[str, str | None], files: Sequence[tuple[str, Image]]) -> tuple[bytes, str]:
    """The body of a form and its content type (RFC 7578)."""
    mark = secrets.token_hex(16)
    parts: list[bytes] = []
    for name, value in fields.items():
        if value is not None:
            parts.append(_part(mark, f'name="{name}"', value.encode("utf-8", "surrogateescape")))
    for name, image in files:
        data = image if isinstance(image, bytes) else Path(image).expanduser().read_bytes()
        parts.append(_part(mark, f'name="{name}"; filename="image"', data))
    body = b"".join([*parts, f"--{mark}--\r\n".encode()])
    return body, f"multipart/form-data; boundary={mark}"


def _part(mark: str, disposition: str, body: bytes) -> bytes:
    head = f"--{mark}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + body + b"\r\n"
