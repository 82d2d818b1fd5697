"""A client of `glocal serve`, with nothing to install besides glocal.

It returns the same types as `glocal.Gallery`; paths are those of the server.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Literal
from urllib.parse import quote, urlencode

from glocal.connection import Connection, Image, ServerError, encode_form, problem_error
from glocal.gallery.progress import Progress
from glocal.gallery.query import Region
from glocal.gallery.results import DuplicateGroup, GalleryImage
from glocal.web.parsing import from_json
from glocal.web.results import (
    AddedImages,
    DuplicatesPage,
    ImagePage,
    IndexRun,
    LocatedPage,
    PairResult,
    SearchPage,
    ServerInfo,
)

__all__ = ["Client", "IndexRun", "SearchPage", "ServerError", "ServerInfo"]

Order = Literal["taken", "path", "name", "bytes", "added"]
_POLL_SECONDS = 0.5


class Client:
    """Talks to one server; any thread may use it.

    >>> from glocal.client import Client
    >>> client = Client(server)  # such as "http://127.0.0.1:8470"
    >>> result = client.search("query.jpg", limit=3)
    >>> for hit in result:
    ...     print(hit.rank, hit.path.name, hit.evidence.verdict.label)
    1 query.jpg identical file
    2 cropped.jpg copy
    3 other.jpg similar
    >>> client.search(result.hits[1], limit=1).hits[0].path.name  # images need not be sent again
    'cropped.jpg'

    Args:
        address: the server's address, such as ``http://127.0.0.1:8470``.
        token: the server's token, if it has one.
        timeout: seconds without any response after which a call fails.

    Raises:
        ServerError: from every method, if the server refuses the request or cannot be reached.
    """

    def __init__(self, address: str, *, token: str | None = None, timeout: float = 60.0) -> None:
        self._server = Connection(address, token, timeout)

    # Searching

    def search(
        self,
        image: Image | GalleryImage | None = None,
        *,
        query: str | None = None,
        url: str | None = None,
        text: str | None = None,
        change: str | None = None,
        region: Region | None = None,
        second_region: Region | None = None,
        relation: str | None = None,
        sketch: bool = False,
        any_view: bool = False,
        like: Sequence[Image | GalleryImage] = (),
        unlike: Sequence[Image | GalleryImage] = (),
        where: str | None = None,
        limit: int = 10,
        offset: int = 0,
        exact: bool = False,
        rerank: str | None = None,
        verify: bool = True,
        small_objects: bool = False,
        regions: bool = True,
        min_score: float | None = None,
    ) -> SearchPage:
        """Find the images that show the same thing; see `glocal.Gallery.search`.

        Args:
            image: the query: an image to send, or one of the gallery.
            query: instead of an image its id, or the `SearchPage.query` of an earlier search.
            url: instead of an image its address, if the server's owner allows that.
            text: words, with an image or instead of one.
            change: in words, how what is to be found differs from the image.
            region: X, Y, W, H of the query, in pixels or as fractions.
            second_region: of a second thing; see `glocal.Gallery.search_relation`.
            relation: likewise.
            sketch: the image is a drawing; see `glocal.Gallery.search_sketch`.
            any_view: likewise.
            like: more positive examples.
            unlike: negative examples.
            where: a condition, such as ``taken >= 2019``.
            limit: how many images at most, up to 1,000.
            offset: how many of the best hits to leave out.
            exact: as in `glocal.Gallery.search`.
            rerank: as in `glocal.Gallery.search`.
            verify: as in `glocal.Gallery.search`.
            small_objects: as in `glocal.Gallery.search`.
            regions: as in `glocal.Gallery.search`.
            min_score: leave out hits whose score is below this, except matches; they count for
                `limit` and `offset`.
        """
        options = {
            "query": query,
            "url": url,
            "text": text,
            "change": change,
            "region": None if region is None else ",".join(map(str, region)),
            "second_region": None if second_region is None else ",".join(map(str, second_region)),
            "relation": relation,
            "sketch": sketch or None,
            "any_view": any_view or None,
            "offset": offset,
        } | _options(where, limit, exact, rerank, verify, small_objects, regions, min_score)
        images = [("like", each) for each in like] + [("unlike", each) for each in unlike]
        if image is not None:
            images.insert(0, ("query" if isinstance(image, GalleryImage) else "image", image))
        return from_json(
            SearchPage, self._server.json("POST", "/v1/search", *encode_form(options, images))
        )

    def search_batch(
        self,
        images: Sequence[Image | GalleryImage],
        *,
        where: str | None = None,
        limit: int = 10,
        exact: bool = False,
        rerank: str | None = None,
        verify: bool = True,
        small_objects: bool = False,
        regions: bool = True,
        min_score: float | None = None,
    ) -> tuple[SearchPage | ServerError, ...]:
        """Search with several images; for the other arguments see `search`.

        Args:
            images: the queries, as many as `ServerInfo.limits` allows in one batch.

        Returns:
            For each query its result, or the error that it met.
        """
        options = _options(where, limit, exact, rerank, verify, small_objects, regions, min_score)
        # The server answers images before ids.
        order = sorted(range(len(images)), key=lambda at: isinstance(images[at], GalleryImage))
        parts = [
            ("query" if isinstance(images[at], GalleryImage) else "image", images[at])
            for at in order
        ]
        answer = self._server.json("POST", "/v1/search/batch", *encode_form(options, parts))
        found: dict[int, SearchPage | ServerError] = {}
        for at, item in zip(order, answer["results"], strict=True):
            if item["problem"] is None:
                found[at] = from_json(SearchPage, item["result"])
            else:
                found[at] = problem_error(item["problem"], item["problem"]["status"])
        return tuple(found[at] for at in range(len(images)))

    def locate(
        self, image: Image | GalleryImage, *, where: str | None = None, limit: int = 5
    ) -> LocatedPage:
        """Where a photo was probably taken; see `glocal.Gallery.locate`.

        Args:
            image: an image to send, or one of the gallery.
            where: a condition on the photos that it is compared with.
            limit: how many places at most.
        """
        field = "query" if isinstance(image, GalleryImage) else "image"
        form = encode_form({"where": where, "limit": limit}, [(field, image)])
        return from_json(LocatedPage, self._server.json("POST", "/v1/locate", *form))

    # The gallery

    def info(self) -> ServerInfo:
        """What the gallery holds and what the server allows."""
        return from_json(ServerInfo, self._server.json("GET", "/v1/info"))

    def images(
        self,
        *,
        where: str | None = None,
        name: str | None = None,
        order: Order = "taken",
        reverse: bool = False,
        page: int = 200,
    ) -> Iterator[GalleryImage]:
        """Every image that meets a condition, in order.

        Args:
            where: the condition.
            name: what a file name contains, whatever the case.
            order: ``taken``: the latest first; ``added``: the last added first; ``bytes``: the
                largest first; or by ``path`` or ``name``.
            reverse: the other way round.
            page: how many images to request at a time.
        """
        cursor = None
        while True:
            parameters = {
                "where": where,
                "name": name,
                "order": order,
                "reverse": "true" if reverse else None,
                "limit": page,
                "cursor": cursor,
            }
            answer = from_json(
                ImagePage, self._server.json("GET", "/v1/images", parameters=parameters)
            )
            yield from answer.images
            cursor = answer.next
            if cursor is None:
                return

    def image(self, name: str) -> GalleryImage:
        """An image by its id."""
        return from_json(
            GalleryImage, self._server.json("GET", f"/v1/images/{quote(name, safe='')}")
        )

    def file(self, name: str) -> bytes:
        """The file of an image, in a format that browsers can show."""
        return self._server.read(f"/v1/images/{quote(name, safe='')}/file")

    def thumbnail(self, name: str, size: int = 320) -> bytes:
        """A JPEG of an image, its longer side at most 160, 320, 640 or 1280 pixels."""
        return self._server.read(f"/v1/images/{quote(name, safe='')}/thumbnail?size={size}")

    def archive(self, images: Iterable[GalleryImage], file: BinaryIO) -> None:
        """Write the files of images to a file, as a ZIP archive.

        Args:
            images: as many as `ServerInfo.limits` allows. One whose file is missing is left out;
                the table ``images.csv`` in the archive says so.
            file: open for writing bytes.
        """
        body = json.dumps({"images": [image.id for image in images]}).encode()
        path = "/v1/downloads/zip"
        with self._server.answer("POST", path, body, "application/json") as response:
            shutil.copyfileobj(response, file)

    def table(self, images: Iterable[GalleryImage]) -> bytes:
        """What is known of images, as CSV."""
        body = json.dumps({"images": [image.id for image in images]}).encode()
        path = "/v1/downloads/csv"
        with self._server.answer("POST", path, body, "application/json") as response:
            return response.read()

    def remove(self, name: str) -> int:
        """Remove an image from the index; returns how many files held it."""
        return int(self._server.json("DELETE", f"/v1/images/{quote(name, safe='')}")["removed"])

    def duplicates(
        self,
        level: str = "identical",
        *,
        prefer: str | os.PathLike[str] | None = None,
        page: int = 50,
        listen: Callable[[Progress], None] | None = None,
    ) -> Iterator[DuplicateGroup]:
        """Groups of duplicates, those first that would free the most bytes.

        Args:
            level: ``identical``: files that are identical byte for byte, at once; ``copy``: edited,
                cropped and re-encoded copies too; ``object``: other images of the same object or
                place too. For these two the server compares all its images, unless they have not
                changed since it last did, and this call waits.
            prefer: of copies that are equally good keep the one in this folder of the gallery.
            page: how many groups to request at a time.
            listen: gets the progress while the server compares.
        """
        cursor = None
        while True:
            parameters = {
                "level": level,
                "limit": page,
                "cursor": cursor,
                "prefer": None if prefer is None else os.fspath(prefer),
            }
            answer = from_json(
                DuplicatesPage, self._server.json("GET", "/v1/duplicates", parameters=parameters)
            )
            if answer.state == "not_compared":
                self._compare_all(level, parameters["prefer"])
                continue
            if answer.state == "comparing":
                if listen is not None and answer.progress is not None:
                    listen(answer.progress)
                time.sleep(_POLL_SECONDS)
                continue
            yield from answer.groups
            cursor = answer.next
            if cursor is None:
                return

    def duplicate_plan(
        self, level: str = "identical", *, prefer: str | os.PathLike[str] | None = None
    ) -> bytes:
        """The plan of what could be removed, as `glocal duplicates --plan` writes it.

        Args:
            level: as in `duplicates`, which has to be called before for all but ``identical``.
            prefer: as in `duplicates`.
        """
        parameters = {"level": level} | ({} if prefer is None else {"prefer": os.fspath(prefer)})
        return self._server.read(f"/v1/duplicates/plan?{urlencode(parameters)}")

    def not_duplicates(self, *images: GalleryImage, undo: bool = False) -> int:
        """Decide that of these images none is a duplicate of another, or undo that.

        Returns:
            How many pairs had been decided otherwise before.
        """
        return self._decide("not_duplicates", images, undo)

    def keep(self, *images: GalleryImage, undo: bool = False) -> int:
        """Decide that of its group each of these images stays, or undo that.

        Returns:
            How many had been decided otherwise before.
        """
        return self._decide("keep", images, undo)

    def compare(self, first: GalleryImage, second: GalleryImage) -> PairResult:
        """How two images of the gallery lie on one another, and where they differ."""
        parameters = {"first": first.id, "second": second.id}
        return from_json(
            PairResult, self._server.json("GET", "/v1/duplicates/pair", parameters=parameters)
        )

    def _compare_all(self, level: str, prefer: Any) -> None:
        body = {"level": level, "prefer": prefer}
        path = "/v1/duplicates/comparisons"
        self._server.json("POST", path, json.dumps(body).encode(), "application/json")

    def _decide(self, kind: str, images: Sequence[GalleryImage], undo: bool) -> int:
        body = {"kind": kind, "images": [image.id for image in images], "undo": undo}
        path = "/v1/duplicates/decisions"
        answer = self._server.json("POST", path, json.dumps(body).encode(), "application/json")
        return int(answer["changed"])

    # Adding

    def add(self, *images: Image) -> IndexRun:
        """Add images, if the server's owner allows that; the run makes them searchable."""
        form = encode_form({}, [("image", image) for image in images])
        return from_json(AddedImages, self._server.json("POST", "/v1/images", *form)).run

    def index(self, folder: str | os.PathLike[str]) -> IndexRun:
        """Start an index run over a folder of the server that its owner has allowed."""
        body = json.dumps({"folder": os.fspath(folder)}).encode()
        return _run(self._server.json("POST", "/v1/index-runs", body, "application/json"))

    def index_run(self, run: str) -> IndexRun:
        """The state of an index run."""
        return _run(self._server.json("GET", f"/v1/index-runs/{quote(run, safe='')}"))

    def follow(self, run: str) -> Iterator[IndexRun]:
        """An index run now and after each change, until it ends."""
        with self._server.answer("GET", f"/v1/index-runs/{quote(run, safe='')}/events") as response:
            for line in response:
                if line.startswith(b"data: "):
                    yield _run(json.loads(line[6:]))

    def cancel(self, run: str) -> IndexRun:
        """Cancel an index run; what it has done so far is kept."""
        return _run(self._server.json("DELETE", f"/v1/index-runs/{quote(run, safe='')}"))


def _run(value: dict[str, Any]) -> IndexRun:
    return from_json(IndexRun, value)


def _options(
    where: str | None,
    limit: int,
    exact: bool,
    rerank: str | None,
    verify: bool,
    small_objects: bool,
    regions: bool,
    min_score: float | None,
) -> dict[str, object]:
    return {
        "where": where,
        "limit": limit,
        "exact": exact,
        "rerank": rerank,
        "verify": verify,
        "small_objects": small_objects,
        "regions": regions,
        "min_score": min_score,
    }
