"""How much faster do more of Ray's workers read and encode, where the network is the limit?

    python benchmarks/cluster_workers.py --images FOLDER --work DIR [--count 400] [--delay 0.4]
        [--workers 1 2] [--rounds 3]

A web server on this machine has the photos and lets each of them wait, as one far away does. For
each number of workers the photos below its URL are found and handed to `RayWorkers`, as an index
run does; what is written afterwards is the same for any number, and left out. Ray runs already, and
workers start anew each time. The rate is that of the photos after the first tenth, so that the
start of the workers, which takes as long for one as for a hundred, is told apart. Each round takes
the numbers of workers in turn. Busy processors are the limit sooner than the network: the share
that was used is printed too, by whatever else runs as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from cluster_here import ray_cluster
from glocal.cluster.config import RaySettings
from glocal.cluster.ray_workers import RayWorkers
from glocal.encoders import DEFAULT_MODEL, OWN, find_model
from glocal.encoders.model_files import file_sha256
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
    settings = RaySettings(address=ray, workers=workers, start=3600)
    times: list[float] = []
    began, busy = time.perf_counter(), used()
    for done in RayWorkers(settings).read(recipe, model, files):
        assert done.reason is None, done.reason
        times.append(time.perf_counter() - began)
    took = time.perf_counter() - began
    first = len(times) // 10
    return {
        "photos": len(times),
        "rate": (len(times) - 1 - first) / (times[-1] - times[first]),
        "first_after_s": times[0],
        "seconds": took,
        "busy": (used() - busy) / took,
    }


def used() -> float:
    """Seconds of processors that this machine was busy since it started."""
    fields = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / 100


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--delay", type=float, default=0.4)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", help="a smaller one, where processors are the limit")
    parser.add_argument("--detector", help="of local features [default: the model's own]")
    options = parser.parse_args()
    if options.quick:
        options.count, options.rounds = 60, 1
    Far.delay = options.delay
    rows: list[dict[str, Any]] = []
    model = find_model(options.model or DEFAULT_MODEL, None)
    recipe = Recipe(file_sha256(model), options.detector or OWN, Limits(), None)
    with TemporaryDirectory(dir=options.work) as place, ray_cluster(max(options.workers)) as ray:
        gather(options.images, Path(place), options.count)
        with served(Path(place)) as url:
            root = as_path(url)
            files = [(each.path, file) for each in walk(root, Path(place)) for file in each.files]
            for number in range(options.rounds):
                for workers in options.workers:
                    row = read(files, recipe, model, ray, workers)
                    rows.append({"round": number, "workers": workers, **row})
                    print(rows[-1], flush=True)
    rates = {
        workers: median(row["rate"] for row in rows if row["workers"] == workers)
        for workers in options.workers
    }
    first = rates[options.workers[0]]
    figures = {
        "delay_s": options.delay,
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
