"""How much faster do more of Ray's workers index, where the network is the limit?

    python benchmarks/cluster_workers.py --images FOLDER --work DIR [--count 320] [--delay 0.4]
        [--workers 1 2] [--rounds 2] [--no-milvus]

A web server on this machine has the photos and lets each of them wait, as one far away does. For
each number of workers the photos below its URL are indexed into a new gallery, whose vectors lie in
a Milvus server that is started here (PyPI's package ``milvus``): everything that `glocal index
--cluster` does. Without Milvus, the photos are handed to the workers, and nothing is written. Ray
runs already, and workers start anew each time. The rate is that of the photos after the first
quarter, until the last is written, so that the start of the workers, which takes as long for one as
for a hundred, is told apart; ``seconds`` is that of the whole run. Each round takes the numbers of
workers in turn. Busy processors are the limit sooner than the network: the share that was used is
printed too, by whatever else runs as well, and the share of this process, which writes and has the
web server in it.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from cluster_here import cluster_file, milvus, ray_cluster
from glocal.cluster.config import RaySettings
from glocal.cluster.ray_workers import RayWorkers
from glocal.encoders import DEFAULT_MODEL, OWN, find_model
from glocal.encoders.model_files import file_sha256
from glocal.gallery import Gallery
from glocal.gallery.progress import Progress
from glocal.gallery.reading_files import Found, Recipe
from glocal.gallery.walk import walk
from glocal.images import Limits
from glocal.images.url_paths import as_path
from measure import arguments, print_table, write_results
from upgrade_kills import gather


class Far(SimpleHTTPRequestHandler):
    """Lets each photo wait."""

    delay = 0.0

    def do_GET(self) -> None:
        if self.path.endswith((".jpg", ".jpeg", ".png")):
            time.sleep(self.delay)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Far, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def read(files: list[Found], recipe: Recipe, model: Path, ray: str, workers: int) -> dict[str, Any]:
    """Only read and describe."""
    settings = RaySettings(address=ray, workers=workers, start=3600)
    with timed() as clock:
        for done in RayWorkers(settings).read(recipe, model, files):
            assert done.reason is None, done.reason
            clock.tick()
    return clock.row()


def index(url: str, folder: Path, config: Path, model: Path, count: int) -> dict[str, Any]:
    """A whole index run, into a new gallery."""
    with Gallery(folder, model=str(model), cluster=config) as gallery, timed() as clock:

        def listen(progress: Progress) -> None:
            if progress.stage == "encode":
                clock.tick(progress.done)

        report = gallery.add(url, listen=listen)
        assert (report.added, len(report.failed)) == (count, 0), report
    shutil.rmtree(folder)
    return clock.row()


class Clock:
    """When each photo was done, and what the processors did meanwhile."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._began, self._used, self._mine = time.perf_counter(), used(), time.process_time()
        self._row: dict[str, Any] = {}

    def tick(self, done: int = 0) -> None:
        """So many are done now, or one more."""
        more = done - len(self._times) if done else 1
        self._times += [time.perf_counter()] * more

    def stop(self) -> None:
        ends, count = time.perf_counter(), len(self._times)
        took, first = ends - self._began, count // 4
        self._row = {
            "photos": count,
            "rate": (count - 1 - first) / (ends - self._times[first]),
            "first_after_s": self._times[0] - self._began,
            "seconds": took,
            "busy": (used() - self._used) / took,
            "driver": (time.process_time() - self._mine) / took,
        }

    def row(self) -> dict[str, Any]:
        return {name: round(value, 3) for name, value in self._row.items()}


@contextmanager
def timed() -> Iterator[Clock]:
    clock = Clock()
    yield clock
    clock.stop()


def used() -> float:
    """Seconds of processors that this machine was busy since it started."""
    fields = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / 100


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--count", type=int, default=320)
    parser.add_argument("--delay", type=float, default=0.4)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--no-milvus", action="store_true")
    parser.add_argument("--model", help="a smaller one, where processors are the limit")
    parser.add_argument("--detector", help="of local features [default: the model's own]")
    options = parser.parse_args()
    if options.quick:
        options.count, options.rounds = 40, 1
    Far.delay = options.delay
    rows: list[dict[str, Any]] = []
    model = find_model(options.model or DEFAULT_MODEL, None)
    recipe = Recipe(file_sha256(model), options.detector or OWN, Limits(), None)
    with (
        TemporaryDirectory(dir=options.work) as place,
        ray_cluster(max(options.workers)) as ray,
        nullcontext() if options.no_milvus else milvus(Path(place) / "milvus") as server,
    ):
        photos = Path(place) / "photos"
        gather(options.images, photos, options.count)
        with served(photos) as url:
            root = as_path(url)
            files = [(each.path, file) for each in walk(root, Path(place)) for file in each.files]
            for number in range(options.rounds):
                for workers in options.workers:
                    if server is None:
                        row = read(files, recipe, model, ray, workers)
                    else:
                        config = cluster_file(Path(place) / "cluster.toml", server, ray, workers)
                        row = index(url, Path(place) / "gallery", config, model, options.count)
                    rows.append({"round": number, "workers": workers, **row})
                    print(rows[-1], flush=True)
    rates = {
        workers: median(row["rate"] for row in rows if row["workers"] == workers)
        for workers in options.workers
    }
    first = rates[options.workers[0]]
    figures = {
        "delay_s": options.delay,
        "milvus": not options.no_milvus,
        "rows": rows,
        "photos_per_s": rates,
        "times_as_fast": {workers: rate / first for workers, rate in rates.items()},
    }
    print_table(
        f"photos that wait {options.delay} s each",
        ["workers", "photos/s", "times as fast"],
        [[workers, rate, rate / first] for workers, rate in rates.items()],
    )
    write_results("cluster_workers", figures, quick=options.quick)


if __name__ == "__main__":
    main()
