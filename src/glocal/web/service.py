"""Everything a server holds while it runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import platformdirs
from fastapi import Depends, Request

from glocal.gallery import Gallery
from glocal.gallery.browsing import Shown
from glocal.gallery.conditions import Condition, mentions_place
from glocal.gallery.facets import Facets, read_facets
from glocal.images import Limits
from glocal.web import schemas
from glocal.web.bounds import Turns
from glocal.web.comparisons import Comparisons
from glocal.web.decoding import Decoders
from glocal.web.explaining import Explainer
from glocal.web.guard import Sessions
from glocal.web.metrics import Metrics
from glocal.web.originals import read_original
from glocal.web.problems import ProblemError, printable
from glocal.web.runs import Runs
from glocal.web.settings import Settings
from glocal.web.thumbnails import ThumbnailCache
from glocal.web.uploads import Uploads

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1)  # of a clock without a zone, as cameras have it


class Service:
    """A gallery and what it takes to show it to others.

    Args:
        gallery: which stays its opener's to close.
        settings: the owner's.
        explainers: the ways in which a match can be explained, by name.
    """

    def __init__(
        self, gallery: Gallery, settings: Settings, explainers: Mapping[str, Explainer]
    ) -> None:
        self.gallery = gallery
        self.explainers = explainers
        self.settings = settings
        self.metrics = Metrics()
        self.sessions = Sessions(settings.token)
        self.browser = gallery.browse()
        self.uploads = Uploads(settings.keep_uploads, settings.keep_bytes)
        self.search_turns = Turns("search", settings.searches, settings.waiting, self.metrics)
        self.image_turns = Turns(
            "images", 2 * settings.decoders, 8 * settings.waiting, self.metrics
        )
        count, seconds = settings.decoders, settings.decode_seconds
        self.upload_decoders = Decoders(count, seconds, settings.limits, self.metrics)
        # The gallery's own images were let in under its own, wider limits.
        self.own_limits = Limits()
        self.own_decoders = Decoders(count, 4 * seconds, self.own_limits, self.metrics)
        self.runs = Runs(gallery.folder, self.own_limits, settings.folders, self.metrics)
        self.comparisons = Comparisons(
            gallery.folder,
            self.own_limits,
            self.browser.state,
            settings.compare_seconds,
            self.metrics,
        )
        cache = settings.thumbnails or platformdirs.user_cache_path("glocal", appauthor=False)
        self.thumbnails = ThumbnailCache(cache / "thumbnails", settings.thumbnail_bytes)
        self.ending = asyncio.Event()
        self._threads = ThreadPoolExecutor(settings.searches + 4, "glocal-serve")
        self._facets_lock = threading.Lock()
        self._facets: tuple[tuple[int, ...], Facets] | None = None

    async def start(self) -> None:
        """Open what searches need, so that the first is as fast as any."""
        await self.thread(self.gallery.warm)
        await self.upload_decoders.start()
        await self.own_decoders.start()
        self.runs.start()

    @property
    def draining(self) -> bool:
        """Whether the server is about to end."""
        return self.ending.is_set()

    def drain(self) -> None:
        """Say so to load balancers, and to clients that follow something without end."""
        self.ending.set()

    async def stop(self) -> None:
        """End everything but the gallery."""
        await self.comparisons.stop()
        await self.runs.stop()
        await self.upload_decoders.stop()
        await self.own_decoders.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def thread(self, work: Callable[[], T]) -> T:
        """Do blocking work in one of the server's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def condition(self, text: str | None) -> Condition | None:
        """Read a condition that a client gave.

        Raises:
            QueryError: it is none.
            ProblemError: it asks for places, which are not shown here.
        """
        condition = self.browser.condition(text)
        if condition is not None and not self.settings.positions and mentions_place(condition):
            raise ProblemError(
                403,
                "where images were taken is not shown here; its owner can: "
                "glocal serve --show-positions",
            )
        return condition

    def shown(self, name: str) -> Shown:
        """An image of the gallery by its id.

        Raises:
            ProblemError: there is none.
        """
        image = UUID(hex=name)
        found = self.browser.images([image]).get(image)
        if found is None:
            raise ProblemError(404, "the gallery has no such image", kind="urn:glocal:unknown")
        return found

    def original(self, shown: Shown) -> tuple[bytes, Path]:
        """An image's file, and where it was found; see `read_original`."""
        return read_original(shown.content.id, shown.paths, self.gallery.roots(), self.own_limits)

    def facets(self) -> Facets:
        """What there is to filter by, counted again when the catalogue has changed."""
        with self._facets_lock:
            state = self.browser.state()
            if self._facets is None or self._facets[0] != state:
                self._facets = (state, read_facets(self.browser))
            return self._facets[1]

    def image(self, shown: Shown, path: Path | None = None) -> schemas.GalleryImage:
        """An image as clients see it; `path` is which of its files is meant."""
        return schemas.GalleryImage(**self.image_fields(shown, path))

    def image_fields(self, shown: Shown, path: Path | None = None) -> dict[str, Any]:
        """The fields of `schemas.Image`."""
        content = shown.content
        meant = path or shown.paths[0]
        return {
            "id": content.id.hex,
            "path": printable(str(meant)),
            "name": printable(meant.name),
            "copies": len(shown.paths),
            "width": content.width,
            "height": content.height,
            "bytes": content.bytes,
            "taken": _moment(content.taken),
            "camera": content.camera,
            "position": self._position(shown),
            "thumbnail": f"/v1/images/{content.id.hex}/thumbnail",
            "image": f"/v1/images/{content.id.hex}/file",
        }

    def _position(self, shown: Shown) -> schemas.Position | None:
        latitude, longitude = shown.content.latitude, shown.content.longitude
        if not self.settings.positions or latitude is None or longitude is None:
            return None
        return schemas.Position(latitude=latitude, longitude=longitude)


def _moment(taken: int | None) -> str | None:
    return None if taken is None else (_EPOCH + timedelta(seconds=taken)).isoformat()


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]
"""What a route declares to be given the server's parts."""
