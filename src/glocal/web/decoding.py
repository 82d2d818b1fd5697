"""Decoding in separate processes: an image can crash one of them, but never the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.errors import ImageError, QueryError
from glocal.images import Limits
from glocal.web.children import own_group
from glocal.web.metrics import Metrics

_log = logging.getLogger(__name__)
_ERRORS = {"QueryError": QueryError}


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """An image as the network takes it, and the upright size of the whole image.

    Attributes:
        array: ``(h, w, 3)`` uint8 RGB, possibly scaled down, possibly only a region.
        width: of the whole in pixels.
        height: of the whole in pixels.
        format: its file's.
    """

    array: NDArray[np.uint8]
    width: int
    height: int
    format: str


class _DiedError(Exception):
    """The process ended during a job."""


class Decoders:
    """A few processes that decode images, each killed and replaced when one takes too long.

    Args:
        count: number of processes.
        seconds: time that one image may take.
        limits: of the images.
        metrics: gets the number of killed processes.
    """

    def __init__(self, count: int, seconds: float, limits: Limits, metrics: Metrics) -> None:
        self._count = count
        self._seconds = seconds
        self._limits = limits
        self._metrics = metrics
        self._idle: asyncio.Queue[asyncio.subprocess.Process | None] = asyncio.Queue()
        self._alive: set[asyncio.subprocess.Process] = set()

    async def start(self) -> None:
        """Start the processes."""
        for _ in range(self._count):
            self._idle.put_nowait(await self._spawn())

    async def stop(self) -> None:
        """End the processes, at once."""
        for process in list(self._alive):
            await self._kill(process)

    async def pixels(
        self,
        data: bytes,
        *,
        min_pixels: int,
        region: tuple[float, float, float, float] | None = None,
        name: str | None = None,
    ) -> Decoded:
        """Decode an image no smaller than a network needs; see `glocal.images.load`.

        Raises:
            ImageError: it is not an image, is too large, takes too long, or crashed its process.
            QueryError: the region lies outside the image.
        """
        head, body = await self._do("pixels", data, min_pixels=min_pixels, region=region, name=name)
        array = np.frombuffer(body, np.uint8).reshape(head["shape"])
        return Decoded(array, head["width"], head["height"], head["format"])

    async def jpeg(
        self, data: bytes, *, side: int = 0, quality: int = 82, name: str | None = None
    ) -> bytes:
        """Make an upright JPEG without metadata.

        Args:
            data: the encoded image.
            side: pixels that the longer side has at most; 0: keep the size.
            quality: from 1 to 95.
            name: of its file; see `glocal.images.load`.

        Raises:
            ImageError: as `pixels`.
        """
        _, body = await self._do("jpeg", data, side=side, quality=quality, name=name)
        return body

    async def plain(self, data: bytes, *, keep: bool, name: str) -> tuple[bytes, str]:
        """An image in a format that browsers can show, and its media type.

        Args:
            data: the encoded image.
            keep: keep its metadata; otherwise only what changes how it looks is kept.
            name: of its file.

        Raises:
            ImageError: as `pixels`.
        """
        head, body = await self._do("plain", data, keep=keep, name=name)
        return body, head["type"]

    async def _do(self, what: str, data: bytes, **options: Any) -> tuple[dict[str, Any], bytes]:
        self._limits.check_bytes(len(data))
        job = {
            "do": what,
            "bytes": len(data),
            "max_bytes": self._limits.max_bytes,
            "max_pixels": self._limits.max_pixels,
            **options,
        }
        process = await self._idle.get()
        sound = False
        try:
            process = process or await self._spawn()
            async with asyncio.timeout(self._seconds):
                head, body = await _exchange(process, job, data)
            sound = True
        except TimeoutError as error:
            self._metrics.decoders_killed.inc()
            raise ImageError(f"decoding the image takes longer than {self._seconds:g} s") from error
        except (_DiedError, OSError, ValueError) as error:
            self._metrics.decoders_killed.inc()
            raise ImageError("the image cannot be decoded; it crashed the decoder") from error
        finally:
            # Also if the client has disconnected and this job was cancelled.
            if not sound and process is not None:
                await asyncio.shield(self._kill(process))
            self._idle.put_nowait(process if sound else None)
        if "error" in head:
            raise _ERRORS.get(head["kind"], ImageError)(head["error"])
        return head, body

    async def _spawn(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # no modules from whatever folder the server was started in
            "-m",
            "glocal.web.decode_child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
            limit=2**20,
            **own_group(),  # Ctrl-C is for the server, which ends its own processes
        )
        self._alive.add(process)
        return process

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        self._alive.discard(process)
        # Closing the rest of its pipes takes a turn of the event loop.
        transport: Any = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()


async def _exchange(
    process: asyncio.subprocess.Process, job: dict[str, Any], data: bytes
) -> tuple[dict[str, Any], bytes]:
    to, back = process.stdin, process.stdout
    if to is None or back is None:
        raise _DiedError
    try:
        to.write(json.dumps(job).encode() + b"\n")
        to.write(data)
        await to.drain()
        line = await back.readline()
        if not line:
            raise _DiedError
        head = json.loads(line)
        return head, await back.readexactly(head["bytes"])
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise _DiedError from error


def _environment() -> dict[str, str]:
    """The environment of the process: enough to find Python's modules, and no secrets."""
    kept = {
        "PATH",
        "PYTHONPATH",
        "PYTHONHOME",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
        "LANG",
        "SYSTEMROOT",
        "TEMP",
        "TMPDIR",
    }
    own = {name: value for name, value in os.environ.items() if name.upper() in kept}
    # Pools of threads would use up the limited address space of the process.
    return own | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def file_name(path: Path) -> str:
    """A file name for the decoder, which needs only the extension."""
    return "image" + path.suffix.encode("ascii", "ignore").decode()
