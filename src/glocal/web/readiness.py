"""Whether a server can do what it is for: decode an image, and find one."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Awaitable, Callable

import numpy as np

from glocal.errors import GlocalError
from glocal.gallery import Gallery
from glocal.web.decoding import Decoders
from glocal.web.problems import ProblemError

_PIXEL = base64.b64decode(
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
_EVERY = 10.0
_PATIENCE = 5.0
_log = logging.getLogger(__name__)


class Readiness:
    """Tries, now and then, what every search needs.

    Args:
        decoders: have to decode a pixel.
        search: has to search for a vector.
    """

    def __init__(self, decoders: Decoders, search: Callable[[], Awaitable[object]]) -> None:
        self._decoders = decoders
        self._search = search
        self._lock = asyncio.Lock()
        self._sound_until = 0.0

    async def check(self) -> None:
        """Return if the server works, or did a moment ago; decoders that are busy work.

        Raises:
            ProblemError: the server cannot decode or cannot search.
        """
        async with self._lock:
            if time.monotonic() < self._sound_until:
                return
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._decoders.pixels(_PIXEL, min_pixels=1)
                    await self._search()
            except TimeoutError:
                return
            except GlocalError as error:
                _log.warning("the server is not ready: %s", error)
                raise ProblemError(
                    503,
                    "the server can answer no searches; see its log",
                    headers={"Retry-After": "5"},
                ) from error
            self._sound_until = time.monotonic() + _EVERY


def search_anything(gallery: Gallery) -> None:
    """Search for a vector of the gallery's own kind."""
    gallery.search_vector(np.ones(gallery.model.dim, np.float32), limit=1)
