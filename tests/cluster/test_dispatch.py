"""Files in pieces for workers that die, with workers that are none."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from glocal.cluster.dispatch import (
    AHEAD,
    DEATHS,
    PIECE_BYTES,
    PIECE_FILES,
    WorkerLostError,
    dispatch,
    pieces,
)
from glocal.errors import GalleryError
from glocal.gallery.batches import ReadFile
from glocal.gallery.reading_files import Apart, Found, Reading
from glocal.gallery.walk import FoundFile

FOLDER = Path("/photos")


def files(count: int, size: int = 1000) -> list[Found]:
    return [(FOLDER, FoundFile(b"%05d.jpg" % n, size, n, n)) for n in range(count)]


@dataclass
class Pretended:
    """Workers that read nothing, die by chance, and always with a poisonous file."""

    death: float = 0.0
    poison: frozenset[bytes] = frozenset()
    never: bool = False
    refused: str = ""
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    alive: set[int] = field(default_factory=set)
    jobs: dict[int, tuple[int, Sequence[Found]]] = field(default_factory=dict)
    hired: int = 0
    given: int = 0
    most: int = 0

    def hire(self) -> tuple[int, int]:
        self.hired += 1
        self.alive.add(self.hired)
        return self.hired, self.give(self.hired, [])

    def give(self, worker: int, files: Sequence[Found]) -> int:
        self.given += 1
        self.jobs[self.given] = worker, files
        self.most = max(self.most, sum(len(f) for _, f in self.jobs.values()))
        return self.given

    def wait(self, jobs: Collection[int]) -> Collection[int]:
        assert set(jobs) <= self.jobs.keys()
        return self.draw.sample(list(jobs), self.draw.randint(1, len(jobs)))

    def result(self, job: int) -> list[ReadFile]:
        worker, given = self.jobs.pop(job)
        if self.refused:
            raise GalleryError(self.refused)
        deadly = any(file.name in self.poison for _, file in given)
        if deadly or self.never or self.draw.random() < self.death:
            self.alive.discard(worker)
        if worker not in self.alive:
            raise WorkerLostError("it was killed")
        return [ReadFile(folder, file) for folder, file in given]

    def dismiss(self, worker: int) -> None:
        self.alive.discard(worker)


def names(reads: Sequence[ReadFile]) -> Counter[bytes]:
    return Counter(read.file.name for read in reads)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 500])
@pytest.mark.parametrize("workers", [1, 3])
def test_each_file_is_read_once(count: int, workers: int) -> None:
    crew = Pretended()
    reads = list(dispatch(crew, files(count), workers))
    assert names(reads) == Counter(file.name for _, file in files(count))
    assert not crew.alive
    assert crew.hired == workers


@pytest.mark.parametrize("seed", range(30))
def test_deaths_lose_and_double_nothing(seed: int) -> None:
    crew = Pretended(death=0.15, draw=random.Random(seed))
    reads = list(dispatch(crew, files(300), 4))
    assert names(reads) == Counter(file.name for _, file in files(300))
    reported = [read for read in reads if read.reason]
    assert all("workers have died" in str(r.reason) and not r.lasting for r in reported)
    assert len(reported) <= 15  # three deaths of one file by chance: rare
    assert crew.hired > 4


def test_a_file_that_takes_workers_with_it_is_told_apart() -> None:
    crew = Pretended(poison=frozenset([b"00003.jpg", b"00050.jpg"]))
    reads = list(dispatch(crew, files(100), 2))
    assert names(reads) == Counter(file.name for _, file in files(100))
    assert {read.file.name for read in reads if read.reason} == crew.poison
    assert crew.hired <= 2 + 2 * DEATHS


def test_workers_that_all_die_end_the_run() -> None:
    with pytest.raises(GalleryError, match=r"in a row have died .*it was killed"):
        list(dispatch(Pretended(never=True), files(100), 2))


def test_what_no_worker_can_do_ends_the_run() -> None:
    crew = Pretended(refused="a worker has glocal 0.0")
    with pytest.raises(GalleryError, match=r"a worker has glocal 0\.0"):
        list(dispatch(crew, files(100), 2))
    assert not crew.alive


def test_files_are_taken_as_they_are_needed() -> None:
    taken = 0

    def source() -> Iterator[Found]:
        nonlocal taken
        for file in files(10_000):
            taken += 1
            yield file

    crew = Pretended()
    reads = dispatch(crew, source(), 2)
    bound = (2 * AHEAD + 1) * PIECE_FILES + 1
    for done in range(1, 200):
        next(reads)
        assert taken <= done + bound + PIECE_FILES
    assert crew.most <= 2 * AHEAD * PIECE_FILES
    reads.close()
    assert not crew.alive
    assert taken < 400


def test_images_of_the_gallery_s_own_folder_are_read_here() -> None:
    asked: list[str] = []

    def reading(where: str) -> Reading:
        def read(some: Iterable[Found]) -> Generator[ReadFile, None, None]:
            asked.append(where)
            for folder, file in some:
                yield ReadFile(folder, file, reason=where)

        return read

    kept = Path("/gallery/kept")
    mine = [(kept, file) for _, file in files(3)]
    for given, expected in (
        (mine, ["here"]),
        (files(5), ["there"]),
        ([*files(5), *mine, *files(2)], ["there", "here"]),
        ([], []),
    ):
        asked.clear()
        done = list(Apart(reading("there"), lambda: reading("here"), kept).read(given))
        assert asked == expected
        assert sorted(str(read.file.name) for read in done) == sorted(
            str(file.name) for _, file in given
        )
        assert all((read.reason == "here") == (read.folder == kept) for read in done)


def test_pieces_are_bounded_in_number_and_size() -> None:
    small, large = files(20), files(5, PIECE_BYTES // 2)
    huge = files(2, 3 * PIECE_BYTES)
    found = list(pieces([*small, *large, *huge]))
    assert [file for piece in found for file in piece.files] == [*small, *large, *huge]
    for piece in found:
        size = sum(file.size for _, file in piece.files)
        assert len(piece.files) <= PIECE_FILES
        assert size <= PIECE_BYTES or len(piece.files) == 1
