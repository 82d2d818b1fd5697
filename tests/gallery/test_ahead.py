from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from glocal.gallery.ahead import as_finished, worker_count


def test_every_item_is_done_once() -> None:
    assert sorted(as_finished(lambda n: n * n, range(500))) == [n * n for n in range(500)]
    assert list(as_finished(str, [])) == []


def test_items_are_taken_only_as_results_are() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    results = as_finished(lambda n: n, source())
    next(results)
    assert len(taken) <= 3 * worker_count()
    results.close()


def test_closing_ends_what_began_and_begins_nothing_more() -> None:
    begun: list[int] = []
    ended: list[int] = []
    lock = threading.Lock()

    def work(n: int) -> int:
        with lock:
            begun.append(n)
        time.sleep(0.02)
        with lock:
            ended.append(n)
        return n

    results = as_finished(work, range(100))
    next(results)
    results.close()
    assert sorted(begun) == sorted(ended)
    assert len(begun) < 20


def test_an_error_reaches_the_one_who_asks() -> None:
    def work(n: int) -> float:
        return 1 / n

    with pytest.raises(ZeroDivisionError):
        list(as_finished(work, [1, 0, 2]))
