"""Do a piece of work on many items in threads, a few ahead of whoever takes the results."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 3  # items under way or done for each worker: enough to bridge the writing of a batch


def worker_count() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def as_finished(work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """Yield the result of each item, in the order of finishing.

    Items are taken from their source only as results are taken from here, so memory stays bounded.
    Closing the generator early lets what has begun end, and begins nothing more.
    """
    workers = worker_count()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="glocal-read")
    waiting: set[Future[R]] = set()
    try:
        for item in items:
            waiting.add(pool.submit(work, item))
            if len(waiting) >= _AHEAD * workers:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
