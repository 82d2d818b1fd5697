"""Decoders that hang or crash are replaced; whoever asked gets an answer."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from running import exif, photo

from glocal.errors import ImageError, QueryError
from glocal.images import Limits, load
from glocal.web.decoding import Decoders
from glocal.web.metrics import Metrics


def with_decoders(
    work: Callable[[Decoders, Metrics], Awaitable[Any]], *, seconds: float = 20.0, count: int = 1
) -> Any:
    async def run() -> Any:
        metrics = Metrics()
        decoders = Decoders(count, seconds, Limits(10**6, 10**6), metrics)
        await decoders.start()
        try:
            return await work(decoders, metrics)
        finally:
            await decoders.stop()

    return asyncio.run(run())


def killed(metrics: Metrics) -> float:
    return float(metrics.registry.get_sample_value("glocal_decoders_killed_total") or 0)


def test_the_same_as_in_this_process() -> None:
    data = photo(1, size=(300, 200), exif=exif(held=6))

    async def work(decoders: Decoders, _: Metrics) -> None:
        whole = await decoders.pixels(data, min_pixels=10**6)
        np.testing.assert_array_equal(whole.array, load(data).array)
        assert (whole.width, whole.height, whole.format) == (200, 300, "JPEG")
        part = await decoders.pixels(data, min_pixels=100, region=(0.5, 0.5, 0.25, 0.25))
        expected = load(data, min_pixels=100, region=(0.5, 0.5, 0.25, 0.25))
        np.testing.assert_array_equal(part.array, expected.array)
        small = load(await decoders.jpeg(data, side=64))
        assert small.array.shape == (64, 43, 3)

    with_decoders(work)


def test_what_is_no_image_harms_nothing() -> None:
    async def work(decoders: Decoders, metrics: Metrics) -> None:
        for data, error in ((b"x", ImageError), (photo(1)[:99], ImageError)):
            with pytest.raises(error):
                await decoders.pixels(data, min_pixels=1)
        with pytest.raises(QueryError):
            await decoders.pixels(photo(1), min_pixels=1, region=(999, 0, 2000, 1))
        with pytest.raises(ImageError, match="empty"):
            await decoders.pixels(b"", min_pixels=1)
        assert killed(metrics) == 0

    with_decoders(work)


@pytest.mark.parametrize(
    ("how", "said"), [(signal.SIGSTOP, "longer than"), (signal.SIGKILL, "crashed the decoder")]
)
def test_a_decoder_that_hangs_or_dies_is_replaced(how: int, said: str) -> None:
    async def work(decoders: Decoders, metrics: Metrics) -> None:
        await decoders.pixels(photo(1), min_pixels=1)
        (process,) = decoders._alive
        os.kill(process.pid, how)
        with pytest.raises(ImageError, match=said):
            await decoders.pixels(photo(1), min_pixels=1)
        assert process.returncode is not None
        assert (await decoders.pixels(photo(2), min_pixels=1)).width == 160
        assert killed(metrics) == 1

    with_decoders(work, seconds=3.0)


def test_a_client_that_leaves_takes_its_decoder_along() -> None:
    async def work(decoders: Decoders, _: Metrics) -> None:
        await decoders.pixels(photo(1), min_pixels=1)
        (process,) = decoders._alive
        os.kill(process.pid, signal.SIGSTOP)
        task = asyncio.create_task(decoders.pixels(photo(1), min_pixels=1))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert process.returncode is not None
        assert (await decoders.pixels(photo(2), min_pixels=1)).width == 160

    with_decoders(work)


def test_many_at_once_each_get_their_own() -> None:
    async def work(decoders: Decoders, _: Metrics) -> None:
        images = [photo(seed, size=(40 + seed, 50)) for seed in range(30)]
        found = await asyncio.gather(*(decoders.pixels(p, min_pixels=1) for p in images))
        assert [one.width for one in found] == [40 + seed for seed in range(30)]

    with_decoders(work, count=2)
