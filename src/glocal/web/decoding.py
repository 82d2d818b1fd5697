"""Decoding in processes of their own: an image can end one of them, never the server."""

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
from glocal.web.metrics import Metrics

_log = logging.getLogger(__name__)
_ERRORS = {"QueryError": QueryError}


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """An image as the network takes it, and the size of the whole, upright.

    Attributes:
        array: ``(h, w, 3)`` uint8 RGB, perhaps scaled down, perhaps only a region.
        width: of the whole in pixels.
        height: of the whole in pixels.
        format: its file's.
    """

    array: NDArray[np.uint8]
    width: int
    height: int
    format: str


class _DiedError(Exception):
    """The process ended in the middle of a job."""


class Decoders:
    """A few processes that decode images, each killed and replaced when one takes too long.

    Args:
        count: how many.
        seconds: that one image may take.
        limits: of what is decoded.
        metrics: told of killed processes.
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
            ImageError: it is no image, too large, takes too long, or ended its process.
            QueryError: the region makes no sense.
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
            side: its longer side at most, in pixels; 0: as large as it is.
            quality: from 1 to 95.
            name: of its file; see `glocal.images.load`.

        Raises:
            ImageError: as `pixels`.
        """
        _, body = await self._do("jpeg", data, side=side, quality=quality, name=name)
        return body

    async def plain(self, data: bytes, *, keep: bool, name: str) -> tuple[bytes, str]:
        """An image as browsers show it, and its media type.

        Args:
            data: the encoded image.
            keep: leave its metadata in; otherwise all of it goes but what changes how it looks.
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
            raise ImageError(f"decoding takes longer than {self._seconds:g} s") from error
        except (_DiedError, OSError, ValueError) as error:
            self._metrics.decoders_killed.inc()
            raise ImageError("the image cannot be decoded: it ended its decoder") from error
        finally:
            # Also when the client has left and this job was cancelled in the middle.
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
            process_group=0,  # Ctrl-C is for the server, which ends its own processes
        )
        self._alive.add(process)
        return process

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        self._alive.discard(process)
        # Closing what is left of its pipes needs a turn of the loop.
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
    """What the process needs of the environment: to find Python's modules, and no secrets."""
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
    # Pools of threads would reserve the address space that the process is held to.
    return own | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def file_name(path: Path) -> str:
    """The name of a file as a decoder needs it: for its ending."""
    return "image" + path.suffix.encode("ascii", "ignore").decode()
