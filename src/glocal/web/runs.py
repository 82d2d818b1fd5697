"""Index runs that clients start: one after the other, each in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from glocal.gallery import Progress
from glocal.images import Limits
from glocal.web.children import interrupt, lines, spawn
from glocal.web.metrics import Metrics
from glocal.web.problems import ProblemError, printable, printable_path
from glocal.web.results import IndexRun, RunReport, RunState

_KEPT = 100
_MOST_WAITING = 20
_LINE = 4 * 2**20
_log = logging.getLogger(__name__)
_REPORT = TypeAdapter(RunReport)


@dataclass(slots=True, eq=False)
class Run:
    """An index run; `changed` is set, and replaced, with every change."""

    id: str
    path: Path
    created: datetime
    state: RunState = "waiting"
    progress: Progress | None = None
    report: RunReport | None = None
    error: str | None = None
    process: asyncio.subprocess.Process | None = None
    cancelled: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.state not in ("waiting", "running")

    def shown(self) -> IndexRun:
        """The run as clients get it."""
        return IndexRun(
            id=self.id,
            folder=printable_path(self.path),
            state=self.state,
            created=self.created,
            progress=self.progress,
            report=self.report,
            error=self.error,
        )

    def tell(self) -> None:
        """Wake everyone who follows the run."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class Runs:
    """The index runs of a server.

    Args:
        gallery: its folder.
        limits: of the images that are indexed.
        folders: runs are allowed in these folders and those below.
        metrics: gets the number of runs.
    """

    def __init__(
        self, gallery: Path, limits: Limits, folders: Sequence[Path], metrics: Metrics
    ) -> None:
        self._gallery = gallery
        self._limits = limits
        self._folders = tuple(folder.resolve() for folder in folders)
        self._metrics = metrics
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._queue: asyncio.Queue[Run] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to run what is waiting."""
        self._worker = asyncio.create_task(self._run_all())

    async def stop(self) -> None:
        """Stop the current run; the next run of its folder continues from there."""
        for run in list(self._runs.values()):
            self.cancel(run)
        if self._worker is not None:
            current = [run for run in self._runs.values() if run.process is not None]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    for run in current:
                        while not run.over:
                            await run.changed.wait()
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def allowed(self, folder: str) -> Path:
        """The real path of a folder that a client named.

        Raises:
            ProblemError: the folder is not allowed, or does not exist.
        """
        refusal = ProblemError(
            403,
            "this folder is not allowed on this server; its owner can allow a folder and all below "
            "it: glocal serve --allow-folder DIR",
            kind="urn:glocal:folder",
        )
        if "\x00" in folder:
            raise refusal
        # Clients must not learn what else exists: first where it lies, then whether it exists.
        real = Path(os.path.realpath(os.path.join("/", folder)))
        if not any(real.is_relative_to(one) for one in self._folders):
            raise refusal
        if not real.is_dir():
            raise ProblemError(422, "the folder does not exist", kind="urn:glocal:folder")
        return real

    def add(self, path: Path) -> Run:
        """Add a run over a path to the queue, unless one is waiting there already.

        Raises:
            ProblemError: too many runs are waiting.
        """
        waiting = [run for run in self._runs.values() if run.state == "waiting"]
        for run in waiting:
            if run.path == path:
                return run
        if len(waiting) >= _MOST_WAITING:
            raise ProblemError(
                429,
                "too many index runs are waiting; try again in a minute",
                headers={"Retry-After": "60"},
            )
        run = Run(secrets.token_hex(8), path, datetime.now(UTC))
        self._runs[run.id] = run
        for old in [one for one in self._runs.values() if one.over][: -_KEPT or None]:
            del self._runs[old.id]
        self._queue.put_nowait(run)
        self._count()
        return run

    def get(self, name: str) -> Run:
        """A run by its id.

        Raises:
            ProblemError: there is no run with the id.
        """
        run = self._runs.get(name)
        if run is None:
            raise ProblemError(404, f"there is no index run with the id {name}")
        return run

    def all(self) -> list[Run]:
        """Every run that is kept, the latest first."""
        return list(reversed(self._runs.values()))

    def cancel(self, run: Run) -> None:
        """Cancel a run; what it has done so far is kept. One that has ended stays as it is."""
        if run.over or run.cancelled:
            return
        run.cancelled = True
        if run.process is not None:
            interrupt(run.process)
        elif run.state == "waiting":
            run.state = "cancelled"
            run.tell()
        self._count()

    async def follow(self, run: Run) -> AsyncGenerator[IndexRun, None]:
        """The run now and after each change, until it ends."""
        while True:
            changed = run.changed
            yield run.shown()
            if run.over:
                return
            await changed.wait()

    def _count(self) -> None:
        self._metrics.runs.set(sum(not run.over for run in self._runs.values()))

    async def _run_all(self) -> None:
        while True:
            run = await self._queue.get()
            if not run.cancelled:
                await self._run_one(run)
            self._count()

    async def _run_one(self, run: Run) -> None:
        run.state = "running"
        run.tell()
        end: RunState = "failed"
        try:
            run.process = await spawn(
                "glocal.web.index_child",
                str(self._gallery),
                str(run.path),
                str(self._limits.max_bytes),
                str(self._limits.max_pixels),
                longest=_LINE,
            )
            if run.cancelled:
                interrupt(run.process)
            async for line in lines(run.process):
                self._take(run, line)
            status = await run.process.wait()
            if run.report is not None and status == 0:
                end = "done"
            elif run.cancelled:
                end = "cancelled"
            elif run.error is None:
                run.error = f"the index run ended unexpectedly, with status {status}"
        except (OSError, ValueError) as error:
            _log.warning("an index run failed: %s", error)
            run.error = run.error or "the index run failed; see the server's log"
        finally:
            if run.process is not None and run.process.returncode is None:
                run.process.kill()
                await run.process.wait()
            run.process = None
            run.state = end
            run.tell()

    def _take(self, run: Run, line: bytes) -> None:
        value = json.loads(line)
        if "progress" in value:
            run.progress = Progress(**value["progress"])
        elif "report" in value:
            run.report = _REPORT.validate_python(_printable(value["report"]))
        else:
            run.error = printable(value["error"])
        run.tell()


def _printable(value: Any) -> Any:
    """A value of JSON whose texts UTF-8 can hold."""
    if isinstance(value, dict):
        return {name: _printable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_printable(each) for each in value]
    return printable(value) if isinstance(value, str) else value
