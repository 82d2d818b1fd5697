"""Files in pieces for workers that may die: bounded, each read at least once, none given up early.

What is read twice does no harm, since an image is known by its content. So a piece that was lost
with its worker is read again, and a file that takes its worker with it each time (a decoder that
crashes or runs out of memory) is told apart from its neighbours and reported in the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Generator, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from glocal.errors import GalleryError
from glocal.gallery.batches import ReadFile
from glocal.gallery.reading_files import Found

PIECE_FILES = 8
PIECE_BYTES = 32 * 2**20
"""Files of one piece, and bytes of them; a single file may be larger."""

AHEAD = 2
"""Pieces that a worker has at a time: the next one is there when it has done one."""

DEATHS = 3
"""Workers that a file may take with it before it is reported."""

_FUTILE = 5  # workers in a row that die before anything was read

W = TypeVar("W", bound=Hashable)
J = TypeVar("J", bound=Hashable)


class WorkerLostError(Exception):
    """A worker has died, or what it had read was lost on its way."""


class Crew(Protocol[W, J]):
    """Workers and the jobs that they do, each named by something that can be a key."""

    def hire(self) -> tuple[W, J]:
        """A new worker, and a job that is done when it can begin."""
        ...

    def give(self, worker: W, files: Sequence[Found]) -> J:
        """Have files read."""
        ...

    def wait(self, jobs: Collection[J]) -> Collection[J]:
        """Some that are done, when any is; none where that takes long.

        Raises:
            GalleryError: there will not be any.
        """
        ...

    def result(self, job: J) -> list[ReadFile]:
        """What a job that is done has read; nothing for that of a worker that can begin.

        Raises:
            WorkerLostError: its worker has died.
            GalleryError: it cannot be done, by any worker.
        """
        ...

    def dismiss(self, worker: W) -> None:
        """Let a worker go, whatever it does; one that is dead too."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """Files that one job reads.

    Attributes:
        files: the files.
        deaths: how many workers have died while they had them.
    """

    files: tuple[Found, ...]
    deaths: int = 0

    def lost(self) -> list[Piece]:
        """What to try after a worker has died with it: each file by itself."""
        return [Piece((file,), self.deaths + 1) for file in self.files]


def pieces(files: Iterable[Found]) -> Iterator[Piece]:
    """Files in pieces of bounded number and size, in their order."""
    some: list[Found] = []
    size = 0
    for found in files:
        if some and (len(some) == PIECE_FILES or size + max(found[1].size, 0) > PIECE_BYTES):
            yield Piece(tuple(some))
            some, size = [], 0
        some.append(found)
        size += max(found[1].size, 0)  # -1 of what a web server does not say
    if some:
        yield Piece(tuple(some))


@dataclass(slots=True)
class _Dispatch(Generic[W, J]):
    """The state of one run; see `dispatch`."""

    crew: Crew[W, J]
    source: Iterator[Piece]
    again: deque[Piece]
    starting: dict[J, W]
    under_way: dict[J, tuple[W, Piece]]
    load: dict[W, int]
    futile: int = 0

    def hire(self) -> None:
        worker, ready = self.crew.hire()
        self.starting[ready] = worker

    def fill(self) -> None:
        """Give pieces to the workers that have the fewest, as long as any has room."""
        while self.load:
            worker = min(self.load, key=self.load.__getitem__)
            if self.load[worker] >= AHEAD:
                return
            piece = self.again.popleft() if self.again else next(self.source, None)
            if piece is None:
                return
            self.under_way[self.crew.give(worker, piece.files)] = worker, piece
            self.load[worker] += 1

    def finish(self, job: J) -> list[ReadFile]:
        """What a job came to."""
        if job in self.starting:
            worker = self.starting[job]
            try:
                self.crew.result(job)
            except WorkerLostError as error:
                del self.starting[job]
                return self.replace(worker, error)
            del self.starting[job]
            self.load[worker] = 0
            return []
        if job not in self.under_way:  # lost with its worker meanwhile
            return []
        worker, _ = self.under_way[job]
        try:
            reads = self.crew.result(job)
        except WorkerLostError as error:
            return self.replace(worker, error)
        del self.under_way[job]
        self.load[worker] -= 1
        self.futile = 0
        return reads

    def replace(self, worker: W, error: WorkerLostError) -> list[ReadFile]:
        """Hire another in place of a worker that died; files that have had their chances."""
        self.futile += 1
        if self.futile > max(_FUTILE, 2 * (len(self.load) + len(self.starting))):
            raise GalleryError(
                f"{self.futile} workers in a row have died before they had read anything "
                f"({error}); look into Ray's logs, and run the same command again (what was done "
                "so far is kept)"
            ) from error
        self.crew.dismiss(worker)
        self.load.pop(worker, None)
        reported = []
        for job in [job for job, (whose, _) in self.under_way.items() if whose == worker]:
            _, piece = self.under_way.pop(job)
            for each in piece.lost():
                if each.deaths < DEATHS:
                    self.again.append(each)
                    continue
                ((folder, file),) = each.files
                reason = f"{DEATHS} workers have died while they read it ({error})"
                reported.append(ReadFile(folder, file, reason=reason))
        self.hire()
        return reported


def dispatch(
    crew: Crew[W, J], files: Iterable[Found], workers: int
) -> Generator[ReadFile, None, None]:
    """Have files read by workers; see `glocal.gallery.reading_files.Reading`.

    At most ``workers * AHEAD`` pieces are under way. Closing the generator dismisses the workers.

    Args:
        crew: hires workers.
        files: what to read.
        workers: how many are hired, at least one.

    Raises:
        GalleryError: workers cannot be had, cannot do it, or die one after the other.
    """
    run = _Dispatch[W, J](crew, pieces(files), deque(), {}, {}, {})
    try:
        for _ in range(max(workers, 1)):
            run.hire()
        while True:
            run.fill()
            if not run.under_way and (run.load or not run.starting) and not run.again:
                return
            for job in crew.wait([*run.under_way, *run.starting]):
                yield from run.finish(job)
    finally:
        for worker in {*run.load, *run.starting.values()}:
            crew.dismiss(worker)
