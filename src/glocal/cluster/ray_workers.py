"""Ray's workers read and describe images for an index run, on any number of machines.

The process that indexes stays the only one that writes. Workers get the model by its content: its
bytes lie in Ray's object store once a run, and each worker fetches them once. They have to have
glocal installed, in the same version, and see the same files: a shared disk, or URLs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Collection, Generator, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from glocal import __version__
from glocal.cluster.config import RaySettings
from glocal.cluster.dispatch import AHEAD, WorkerLostError, dispatch
from glocal.cluster.ray_worker import Refused, read_files, start
from glocal.errors import GalleryError, MissingExtraError, install_command
from glocal.gallery.batches import ReadFile
from glocal.gallery.reading_files import Found, Recipe

_POLL = 1.0  # seconds after which the state of things is looked at again
_log = logging.getLogger(__name__)


class RayWorkers:
    """See `glocal.gallery.reading_files.Workers`. Nothing is started before the first file.

    Args:
        settings: where Ray is, and how many workers there are to be.
    """

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings

    def read(
        self, recipe: Recipe, model: Path, files: Iterable[Found]
    ) -> Generator[ReadFile, None, None]:
        """See `Workers.read`."""
        ray = _imported()
        own = not ray.is_initialized()
        if own:
            _connect(ray, self._settings)
        try:
            count = self._settings.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
            crew = RayCrew(ray, recipe, model, self._settings)
            _log.info("%d of Ray's workers at %s read images", count, self._settings.address)
            yield from dispatch(crew, files, count)
        finally:
            if own:
                ray.shutdown()


class RayCrew:
    """Ray's actors as a `Crew`.

    Args:
        ray: the package, connected.
        recipe: how images are described.
        model: file of the model.
        settings: of the workers.
    """

    def __init__(self, ray: Any, recipe: Recipe, model: Path, settings: RaySettings) -> None:
        self._ray = ray
        self._settings = settings
        # In a list, lest each worker gets the bytes again when it is given something to do.
        self._said = (__version__, recipe, [ray.put(model.read_bytes())], settings.threads)
        self._actor = ray.remote(_Worker).options(
            num_cpus=1, max_concurrency=AHEAD, max_restarts=0, max_task_retries=0
        )
        self._began = time.monotonic()
        self._any = False

    def hire(self) -> tuple[Any, Any]:
        """See `Crew.hire`."""
        worker = self._actor.remote()
        return worker, worker.start.remote(*self._said)

    def give(self, worker: Any, files: Sequence[Found]) -> Any:
        """See `Crew.give`."""
        return worker.read.remote(list(files))

    def wait(self, jobs: Collection[Any]) -> Collection[Any]:
        """See `Crew.wait`."""
        try:
            done, _ = self._ray.wait(list(jobs), num_returns=1, timeout=_POLL)
            if done:  # and whatever else is done by now
                done, _ = self._ray.wait(list(jobs), num_returns=len(jobs), timeout=0)
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            raise _disconnected(self._settings, error) from error
        if not (done or self._any) and time.monotonic() - self._began > self._settings.start:
            free = self._ray.available_resources().get("CPU", 0)
            raise GalleryError(
                f"no worker has started at Ray's {self._settings.address} within "
                f"{self._settings.start:g} s, where {free:g} processors are free; free some, add "
                "machines, or raise ray.start in the cluster's file, and run the same command again"
            )
        self._any = self._any or bool(done)
        return list(done)

    def result(self, job: Any) -> list[ReadFile]:
        """See `Crew.result`."""
        exceptions = self._ray.exceptions
        try:
            found: list[ReadFile] | Refused = self._ray.get(job)
        except (
            exceptions.RayActorError,
            exceptions.WorkerCrashedError,
            exceptions.ObjectLostError,
            exceptions.OutOfMemoryError,
            exceptions.NodeDiedError,
        ) as error:
            raise WorkerLostError(_first_line(error)) from error
        except exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, exceptions.RayError):  # of the model's bytes, on their way
                raise WorkerLostError(_first_line(cause)) from error
            if isinstance(cause, ImportError):
                raise GalleryError(
                    f"Ray's workers lack something ({cause}); install glocal[cluster,ray] "
                    f"{__version__} on each of their machines"
                ) from error
            raise GalleryError(f"a worker has failed: {cause!r}") from error
        except (exceptions.RayError, ConnectionError) as error:
            raise _disconnected(self._settings, error) from error
        if isinstance(found, Refused):
            raise GalleryError(found.reason)
        return found

    def dismiss(self, worker: Any) -> None:
        """See `Crew.dismiss`."""
        with contextlib.suppress(Exception):  # dead already, or Ray is
            self._ray.kill(worker)


class _Worker:
    """What runs as an actor: the functions of `glocal.cluster.ray_worker`, in one process."""

    def start(self, *said: Any) -> list[ReadFile] | Refused:
        return start(*said)

    def read(self, files: list[Found]) -> list[ReadFile]:
        return read_files(files)


def _imported() -> Any:
    if find_spec("ray") is None:
        raise MissingExtraError(
            f"indexing with Ray's workers needs ray: {install_command('glocal[ray]')}; or remove "
            "[ray] from the cluster's file"
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that this runs
    import ray

    return ray


def _connect(ray: Any, settings: RaySettings) -> None:
    options: dict[str, Any] = {}
    if not settings.address.startswith("ray://"):  # a client's options are its server's
        options = {
            "log_to_driver": False,
            "configure_logging": False,
            "logging_level": logging.ERROR,
        }
    if settings.address == "local":
        options |= {"include_dashboard": False, "num_cpus": settings.workers or None}
    try:
        ray.init(address=settings.address, **options)
    except (ray.exceptions.RayError, OSError, ValueError, RuntimeError) as error:
        raise GalleryError(
            f"there is no Ray cluster at {settings.address!r} that takes this process "
            f"({_first_line(error)}); start one: ray start --head; correct ray.address in the "
            "cluster's file; or, where it asks for a token, set RAY_AUTH_MODE=token"
        ) from error


def _disconnected(settings: RaySettings, error: Exception) -> GalleryError:
    return GalleryError(
        f"the connection to Ray at {settings.address} is lost ({_first_line(error)}); run the same "
        "command again (what was done so far is kept)"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
