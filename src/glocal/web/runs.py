"""Index runs that clients ask for: one after the other, each in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from glocal.images import Limits
from glocal.web import schemas
from glocal.web.children import lines, spawn
from glocal.web.metrics import Metrics
from glocal.web.problems import ProblemError, printable

State = Literal["waiting", "running", "done", "failed", "cancelled"]

_KEPT = 100
_MOST_WAITING = 20
_LINE = 4 * 2**20
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Run:
    """An index run; `changed` is set, and replaced, at every change."""

    id: str
    path: Path
    asked: datetime
    state: State = "waiting"
    progress: schemas.RunProgress | None = None
    report: schemas.RunReport | None = None
    error: str | None = None
    process: asyncio.subprocess.Process | None = None
    cancelled: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state not in ("waiting", "running")

    def shown(self) -> schemas.Run:
        """The run as clients see it."""
        return schemas.Run(
            id=self.id,
            folder=printable(str(self.path)),
            state=self.state,
            asked=self.asked,
            progress=self.progress,
            report=self.report,
            error=self.error,
        )

    def tell(self) -> None:
        """Wake whoever follows the run."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class Runs:
    """The index runs of a server.

    Args:
        gallery: its folder.
        limits: of the images that are indexed.
        folders: below which runs are allowed.
        metrics: told how many there are.
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
        """Begin to carry runs out."""
        self._worker = asyncio.create_task(self._carry_out_all())

    async def stop(self) -> None:
        """Stop the run under way; the next one of its folder goes on from there."""
        for run in list(self._runs.values()):
            self.cancel(run)
        if self._worker is not None:
            under_way = [run for run in self._runs.values() if run.process is not None]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    for run in under_way:
                        while not run.over:
                            await run.changed.wait()
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def allowed(self, folder: str) -> Path:
        """The real path of a folder that a client named.

        Raises:
            ProblemError: it is not below a folder that the owner allowed, or not there.
        """
        refusal = ProblemError(
            403,
            "the server's owner has not allowed that folder; "
            "glocal serve --allow-folder DIR allows one and all below it",
            kind="urn:glocal:folder",
        )
        if "\x00" in folder:
            raise refusal
        # Whether something else is there must not show: first where it lies, then whether it is.
        real = Path(os.path.realpath(os.path.join("/", folder)))
        if not any(real.is_relative_to(one) for one in self._folders):
            raise refusal
        if not real.is_dir():
            raise ProblemError(422, "there is no such folder", kind="urn:glocal:folder")
        return real

    def add(self, path: Path) -> Run:
        """Ask for a run over a path.

        Raises:
            ProblemError: too many wait.
        """
        waiting = [run for run in self._runs.values() if run.state == "waiting"]
        for run in waiting:
            if run.path == path:
                return run
        if len(waiting) >= _MOST_WAITING:
            raise ProblemError(
                429, "too many index runs are waiting", headers={"Retry-After": "60"}
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
            ProblemError: there is none.
        """
        run = self._runs.get(name)
        if run is None:
            raise ProblemError(404, "there is no such index run")
        return run

    def all(self) -> list[Run]:
        """Every run that is remembered, the latest first."""
        return list(reversed(self._runs.values()))

    def cancel(self, run: Run) -> None:
        """Stop a run; what it has done so far is kept. One that is over stays as it is."""
        if run.over or run.cancelled:
            return
        run.cancelled = True
        if run.process is not None:
            with contextlib.suppress(ProcessLookupError):
                run.process.send_signal(signal.SIGINT)
        elif run.state == "waiting":
            run.state = "cancelled"
            run.tell()
        self._count()

    async def follow(self, run: Run) -> AsyncGenerator[schemas.Run, None]:
        """The run now and after each change, until it is over."""
        while True:
            changed = run.changed
            yield run.shown()
            if run.over:
                return
            await changed.wait()

    def _count(self) -> None:
        self._metrics.runs.set(sum(not run.over for run in self._runs.values()))

    async def _carry_out_all(self) -> None:
        while True:
            run = await self._queue.get()
            if not run.cancelled:
                await self._carry_out(run)
            self._count()

    async def _carry_out(self, run: Run) -> None:
        run.state = "running"
        run.tell()
        end: State = "failed"
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
                run.process.send_signal(signal.SIGINT)
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
            run.error = run.error or "the index run could not be carried out"
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
            run.progress = schemas.RunProgress(**value["progress"])
        elif "report" in value:
            for skipped in value["report"]["skipped"]:
                skipped["path"] = printable(skipped["path"])
            run.report = schemas.RunReport(**value["report"])
        else:
            run.error = printable(value["error"])
        run.tell()
