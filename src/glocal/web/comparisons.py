"""Comparing all images of the gallery, in a process beside the server; the result is kept.

Clients repeat their request until it is done. However many there are, one process compares, and
a few comparisons, each of another level or preferred folder, are kept until the catalogue changes.
After a decision about some images only these are compared again, and their groups are replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from glocal.errors import QueryError
from glocal.gallery import Progress
from glocal.gallery.duplicates import Level
from glocal.images import Limits
from glocal.web.children import lines, spawn
from glocal.web.metrics import Metrics
from glocal.web.problems import ProblemError, printable

_MOST_BYTES = 32 * 2**20
"""Size of what is kept of one comparison: some 300,000 images."""

_PAGE_BYTES = 2**18
"""Size of what is read for one page; a page has fewer groups if they are large."""

_LINE = 4 * 2**20
_MOST_KEPT = 4
_GROUP = b'{"group": '
_FAILED_FOR = 3.0
"""Seconds after a failure in which no comparison starts, so that every waiting client is told."""

_OUTDATED_FOR = 15.0
"""Seconds in which waiting clients get a result during which the catalogue has changed."""

_log = logging.getLogger(__name__)
T = TypeVar("T")
State = tuple[int, ...]
Key = tuple[Level, Path | None]
"""The level of a comparison, and the folder whose files are rather kept."""


@dataclass(slots=True, eq=False)
class Comparison:
    """A comparison that is waiting, running or has ended.

    Attributes:
        level: what its groups are made of.
        prefer: the folder whose files are rather kept.
        among: groups that were found before, within which alone images are compared.
        id: names the comparison in cursors.
        state: of the catalogue and the decisions when the comparison began.
        progress: how far the comparison is, once it has begun.
        groups: each as a line of JSON, see `glocal.web.compare_child.encoded`; one that was
            replaced may have become several lines, or none.
        replaced: for each of those the images that it had at first.
        total: how many groups there are; as many as are kept, or more.
        bytes_to_free: of all groups.
        error: why the comparison failed.
        ended: when, by the monotonic clock.
        outdated: whether the catalogue changed during the comparison.
    """

    level: Level
    prefer: Path | None = None
    among: list[list[str]] | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = ()
    progress: Progress | None = None
    groups: list[bytes] = field(default_factory=list)
    replaced: dict[int, list[str]] = field(default_factory=dict)
    total: int = 0
    bytes_to_free: int = 0
    error: str | None = None
    ended: float | None = None
    outdated: bool = False

    @property
    def key(self) -> Key:
        """Tells it from comparisons that group in another way."""
        return self.level, self.prefer

    def is_current(self, state: State) -> bool:
        """Whether the result still counts, with the catalogue in this state."""
        if self.ended is None:
            return True
        age = time.monotonic() - self.ended
        if self.error is not None:
            return age < _FAILED_FOR
        return self.state == state or (self.outdated and age < _OUTDATED_FOR)

    def page(self, offset: int, limit: int) -> tuple[list[dict[str, Any]], str | None]:
        """At most `limit` groups from `offset` on, and the cursor of the page that follows."""
        found: list[dict[str, Any]] = []
        size, following = 0, offset
        for lines_ in self.groups[offset : offset + limit]:
            size += len(lines_)
            if found and size > _PAGE_BYTES:
                break
            found += _groups(lines_)
            following += 1
        return found, f"{self.id}-{following}" if following < len(self.groups) else None

    @property
    def left_out(self) -> int:
        """Groups that were too many to keep."""
        return self.total - sum(lines_.count(_GROUP) for lines_ in self.groups)

    def all(self) -> Iterator[dict[str, Any]]:
        """Every group that is kept."""
        for lines_ in self.groups:
            yield from _groups(lines_)

    def members(self, number: int) -> list[str]:
        """The images of a group, also of one that was replaced."""
        there = [image["id"] for group in _groups(self.groups[number]) for image in group["images"]]
        return list(dict.fromkeys([*self.replaced.get(number, ()), *there]))

    def replace(self, images: Sequence[str], groups: Sequence[bytes]) -> None:
        """Put groups in the place of those that have any of some images.

        Args:
            images: all that were compared again.
            groups: what they are now, as lines.
        """
        numbers = self.holding(images) or [len(self.groups)]
        if numbers[0] == len(self.groups):
            self.groups.append(b"")
        for number in numbers:
            before = _groups(self.groups[number])
            self.total -= len(before)
            self.bytes_to_free -= sum(group["bytes_to_free"] for group in before)
            self.replaced[number] = self.members(number)
            self.groups[number] = b""
        self.replaced[numbers[0]] = list(images)
        self.groups[numbers[0]] = b"".join(groups)
        now = _groups(self.groups[numbers[0]])
        self.total += len(now)
        self.bytes_to_free += sum(group["bytes_to_free"] for group in now)

    def holding(self, images: Iterable[str]) -> list[int]:
        """The numbers of the groups that have, or had, any of these images."""
        names = [(name, f'"id": "{name}"'.encode()) for name in images]
        return [
            number
            for number, lines_ in enumerate(self.groups)
            if any(key in lines_ or name in self.replaced.get(number, ()) for name, key in names)
        ]


def _groups(lines_: bytes) -> list[dict[str, Any]]:
    return [json.loads(line)["group"] for line in lines_.splitlines()]


class Comparisons:
    """The comparisons of a server.

    Args:
        gallery: its folder.
        limits: of the images that are compared.
        state: gives the state of the catalogue and the decisions.
        seconds: time that one comparison may take.
        metrics: gets the number of comparisons.
    """

    def __init__(
        self,
        gallery: Path,
        limits: Limits,
        state: Callable[[], State],
        seconds: float,
        metrics: Metrics,
    ) -> None:
        self._gallery = gallery
        self._limits = limits
        self._state = state
        self._seconds = seconds
        self._metrics = metrics
        self._turn = asyncio.Lock()
        self._deciding = asyncio.Lock()
        self._latest: dict[Key, Comparison] = {}
        self._current: dict[Key, tuple[Comparison, asyncio.Task[None]]] = {}

    async def stop(self) -> None:
        """End all comparisons."""
        tasks = [task for _, task in self._current.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def start(self, level: Level, prefer: Path | None = None) -> Comparison:
        """Start a comparison, unless there is a current one or one has not ended.

        Raises:
            ProblemError: it failed a moment ago.
        """
        there = await self.get(level, prefer)
        if there is None:
            key = level, prefer
            state = await asyncio.to_thread(self._state)
            if key in self._current:  # another request was faster
                return self._current[key][0]
            there = Comparison(level, prefer, self._known(level, state))
            self._current[key] = there, asyncio.create_task(self._run(there))
        return there

    async def get(self, level: Level, prefer: Path | None = None) -> Comparison | None:
        """The latest comparison of a kind if it is current, or one that has not ended.

        Raises:
            ProblemError: it failed a moment ago.
        """
        async with self._deciding:
            state = await asyncio.to_thread(self._state)
        key = level, prefer
        if key in self._current:
            return self._current[key][0]
        latest = self._latest.get(key)
        if latest is None or not latest.is_current(state):
            return None
        if latest.error is not None:
            raise ProblemError(
                503,
                latest.error,
                kind="urn:glocal:comparison",
                headers={"Retry-After": f"{_FAILED_FOR:.0f}"},
            )
        return latest

    def at(self, level: Level, cursor: str, prefer: Path | None = None) -> tuple[Comparison, int]:
        """The comparison of a cursor, even if the catalogue has changed, and the cursor's offset.

        Raises:
            QueryError: the cursor belongs to another list.
            ProblemError: there is a later comparison, or none is kept.
        """
        name, dash, offset = cursor.partition("-")
        if not dash:
            raise QueryError("the cursor belongs to another list; begin again without a cursor")
        latest = self._latest.get((level, prefer))
        if latest is None or latest.id != name:
            raise ProblemError(
                410,
                "the cursor is of an older comparison; begin again without a cursor",
                kind="urn:glocal:expired",
            )
        return latest, int(offset)

    async def ended(self, level: Level, prefer: Path | None = None) -> Comparison:
        """A comparison that has ended and is current.

        Raises:
            ProblemError: there is none, or it failed a moment ago.
        """
        latest = await self.get(level, prefer)
        if latest is None or latest.ended is None:
            raise ProblemError(
                409,
                "the images have not been compared yet; POST to /v1/duplicates/comparisons, and "
                "request /v1/duplicates until its state is done",
                kind="urn:glocal:comparison",
            )
        return latest

    async def decide(
        self, change: Callable[[], T], images: Sequence[str], key: Key
    ) -> tuple[T, list[dict[str, Any]] | None]:
        """Change the decisions about some images, and group these again.

        Args:
            change: changes the decisions; called in a thread.
            images: what the decisions are about.
            key: of the comparison whose groups are returned.

        Returns:
            What `change` returned, and what the groups of these images are now; `None` where no
            comparison of that key is kept.
        """
        async with self._deciding:
            state = await asyncio.to_thread(self._state)
            kept = [
                one for one in self._latest.values() if one.error is None and one.state == state
            ]
            changed = await asyncio.to_thread(change)
            groups = None
            for comparison in kept:
                found = await self._again(comparison, images)
                if found is not None and comparison.key == key:
                    groups = found
        return changed, groups

    async def _again(
        self, comparison: Comparison, images: Sequence[str]
    ) -> list[dict[str, Any]] | None:
        """Compare the groups of some images again; `None`: it failed."""
        there = (comparison.members(number) for number in comparison.holding(images))
        members = list(dict.fromkeys([*images, *(name for one in there for name in one)]))
        state = await asyncio.to_thread(self._state)
        again = Comparison(comparison.level, comparison.prefer, [members])
        if await self._compare(again) is not None:
            self._latest.pop(comparison.key, None)  # what is kept is no longer true
            return None
        comparison.replace(members, again.groups)
        comparison.state = state
        return list(again.all())

    def _known(self, level: Level, state: State) -> list[list[str]] | None:
        """The groups of a comparison that preferred another folder: these are all there are."""
        for latest in self._latest.values():
            whole = not latest.left_out and not any(g["left_out"] for g in latest.all())
            if latest.level is level and latest.error is None and latest.state == state and whole:
                return [latest.members(number) for number in range(len(latest.groups))]
        return None

    async def _run(self, comparison: Comparison) -> None:
        level, key = comparison.level, comparison.key
        try:
            async with self._turn:
                comparison.state = await asyncio.to_thread(self._state)
                comparison.error = await self._compare(comparison)
            comparison.outdated = await asyncio.to_thread(self._state) != comparison.state
            comparison.ended = time.monotonic()
            comparison.among = None
            self._latest.pop(key, None)
            self._latest[key] = comparison
            while len(self._latest) > _MOST_KEPT:
                del self._latest[next(iter(self._latest))]
            ended = "done" if comparison.error is None else "failed"
            self._metrics.comparisons.labels(str(level), ended).inc()
        finally:
            del self._current[key]

    async def _compare(self, comparison: Comparison) -> str | None:
        """Compare in a process; returns what went wrong."""
        process, wrong = None, None
        reader = _Reader(comparison)
        numbers = (self._limits.max_bytes, self._limits.max_pixels)
        arguments = (str(self._gallery), str(comparison.level), *map(str, numbers))
        try:
            async with asyncio.timeout(self._seconds):
                process = await spawn(
                    "glocal.web.compare_child", *arguments, longest=_LINE, leashed=True
                )
                await _tell(process, comparison)
                async for line in lines(process):
                    reader.read(line)
                status = await process.wait()
            if not reader.complete:
                wrong = reader.error or f"its process ended unexpectedly, with status {status}"
        except TimeoutError:
            wrong = (
                f"it took longer than {self._seconds:g} s; run glocal duplicates on the server's "
                "machine, which has no time limit"
            )
        except (OSError, ValueError, KeyError) as error:
            _log.warning("a comparison failed: %s", error)
            wrong = "see the server's log"
        finally:
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
        if wrong is None:
            return None
        comparison.groups.clear()
        return printable(f"the images could not be compared: {wrong}")


async def _tell(process: asyncio.subprocess.Process, comparison: Comparison) -> None:
    """Write the arguments that are no part of the command line."""
    if process.stdin is None:
        return
    prefer = [] if comparison.prefer is None else [str(comparison.prefer)]
    options = {"prefer": prefer, "among": comparison.among}
    with contextlib.suppress(ConnectionError):  # then it says itself why it ended
        process.stdin.write(json.dumps(options).encode() + b"\n")
        await process.stdin.drain()


class _Reader:
    """Reads what the process of a comparison reports into the comparison."""

    def __init__(self, comparison: Comparison) -> None:
        self.complete = False
        self.error: str | None = None
        self._comparison = comparison
        self._room = _MOST_BYTES

    def read(self, line: bytes) -> None:
        """Read one line."""
        if line.startswith(_GROUP):
            self._room -= len(line) + 64  # what Python adds to bytes in a list
            if self._room >= 0:
                self._comparison.groups.append(line)
            return
        value = json.loads(line)
        if "progress" in value:
            self._comparison.progress = Progress(**value["progress"])
        elif "end" in value:
            self._comparison.total = value["end"]["groups"]
            self._comparison.bytes_to_free = value["end"]["bytes_to_free"]
            self.complete = True
        else:
            self.error = value["error"]
