"""The state of a running server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import platformdirs
from fastapi import Depends, Request

from glocal.errors import GalleryError, MissingExtraError, install_command
from glocal.gallery import Gallery
from glocal.gallery.browsing import Shown
from glocal.gallery.conditions import Condition, places_in
from glocal.gallery.facets import Facets, read_facets
from glocal.gallery.results import GalleryImage, image_fields
from glocal.images import Limits
from glocal.web import schemas
from glocal.web.bounds import Turns
from glocal.web.comparisons import Comparisons
from glocal.web.decoding import Decoders
from glocal.web.explaining import Explainer
from glocal.web.fetching import Fetches
from glocal.web.guard import Sessions
from glocal.web.metrics import Metrics
from glocal.web.originals import read_original
from glocal.web.pairs import PairCache
from glocal.web.problems import ProblemError, printable_path
from glocal.web.readiness import Readiness, search_anything
from glocal.web.runs import Runs
from glocal.web.searchers import Searchers
from glocal.web.settings import Settings
from glocal.web.thumbnails import ThumbnailCache
from glocal.web.uploads import Uploads

T = TypeVar("T")


class Service:
    """A gallery and everything that serving it takes.

    Args:
        gallery: open; whoever opened it closes it.
        settings: the owner's decisions.
        explainers: the kinds of explanations of a match, by name.
    """

    def __init__(
        self, gallery: Gallery, settings: Settings, explainers: Mapping[str, Explainer]
    ) -> None:
        self.gallery = gallery
        self.explainers = explainers
        self.settings = settings
        self.metrics = Metrics()
        self.sessions = Sessions(settings.token, settings.read_token)
        self.browser = gallery.browse()
        self.search_turns = Turns("search", settings.searches, settings.waiting, self.metrics)
        self.change_turns = Turns("changes", 1, settings.waiting, self.metrics)
        self.fetches = Fetches(settings.limits.max_bytes, self.metrics)
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
            lambda: (*self.browser.state(), gallery.decisions_mark()),
            settings.compare_seconds,
            self.metrics,
        )
        cache = settings.thumbnails or platformdirs.user_cache_path("glocal", appauthor=False)
        self.thumbnails = ThumbnailCache(cache / "thumbnails", settings.thumbnail_bytes)
        self.uploads = Uploads(cache / "uploads", settings.keep_bytes)
        self.searchers = Searchers(gallery, settings.search_processes, settings.searches)
        self.readiness = Readiness(
            self.upload_decoders, lambda: self.searchers.run(search_anything)
        )
        self.pairs = PairCache()
        self.ending = asyncio.Event()
        self._threads = ThreadPoolExecutor(settings.searches + 4, "glocal-serve")
        self._changing = ThreadPoolExecutor(1, "glocal-change")  # waits for index runs
        self._facets_lock = threading.Lock()
        self._facets: tuple[tuple[int, ...], Facets] | None = None

    async def start(self) -> None:
        """Open everything that searches need, so that the first is as fast as any other."""
        await self.thread(self.gallery.warm)
        await self.searchers.start()
        await self.upload_decoders.start()
        await self.own_decoders.start()
        self.runs.start()

    @property
    def draining(self) -> bool:
        """Whether the server is about to end."""
        return self.ending.is_set()

    def drain(self) -> None:
        """Tell load balancers, and clients that follow an index run."""
        self.ending.set()

    async def stop(self) -> None:
        """End everything but the gallery."""
        await self.comparisons.stop()
        await self.runs.stop()
        await self.upload_decoders.stop()
        await self.own_decoders.stop()
        self.fetches.stop()
        self._changing.shutdown(wait=True, cancel_futures=True)
        self.searchers.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def thread(self, work: Callable[[], T]) -> T:
        """Do blocking work in one of the server's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def change(self, work: Callable[[], T]) -> T:
        """Change the gallery, one change after the other; nothing else waits for it.

        Raises:
            ProblemError: too many changes are waiting.
        """
        async with self.change_turns.turn():
            return await asyncio.get_running_loop().run_in_executor(self._changing, work)

    def condition(self, text: str | None) -> Condition | None:
        """Read a condition of a client.

        Raises:
            QueryError: the text is not a condition.
            ProblemError: it is about places, which this server does not show.
        """
        try:
            condition = self.browser.condition(text)
        except MissingExtraError as error:
            raise ProblemError(
                422,
                "this server knows no towns by name; give latitude,longitude in degrees, or ask "
                f"its owner to run: {install_command('glocal[places]')}",
                kind="urn:glocal:query",
            ) from error
        if not self.settings.positions and places_in(condition):
            raise ProblemError(
                403,
                "this server does not say where images were taken, so they cannot be filtered by "
                "place; its owner can allow it: glocal serve --show-positions",
            )
        return condition

    def shown(self, name: str) -> Shown:
        """An image of the gallery by its id.

        Raises:
            ProblemError: the gallery has no such image.
        """
        image = UUID(hex=name)
        found = self.browser.images([image]).get(image)
        if found is None:
            raise ProblemError(
                404, f"the gallery has no image with the id {name}", kind="urn:glocal:unknown"
            )
        return found

    def original(self, shown: Shown) -> tuple[bytes, Path]:
        """An image's file, and where it was found; see `read_original`."""
        return read_original(shown.content.id, shown.paths, self.gallery.roots(), self.own_limits)

    def follows_changes(self) -> bool:
        """Whether the gallery has a text model by which words change a query image."""
        try:
            known = self.gallery.text_model()
        except GalleryError:  # which a search says
            return False
        return known is not None and known.gallery_space == self.gallery.space

    def facets(self) -> Facets:
        """What images can be filtered by, counted again when the catalogue has changed."""
        with self._facets_lock:
            state = self.browser.state()
            if self._facets is None or self._facets[0] != state:
                self._facets = (state, read_facets(self.browser))
            return self._facets[1]

    def image(self, shown: Shown) -> schemas.GalleryImage:
        """An image of the catalogue as clients get it."""
        fields = image_fields(shown.content, shown.paths)
        return schemas.GalleryImage(**self.served(GalleryImage(**fields)))

    def served(self, image: GalleryImage) -> dict[str, Any]:
        """The fields of an image, a hit or a duplicate as clients get them.

        Paths are made printable, positions are left out unless the owner shows them, and the
        addresses are added.
        """
        own = {each.name: _printable(getattr(image, each.name)) for each in fields(image)}
        path = printable_path(image.path)
        return own | {
            "position": image.position if self.settings.positions else None,
            "name": path.name,
            "thumbnail": f"/v1/images/{image.id}/thumbnail",
            "file": f"/v1/images/{image.id}/file",
        }


def _printable(value: Any) -> Any:
    """Paths, and tuples of them, made printable; anything else as it is."""
    if isinstance(value, Path):
        return printable_path(value)
    return tuple(map(_printable, value)) if isinstance(value, tuple) else value


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]
"""Declared by a route that needs the service."""
