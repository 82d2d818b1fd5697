"""Searches in processes of their own: threads of one would wait for each other's Python lock.

On two cores four threads of one process answer 1.2 times as many searches as one thread, two
processes twice as many.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import GalleryError
from glocal.gallery import Gallery, SearchResult
from glocal.gallery.locating import Located

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class SearchJob:
    """One search, with all that another process needs to answer it.

    Attributes:
        query: ``(h, w, 3)`` uint8 RGB upright; `None` to search by words alone.
        like: positive examples, likewise.
        unlike: negative examples, likewise.
        identity: the id that the gallery would give to the query's file.
        name: what the query is called.
        options: further arguments of `Gallery.search`.
    """

    query: NDArray[np.uint8] | None
    like: Sequence[NDArray[np.uint8]]
    unlike: Sequence[NDArray[np.uint8]]
    identity: UUID | None
    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, gallery: Gallery) -> SearchResult:
        """Answer it; the time to encode is among the result's timings."""
        if self.query is None:
            return gallery.search(like=self.like, unlike=self.unlike, **self.options)
        began = time.perf_counter()
        made = gallery.query(
            self.query,
            like=self.like,
            unlike=self.unlike,
            regions=self.options["regions"] and self.options["rerank"] is None,
        )
        encode = {"encode": (time.perf_counter() - began) * 1000}
        # Only the server still knows the bytes that the pixels were decoded from.
        made = replace(made, identity=self.identity, name=self.name)
        found = gallery.search(made, **self.options)
        return replace(found, timings_ms=encode | found.timings_ms)


@dataclass(frozen=True, slots=True, eq=False)
class LocateJob:
    """A photo whose place is wanted.

    Attributes:
        query: ``(h, w, 3)`` uint8 RGB upright.
        identity: the id that the gallery would give to its file.
        name: what it is called.
        options: further arguments of `Gallery.locate`.
    """

    query: NDArray[np.uint8]
    identity: UUID
    name: str
    options: dict[str, Any]

    def __call__(self, gallery: Gallery) -> Located:
        """Say where it was taken."""
        made = replace(gallery.query(self.query), identity=self.identity, name=self.name)
        return gallery.locate(made, **self.options)


class Searchers:
    """Answers searches in a few processes, each of which has the gallery open.

    A process that dies takes with it what the others of the pool were doing: all are replaced, and
    what was lost is done again, once.

    Args:
        gallery: searched in the server's own process if there are no others.
        processes: how many; 0 for `threads` of the server's own process.
        threads: see `processes`.
    """

    def __init__(self, gallery: Gallery, processes: int, threads: int) -> None:
        self._gallery = gallery
        self._processes = processes
        self._threads = threads
        self._pool = self._make()

    def _make(self) -> Executor:
        if not self._processes:
            return ThreadPoolExecutor(self._threads, "glocal-search")
        os.environ["PYTHONSAFEPATH"] = (
            "1"  # no modules from whatever folder the server was started in
        )
        return ProcessPoolExecutor(
            self._processes,
            multiprocessing.get_context("spawn"),  # a fork would copy locks that threads hold
            _open,
            (self._gallery.folder, self._gallery.substitute, self._gallery.budget_ms),
        )

    async def start(self) -> None:
        """Start the processes, and open everything that searches need."""
        await asyncio.gather(*[self.run(_warm) for _ in range(self._processes or 1)])

    async def run(self, work: Callable[[Gallery], T]) -> T:
        """Do something with the gallery.

        Args:
            work: which it is given; it and its result go from process to process.

        Raises:
            GalleryError: the process died of it, and then another one did.
        """
        loop = asyncio.get_running_loop()
        for _ in range(2):
            pool = self._pool
            try:
                if not self._processes:
                    return await loop.run_in_executor(pool, work, self._gallery)
                return await loop.run_in_executor(pool, _work, work)
            except BrokenProcessPool:
                if pool is self._pool:  # the first to notice
                    _log.warning("a process that searches has died; others take its place")
                    self._pool = self._make()
                    pool.shutdown(wait=False)
        raise GalleryError("the search made the processes that answer searches end; see the log")

    def stop(self) -> None:
        """End the processes, once what they are doing is done."""
        self._pool.shutdown(wait=True, cancel_futures=True)


# In a process that searches:

_opened: list[Gallery] = []


def _open(folder: Path, model: Path | None, budget_ms: float | None) -> None:
    """Open the gallery, for all that this process will do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server
    threading.Thread(target=_end_with_server, daemon=True).start()
    named = None if model is None else str(model)
    _opened.append(
        Gallery(folder, model=named, create=False, side_by_side=True, budget_ms=budget_ms)
    )


def _end_with_server() -> None:
    server = multiprocessing.parent_process()
    if server is not None:
        wait([server.sentinel])
        os._exit(0)


def _work(work: Callable[[Gallery], T]) -> T:
    return work(_opened[0])


def _warm(gallery: Gallery) -> None:
    gallery.warm()
    gallery.query(np.zeros((8, 8, 3), np.uint8))
